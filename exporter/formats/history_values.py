"""The values that DetectionHistory files consist of, and the tracking blocks among them.

A value, little-endian (formats-quarantine.md 3.1, measured on 23 real files):

    offset size
    0      4    length of the data in bytes
    4      4    type: 00 05 06 u32 · 08 u64 · 0A FILETIME · 15 UTF-16LE with NUL (length 0: absent) · 1E GUID · 28 tracking block
    8      …    data, then zeros to a multiple of 8

A tracking block (3.5) begins in one of two ways, told apart by bit 28 of its resource's flags:

    clear: 0 u32 length of the block · 4 pairs
    set:   0 u32 1 · 4 u32 20 · 8 u32 length of the rest or 0 · 12 u32 length of the block · 16 u32 0 · [20 u32 as at 8 · 24 pairs]

A pair: u32 length of the key in bytes, key UTF-16LE with NUL, u32 type, value: 3 u32 · 4 u64 · 5 one byte · 6 u32 length and UTF-16LE ·
7 u32 length and ASCII.
"""

import struct
from typing import NamedTuple
from uuid import UUID

from exporter.errors import FormatError

INT = frozenset({0x00, 0x05, 0x06})
LONG = frozenset({0x08})
TIME = frozenset({0x0A})
TEXT = frozenset({0x15})
GUID = frozenset({0x1E})
BLOCK = frozenset({0x28})
KNOWN = INT | LONG | TIME | TEXT | GUID | BLOCK
_SIZES = dict.fromkeys(INT, 4) | dict.fromkeys(LONG | TIME, 8) | dict.fromkeys(GUID, 16)
_FIXED = {3: ("<I", 4), 4: ("<Q", 8), 5: ("<B", 1)}
_WIDE_FLAG = 1 << 28

Tracked = int | str | bool


class Value(NamedTuple):
    """One value; `cut` when the file ends inside its data."""

    kind: int
    offset: int
    data: bytes
    cut: bool = False

    def number(self) -> int:
        """The data as an unsigned number."""
        return int.from_bytes(self.data, "little")

    def text(self) -> str | None:
        """The text without its NUL; None where there is none. Raises FormatError for half a character."""
        return wide(self.data, self.offset) or None

    def guid(self) -> str:
        """The GUID in upper case without braces."""
        return str(UUID(bytes_le=self.data)).upper()

    def plain(self) -> int | str:
        """The value as its type says, and as hex where the type is unknown."""
        if self.kind in TEXT:
            return self.text() or ""
        if self.kind in GUID:
            return self.guid()
        return self.number() if self.kind in _SIZES else self.data.hex()


class Values:
    """A place in the row of values; every length is checked against what is left before it is used."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.offset = 0

    @property
    def remaining(self) -> int:
        """Bytes from here to the end of the file."""
        return len(self._data) - self.offset

    def peek(self) -> int | None:
        """The type of the next value, None where there is none."""
        return struct.unpack_from("<I", self._data, self.offset + 4)[0] if self.remaining >= 8 else None

    def take(self, what: str) -> Value:
        """The next value, called `what` in messages; raises FormatError where it is not whole."""
        value = self.take_some(what)
        if value.cut:
            raise FormatError(f"file ends inside {what}", value.offset)
        size = _SIZES.get(value.kind)
        if size is not None and len(value.data) != size:
            raise FormatError(f"{what} of type 0x{value.kind:02x} has {len(value.data)} bytes instead of {size}", value.offset)
        return value

    def take_some(self, what: str) -> Value:
        """The next value with as much of its data as there is."""
        start = self.offset
        if self.remaining < 8:
            raise FormatError(f"file ends before {what}", start)
        length, kind = struct.unpack_from("<II", self._data, start)
        data = self._data[start + 8 : start + 8 + length]
        self.offset = min(len(self._data), start + 8 + length + -length % 8)
        return Value(kind, start, data, len(data) < length)


def wide(data: bytes, offset: int) -> str:
    """UTF-16LE without its final NUL; raises FormatError for half a character."""
    if len(data) % 2:
        raise FormatError(f"text of {len(data)} bytes ends inside a character", offset)
    text = data.decode("utf-16-le", "surrogatepass")
    return text.removesuffix("\0")


class Tracking(NamedTuple):
    """What a tracking block says, and why reading it ended early: `damage`, or a value of a type that is `unknown`."""

    pairs: dict[str, Tracked]
    layout: str
    damage: str | None = None
    unknown: str | None = None


class UnknownType(FormatError):
    """A tracking value of a type whose length nobody knows: the rest of its block cannot be divided."""


def tracking(value: Value, flags: int) -> Tracking:
    """The pairs of a tracking block, as far as they can be read; `value` may be cut."""
    reader = _Pairs(value.data, value.offset + 8)
    header20 = bool(flags & _WIDE_FLAG)
    layout = "header20" if header20 else "size"
    try:
        reader.head(header20, value.cut)
        reader.read()
    except UnknownType as error:
        return Tracking(reader.pairs, layout, unknown=str(error))
    except FormatError as error:
        return Tracking(reader.pairs, layout, damage=str(error))
    return Tracking(reader.pairs, layout)


class _Pairs:
    def __init__(self, data: bytes, base: int) -> None:
        self._data = data
        self._base = base
        self._position = 0
        self._repeated: dict[str, int] = {}
        self.pairs: dict[str, Tracked] = {}

    def head(self, header20: bool, cut: bool) -> None:
        """Step over the block's head; raises FormatError when it is of the other layout or belies the block's length."""
        if header20:
            one, size, rest, total, zero = (self._fixed("<I", 4) for _ in range(5))
            if (one, size, zero) != (1, 20, 0) or (rest and self._fixed("<I", 4) != rest):
                raise FormatError("head of the tracking block is not the one its flags announce", self._base)
        else:
            total = self._fixed("<I", 4)
        if total != len(self._data) and not cut:
            raise FormatError(f"tracking block of {len(self._data)} bytes says that it has {total}", self._base)

    def read(self) -> None:
        while self._position < len(self._data):
            key = wide(self._sized(), self._base + self._position)
            kind = self._fixed("<I", 4)
            self.pairs[self._name(key)] = self._value(key, kind)

    def _name(self, key: str) -> str:
        if key not in self.pairs:
            return key
        self._repeated[key] = self._repeated.get(key, 1) + 1
        return f"{key}#{self._repeated[key]}"

    def _value(self, key: str, kind: int) -> Tracked:
        start = self._base + self._position
        if kind in _FIXED:
            number = self._fixed(*_FIXED[kind])
            return bool(number) if kind == 5 and number < 2 else number
        if kind == 6:
            return wide(self._sized(), start)
        if kind == 7:
            return self._sized().decode("utf-8", "surrogateescape").removesuffix("\0")
        self.pairs[self._name(key)] = self._take(len(self._data) - self._position).hex()
        raise UnknownType(f"tracking value `{key[:40]}` is of unknown type {kind}", start)

    def _fixed(self, form: str, size: int) -> int:
        number: int = struct.unpack(form, self._take(size))[0]
        return number

    def _sized(self) -> bytes:
        return self._take(self._fixed("<I", 4))

    def _take(self, size: int) -> bytes:
        start = self._position
        if size > len(self._data) - start:
            raise FormatError(f"tracking block has {len(self._data) - start} bytes left where {size} are announced", self._base + start)
        self._position = start + size
        return self._data[start : start + size]

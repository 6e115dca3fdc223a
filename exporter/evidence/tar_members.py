"""Members of a tar, read forward only and in bounded memory.

The standard library's reader takes a damaged header for the end of the archive without a word and reads extended headers of any declared
size into memory. Facts: POSIX.1 pax, GNU tar manual. Blocks of 512 bytes, a header each:

0 name   124 size (octal, or base 256)   136 modified (Unix seconds)   148 checksum   156 type   157 link target   257 `ustar`   345 prefix
"""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from exporter import times
from exporter.errors import EvidenceError
from exporter.evidence.streams import PIECE_BYTES
from exporter.records import Rejected

BLOCK_BYTES = 512
_LONGEST_EXTENSION_BYTES = 1 << 20
_ZEROS = bytes(BLOCK_BYTES)


class TarMember(msgspec.Struct, frozen=True):
    """An entry that is not a folder. `stored` bytes of it follow at offset `start`; `modified_at` in ticks.

    `link` is the target of a symbolic (`symbolic`) or hard link as stored; `refusal` says why the member cannot be read.
    """

    name: str
    size: int
    stored: int
    start: int
    modified_at: int | None
    link: str | None = None
    symbolic: bool = False
    refusal: str | None = None


class Forward:
    """A stream that is read forward, with its position; passes over bytes by seeking where that is possible."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._seekable = source, source.seekable()
        self.position = 0

    def read(self, size: int, /) -> bytes:
        """`size` bytes, fewer only at the end."""
        pieces = []
        while size and (piece := self._source.read(size)):
            pieces.append(piece)
            size -= len(piece)
            self.position += len(piece)
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        """Passes over `size` bytes; the end of the stream is met by the next `read`."""
        if self._seekable:
            self.position = self._source.seek(self.position + size)
            return
        while size > 0 and (piece := self.read(min(size, PIECE_BYTES))):
            size -= len(piece)

    def drain(self) -> None:
        """Reads to the end: a compressed stream has its checksum there, behind the tar's own end."""
        while self.read(PIECE_BYTES):
            pass


def looks_like_tar(block: bytes) -> bool:
    """Whether 512 bytes are a tar header: its checksum counts the checksum's own eight bytes as blanks."""
    if len(block) < BLOCK_BYTES or not any(block[:100]):
        return False
    return _number(block[148:156]) == sum(block) - sum(block[148:156]) + 8 * 0x20


def tar_members(stream: Forward, most: int) -> Iterator[TarMember | Rejected]:
    """Every member in the archive's order; the caller may read the member's bytes from `stream` before it asks for the next.

    Raises EvidenceError when the first block is no tar header.
    """
    block = stream.read(BLOCK_BYTES)
    if not looks_like_tar(block):
        raise EvidenceError("not a tar")
    extension: dict[str, str] = {}
    seen, damaged_at = 0, None
    while len(block) == BLOCK_BYTES:
        at = stream.position - BLOCK_BYTES
        if looks_like_tar(block) and _number(block[124:136]) >= 0:
            if damaged_at is not None:
                yield Rejected(damaged_at, f"damaged tar header: {at - damaged_at} bytes passed over")
                damaged_at = None
            member = _entry(block, stream, extension)
            if member is not None:
                seen += 1
                if seen > most:
                    yield Rejected(at, f"more than {most} members: the rest is not read")
                    return
                yield member
                stream.skip(member.start + _padded(member.stored) - stream.position)
        elif block != _ZEROS:
            damaged_at = at if damaged_at is None else damaged_at
        block, previous = stream.read(BLOCK_BYTES), block
        if previous == _ZEROS and block in (_ZEROS, b""):
            break
    else:
        yield Rejected(stream.position, "the tar has no end mark: cut off")
    if damaged_at is not None:
        yield Rejected(damaged_at, "damaged tar header: nothing readable follows")


def _entry(block: bytes, stream: Forward, extension: dict[str, str]) -> TarMember | None:
    """The member of a header; None for a folder and for an extended header, which goes into `extension` for the next."""
    kind, size = block[156:157], _number(block[124:136])
    if kind in (b"x", b"L", b"K", b"g"):
        data = stream.read(min(size, _LONGEST_EXTENSION_BYTES))
        stream.skip(_padded(size) - len(data))
        extension.update(_extended(kind, data))
        return None
    known = dict(extension)
    extension.clear()
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    name = known.get("path") or known.get("GNU.sparse.name") or "/".join(filter(None, (prefix, _text(block[:100]))))
    if kind in (b"5", b"D") or name.endswith("/"):
        stream.skip(_padded(size) if kind == b"D" else 0)
        return None
    wide = known.get("size", "")
    size = int(wide) if wide.isdecimal() and len(wide) < 19 else size
    refusal = _REFUSALS.get(kind) or (_REFUSALS[b"S"] if any(key.startswith("GNU.sparse.") for key in known) else None)
    if kind == b"S":
        _skip_sparse_map(block, stream)
    stored = 0 if kind in b"12346" and kind else size
    link = known.get("linkpath") or _text(block[157:257]) if kind in (b"1", b"2") else None
    modified_at = _modified(known.get("mtime", ""), _number(block[136:148]))
    return TarMember(name, size, stored, stream.position, modified_at, link, kind == b"2", refusal)


_REFUSALS = {
    b"3": "a device, not a file",
    b"4": "a device, not a file",
    b"6": "a FIFO, not a file",
    b"M": "the rest of a file from another volume",
    b"S": "a sparse file in a tar is not supported: unpack the archive",
    b"V": "a volume label, not a file",
}


def _skip_sparse_map(block: bytes, stream: Forward) -> None:
    """Passes over the blocks that continue the map of an old GNU sparse file (flag at 482, then at 504)."""
    more = block[482:483]
    while more not in (b"", b"\0"):
        more = stream.read(BLOCK_BYTES)[504:505]


def _extended(kind: bytes, data: bytes) -> Iterator[tuple[str, str]]:
    """Keys and values of an extended header: GNU long name or link, or pax records `length key=value` (global ones name no file)."""
    if kind in (b"L", b"K"):
        yield ("path" if kind == b"L" else "linkpath"), _text(data)
    position = 0
    while kind == b"x" and position < len(data):
        digits = data[position : position + 20].partition(b" ")[0]
        if not digits.isdigit() or int(digits) <= len(digits) + 1:
            return
        key, _, value = data[position + len(digits) + 1 : position + int(digits) - 1].partition(b"=")
        yield _text(key), value.decode("utf-8", "surrogateescape")
        position += int(digits)


def _number(field: bytes) -> int:
    """Octal digits between blanks and NULs, or base 256 when the top bit is set; -1 for anything else."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value if value < 1 << 62 else -1
    digits = field.strip(b" \0") or b"0"
    return int(digits, 8) if all(0x30 <= digit <= 0x37 for digit in digits) else -1


def _modified(exact: str, seconds: int) -> int | None:
    """Ticks of a pax time (decimal seconds), else of the header's."""
    whole, _, fraction = exact.partition(".")
    if whole.isdecimal() and len(whole) < 12 and (fraction + "0").isdecimal():
        return times.from_unix_ns(int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, "0")))
    return times.from_unix_ns(seconds * 1_000_000_000) if 0 < seconds < 1 << 40 else None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES

"""One resource in section 2 of an Entries file (formats-quarantine.md 2.4). All offsets are from the start of that section.

path     UTF-16LE, NUL-ended
u16      number of fields
type     ASCII, NUL-ended
padding  to a multiple of 4
fields   each: u16 data size, u16 = type in the upper 4 bits and id in the lower 12, data, padding to a multiple of 4

Types of fields: 1 string, 2 UTF-16LE string with NUL, 3 u32, 4 resource id (20 bytes), 5 bytes, 6 u64.
"""

import struct
from collections.abc import Callable
from typing import Final

import msgspec

from exporter.errors import FormatError

_FIELD = struct.Struct("<HH")


class RawField(msgspec.Struct, frozen=True, gc=False):
    """A field as stored."""

    id: int
    type: int
    data: bytes


class RawResource(msgspec.Struct, frozen=True):
    """A resource that lies from `start` to `end`; when `fields_read` is less than `field_count`, the next field does not fit at `end`.

    `values` are the known fields by attribute; `others` are unknown ids, unexpected types or sizes, and repetitions.
    """

    path: str
    resource_type: str
    field_count: int
    fields_read: int
    values: dict[str, int | str]
    others: list[RawField]
    start: int
    end: int


def read_resource(section: bytes, start: int) -> RawResource:
    """The resource at `start`; raises FormatError where its path or type has no end."""
    path_end = _wide_end(section, start)
    if path_end + 4 > len(section):
        raise FormatError("the section ends within a resource", len(section))
    type_start = path_end + 4
    type_end = section.find(0, type_start)
    if type_end < 0:
        raise FormatError("a resource type has no end", len(section))
    field_count = int.from_bytes(section[path_end + 2 : type_start], "little")
    values: dict[str, int | str] = {}
    others: list[RawField] = []
    fields_read, end = _read_fields(section, _padded(type_end + 1), field_count, values, others)
    path = wide_text(section[start:path_end])
    return RawResource(path, narrow_text(section[type_start:type_end]), field_count, fields_read, values, others, start, end)


def _wide_end(section: bytes, start: int) -> int:
    end = section.find(b"\0\0", start)
    while end >= 0 and (end - start) % 2:
        end = section.find(b"\0\0", end + 1)
    if end < 0:
        raise FormatError("a resource path has no end", len(section))
    return end


def _read_fields(section: bytes, position: int, count: int, values: dict[str, int | str], others: list[RawField]) -> tuple[int, int]:
    """Sort fields into `values` and `others`; how many, and where this ended."""
    length = len(section)
    for done in range(count):
        data_start = position + 4
        if data_start > length:
            return done, min(position, length)
        size, kind = _FIELD.unpack_from(section, position)
        data_end = data_start + size
        if data_end > length:
            return done, position
        data = section[data_start:data_end]
        attribute, fits, decode = _KNOWN.get(kind, _UNKNOWN)
        if size in fits and attribute not in values:
            values[attribute] = decode(data)
        else:
            others.append(RawField(kind & 0xFFF, kind >> 12, data))
        position = _padded(data_end)
    return count, min(position, length)


def _padded(position: int) -> int:
    return (position + 3) & ~3


def wide_text(data: bytes) -> str:
    """UTF-16LE of an even number of bytes, lone surrogates kept."""
    return data.decode("utf-16-le", "surrogatepass")


def _ended_wide_text(data: bytes) -> str:
    return wide_text(data).removesuffix("\0")


def narrow_text(data: bytes) -> str:
    """UTF-8; bytes that are none become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def number(data: bytes) -> int:
    """Little-endian, unsigned."""
    return int.from_bytes(data, "little")


def identifier(data: bytes) -> str:
    """A resource id as file names spell it: upper-case hex."""
    return data.hex().upper()


_KNOWN: Final[dict[int, tuple[str, range, Callable[[bytes], int | str]]]] = {
    0x4002: ("resource_id", range(20, 21), identifier),
    0x300A: ("flags", range(4, 5), number),
    0x200C: ("physical_path", range(0, 1 << 16, 2), _ended_wide_text),
    0x500D: ("sig_seq", range(8, 9), number),
    0x600F: ("created_at", range(8, 9), number),
    0x6010: ("accessed_at", range(8, 9), number),
    0x6011: ("modified_at", range(8, 9), number),
    0x6012: ("file_size", range(8, 9), number),
}
"""Type and id of a field: attribute of the payload, sizes that it can have, and its decoder."""
_UNKNOWN: Final = ("", range(0), identifier)


def field_value(field: RawField) -> int | str:
    """The value by its type, as far as the size fits the type; everything else as lower-case hex."""
    match field.type, len(field.data):
        case (3, 4) | (6, 8):
            return number(field.data)
        case (4, 20):
            return identifier(field.data)
        case (1, _):
            return narrow_text(field.data).removesuffix("\0")
        case (2, size) if size % 2 == 0:
            return _ended_wide_text(field.data)
    return field.data.hex()

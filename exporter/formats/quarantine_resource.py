"""One resource in section 2 of an Entries file (formats-quarantine.md 2.4). All offsets are from the start of that section.

path     UTF-16LE, NUL-ended
u16      number of fields
type     ASCII, NUL-ended
padding  to a multiple of 4
fields   each: u16 data size, u16 = type in the upper 4 bits and id in the lower 12, data, padding to a multiple of 4
"""

import struct
from collections.abc import Callable
from typing import Final

import msgspec

from exporter.errors import FormatError

_FIELD = struct.Struct("<HH")
_STRING, _WIDE, _DWORD, _RESOURCE_ID, _BYTES, _QWORD = 1, 2, 3, 4, 5, 6


class RawField(msgspec.Struct, frozen=True, gc=False):
    """A field as stored."""

    id: int
    type: int
    data: bytes


class RawResource(msgspec.Struct, frozen=True):
    """A resource as stored: it lies from `start` to `end`; at `broken_at` is the first field that does not fit."""

    path: str
    resource_type: str
    fields: tuple[RawField, ...]
    field_count: int
    start: int
    end: int
    broken_at: int | None = None


def read_resource(section: bytes, start: int) -> RawResource:
    """The resource at `start`; raises FormatError where its path or type has no end."""
    path_end = _wide_end(section, start)
    if path_end + 4 > len(section):
        raise FormatError("the section ends within a resource", len(section))
    type_start = path_end + 4
    type_end = section.find(0, type_start)
    if type_end < 0:
        raise FormatError("a resource type has no end", len(section))
    count = int.from_bytes(section[path_end + 2 : type_start], "little")
    fields, end, broken = _read_fields(section, _padded(type_end + 1), count)
    return RawResource(
        path=wide_text(section[start:path_end]),
        resource_type=narrow_text(section[type_start:type_end]),
        fields=fields,
        field_count=count,
        start=start,
        end=end,
        broken_at=end if broken else None,
    )


def _wide_end(section: bytes, start: int) -> int:
    end = section.find(b"\0\0", start)
    while end >= 0 and (end - start) % 2:
        end = section.find(b"\0\0", end + 1)
    if end < 0:
        raise FormatError("a resource path has no end", len(section))
    return end


def _read_fields(section: bytes, position: int, count: int) -> tuple[tuple[RawField, ...], int, bool]:
    fields: list[RawField] = []
    for _ in range(count):
        if position + 4 > len(section):
            return tuple(fields), min(position, len(section)), True
        size, kind = _FIELD.unpack_from(section, position)
        end = position + 4 + size
        if end > len(section):
            return tuple(fields), position, True
        fields.append(RawField(kind & 0xFFF, kind >> 12, section[position + 4 : end]))
        position = _padded(end)
    return tuple(fields), min(position, len(section)), False


def _padded(position: int) -> int:
    return (position + 3) & ~3


def wide_text(data: bytes) -> str:
    """UTF-16LE of an even number of bytes, lone surrogates kept."""
    return data.decode("utf-16-le", "surrogatepass")


def narrow_text(data: bytes) -> str:
    """UTF-8; bytes that are none become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def number(data: bytes) -> int:
    """Little-endian, unsigned."""
    return int.from_bytes(data, "little")


def identifier(data: bytes) -> str:
    """A resource id as file names spell it: upper-case hex."""
    return data.hex().upper()


def _ended_wide(data: bytes) -> str:
    return wide_text(data).removesuffix("\0")


_UNKNOWN = ("", -1, None, identifier)


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
            return _ended_wide(field.data)
    return field.data.hex()


_KNOWN: Final[dict[int, tuple[str, int, int | None, Callable[[bytes], int | str]]]] = {
    0x02: ("resource_id", _RESOURCE_ID, 20, identifier),
    0x0A: ("flags", _DWORD, 4, number),
    0x0C: ("physical_path", _WIDE, None, _ended_wide),
    0x0D: ("sig_seq", _BYTES, 8, number),
    0x0F: ("created_at", _QWORD, 8, number),
    0x10: ("accessed_at", _QWORD, 8, number),
    0x11: ("modified_at", _QWORD, 8, number),
    0x12: ("file_size", _QWORD, 8, number),
}
"""Field id: attribute of the payload, type and size that it must have to be taken for it, and its decoder."""


def sort_fields(fields: tuple[RawField, ...]) -> tuple[dict[str, int | str], list[RawField]]:
    """The known fields by attribute, and the others: unknown ids, unexpected types or sizes, repetitions."""
    values: dict[str, int | str] = {}
    others = []
    for field in fields:
        attribute, kind, size, decode = _KNOWN.get(field.id, _UNKNOWN)
        fits = len(field.data) == size or (size is None and len(field.data) % 2 == 0)
        if field.type == kind and fits and attribute not in values:
            values[attribute] = decode(field.data)
        else:
            others.append(field)
    return values, others

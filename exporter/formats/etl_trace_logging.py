"""TraceLogging: events that carry their own layout as extended data (type 11), and their provider's name (type 12).

Layout: u16 size, tags (bytes, the last one below 0x80), name as UTF-8 with NUL, then per field name as UTF-8 with NUL, u8 type, where bit
7 is set u8 display type (and where bit 7 is set there, tags). Bits 5 and 6 of the type say array: 0x20 with a number of elements fixed in
the layout (u16), 0x40 with one before the elements in the data (u16).
"""

from collections.abc import Iterator

import msgspec

from exporter.formats.etl_layouts import wide_text

_WIDE_TEXT, _TEXT, _BINARY = 1, 2, 14
_COUNTED = (22, 23, 25)
_SIZES = {3: 1, 4: 1, 5: 2, 6: 2, 7: 4, 8: 4, 9: 8, 10: 8, 11: 4, 12: 8, 13: 4, 15: 16, 17: 8, 18: 16, 20: 4, 21: 8}
_MOST_FIELDS = 128


class Event(msgspec.Struct, frozen=True):
    """An event's name and its values as bytes (texts without NUL), as far as they could be told apart."""

    name: str
    values: dict[str, bytes]


class Field(msgspec.Struct, frozen=True):
    """`count` is None for one value, -1 where the data says how many, else the number of elements."""

    name: str
    type: int
    count: int | None


def read(schema: bytes, data: bytes) -> Event | None:
    """The event; None where the layout is damaged. Values end at the first field whose type is not known or that does not fit."""
    if len(schema) < 3 or int.from_bytes(schema[:2], "little") > len(schema):
        return None
    place = _after_tags(schema, 2)
    name, place = _name(schema, place)
    values: dict[str, bytes] = {}
    at = 0
    for field in _fields(schema, place):
        value = _value(data, at, field)
        if value is None:
            break
        values[field.name], at = value
    return Event(name, values)


def _fields(schema: bytes, place: int) -> Iterator[Field]:
    for _ in range(_MOST_FIELDS):
        name, place = _name(schema, place)
        if place >= len(schema):
            return
        kind = schema[place]
        place += 1
        if kind & 0x80:
            place = _after_tags(schema, place + 1) if schema[place : place + 1] >= b"\x80" else place + 1
        count: int | None = -1 if kind & 0x40 else None
        if kind & 0x20:
            count, place = int.from_bytes(schema[place : place + 2], "little"), place + 2
        yield Field(name, kind & 0x1F, count)


def _value(data: bytes, place: int, field: Field) -> tuple[bytes, int] | None:
    count = field.count
    if field.type == _WIDE_TEXT and count is None:
        found = wide_text(data, place)
        return None if found is None else (data[place : found[1] - 2], found[1])
    if field.type == _TEXT and count is None:
        end = data.find(b"\0", place)
        return None if end < 0 else (data[place:end], end + 1)
    size = _SIZES.get(field.type, 1 if field.type == _BINARY or field.type in _COUNTED else 0)
    if count == -1 or (count is None and field.type in (*_COUNTED, _BINARY)):
        count, place = int.from_bytes(data[place : place + 2], "little"), place + 2
    end = place + size * (1 if count is None else count)
    return (data[place:end], end) if size and end <= len(data) else None


def _after_tags(schema: bytes, place: int) -> int:
    while place < len(schema) and schema[place] & 0x80:
        place += 1
    return place + 1


def _name(schema: bytes, place: int) -> tuple[str, int]:
    end = schema.find(b"\0", place)
    end = len(schema) if end < 0 else end
    return schema[place:end].decode("utf-8", "backslashreplace"), end + 1

"""The records in one buffer of an ETW trace, whatever wrote them.

Byte 3 of a record has bit 7 set; byte 2 is the type of its header. Records begin at multiples of 8 bytes.

| type | header | length | size at | time at | thread, process at |
|---|---|---|---|---|---|
| 1, 2 | system | 32 | 4 | 16 | 8, 12 |
| 3, 4 | system, compact | 24 | 4 | 16 | 8, 12 |
| 10, 20 | classic event | 48 | 0 | 16 | 8, 12; GUID at 24 |
| 11, 21 | classic instance | 48 | 0 | 16 | 8, 12 |
| 12, 13, 14 | timed, error, node | 24 | 0 | 16 | |
| 16, 17 | performance | 16 | 4 | 8 | |
| 18, 19 | event | 80 | 0 | 16 | 8, 12; provider GUID at 24 |
| byte 3 is 0x9X | WPP message | 8 | 0 | as its flags say | as its flags say |
"""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from exporter.formats.etl_buffers import HEADER_BYTES, Buffer
from exporter.records import Rejected


class HeaderType(msgspec.Struct, frozen=True):
    """Where a type of header has what."""

    name: str
    length: int
    size_at: int = 0
    time_at: int | None = 16


MESSAGE = HeaderType("wpp_message", 8, 0, None)
EVENT = HeaderType("event", 80)
SYSTEM = HeaderType("system", 32, 4)
CLASSIC = HeaderType("classic", 48)
_COMPACT = HeaderType("system_compact", 24, 4)
_INSTANCE = HeaderType("instance", 48)
_OTHER = HeaderType("other", 24)
_PERFORMANCE = HeaderType("performance", 16, 4, 8)
_TYPES = {
    1: SYSTEM,
    2: SYSTEM,
    3: _COMPACT,
    4: _COMPACT,
    10: CLASSIC,
    20: CLASSIC,
    11: _INSTANCE,
    21: _INSTANCE,
    12: _OTHER,
    13: _OTHER,
    14: _OTHER,
    16: _PERFORMANCE,
    17: _PERFORMANCE,
    18: EVENT,
    19: EVENT,
}
_MINIMUM = 8
_NO_MORE = b"\xff\xff\xff\xff"


class Span(msgspec.Struct, frozen=True):
    """One record: the bytes that its header claims, checked against the buffer. `wide` where pointers have 8 bytes."""

    type: HeaderType
    offset: int
    data: bytes
    wide: bool


Found: TypeAlias = Span | Rejected


def split(buffer: Buffer) -> Iterator[Found]:
    """The records of a buffer. After one that cannot be right nothing tells where the next begins: the rest of the buffer is one loss."""
    data, place = buffer.data, HEADER_BYTES
    while place + _MINIMUM <= len(data) and data[place : place + 4] != _NO_MORE:
        header = _header(data, place)
        if header is None:
            yield _rejected(buffer, place, "no record header: the rest of the buffer is not read")
            return
        size = int.from_bytes(data[place + header.size_at : place + header.size_at + 2], "little")
        if size < header.length or place + size > len(data):
            if place + size > len(data) and len(data) < buffer.filled:
                break
            yield _rejected(buffer, place, f"record of {size} bytes in {len(data) - place}: the rest of the buffer is not read")
            return
        yield Span(header, buffer.offset + place, data[place : place + size], data[place + 2] in (2, 4, 17, 19, 20, 21))
        place += (size + 7) & ~7
    if len(data) < buffer.filled:
        yield _rejected(buffer, place, f"cut off: {len(data)} bytes of {buffer.filled} in a buffer")


def _header(data: bytes, place: int) -> HeaderType | None:
    marker = data[place + 3]
    if marker & 0xF0 == 0x90:
        return MESSAGE
    return _TYPES.get(data[place + 2]) if marker & 0xC0 == 0xC0 else None


def _rejected(buffer: Buffer, place: int, reason: str) -> Rejected:
    return Rejected(buffer.offset + place, reason, buffer.data[place : place + 32].hex())

"""Writes small ETW traces: manifest events, AMSI scans and WPP messages in buffers, with a log file header.

Layouts: `exporter.formats.etl_buffers`, `etl_split`, `etl_header`, `etl_events`.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import TypeAlias
from uuid import UUID

import msgspec

from exporter.times import TICKS_PER_SECOND

_BUFFER_HEADER_BYTES = 72
_ORIGIN = 123_456_789
"""What the performance counter stood at when the trace began."""
_CIRCULAR = 2


class TraceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a manifest, or with `extended` data of TraceLogging. `at` is ticks."""

    provider: str
    event_id: int
    at: int
    payload: bytes
    version: int = 0
    process_id: int = 2964
    thread_id: int = 3176
    extended: Sequence[tuple[int, bytes]] = ()


class TraceMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A WPP message."""

    source: str
    number: int
    at: int
    payload: bytes
    process_id: int = 2964
    thread_id: int = 3176


TraceRecord: TypeAlias = TraceEvent | TraceMessage


def wide(text: str) -> bytes:
    """UTF-16 with its NUL, as events have texts."""
    return text.encode("utf-16-le") + b"\0\0"


def amsi_scan(app: str, name: str, content: bytes, digest: bytes, *, result: int = 1, status: int = 1) -> bytes:
    """The payload of event 1101 of the Antimalware Scan Interface."""
    head = struct.pack("<QBI", 0, status, result) + wide(app) + wide(name)
    return head + struct.pack("<II", len(content), len(content)) + content + digest + struct.pack("<I", 0)


def build_etl(
    records: Sequence[TraceRecord],
    *,
    session: str,
    log_file: str,
    started_at: int,
    ended_at: int | None,
    bias: int = 0,
    changes: bytes = bytes(168),
    buffer_bytes: int = 4096,
    rotated: int = 0,
    clock: int = 1,
    wide_pointers: bool = True,
) -> bytes:
    """A trace file. `ended_at` None: copied while it ran. `rotated`: that many buffers of a circular file were overwritten once more.

    `clock` is 1 (performance counter of 10 MHz), 2 (system time) or 3 (cycles of a processor of 2 GHz). `changes` is the rest of the time
    zone (see `formats.time_zone`); with zeros there is no daylight time.
    """
    packed = list(
        _pack([_record(record, _counter(record.at, started_at, clock)) for record in records], buffer_bytes - _BUFFER_HEADER_BYTES)
    )
    body = [_buffer(data, buffer_bytes, number) for number, data in enumerate(packed, 1)]
    names = wide(session) + wide(log_file)
    header = (
        _log_header(
            buffer_bytes, started_at, ended_at, len(body) + 1, struct.pack("<i", bias) + changes, bool(rotated), clock, wide_pointers
        )
        + names
    )
    first = struct.pack(
        "<HBBHHIIQII", 2, 2 if wide_pointers else 1, 0xC0, 32 + len(header), 0, 3176, 2964, _counter(started_at, started_at, clock), 0, 0
    )
    place = rotated % len(body) if body else 0
    return b"".join(
        [_buffer(first + header, buffer_bytes, 0), *body[-place:], *body[:-place]]
        if place
        else [_buffer(first + header, buffer_bytes, 0), *body]
    )


def _counter(at: int, started_at: int, clock: int) -> int:
    return at if clock == 2 else _ORIGIN + (at - started_at) * (200 if clock == 3 else 1)


def _log_header(
    buffer_bytes: int, started_at: int, ended_at: int | None, buffers: int, zone: bytes, circular: bool, clock: int, wide_pointers: bool
) -> bytes:
    written = 0 if ended_at is None else buffers
    head = struct.pack("<4IQ", buffer_bytes, 0x0501000A, 19045, 4, ended_at or 0)
    head += struct.pack("<8I", 156250, 16, _CIRCULAR if circular else 1, written, 1, 8 if wide_pointers else 4, 0, 2000)
    head += bytes(16 if wide_pointers else 8) + zone + bytes(4)
    return head + struct.pack("<3QII", started_at - 600 * TICKS_PER_SECOND, TICKS_PER_SECOND, started_at, clock, 0)


def _record(record: TraceRecord, counter: int) -> bytes:
    if isinstance(record, TraceMessage):
        source = UUID(record.source).bytes_le
        size = 40 + len(record.payload)
        head = struct.pack("<HHHH", size, 0x9000, record.number, 0xAA) + source
        return head + struct.pack("<QII", counter, record.thread_id, record.process_id) + record.payload
    extended = b"".join(_extended(kind, data, place + 1 < len(record.extended)) for place, (kind, data) in enumerate(record.extended))
    size = 80 + len(extended) + len(record.payload)
    head = struct.pack("<HBBHHIIQ", size, 19, 0xC0, 0x40 | bool(extended), 0, record.thread_id, record.process_id, counter)
    head += UUID(record.provider).bytes_le + struct.pack("<HBBBBHQ", record.event_id, record.version, 0, 4, 0, 0, 1 << 63)
    return head + bytes(24) + extended + record.payload


def _extended(kind: int, data: bytes, more: bool) -> bytes:
    size = (8 + len(data) + 7) & ~7
    return (struct.pack("<4H", size, kind, more, len(data)) + data).ljust(size, b"\0")


def _pack(records: Sequence[bytes], room: int) -> Iterator[bytes]:
    """Records in buffers, each padded to a multiple of 8; ValueError for one that no buffer has room for."""
    data = b""
    for record in records:
        if len(record) > room:
            raise ValueError(f"a record of {len(record)} bytes in buffers of {room}")
        if len(data) + len(record) > room:
            yield data
            data = b""
        data = (data + record).ljust((len(data) + len(record) + 7) & ~7, b"\0")
    if data:
        yield data


def _buffer(data: bytes, size: int, number: int) -> bytes:
    filled = min(_BUFFER_HEADER_BYTES + len(data), size)
    head = struct.pack("<4IqqQ", size, filled, filled, 0, _ORIGIN + number, number, 0) + struct.pack("<II", number % 4, 3)
    head += struct.pack("<IHH", filled, 0x20 if number else 0x21, 0 if number else 4) + bytes(16)
    return (head + data).ljust(size, b"\xff")[:size]

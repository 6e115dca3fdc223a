"""The log file header: the first record of a trace, and the trace's clock.

Offsets from the end of the record's 32-byte system header; with 4-byte pointers what follows the two pointers lies 8 bytes earlier.

| offset | size | content |
|---|---|---|
| 0 | 4 | buffer size |
| 16 | 8 | end time, ticks; 0 while the trace runs |
| 32 | 4 | mode: 0x02 circular, 0x04000000 compressed |
| 36 | 4 | buffers written; 0 while the trace runs |
| 44 | 4 | pointer size |
| 48 | 4 | events lost |
| 52 | 4 | processor speed, MHz |
| 56 | 16 | two pointers: session and file name, which stand behind the header as UTF-16 with a NUL each |
| 72 | 172 | time zone: see `time_zone` |
| 248 | 8 | boot time, ticks |
| 256 | 8 | ticks of the performance counter in a second |
| 264 | 8 | start time, ticks |
| 272 | 4 | clock: 1 performance counter, 2 system time, 3 processor cycles |
| 276 | 4 | buffers lost |
"""

import struct

import msgspec

from exporter.formats.etl_split import SYSTEM, Span
from exporter.formats.time_zone import TimeZone, read_time_zone
from exporter.times import TICKS_PER_SECOND

_BODY = 32
_CIRCULAR = 0x02
_CLOCKS = {1: "performance_counter", 2: "system_time", 3: "processor_cycles"}
_LONGEST_TICKS = 1 << 63


class Clock(msgspec.Struct, frozen=True):
    """Turns counter values into ticks: `start` was at counter `origin`, and `rate` counts make a second (0: the counter is ticks)."""

    start: int
    origin: int
    rate: int

    def ticks(self, counter: int) -> int | None:
        """Ticks UTC, or None where nothing sensible comes out."""
        if not self.rate:
            return counter
        at = self.start + (counter - self.origin) * TICKS_PER_SECOND // self.rate
        return at if 0 < at < _LONGEST_TICKS else None


class LogHeader(msgspec.Struct, frozen=True):
    """What the header says; see the module's table."""

    clock: Clock | None
    clock_name: str
    session: str | None
    log_file: str | None
    started_at: int | None
    ended_at: int | None
    booted_at: int | None
    bias: int | None
    zone: TimeZone | None
    pointer_bytes: int
    lost_events: int
    lost_buffers: int
    buffers_written: int
    circular: bool


def is_header(span: Span) -> bool:
    """True for the system record 0 (event trace, header), long enough to be one."""
    return span.type is SYSTEM and span.data[6:8] == b"\0\0" and len(span.data) >= _BODY + 272


def read_header(span: Span) -> LogHeader:
    """The header of a record for which `is_header` is true."""
    body = span.data[_BODY:]
    mode, written, _, pointer_bytes, lost_events, mega_hertz = struct.unpack_from("<6I", body, 32)
    behind = -8 if pointer_bytes == 4 else 0
    tail = body[248 + behind :]
    booted_at, frequency, started_at, clock, lost_buffers = struct.unpack_from("<3QII", tail)
    session, log_file = _names(tail[32:])
    bias = struct.unpack_from("<i", body, 72 + behind)[0]
    rate = {2: 0, 3: mega_hertz * 1_000_000}.get(clock, frequency)
    origin = int.from_bytes(span.data[16:24], "little")
    return LogHeader(
        clock=Clock(started_at, origin, rate) if rate or clock == 2 else None,
        clock_name=_CLOCKS.get(clock, str(clock)),
        session=session,
        log_file=log_file,
        started_at=started_at or None,
        ended_at=struct.unpack_from("<Q", body, 16)[0] or None,
        booted_at=booted_at or None,
        bias=bias if abs(bias) <= 24 * 60 else None,
        zone=read_time_zone(body[72 + behind :]),
        pointer_bytes=pointer_bytes,
        lost_events=lost_events,
        lost_buffers=lost_buffers,
        buffers_written=written,
        circular=bool(mode & _CIRCULAR),
    )


def _names(data: bytes) -> tuple[str | None, str | None]:
    text = data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")
    session, _, rest = text.partition("\0")
    return session or None, rest.partition("\0")[0] or None

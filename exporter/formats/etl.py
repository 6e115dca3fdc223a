"""ETW traces (.etl, MpWppTracing-*.bin): a summary of each, Defender's own events, AMSI scans, texts in WPP messages.

Buffers: `etl_buffers`; records in them: `etl_split`; log file header and clock: `etl_header`; events: `etl_events` and `etl_layouts`.
One unit is one record of the trace, or one piece that could not be read. The summary stands for the log file header and comes last.

What becomes a payload is put in order of time by way of a heap of `WINDOW` payloads: exactly in order where a trace has no more of them,
nearly so beyond (circular files begin anywhere, and each processor has its own buffers).
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO

from exporter.formats.etl_buffers import Buffer, Empty, walk
from exporter.formats.etl_events import event_record, message_record, read_message
from exporter.formats.etl_header import LogHeader, is_header, read_header
from exporter.formats.etl_layouts import PROVIDERS, guid_text
from exporter.formats.etl_records import EtwAmsi, EtwEvent, EtwMessage, EtwRecord, EtwTrace, ProviderCount
from exporter.formats.etl_split import CLASSIC, EVENT, MESSAGE, Span, split
from exporter.formats.time_zone import TracedZone
from exporter.records import Item, Parsed, Rejected, Tally

__all__ = ["EtwAmsi", "EtwEvent", "EtwMessage", "EtwRecord", "EtwTrace", "ProviderCount", "defender_in", "parse_etl", "traced_zone"]

WINDOW = 2048
"""Payloads held for their order: some 10 MB at worst, as texts in a payload are limited (`etl_events.strings_in`)."""
_MOST_GUIDS = 4096
_PROVIDERS_TOLD = 32
_PIECE = 1 << 20
_GUIDS = [bytes.fromhex("".join(guid.split("-"))) for guid in PROVIDERS]
_NEEDLES = [guid[3::-1] + guid[5:3:-1] + guid[7:5:-1] + guid[8:] for guid in _GUIDS]


def defender_in(stream: BinaryIO) -> bool:
    """Whether a provider of Defender's is named anywhere, as an event header would; reads up to there, without taking the trace apart."""
    kept = b""
    while piece := stream.read(_PIECE):
        piece = kept + piece
        if any(needle in piece for needle in _NEEDLES):
            return True
        kept = piece[-15:]
    return False


def traced_zone(head: bytes) -> TracedZone | None:
    """The machine's time zone while the trace ran, of a trace's first bytes; of one without an end, as when it began."""
    first = next((found for found in walk(BytesIO(head)) if isinstance(found, Buffer)), None)
    span = next(iter(split(first)), None) if first else None
    if not isinstance(span, Span) or not is_header(span):
        return None
    header = read_header(span)
    if header.zone is None or header.started_at is None:
        return None
    return TracedZone(header.zone, header.started_at, max(header.started_at, header.ended_at or 0))


def parse_etl(stream: BinaryIO, *, strings: bool = False) -> Iterator[Item]:
    """The payloads of a trace, what could not be read, and the tally; with `strings` also WPP messages that hold texts."""
    return _Trace(strings).items(stream)


class _Trace:
    """One trace while it is read."""

    def __init__(self, strings: bool) -> None:
        self._strings = strings
        self._header: LogHeader | None = None
        self._header_hash = ""
        self._seen = 0
        self._unparsed: Counter[str] = Counter()
        self._records: Counter[str] = Counter()
        self._providers: Counter[bytes] = Counter()
        self._message_guids: set[str] = set()
        self._counters: list[int] = []
        self._held: list[tuple[int, int, Parsed]] = []
        self._buffers = self._empty = 0
        self._buffer_bytes: int | None = None

    def items(self, stream: BinaryIO) -> Iterator[Item]:
        for found in walk(stream):
            if isinstance(found, Buffer):
                self._buffers += 1
                self._buffer_bytes = self._buffer_bytes or found.whole_bytes
                yield from self._buffer(found)
            elif isinstance(found, Empty):
                self._empty += 1
            else:
                self._seen += found.units
                yield found
        while self._held:
            yield heapq.heappop(self._held)[2]
        if self._buffers:
            yield self._summary()
        yield Tally(self._seen, dict(self._unparsed))

    def _buffer(self, buffer: Buffer) -> Iterator[Item]:
        for found in split(buffer):
            self._seen += 1
            if isinstance(found, Rejected):
                yield found
                continue
            item = self._span(found)
            if isinstance(item, Parsed):
                yield from self._hold(item)
            elif item is not None:
                yield item

    def _hold(self, item: Parsed) -> Iterator[Parsed]:
        payload = item.payload
        assert isinstance(payload, EtwRecord)
        heapq.heappush(self._held, (payload.counter, item.offset, item))
        if len(self._held) > WINDOW:
            yield heapq.heappop(self._held)[2]

    def _span(self, span: Span) -> Parsed | Rejected | None:
        """A record that becomes a payload or a loss; None for those that are counted only."""
        self._records[span.type.name] += 1
        if span.type is MESSAGE:
            return self._message(span)
        assert span.type.time_at is not None
        self._time(int.from_bytes(span.data[span.type.time_at : span.type.time_at + 8], "little"))
        if self._header is None and span.offset < (self._buffer_bytes or 0) and is_header(span):
            self._header = read_header(span)
            self._header_hash = hashlib.sha256(span.data).hexdigest()
            return None
        if span.type in (EVENT, CLASSIC):
            guid = span.data[24:40]
            if len(self._providers) < _MOST_GUIDS or guid in self._providers:
                self._providers[guid] += 1
        record = event_record(span, self._header) if span.type is EVENT else None
        return self._result(record, span)

    def _message(self, span: Span) -> Parsed | Rejected | None:
        message = read_message(span)
        if message is None:
            return Rejected(span.offset, "a WPP message shorter than its flags say", span.data[:32].hex())
        if message.counter:
            self._time(message.counter)
        if message.guid is not None and len(self._message_guids) < _MOST_GUIDS:
            self._message_guids.add(message.guid)
        return self._result(message_record(message, self._header) if self._strings else None, span)

    def _result(self, record: EtwRecord | None, span: Span) -> Parsed | None:
        if record is None:
            self._unparsed[span.type.name] += 1
            return None
        return Parsed(record, span.offset, hashlib.sha256(span.data).hexdigest())

    def _time(self, counter: int) -> None:
        if not self._counters:
            self._counters = [counter, counter]
        elif counter < self._counters[0]:
            self._counters[0] = counter
        elif counter > self._counters[1]:
            self._counters[1] = counter

    def _summary(self) -> Parsed:
        header = self._header
        clock = header.clock if header else None
        first, last = (clock.ticks(counter) if clock else None for counter in self._counters or (0, 0))
        trace = EtwTrace(
            **_of_header(header),
            first_event_at=first,
            last_event_at=last,
            buffers=self._buffers,
            empty_buffers=self._empty,
            buffer_bytes=self._buffer_bytes,
            events=self._records.total(),
            messages=self._records[MESSAGE.name],
            message_guids=len(self._message_guids),
            providers=tuple(_provider(guid, count) for guid, count in sorted(self._providers.items(), key=_order)[:_PROVIDERS_TOLD]),
            records=dict(sorted(self._records.items())),
        )
        incomplete = None if header else "no log file header: times and names are unknown"
        return Parsed(trace, 0, self._header_hash or hashlib.sha256(b"").hexdigest(), units=1 if header else 0, incomplete=incomplete)


def _of_header(header: LogHeader | None) -> dict[str, Any]:
    if header is None:
        return {}
    return {
        "session": header.session,
        "log_file": header.log_file,
        "started_at": header.started_at,
        "ended_at": header.ended_at,
        "booted_at": header.booted_at,
        "bias": header.bias,
        "utc_offset_minutes": header.zone.offset_at(header.started_at) if header.zone and header.started_at else None,
        "clock": header.clock_name,
        "pointer_bytes": header.pointer_bytes,
        "lost_buffers": header.lost_buffers,
        "lost_events": header.lost_events,
        "buffers_written": header.buffers_written,
        "circular": header.circular,
        "running": header.buffers_written == 0,
    }


def _order(item: tuple[bytes, int]) -> tuple[int, bytes]:
    return -item[1], item[0]


def _provider(guid: bytes, events: int) -> ProviderCount:
    text = guid_text(guid)
    return ProviderCount(text, PROVIDERS.get(text), events)

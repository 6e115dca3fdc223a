"""EVTX logs as a stream of chunks: Defender records and side events typed, with a verdict of our own CRC check, and every loss named.

The stream is read once, from its start, and never sought. Layout: `evtx_chunks`. What `Tally.seen` counts: the records of our own walk,
and each stretch of bytes that should hold records and could not be walked, as one.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import BinaryIO, TypeAlias

import msgspec

from exporter.errors import FormatError
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.defender_typing import typed
from exporter.formats.evtx_chunks import (
    CHUNK,
    FILE_HEADER,
    FILE_MAGIC,
    FIRST_RECORD,
    Walk,
    Walked,
    chunk_count,
    engine_file,
    is_chunk,
    is_dirty,
    unwalked,
    walk,
)
from exporter.formats.evtx_engine import Rendering, render
from exporter.formats.evtx_filter import may_hold_defender, names_defender
from exporter.formats.evtx_form import NAMES, PROVIDER, PROVIDER_GUID, Form, Values
from exporter.formats.evtx_normalize import Normalizer
from exporter.formats.evtx_quick import origin_of, outline
from exporter.formats.evtx_repair import corrected, wrong_bit
from exporter.formats.evtx_second import CROSS_CHECK, SECOND, Fields, SecondEngine, differences, other_engine
from exporter.formats.side_events import type_side_event
from exporter.records import Integrity, Item, Made, Maker, Parsed, Rejected, Tally, Verdict

OTHER_PROVIDERS = "other providers"
REMNANT, STALE_COUNT = "remnant", "stale_count"
"""Origins of chunks past the file header's count: of a log that was closed, and of one that was in use, whose count is known to be old."""
ZEROS = bytes(CHUNK)
_KINDS = 200
CHECK = "chunk-crc32"
_VERIFIED = Integrity(Verdict.VERIFIED, CHECK)
_UNVERIFIABLE = Integrity(Verdict.UNVERIFIABLE, CHECK)
_FAILED = Integrity(Verdict.FAILED, CHECK)
_CORRECTED = Integrity(Verdict.FAILED, f"{CHECK}-one-bit-corrected")
_FIRST_TOKEN, _ELEMENT = 28, (b"\x01", b"\x41")
"""Where a record's binary XML begins, behind the token of the fragment, and with what where it is no instance of a template."""
_PROVIDER, _PROVIDER_GUID = NAMES.index("provider_name"), NAMES.index("provider_guid")


class Reading(msgspec.Struct, frozen=True):
    """How a log is read.

    `prefilter` spares chunks without a trace of the provider the rendering; it changes nothing but the names under `unparsed`.
    `all_events` makes every record a payload, those of other providers as WindowsEvent. `cross_check` has each record read by both engines
    and tells where they differ. `forwarded` says whether records are of the computers that they name, rather than of the log's: with None
    those are that have no template, as a collector of events (Windows Event Forwarding) writes them.
    """

    engine: str = "evtx"
    prefilter: bool = True
    all_events: bool = False
    cross_check: bool = False
    forwarded: bool | None = None


DEFAULT = Reading()


class Chunk(msgspec.Struct, frozen=True):
    """One chunk of a log as read: its number, its byte offset in the file, its bytes (fewer than 64 KiB where the file is cut off).

    `origin` is what the payloads say about where it was found.
    """

    number: int
    offset: int
    data: bytes
    origin: str | None = None


class Counts(msgspec.Struct):
    """Units of one log: seen, and by kind those that were left alone."""

    seen: int = 0
    unparsed: Counter[str] = msgspec.field(default_factory=Counter)

    def leave(self, kind: str, units: int = 1) -> None:
        """Count units as known and left alone; a log with endless kinds gets no endless table."""
        if not units:
            return
        self.unparsed[kind if kind in self.unparsed or len(self.unparsed) < _KINDS else OTHER_PROVIDERS] += units

    def add(self, other: "Counts") -> None:
        """Count another piece of the same log in."""
        self.seen += other.seen
        for kind, units in other.unparsed.items():
            self.leave(kind, units)


ReadChunks: TypeAlias = Callable[[Iterable[Chunk | Rejected], Reading, Counts, Maker | None], Iterator[Item]]


def parse(stream: BinaryIO, reading: Reading = DEFAULT, read: ReadChunks | None = None, maker: Maker | None = None) -> Iterator[Item]:
    """The Defender records of a log and what of it could not be read, then the tally; `read` replaces `read_in_order`.

    What `maker` takes comes as Made.
    """
    counts = Counts()
    header = read_bytes(stream, FILE_HEADER)
    first = read_bytes(stream, CHUNK)
    reason = _header_damage(header, first)
    if reason:
        counts.seen += 1
        yield Rejected(0, reason, header[:16].hex())
    if len(header) == FILE_HEADER and (header[:8] == FILE_MAGIC or is_chunk(first)):
        yield from (read or read_in_order)(_units(stream, header, first, counts), reading, counts, maker)
    yield Tally(counts.seen, dict(counts.unparsed))


def _header_damage(header: bytes, first: bytes) -> str | None:
    if len(header) < FILE_HEADER:
        return f"the file header is cut off after {len(header)} bytes" if header[:8] == FILE_MAGIC else "not an EVTX file"
    if header[:8] == FILE_MAGIC:
        return None
    return "the file header is damaged: wrong magic" if is_chunk(first) else "not an EVTX file"


def read_in_order(units: Iterable[Chunk | Rejected], reading: Reading, counts: Counts, maker: Maker | None = None) -> Iterator[Item]:
    """What is in these chunks, one after the other; losses among them are passed on."""
    for unit in units:
        if isinstance(unit, Rejected):
            yield unit
        else:
            yield from parse_chunk(unit, reading, counts, maker)


def _units(stream: BinaryIO, header: bytes, first: bytes, counts: Counts) -> Iterator[Chunk | Rejected]:
    chunks, zeros, told = 0, [], chunk_count(header)
    beyond = STALE_COUNT if is_dirty(header) else REMNANT
    for chunk in read_chunks(stream, first):
        chunks = chunk.number + 1
        if told is not None and chunks > told:
            chunk = msgspec.structs.replace(chunk, origin=beyond)
        if ZEROS.startswith(chunk.data):
            zeros.append((chunk.number, chunk.offset))
            continue
        yield from _empty(zeros, counts)
        zeros = []
        yield chunk
    if told is not None and told > chunks:
        counts.seen += 1
        yield Rejected(FILE_HEADER + chunks * CHUNK, f"the file is cut off: {chunks} of {told} chunks are left")


def _empty(zeros: list[tuple[int, int]], counts: Counts) -> Iterator[Rejected]:
    """Empty chunks at the end are unused; those before a used one have lost what they held."""
    for number, offset in zeros:
        counts.seen += 1
        yield Rejected(offset, f"chunk {number} is filled with zeros")


def read_chunks(stream: BinaryIO, first: bytes = b"") -> Iterator[Chunk]:
    """The chunks of a stream that stands behind `first`, the bytes already read of the first chunk; nothing after a short one."""
    number, data = 0, first or read_bytes(stream, CHUNK)
    while data:
        yield Chunk(number, FILE_HEADER + number * CHUNK, data)
        number, data = number + 1, read_bytes(stream, CHUNK) if len(data) == CHUNK else b""


def read_bytes(stream: BinaryIO, size: int) -> bytes:
    """That many bytes, fewer at the end of the stream."""
    data = stream.read(size)
    while 0 < len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def parse_chunk(chunk: Chunk, reading: Reading, counts: Counts, maker: Maker | None = None) -> Iterator[Item]:
    """The Defender records of one chunk and its losses, in the order of the file; adds to `counts`."""
    if not is_chunk(chunk.data):
        counts.seen += 1
        reason = "wrong magic" if len(chunk.data) >= FIRST_RECORD else f"cut off after {len(chunk.data)} bytes"
        yield Rejected(chunk.offset, f"chunk {chunk.number}: {reason}", chunk.data[:16].hex())
        return
    if reading.prefilter and not reading.all_events and (held := unwalked(chunk.data)) is not None and not may_hold_defender(held[1]):
        counts.seen += held[0]
        counts.leave(OTHER_PROVIDERS, held[0])
        return
    found = walk(chunk.data)
    if found.sound is not False:
        yield from _records(chunk, found, reading, counts, maker)
        return
    own = Counts()
    items = list(_records(chunk, found, reading, own))
    if _loses(items):
        own, items = _corrected(chunk, found, reading) or (own, items)
    counts.add(own)
    yield from items


def _loses(items: Iterable[Item]) -> bool:
    return any(isinstance(item, Rejected) and item.units for item in items)


def _corrected(chunk: Chunk, found: Walk, reading: Reading) -> tuple[Counts, list[Item]] | None:
    """What a chunk with losses holds when the one bit that its sum says is wrong is turned over; None where that does not read it all.

    The hashes stay those of the bytes in the file, and the bit is told.
    """
    wrong = wrong_bit(found)
    if wrong is None:
        return None
    own, place = Counts(), wrong[0]
    items = list(_records(chunk, walk(corrected(chunk.data, *wrong)), reading, own))
    if _loses(items):
        return None
    reason = f"chunk {chunk.number}: one bit is wrong here, by the chunk's sum; its records were read with it corrected"
    told = Rejected(chunk.offset + place, reason, chunk.data[place : place + 1].hex(), units=0)
    return own, [told, *(msgspec.structs.replace(item, integrity=_CORRECTED) if isinstance(item, Parsed) else item for item in items)]


def _records(chunk: Chunk, found: Walk, reading: Reading, counts: Counts, maker: Maker | None = None) -> Iterator[Item]:
    counts.seen += len(found.records) + len(found.gaps)
    for gap in found.gaps:
        reason = f"chunk {chunk.number}: {gap.size} bytes are not a record"
        yield Rejected(chunk.offset + gap.offset, reason, chunk.data[gap.offset : gap.offset + 32].hex())
    if reading.prefilter and not reading.all_events and not may_hold_defender(found):
        counts.leave(OTHER_PROVIDERS, len(found.records))
        return
    one = _Reader(chunk, found, reading, counts, maker)
    others = dict(_fields_by_offset(found, other_engine(reading.engine))) if reading.cross_check else None
    try:
        for record, rendering in paired(found, reading.engine):
            item = one.item(record, rendering)
            if item is not None:
                yield from _made(maker)
                yield item
            if others is None:
                continue
            mine = _fields_or_error(record, rendering, one.normalizer)
            for difference in differences(mine, others[record.offset], reading.engine):
                if item is not None or _is_defender(others[record.offset]):
                    yield Rejected(chunk.offset + record.offset, difference, units=0, number=record.id, stage=CROSS_CHECK)
    except Exception:
        # what was taken before is not lost with the rest of the file
        yield from _made(maker)
        raise
    yield from _made(maker)


def _made(maker: Maker | None) -> Iterator[Made]:
    made = maker and maker.made()
    if made:
        yield made


def _fields_by_offset(found: Walk, engine: str) -> Iterator[tuple[int, Fields]]:
    normalizer = Normalizer()
    for record, rendering in paired(found, engine):
        yield record.offset, _fields_or_error(record, rendering, normalizer)


def _fields_or_error(record: Walked, rendering: Rendering, normalizer: Normalizer) -> Fields:
    try:
        if isinstance(rendering, FormatError):
            raise rendering
        return normalizer.fields(rendering, record.id, record.written_at)
    except FormatError as error:
        return error


def _is_defender(fields: Fields) -> bool:
    return not isinstance(fields, FormatError) and (fields["provider_name"] == PROVIDER or fields["provider_guid"] == PROVIDER_GUID)


def paired(found: Walk, engine: str) -> Iterator[tuple[Walked, Rendering]]:
    """Every record of the walk with what the engine made of it; both go through the chunk in the same order."""
    records = found.records
    position = 0
    errors: deque[FormatError] = deque()
    for record_id, rendering in render(engine_file(found), engine):
        if record_id is None:
            assert isinstance(rendering, FormatError)
            errors.append(rendering)
            continue
        if position < len(records) and records[position].id == record_id:
            at = position
        else:
            at = next((place for place in range(position, len(records)) if records[place].id == record_id), -1)
        if at >= 0:
            if at > position or errors:
                yield from _unrendered(records[position:at], errors)
            yield records[at], rendering
            position = at + 1
    yield from _unrendered(records[position:], errors)


def _unrendered(records: list[Walked], errors: deque[FormatError]) -> Iterator[tuple[Walked, Rendering]]:
    for record in records:
        yield record, errors.popleft() if errors else FormatError("the engine did not return it")
    errors.clear()


class _Reader:
    """Reads single records of one chunk."""

    def __init__(self, chunk: Chunk, found: Walk, reading: Reading, counts: Counts, maker: Maker | None) -> None:
        self._maker = maker
        self.normalizer = Normalizer()
        self._chunk = chunk
        self._view = memoryview(chunk.data)
        self._second = None if reading.engine == SECOND else SecondEngine(found, self.normalizer)
        self._all_events = reading.all_events
        self._data, self._forwarded = chunk.data, reading.forwarded
        self._counts = counts
        sound = found.header_sound and found.sound is not False
        self._inside = (_VERIFIED if found.sound else _UNVERIFIABLE) if sound else _FAILED
        self._outside = _UNVERIFIABLE if sound else _FAILED
        self._covered = found.covered

    def item(self, record: Walked, rendering: Rendering) -> Parsed | Rejected | None:
        """What a record is to us; None for one of no interest, which is counted, and for one that the maker takes."""
        start = record.offset
        end = start + record.size
        raw, offset, engine = self._view[start:end], self._chunk.offset + start, None
        integrity = self._inside if end <= self._covered else self._outside
        forwarded = self._is_forwarded(start)
        maker, digest = None if forwarded else self._maker, ""
        known = outline(rendering, record.id, record.written_at) if isinstance(rendering, str) else None
        if known is not None and (foreign := known[0].foreign) is not None and integrity is not _FAILED and not self._all_events:
            self._counts.leave(foreign)
            return None
        if maker is not None and known is not None and known[0].is_defender:
            digest = sha256(raw).hexdigest()
            if maker.again(known, record.id, record.written_at, offset, digest, integrity, self._chunk.origin):
                return None
        try:
            if isinstance(rendering, FormatError):
                raise rendering
            values, form = self.normalizer.read(rendering, record.id, record.written_at, known)
        except FormatError as refusal:
            try:
                values, form = self._read_again(record, refusal)
                engine, known = SECOND, None
            except FormatError as error:
                return self._rejected(record, raw, str(error))
        if values[_PROVIDER] == PROVIDER or values[_PROVIDER_GUID] == PROVIDER_GUID:
            event, digest = typed(values, form, engine, self._chunk.origin), digest or sha256(raw).hexdigest()
            if maker is not None and maker.take(event, known, offset, digest, integrity):
                return None
            return Parsed(event, offset, digest, integrity, 1, event.record_id, host=event.computer if forwarded else None)
        return self._other(values, engine, record, raw, integrity)

    def _is_forwarded(self, start: int) -> bool:
        if self._forwarded is not None:
            return self._forwarded
        place = start + _FIRST_TOKEN
        return self._data[place : place + 1] in _ELEMENT

    def _read_again(self, record: Walked, refusal: FormatError) -> tuple[Values, Form]:
        if self._second is None:
            raise refusal
        return self._second.read(record, refusal)

    def _other(self, values: Values, engine: str | None, record: Walked, raw: memoryview, integrity: Integrity) -> Parsed | Rejected | None:
        fields = {**dict(zip(NAMES, values, strict=True)), "engine": engine, "origin": self._chunk.origin}
        event = type_side_event(fields)
        if event is None:
            if integrity is _FAILED and names_defender(raw):
                return self._rejected(record, raw, "its provider's name is damaged")
            if not self._all_events:
                self._counts.leave(origin_of(fields["provider_name"], fields["channel"]))
                return None
            event = WindowsEvent(**fields)
        host = event.computer if self._is_forwarded(record.offset) else None
        return Parsed(event, self._chunk.offset + record.offset, sha256(raw).hexdigest(), integrity, 1, event.record_id, host=host)

    def _rejected(self, record: Walked, raw: memoryview, reason: str) -> Rejected:
        chunk = self._chunk
        return Rejected(chunk.offset + record.offset, f"chunk {chunk.number}: {reason}", raw[:32].hex(), number=record.id)


def log_chunks(stream: BinaryIO) -> Iterator[Chunk | Rejected]:
    """The chunks of a log as `parse` meets them, and what is missing of them."""
    header, first = read_bytes(stream, FILE_HEADER), read_bytes(stream, CHUNK)
    yield from _units(stream, header, first, Counts())

"""Single records of a chunk: payloads, or why there is none."""

from hashlib import sha256

from exporter.errors import FormatError
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.defender_typing import typed
from exporter.formats.evtx_chunks import Walk, Walked
from exporter.formats.evtx_engine import Rendering
from exporter.formats.evtx_filter import names_defender
from exporter.formats.evtx_form import NAMES, PROVIDER, PROVIDER_GUID, Form, Values
from exporter.formats.evtx_normalize import Normalizer
from exporter.formats.evtx_quick import origin_of, outline
from exporter.formats.evtx_reading import Chunk, Counts, Reading
from exporter.formats.evtx_second import SECOND, SecondEngine
from exporter.formats.side_events import type_side_event
from exporter.records import Integrity, Maker, Parsed, Rejected, Verdict

CHECK = "chunk-crc32"
_VERIFIED = Integrity(Verdict.VERIFIED, CHECK)
_UNVERIFIABLE = Integrity(Verdict.UNVERIFIABLE, CHECK)
_FAILED = Integrity(Verdict.FAILED, CHECK)
_FIRST_TOKEN, _ELEMENT = 28, (b"\x01", b"\x41")
"""Where a record's binary XML begins, behind the token of the fragment, and with what where it is no instance of a template."""
_PROVIDER, _PROVIDER_GUID = NAMES.index("provider_name"), NAMES.index("provider_guid")


class RecordReader:
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
        maker, digest = self._maker, ""
        known = outline(rendering, record.id, record.written_at) if isinstance(rendering, str) else None
        if known is not None and (foreign := known[0].foreign) is not None and integrity is not _FAILED and not self._all_events:
            self._counts.leave(foreign)
            return None
        if maker is not None and known is not None and known[0].is_defender and not forwarded:
            digest = sha256(raw).hexdigest()
            if maker.again(known, offset, digest, integrity, self._chunk.origin):
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
            host = event.computer if forwarded else None
            if maker is not None and maker.take(event, known, offset, digest, integrity, host):
                return None
            return Parsed(event, offset, digest, integrity, 1, event.record_id, host=host)
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

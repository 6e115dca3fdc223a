"""Maps records where they are read: in the process that reads a log, and without what only those need that an incident may join.

An ordinary record passes a dozen hands between its bytes and its line, each of which looks at it alone. Most events are of no detection;
what a file's sink writes of such a one is made at once, and goes to the sink with all others of its chunk.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import msgspec

from exporter.collectors import MadeBy
from exporter.collectors.evtx import event_key
from exporter.correlator.keys import JOINABLE
from exporter.data import folder
from exporter.formats.defender_events import WindowsEvent
from exporter.kinds import KINDS
from exporter.mapping.load import load_mappings
from exporter.mapping.mapper import Kind, Mapper, tags_of
from exporter.mapping.references import Moment, Run
from exporter.records import (
    UNVERIFIABLE,
    Integrity,
    Lines,
    Made,
    Messages,
    Output,
    Payload,
    Record,
    Row,
    Said,
    Source,
    Verdict,
    host_of,
    identity,
)
from exporter.sinks.parts import maker
from exporter.sinks.repeated import NUMBERS_END, PROBE, LineMaker, Repeat
from exporter.sinks.targets import SinkTarget
from exporter.times import UNIX_EPOCH, USABLE_END, iso, unix_microseconds

_REFUSED = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
_MOST, _MOST_LOGS = 512, 4096
_DIGITS = 7
_LONGEST = 8192
_LINES = 4 << 20
"""Bytes of lines that are kept: few events of a log are longer than a few thousand."""
_NOTED = 1 << 13
_SEEN = 3
_Known: TypeAlias = tuple[Callable[..., bytes] | None, tuple[bytes, ...] | None, tuple[Repeat, ...], str, str, str]
"""What writes the document, what it is given, what makes each target's lines, what stands before the number in the identity, the event id,
and the kind's name."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """All that the mapping of a record depends on, besides the record."""

    run: Run
    alerts: str
    host: str
    targets: tuple[SinkTarget, ...]


def made_by(mapper: Mapper, alerts: str, targets: Sequence[SinkTarget]) -> Callable[[str], MadeBy] | None:
    """For the name of a host, what who reads its logs needs to make what these targets write; None where one of them is a server's."""
    if any(maker(target) is None for target in targets):
        return None

    def of_host(host: str) -> MadeBy:
        order = Order(run=mapper.run, alerts=alerts, host=host, targets=tuple(targets))
        return MadeBy("exporter.made:start", msgspec.msgpack.encode(order), partial(EventMaker, mapper, order))

    return of_host


def start(arguments: bytes, source: Source) -> "EventMaker":
    """The maker of another process than that of the run."""
    order, mappings = msgspec.msgpack.decode(arguments, type=Order), folder("mappings")
    return EventMaker(Mapper(load_mappings(mappings), KINDS, order.run, mappings, alerts=order.alerts), order, source)


class EventMaker:
    """A `Maker` for the events of one log.

    A log repeats itself: what is written around an event's own number, time and thread is kept for the next that says the same. Of lines
    that is learned when an event is seen for the third time: it costs as much as to make them, and what comes twice seldom comes again.
    """

    def __init__(self, mapper: Mapper, order: Order, source: Source) -> None:
        self._case, self._host, self._kinds = order.run.case, order.host, mapper.kinds
        self._makers = [made for target in order.targets if (made := maker(target)) is not None]
        self._line_makers = [one for one in self._makers if isinstance(one, LineMaker)]
        self._now, self._probe = _Now(order.host, source), _Now(order.host, source)
        self._logs: dict[tuple[object, str], tuple[bytes, ...] | None] = {}
        self._known: dict[tuple[object, str], _Known | None] = {}
        self._noted: dict[int, int] = {}
        self._size = 0
        self._begin()

    def _begin(self) -> None:
        self._names: list[str] = []
        self._senders: list[str] = []
        self._verdicts: list[Verdict] = []
        self._outputs: tuple[list[Output], ...] = tuple([] for _ in self._makers)
        pairs = list(zip(self._makers, self._outputs, strict=True))
        self._documents = [outputs for one, outputs in pairs if not isinstance(one, LineMaker)]
        self._lines = [outputs for one, outputs in pairs if isinstance(one, LineMaker)]

    def take(self, payload: Payload, said: Said | None, offset: int, raw_hash: str, integrity: Integrity, host: str | None = None) -> bool:
        """See `exporter.records.Maker`."""
        if payload.__class__ in JOINABLE:
            return False
        event, now = cast(WindowsEvent, payload), self._now
        ticks = event.created_at
        if ticks is None or not UNIX_EPOCH <= ticks < USABLE_END:
            return False
        if integrity is not now.integrity or event.origin != now.origin:
            now.integrity, now.origin, now.tags = integrity, event.origin, tags_of(integrity, None)
            self._logs.clear()
            self._known.clear()
        key = event_key(event)
        now.kind, now.payload, now.offset, now.hash, now.number = self._kinds[payload.kind], payload, offset, raw_hash, event.record_id
        now.host = host_of(host, self._host)
        now.id, now.text = identity(self._case, now.host, *key), iso(ticks, event.created_digits)
        try:
            now.log, now.around = self._log(said[0]) if said is not None and self._documents else None, None
            is_apart = said is not None and host is None and self._take_apart(said)
            self._write(payload.kind)
        except _REFUSED:
            return False
        if now.host is not self._host:
            self._senders.append(now.host)
        if is_apart and said is not None:
            self._learn(said[0], said[2], key)
        return True

    def again(self, said: Said, offset: int, raw_hash: str, integrity: Integrity, origin: str | None) -> bool:
        """See `exporter.records.Maker`."""
        now, (common, thread, data, (number, created_at, digits, written_at)) = self._now, said
        known = self._known.get((common, data))
        if known is None or integrity is not now.integrity or origin != now.origin or number >= NUMBERS_END:
            return False
        if created_at != written_at or digits != _DIGITS:
            return False
        document, around, repeats, lead, event_id, name = known
        now.offset, now.hash, now.record_id = offset, raw_hash, number
        now.activity_id, now.process_id, now.thread_id = thread
        now.host, now.created_at, now.written_at = self._host, created_at, created_at
        now.text = iso(created_at, _DIGITS)
        now.id = identity(lead, str(number), str(unix_microseconds(created_at)), event_id)
        if document is not None:
            for outputs in self._documents:
                outputs.append(document(now, now, now, None, around))
        if repeats:
            for repeat, outputs in zip(repeats, self._lines, strict=True):
                outputs.append(repeat(now))
        self._names.append(name)
        self._verdicts.append(integrity.verdict)
        return True

    def _write(self, name: str) -> None:
        now, count = self._now, len(self._names)
        try:
            for one, outputs in zip(self._makers, self._outputs, strict=True):
                outputs.append(one.make(now))
        except _REFUSED:
            for outputs in self._outputs:
                del outputs[count:]
            raise
        self._names.append(name)
        self._verdicts.append(now.integrity.verdict)

    def _log(self, common: object) -> tuple[bytes, ...] | None:
        """What the documents of all events of a log and an id have in common."""
        now = self._now
        key = common, now.host
        if key not in self._logs:
            if len(self._logs) >= _MOST_LOGS:
                self._logs.clear()
            self._logs[key] = now.kind.compiled.log_pieces(now, now.payload, now)
        return self._logs[key]

    def _take_apart(self, said: Said) -> bool:
        """Have what is written around what is the event's own, where that is to be kept, and say so."""
        common, _, data, (_, created_at, digits, written_at) = said
        if len(data) > _LONGEST or (common, data) in self._known or created_at != written_at or digits != _DIGITS:
            return False
        now = self._now
        if self._line_makers:
            noted = hash((common, data))
            seen = self._noted.get(noted, 1)
            if seen < _SEEN or not now.kind.rows.copied:
                if len(self._noted) >= _NOTED:
                    self._noted.clear()
                self._noted[noted] = seen + 1
                return False
        if self._documents:
            unusable = dict[str, str]()
            around = now.kind.compiled.around
            if around is None:
                return False
            now.around = around(now, now.payload, now, unusable, now.log)
            if unusable:
                now.around = None
                return False
        return True

    def _learn(self, common: object, data: str, key: tuple[str, ...]) -> None:
        """Keep what is written around what is the event's own, or that it is not to be told apart."""
        self._size += sum(len(line) for outputs in self._lines for _, line in cast(Lines, outputs[-1]))
        if len(self._known) >= _MOST or self._size > _LINES:
            self._known.clear()
            self._size = 0
        now, repeats = self._now, self._repeats() if self._line_makers else ()
        if repeats is None:
            self._known[common, data] = None
            return
        name, channel, _, _, event_id = key
        lead = "\0".join((self._case, self._host, name, channel))
        document = now.kind.document if self._documents else None
        self._known[common, data] = document, now.around, repeats, lead, event_id, now.payload.kind

    def _repeats(self) -> tuple[Repeat, ...] | None:
        now, probe = self._now, self._probe
        now.created_at, now.record_id = now.payload.created_at, now.payload.record_id
        probe.ask(now)
        try:
            found = [one.learn(now, outputs[-1], probe) for one, outputs in zip(self._line_makers, self._lines, strict=True)]
        except _REFUSED:
            return None
        repeats = tuple(repeat for repeat in found if repeat is not None)
        return repeats if len(repeats) == len(found) else None

    def made(self) -> Made | None:
        """See `exporter.records.Maker`."""
        if not self._names:
            return None
        made = Made(dict(Counter(self._names)), dict(Counter(self._verdicts)), self._outputs, dict(Counter(self._senders)))
        self._begin()
        return made


class _Now:
    """The record that is being made, as a `Record`, its `Moment` and a `Mapped`: one object for all, since nobody keeps it.

    It is its own payload where all but what is its own is known.
    """

    __slots__ = (
        *("collector", "correlation", "hash", "host", "incomplete", "integrity", "number", "offset", "origin", "payload", "source"),
        *("around", "attribute", "basis", "id", "kind", "log", "tags", "text"),
        *("activity_id", "created_at", "created_digits", "process_id", "record_id", "thread_id", "written_at"),
    )
    activity_id: str | None
    around: tuple[bytes, ...] | None
    created_at: int
    id: str
    hash: str
    kind: Kind
    log: tuple[bytes, ...] | None
    integrity: Integrity
    number: int
    offset: int
    payload: Any
    process_id: int | None
    record_id: int
    tags: tuple[str, ...]
    text: str
    thread_id: int | None
    written_at: int

    def __init__(self, host: str, source: Source) -> None:
        self.host, self.source, self.collector = host, source, "evtx"
        self.integrity, self.tags, self.created_digits = UNVERIFIABLE, (), 7
        self.origin: str | None = None
        self.correlation = self.incomplete = None
        self.attribute, self.basis = "created_at", "record"

    @property
    def record(self) -> Record:
        """Itself."""
        return cast(Record, self)

    def ask(self, now: "_Now") -> None:
        """Say what a record says, as `PROBE`."""
        self.integrity, self.origin, self.tags, self.kind = now.integrity, now.origin, now.tags, now.kind
        self.id, self.text, self.offset, self.number, self.hash = PROBE.id, PROBE.text, PROBE.offset, PROBE.record_id, PROBE.id
        self.payload = msgspec.structs.replace(
            now.payload,
            created_at=PROBE.created_at,
            written_at=PROBE.created_at,
            record_id=PROBE.record_id,
            activity_id=PROBE.id,
            process_id=PROBE.offset,
            thread_id=PROBE.offset,
        )

    def document(self) -> bytes:
        """See `exporter.records.Mapped`."""
        return self.kind.document(self, self.payload, self, self.log, self.around)

    def rows(self, messages: Messages = Messages.OWN) -> Sequence[Row]:
        """See `exporter.records.Mapped`."""
        return self.kind.row_maker.rows(self.record, self.id, cast(Moment, self), messages)

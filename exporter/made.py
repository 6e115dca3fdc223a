"""Maps records where they are read: in the process that reads a log, and without what only those need that an incident may join.
Those that belong to an incident are mapped before it is known, where only its id is not known yet.

An ordinary record passes a dozen hands between its bytes and its line, each of which looks at it alone. Most events are of no detection;
what a file's sink writes of such a one is made at once, and goes to the sink with all others of its chunk.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

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
from exporter.records import Early, Integrity, Made, Messages, Output, Payload, Record, Row, Source, Verdict, identity
from exporter.sinks.parts import maker
from exporter.sinks.targets import SinkTarget
from exporter.times import UNIX_EPOCH, USABLE_END, iso

_REFUSED = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
_MOST = 1024


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


def make_early(mapper: Mapper, targets: Sequence[SinkTarget]) -> Callable[[Record], Early | None] | None:
    """What maps a record, or gives None where a loss is to be told of it; None where one of the targets is a server's."""
    makers = [made for target in targets if (made := maker(target)) is not None]
    if len(makers) < len(targets):
        return None

    def make(record: Record) -> Early | None:
        mapped = mapper.map(record)
        try:
            return Early(mapped.id, tuple([make_output(mapped) for make_output in makers]))
        except _REFUSED:
            return None

    return make


def start(arguments: bytes, source: Source) -> "EventMaker":
    """The maker of another process than that of the run."""
    order, mappings = msgspec.msgpack.decode(arguments, type=Order), folder("mappings")
    return EventMaker(Mapper(load_mappings(mappings), KINDS, order.run, mappings, alerts=order.alerts), order, source)


class EventMaker:
    """A `Maker` for the events of one log."""

    def __init__(self, mapper: Mapper, order: Order, source: Source) -> None:
        self._case, self._host, self._kinds = order.run.case, order.host, mapper.kinds
        self._makers = [made for target in order.targets if (made := maker(target)) is not None]
        self._now = _Now(order.host, source)
        self._logs: dict[object, tuple[bytes, ...] | None] = {}
        self._begin()

    def _begin(self) -> None:
        self._taken: dict[tuple[str, Verdict], int] = {}
        self._outputs: tuple[list[Output], ...] = tuple([] for _ in self._makers)

    def take(self, payload: Payload, alike: object, offset: int, raw_hash: str, integrity: Integrity) -> bool:
        """See `exporter.records.Maker`."""
        if payload.__class__ in JOINABLE:
            return False
        event, now = cast(WindowsEvent, payload), self._now
        ticks, name = event.created_at, payload.kind
        if ticks is None or not UNIX_EPOCH <= ticks < USABLE_END:
            return False
        if integrity is not now.integrity or event.origin != now.origin:
            now.integrity, now.origin, now.tags = integrity, event.origin, tags_of(integrity, None)
            self._logs.clear()
        now.kind, now.payload, now.offset, now.hash, now.number = self._kinds[name], payload, offset, raw_hash, event.record_id
        now.id, now.text = identity(self._case, self._host, event_key(event)), iso(ticks, event.created_digits)
        try:
            now.log = self._log(alike) if alike is not None else None
            outputs = [make(now) for make in self._makers]
        except _REFUSED:
            return False
        for output, of_sink in zip(outputs, self._outputs, strict=True):
            of_sink.append(output)
        known = name, integrity.verdict
        self._taken[known] = self._taken.get(known, 0) + 1
        return True

    def _log(self, alike: object) -> tuple[bytes, ...] | None:
        """What the documents of events that are alike have in common."""
        if alike not in self._logs:
            if len(self._logs) >= _MOST:
                self._logs.clear()
            now = self._now
            self._logs[alike] = now.kind.compiled.log_pieces(now, now.payload, now)
        return self._logs[alike]

    def made(self) -> Made | None:
        """See `exporter.records.Maker`."""
        if not self._taken:
            return None
        kinds: dict[str, int] = {}
        verdicts: dict[Verdict, int] = {}
        for (kind, verdict), count in self._taken.items():
            kinds[kind] = kinds.get(kind, 0) + count
            verdicts[verdict] = verdicts.get(verdict, 0) + count
        made = Made(kinds, verdicts, self._outputs)
        self._begin()
        return made


class _Now:
    """The record that is being made, as a `Record`, its `Moment` and a `Mapped`: one object for all, since nobody keeps it."""

    __slots__ = (
        *("collector", "correlation", "hash", "host", "incomplete", "integrity", "number", "offset", "origin", "payload", "source"),
        *("attribute", "basis", "id", "kind", "log", "tags", "text"),
    )
    id: str
    hash: str
    kind: Kind
    log: tuple[bytes, ...] | None
    number: int
    offset: int
    payload: Payload
    tags: tuple[str, ...]
    text: str

    def __init__(self, host: str, source: Source) -> None:
        self.host, self.source, self.collector = host, source, "evtx"
        self.integrity: Integrity | None = None
        self.origin: str | None = None
        self.correlation = self.incomplete = None
        self.attribute, self.basis = "created_at", "record"

    @property
    def record(self) -> Record:
        """Itself."""
        return cast(Record, self)

    def document(self) -> bytes:
        """See `exporter.records.Mapped`."""
        return self.kind.document(self, self.payload, self, self.log)

    def rows(self, messages: Messages = Messages.OWN) -> Sequence[Row]:
        """See `exporter.records.Mapped`."""
        return self.kind.row_maker.rows(self.record, self.id, cast(Moment, self), messages)

"""Applies compiled mappings to records: documents for the ECS sinks, rows for the timelines."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import msgspec

from exporter.mapping.compile import CompiledKind, CompiledRows, Compiler
from exporter.mapping.ecs import EcsField, ecs_fields
from exporter.mapping.formatter import Formatter, compile_formatter
from exporter.mapping.references import Moment, Run
from exporter.mapping.rows import RowMaker
from exporter.mapping.schema import DIGITS, MappingSet, RecordMapping, Rule, Time
from exporter.records import Integrity, Messages, Payload, Record, Row, Verdict, event_id
from exporter.times import UNIX_EPOCH, USABLE_END, iso, usable

_FAILED = Verdict.FAILED
_ALERT_SWITCH = {"none": frozenset[str](), "incident": frozenset({"incident"}), "detection": frozenset({"incident", "detection"})}
"""Which `alert` words of the mappings become `event.kind: alert` (sink-contracts E7)."""


class Kind:
    """One kind's compiled mapping and its two messages: ours, and the one that plaso's psort would print."""

    def __init__(self, compiler: Compiler, mapping: RecordMapping, kind: type[Payload]) -> None:
        self.mapping = mapping
        self._compile = partial(compiler.compile, mapping, kind)
        self._compile_rows = partial(compiler.compile_rows, mapping, kind)
        self._definition = {**mapping.formatter, "message": list(mapping.message), "short_message": list(mapping.short_message)}
        self.times = [(time.attribute, *_digits(time)) for time in mapping.timestamps]

    @cached_property
    def own(self) -> Formatter:
        """Our message."""
        return compile_formatter(self._definition)

    @cached_property
    def compiled(self) -> CompiledKind:
        """Compiled when the first document is asked for."""
        return self._compile(frozenset(self.own.used), self.own.message)

    @cached_property
    def document(self) -> Callable[..., bytes]:
        """What writes documents."""
        return self.compiled.document

    @cached_property
    def rows(self) -> CompiledRows:
        """Compiled when the first timeline asks for it."""
        return self._compile_rows()

    @cached_property
    def row_maker(self) -> RowMaker:
        """Made when the first timeline asks for it."""
        shared = frozenset(rule.field for rule in self.mapping.attributes if rule.field not in self.rows.own)
        message, plaso = (compile_formatter(definition, shared) for definition in (self._definition, self.mapping.formatter))
        return RowMaker(self.mapping, self.rows, message, plaso)


class _Kinds(dict[str, Kind]):
    """Compiles a kind when its first record comes: most runs see half of them."""

    def __init__(self, make: Callable[[str], Kind]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Kind:
        self[name] = kind = self._make(name)
        return kind


class Mapper:
    """Maps the records of one run. Raises MappingError when the mappings do not fit the kinds (`check` says all that is wrong)."""

    def __init__(
        self, mappings: MappingSet, kinds: Mapping[str, type[Payload]], run: Run, folder: Path, *, alerts: str = "incident"
    ) -> None:
        self.run = run
        self.fields = all_fields(mappings, folder)
        compiler = Compiler(mappings.values, self.fields, run)
        self.kinds = _Kinds(lambda name: Kind(compiler, with_kind(mappings.records[name], alerts), kinds[name]))

    def map(self, record: Record) -> "MappedRecord":
        """The record as the sinks see it; documents and rows are made when they are asked for."""
        return MappedRecord(self, self.kinds[record.payload.kind], record)


def all_fields(mappings: MappingSet, folder: Path) -> dict[str, EcsField]:
    """The type of every field that a document may have: ECS's and, from common.yaml, ours (`keyword[]` is an array)."""
    own = {name: EcsField(type=kind.removesuffix("[]"), array=kind.endswith("[]")) for name, kind in mappings.fields.items()}
    return {**ecs_fields(folder), **own}


def with_kind(mapping: RecordMapping, alerts: str) -> RecordMapping:
    """The mapping with `event.kind` filled in, unless it says its own."""
    if any(rule.field == "event.kind" for rule in mapping.ecs):
        return mapping
    kind = "alert" if mapping.alert in _ALERT_SWITCH[alerts] else "event"
    rule = Rule(field="event.kind", const=kind, place=mapping.place)
    return msgspec.structs.replace(mapping, ecs=(*mapping.ecs, rule))


class MappedRecord:
    """See `exporter.records.Mapped`."""

    __slots__ = ("_kind", "_mapper", "_moment", "id", "record")

    def __init__(self, mapper: Mapper, kind: Kind, record: Record) -> None:
        self._mapper = mapper
        self._kind = kind
        self.record = record
        self._moment: Moment | None = None
        self.id = event_id(mapper.run.case, record)

    @property
    def moment(self) -> Moment:
        """The primary time (C3, C4): the first usable one of the mapping, else the file's, else now."""
        if self._moment is None:
            self._moment = self._find_moment()
        return self._moment

    def _find_moment(self) -> Moment:
        payload, record = self.record.payload, self.record
        tags = tags_of(record.integrity, record.incomplete)
        for attribute, digits, digits_attribute in self._kind.times:
            ticks = getattr(payload, attribute)
            if ticks is not None and UNIX_EPOCH <= ticks < USABLE_END:
                text = iso(ticks, getattr(payload, digits_attribute) if digits_attribute else digits)
                return Moment(self.id, text, "record", tags, attribute)
        modified = record.source.modified_at
        if modified is not None and usable(modified):
            return Moment(self.id, iso(modified), "source_mtime", (*tags, "no_event_time"), "source.modified_at")
        return Moment(self.id, iso(self._mapper.run.now), "ingest", (*tags, "no_event_time"))

    def document(self) -> bytes:
        """The ECS document; ends in `}}` (see `exporter.records.Mapped.document`)."""
        return self._kind.document(self.record, self.record.payload, self._moment or self.moment)

    def rows(self, messages: Messages = Messages.OWN) -> Sequence[Row]:
        """One row for each distinct usable time (C3)."""
        return self._kind.row_maker.rows(self.record, self.id, self.moment, messages)


def _digits(time: Time) -> tuple[int, str | None]:
    """How many digits of a time are known, or the attribute that says it."""
    if time.digits is None:
        return 7, None
    return (DIGITS[time.digits], None) if time.digits in DIGITS else (7, time.digits)


def tags_of(integrity: Integrity, incomplete: str | None) -> tuple[str, ...]:
    """What is to be seen at once of a record that was damaged or could not be read whole."""
    failed = integrity.verdict is _FAILED
    if not failed and not incomplete:
        return ()
    tags = ("integrity_failed",) if failed else ()
    return (*tags, "incomplete") if incomplete else tags

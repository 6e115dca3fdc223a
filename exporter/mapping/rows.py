"""Makes the timeline rows of a kind: what many records have in common once, the rest for each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from exporter.mapping.compile import CompiledKind
from exporter.mapping.formatter import Formatter
from exporter.mapping.fragments import cleaned_attributes
from exporter.mapping.references import Moment
from exporter.mapping.schema import RecordMapping
from exporter.records import Messages, Record, Row, Shared
from exporter.text import clean
from exporter.times import usable

_KEPT = 256


class _Known(NamedTuple):
    """What records with equal shared attributes have in common; `raw` are these attributes before cleaning, of which messages are made."""

    shared: Shared
    raw: Mapping[str, Any]
    hostname: str
    display_name: str
    parser: str


class RowMaker:
    """The rows of one kind's records. `plaso` is the formatter of psort's message."""

    def __init__(self, mapping: RecordMapping, compiled: CompiledKind, plaso: Formatter) -> None:
        self._compiled = compiled
        self._plaso = plaso
        self._times = [(time.attribute, time.description, f"-{time.description.lower().replace(' ', '_')}") for time in mapping.timestamps]
        self._known: dict[tuple[Any, ...], _Known] = {}

    def rows(self, record: Record, identity: str, moment: Moment, messages: Messages) -> Sequence[Row]:
        """One row for each distinct usable time (C3)."""
        payload, compiled, plaso = record.payload, self._compiled, self._plaso
        times = self._usable_times(payload)
        if not times:
            return ()
        key = compiled.shared_key(record, payload, moment)
        known = self._known.get(key) or self._learn(key, record, moment)
        raw = compiled.attributes(record, payload, moment)
        own = cleaned_attributes(raw)
        message = plaso_message = plaso_short = ""
        if messages is Messages.OWN:
            message = clean(compiled.message_fields(record, payload, moment, {})["message"])
        else:
            plaso_message, plaso_short = map(clean, plaso.texts({**known.raw, **raw}))
        username = own.get("username") or known.shared.attributes.get("username")
        order = (record.source.path, record.offset or 0)
        return [
            Row(
                ticks=ticks,
                timestamp_desc=description,
                data_type=plaso.data_type,
                message=message,
                plaso_message=plaso_message,
                plaso_short_message=plaso_short,
                source_short=plaso.short_source,
                source_long=plaso.source,
                hostname=known.hostname,
                username=username,
                display_name=known.display_name,
                parser=known.parser,
                event_id=identity + suffix,
                tags=moment.tags,
                own=own,
                order=order,
                shared=known.shared,
                message_attributes=plaso.used,
            )
            for ticks, (description, suffix) in times.items()
        ]

    def _usable_times(self, payload: Any) -> dict[int, tuple[str, str]]:
        found: dict[int, tuple[str, str]] = {}
        for attribute, description, suffix in self._times:
            ticks = getattr(payload, attribute)
            if usable(ticks):
                found.setdefault(ticks, (description, suffix))
        return found

    def _learn(self, key: tuple[Any, ...], record: Record, moment: Moment) -> _Known:
        raw = self._compiled.shared(record, record.payload, moment)
        parser = f"exporter/defender_{record.collector}"
        if len(self._known) >= _KEPT:
            self._known.clear()
        known = _Known(Shared(cleaned_attributes(raw)), raw, clean(record.host), clean(record.source.path), parser)
        self._known[key] = known
        return known

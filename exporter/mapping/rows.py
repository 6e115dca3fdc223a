"""Makes the timeline rows of a kind: what many records have in common once, the rest for each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from exporter.mapping.compile import CompiledRows
from exporter.mapping.formatter import Bound, Formatter
from exporter.mapping.references import Moment
from exporter.mapping.schema import RecordMapping
from exporter.records import Common, Messages, Record, Row
from exporter.text import clean, cleaned
from exporter.times import UNIX_EPOCH, USABLE_END

_KEPT = 256
_OWN = Messages.OWN


class _Known(NamedTuple):
    """What records with equal shared attributes have in common: for each of their times what is in a row, and the messages."""

    commons: tuple[Common, ...]
    message: Bound
    plaso: Bound


class RowMaker:
    """The rows of one kind's records. `message` is the formatter of our message, `plaso` that of psort's."""

    def __init__(self, mapping: RecordMapping, compiled: CompiledRows, message: Formatter, plaso: Formatter) -> None:
        self._kind = mapping.kind
        self._compiled = compiled
        self._message = message
        self._plaso = plaso
        descriptions = [time.description for time in mapping.timestamps]
        self._times = [(time.attribute, number) for number, time in enumerate(mapping.timestamps)]
        self._descriptions = descriptions
        self._suffixes = [f"-{description.lower().replace(' ', '_')}" for description in descriptions]
        self._known: dict[tuple[Any, ...], _Known] = {}

    def rows(self, record: Record, identity: str, moment: Moment, messages: Messages) -> Sequence[Row]:
        """One row for each distinct usable time (C3)."""
        payload, compiled = record.payload, self._compiled
        times: dict[int, int] = {}
        for attribute, number in self._times:
            ticks = getattr(payload, attribute)
            if ticks is not None and UNIX_EPOCH <= ticks < USABLE_END and ticks not in times:
                times[ticks] = number
        if not times:
            return ()
        key = compiled.shared_key(record, payload, moment)
        commons, message, plaso = self._known.get(key) or self._learn(key, record, moment)
        own = compiled.attributes(record, payload, moment)
        if messages is _OWN:
            texts: tuple[str, ...] = (clean(message.message(own) or self._kind),)
        else:
            long, short = plaso.texts(own)
            texts = ("", clean(long), clean(short))
        place, suffixes = record.offset or 0, self._suffixes
        return [Row(commons[number], ticks, identity + suffixes[number], own, place, *texts) for ticks, number in times.items()]

    def _learn(self, key: tuple[Any, ...], record: Record, moment: Moment) -> _Known:
        raw = self._compiled.shared(record, record.payload, moment)
        attributes = cleaned(raw)
        commons = tuple(
            Common(
                timestamp_desc=description,
                data_type=self._plaso.data_type,
                source_short=self._plaso.short_source,
                source_long=self._plaso.source,
                hostname=clean(record.host),
                path=record.source.path,
                display_name=clean(record.source.path),
                parser=f"exporter/defender_{record.collector}",
                tags=moment.tags,
                attributes=attributes,
                own=self._compiled.own,
                message_attributes=self._plaso.used,
            )
            for description in self._descriptions
        )
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[key] = known = _Known(commons, self._message.bind(raw), self._plaso.bind(raw))
        return known

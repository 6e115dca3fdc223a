"""Timesketch JSONL in time order (sink-contracts T1 to T11), split into parts where one file would be too large to import."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import orjson

from exporter.errors import ConfigurationError
from exporter.records import Common, Mapped, Output, Row
from exporter.sinks import Result
from exporter.sinks.atomic import PartFile, output_for, refuse_existing
from exporter.sinks.repeated import Own, OwnParts
from exporter.sinks.runs import Saved
from exporter.sinks.targets import SinkSettings, SinkTarget
from exporter.sinks.timeline import RowRefused, Timeline
from exporter.sinks.timesketch_keys import KeyRules
from exporter.sinks.timesketch_parts import manifest_path, part_path, write_parts
from exporter.text import LONG_MAX, LONG_MIN, cleaned
from exporter.times import UNIX_EPOCH, iso

PART_BYTES = 180_000_000
PART_LINES = 5_000_000
LINE_BYTES = 1 << 20
_FIRST_CUT = 1 << 18
_POSITION_BIAS = 1 << 63
_FORMS = 1024


class TimesketchSink:
    """`timesketch:FILE.jsonl`. More than 180 MB or 5 million lines become `FILE-0001.jsonl` ... and `FILE-manifest.json`.

    Options `part_bytes` and `part_lines` change these limits. Order: ticks, then source and place in it. A record without a usable time is
    skipped. What Timesketch or its index would not take is dealt with here: see `timesketch_keys`, and lines above 1 MiB are cut field by
    field and tagged `truncated` (the ECS document keeps everything).
    """

    name: ClassVar[str] = "timesketch"

    def __init__(self, target: SinkTarget, settings: SinkSettings) -> None:
        target.allow(("part_bytes", "part_lines"))
        self.target = target.target
        self._part_bytes = _number(target, "part_bytes", PART_BYTES)
        self._part_lines = _number(target, "part_lines", PART_LINES)
        self._force = settings.force
        self._output = output_for(target.target, settings.force)
        self._timeline = Timeline(target.target, settings, Encoder().encode)
        self._acknowledged = 0

    def check(self) -> None:
        """Open the target; raises ConfigurationError when Timesketch would not know the file by its name."""
        if isinstance(self._output, PartFile):
            if not self.target.endswith(".jsonl"):
                raise ConfigurationError(f"Timesketch imports files whose names end in `.jsonl`, not `{self.target}`")
            refuse_existing(part_path(Path(self.target), 1), self._force)
            refuse_existing(manifest_path(Path(self.target)), self._force)
        self._output.open()

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take the rows of one record."""
        return self._timeline.write(event, position)

    def take(self, outputs: Sequence[Output], position: int) -> Iterable[Result]:
        """Take lines that were made elsewhere."""
        return self._timeline.take(outputs, position)

    def merge(self, saved: Sequence[Saved]) -> None:
        """Take rows that processes of a batch have saved, in place of records."""
        self._timeline.runs.take(saved)

    def flush(self) -> Iterable[Result]:
        """Nothing to send: the order is known only at the end."""
        return ()

    @property
    def acknowledged(self) -> int:
        """0 until `close`."""
        return self._acknowledged

    def close(self) -> list[str]:
        """Write the file, or the parts and then their manifest."""
        runs = self._timeline.runs
        if isinstance(self._output, PartFile) and (runs.size > self._part_bytes or runs.count > self._part_lines):
            self._output.abort()
            paths = write_parts(Path(self.target), runs.blocks(), self._part_bytes, self._part_lines, self._force)
        else:
            for piece in runs.pieces():
                self._output.write(piece)
            paths = self._output.commit()
        runs.close()
        self._acknowledged = self._timeline.position
        return paths

    def abort(self) -> None:
        """Leave no file."""
        self._timeline.runs.close()
        self._output.abort()


class _Form(NamedTuple):
    """What rows of one `Common` have in common: the fields that follow their own, and the same as the end of a line.

    `plain` is False where own attributes may have to be renamed or to change their type, or meet these fields. `place` is of the sort key.
    """

    fields: Mapping[str, Any]
    end: bytes
    plain: bool
    place: bytes


class Encoder:
    """Rows as lines, by the rules of one timeline's keys."""

    def __init__(self) -> None:
        self._rules = KeyRules()
        self._forms: dict[Common, _Form] = {}

    def encode(self, row: Row) -> tuple[bytes, bytes]:
        """The sort key and the line; raises RowRefused."""
        common, ticks, own = row.common, row.ticks, row.own
        form = self._forms.get(common) or self._learn(common)
        entry: dict[str, Any] = {
            "message": row.message or common.data_type,
            "datetime": f"{iso(ticks, 7)[:26]}+00:00",
            "timestamp": (ticks - UNIX_EPOCH) // 10,
            "filetime": ticks,
            "event_id": row.event_id,
        }
        key = ticks.to_bytes(8, "big") + form.place + (row.position + _POSITION_BIAS).to_bytes(8, "big")
        if form.plain and "\0" not in entry["message"] and _is_plain(own):
            try:
                line = orjson.dumps({**entry, **own})[:-1] + form.end
            except TypeError:  # a lone surrogate
                line = b""
            if 0 < len(line) <= LINE_BYTES:
                return key, line
        return key, _line({**cleaned(entry), **self._rules.apply(cleaned(own)), **form.fields})

    def own_parts(self, own: Own) -> OwnParts:
        """See `exporter.sinks.repeated.RowEncoder`."""
        ticks, text, position = own.created_at, own.text, own.offset
        texts = (
            *(f"{text[:26]}+00:00", str((ticks - UNIX_EPOCH) // 10), str(ticks)),
            *(own.id, str(own.record_id), str(position), text),
        )
        return ticks.to_bytes(8, "big"), (position + _POSITION_BIAS).to_bytes(8, "big"), texts

    def _learn(self, common: Common) -> _Form:
        fields: dict[str, Any] = {
            "timestamp_desc": common.timestamp_desc,
            "data_type": common.data_type,
            "source_short": common.source_short,
            "source_long": common.source_long,
            "display_name": common.display_name,
            "parser": common.parser,
        }
        fields.update(self._rules.apply(common.attributes))
        if common.hostname:
            fields["hostname"] = common.hostname
        if common.tags:
            fields["tag"] = list(common.tags)
        plain = self._rules.admit(common.own) and fields.keys().isdisjoint(common.own)
        if len(self._forms) >= _FORMS:
            self._forms.clear()
        place = common.path.encode("utf-8", "surrogatepass") + b"\0"
        form = _Form(fields, b"," + _dumped(fields)[1:], plain, place)
        self._forms[common] = form
        return form


def _is_plain(own: Mapping[str, Any]) -> bool:
    """Whether nothing is to be cleaned, but for lone surrogates: those the encoder finds."""
    for value in own.values():
        found = value.__class__
        if found is str:
            if "\0" in value:
                return False
        elif found is int:
            if not LONG_MIN <= value <= LONG_MAX:
                return False
        elif "\0" in "".join(value):
            return False
    return True


def _line(entry: Mapping[str, Any]) -> bytes:
    line = _dumped(entry)
    return line if len(line) <= LINE_BYTES else _truncated(entry)


def _dumped(entry: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # what nobody cleaned
        try:
            return orjson.dumps(cleaned(dict(entry)), option=orjson.OPT_APPEND_NEWLINE)
        except TypeError as error:
            raise RowRefused(f"not to be written as JSON: {error}") from error


def _truncated(entry: Mapping[str, Any]) -> bytes:
    """The line with its long texts and lists cut to a size at which all of it fits."""
    kept = cleaned(dict(entry))
    kept["tag"] = [*kept.get("tag", ()), "truncated"]
    cut = _FIRST_CUT
    while len(line := orjson.dumps(kept, option=orjson.OPT_APPEND_NEWLINE)) > LINE_BYTES:
        kept = {name: _cut(value, cut) for name, value in kept.items()}
        cut //= 2
    return line


def _cut(value: Any, size: int) -> Any:
    if isinstance(value, list):
        return [_cut(item, size) for item in value[: max(1, size // 16)]]
    return f"{value[:size]}…" if isinstance(value, str) and len(value) > size + 1 else value


def _number(target: SinkTarget, name: str, default: int) -> int:
    text = target.options.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"the option `{name}` of `{target.name}` is a number above 0, not `{text}`")
    return int(text)

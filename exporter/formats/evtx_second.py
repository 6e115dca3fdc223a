"""Two engines beside each other: the second reads single records that the first refuses, and where they differ is told."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from exporter.errors import FormatError
from exporter.formats.evtx_chunks import Walk, Walked, engine_file
from exporter.formats.evtx_engine import ENGINES, Rendering
from exporter.formats.evtx_form import PROVIDER, PROVIDER_GUID, Form, Values
from exporter.formats.evtx_normalize import Normalizer
from exporter.formats.evtx_pairs import paired

if TYPE_CHECKING:
    from exporter.formats.evtx_python import Records

SECOND = "python-evtx"
CROSS_CHECK = "cross-check"
_SHOWN = 100

Fields: TypeAlias = "dict[str, Any] | FormatError"


class SecondEngine:
    """Reads records of one chunk with python-evtx, which is imported when the first one is asked for."""

    def __init__(self, found: Walk, normalizer: Normalizer) -> None:
        self._found = found
        self._normalizer = normalizer
        self._records: Records | None = None

    def read(self, record: Walked, refusal: FormatError) -> tuple[Values, Form]:
        """What `Normalizer.read` gives; raises FormatError with the reasons of both engines."""
        if self._records is None:
            from exporter.formats.evtx_python import Records

            self._records = Records(engine_file(self._found))
        try:
            rendering = self._records.render(record.offset, record.size)
            return self._normalizer.read(rendering, record.id, record.written_at)
        except FormatError as error:
            raise FormatError(f"{refusal}; {SECOND}: {error}") from None


def other_engine(engine: str) -> str:
    """The engine that checks this one."""
    return next(name for name in ENGINES if name != engine)


def differences(mine: Fields, theirs: Fields, engine: str) -> Iterator[str]:
    """One sentence for each field that two engines read differently; `mine` is what `engine` read. Nothing where both refuse."""
    other = other_engine(engine)
    if isinstance(mine, FormatError) or isinstance(theirs, FormatError):
        if not isinstance(theirs, FormatError):
            yield f"only {other} reads it; {engine}: {mine}"
        elif not isinstance(mine, FormatError):
            yield f"only {engine} reads it; {other}: {theirs}"
        return
    flat, other_flat = _flat(mine), _flat(theirs)
    for name in dict.fromkeys((*flat, *other_flat)):
        if flat.get(name) != other_flat.get(name):
            yield f"engines differ in {name}: {engine} {_shown(flat, name)}, {other} {_shown(other_flat, name)}"
    if list(mine["data"]) != list(theirs["data"]) and mine["data"].keys() == theirs["data"].keys():
        yield "engines differ in the order of the Data elements"


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in fields.items() if name != "data"}
    return values | {f"data.{name}": value for name, value in fields["data"].items()}


def _shown(values: dict[str, Any], name: str) -> str:
    return repr(values[name])[:_SHOWN] if name in values else "nothing"


def fields_by_offset(found: Walk, engine: str) -> Iterator[tuple[int, Fields]]:
    """Of each record where it is and what an engine makes of it."""
    normalizer = Normalizer()
    for record, rendering in paired(found, engine):
        yield record.offset, fields_or_error(record, rendering, normalizer)


def fields_or_error(record: Walked, rendering: Rendering, normalizer: Normalizer) -> Fields:
    """A record's fields, or why there are none."""
    try:
        if isinstance(rendering, FormatError):
            raise rendering
        return normalizer.fields(rendering, record.id, record.written_at)
    except FormatError as error:
        return error


def is_defender(fields: Fields) -> bool:
    """True for those of Defender's provider."""
    return not isinstance(fields, FormatError) and (fields["provider_name"] == PROVIDER or fields["provider_guid"] == PROVIDER_GUID)

"""The records of a walk, each with what an engine made of it."""

from collections import deque
from collections.abc import Iterator

from exporter.errors import FormatError
from exporter.formats.evtx_chunks import Walk, Walked, engine_file
from exporter.formats.evtx_engine import Rendering, render


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

"""What a state tells: what was delivered when, from which file, how far, to which sink; and whether that still holds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exporter.errors import ConfigurationError
from exporter.state.checkpoint import State


class CollectionLine(NamedTuple):
    """A collection of the share. Times are seconds since 1970; `delivered_at` is None before the first time."""

    name: str
    size: int
    changed: float
    delivered_at: float | None
    complete: bool
    problem: str | None


class FileLine(NamedTuple):
    """An evidence file that was read to its end at this size (bytes), in this delivery."""

    path: str
    collector: str
    host: str
    size: int | None
    delivery: int
    gone: bool


class DeliveryLine(NamedTuple):
    """A delivery; without `finished` it was not acknowledged and will be done again."""

    number: int
    case: str
    started: float
    finished: float | None
    outputs: list[str]
    new: int
    known: int
    rejected: int


def collections(state: State, name: str | None = None) -> Iterator[CollectionLine]:
    """All collections, or one."""
    statement = "SELECT name, size, changed, delivered_at, delivered IS signature, problem FROM collections"
    rows = state.execute(f"{statement} WHERE name = ?", (name,)) if name else state.execute(f"{statement} ORDER BY name")
    yield from (CollectionLine(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in rows)


def files(state: State, collection: str) -> Iterator[FileLine]:
    """The files of a collection."""
    rows = state.execute(
        "SELECT path, collector, host, size, delivery, gone FROM files WHERE collection = ? ORDER BY path, collector", (collection,)
    )
    for path, collector, host, size, delivery, gone in rows:
        yield FileLine(path, collector, host, size, delivery, bool(gone))


def deliveries(state: State, last: int | None = None) -> list[DeliveryLine]:
    """Deliveries in their order; the `last` ones."""
    rows = state.execute(
        "SELECT number, case_id, started, finished, outputs, ids, known, rejected FROM deliveries ORDER BY number DESC LIMIT ?",
        (-1 if last is None else last,),
    ).fetchall()
    return [
        DeliveryLine(number, case, started, finished, json.loads(outputs), new, known, rejected)
        for number, case, started, finished, outputs, new, known, rejected in reversed(rows)
    ]


def exports(state: State) -> list[tuple[dict[str, Any], float, float | None]]:
    """Exports with `--state`: arguments, start, end."""
    rows = state.execute("SELECT arguments, started, finished FROM exports ORDER BY started").fetchall()
    return [(json.loads(arguments), started, finished) for arguments, started, finished in rows]


def forget(state: State, collection: str) -> int:
    """Read this collection again the next time; ids stay, so no event is written twice. The number of its files."""
    with state.transaction():
        if state.execute("DELETE FROM collections WHERE name = ?", (collection,)).rowcount == 0:
            raise ConfigurationError(f"the state knows no collection `{collection}`")
        return int(state.execute("DELETE FROM files WHERE collection = ?", (collection,)).rowcount)


def forget_everything(state: State) -> None:
    """As if nothing had ever been delivered, but for the list of deliveries, whose numbers name files."""
    with state.transaction():
        for table in ("collections", "files", "ids", "held", "hosts", "exports", "export_hosts", "meta"):
            state.execute(f"DELETE FROM {table}")  # noqa: S608 (our own names)
        state.execute("UPDATE deliveries SET ids = 0")


def verify(state: State) -> Iterator[str]:
    """What is wrong: damage of the database, counts that do not fit, a delivery that was not finished."""
    for (text,) in state.execute("PRAGMA integrity_check").fetchall():
        if text != "ok":
            yield f"the database is damaged: {text}"
    lines = deliveries(state)
    yield from (f"delivery {line.number} was not finished: the next run does it again" for line in lines if line.finished is None)
    delivered, there = sum(line.new for line in lines), len(state.ids)
    if delivered != there:
        yield f"{delivered} events were delivered, but {there} ids are known"


def moved(state: State) -> Iterator[str]:
    """Files that were delivered and are not at their places any more: fetched, or lost."""
    for line in deliveries(state):
        yield from (path for path in line.outputs if line.finished is not None and not Path(path).exists())

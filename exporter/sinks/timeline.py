"""What the timeline sinks have in common: one line per row, sorted with bounded memory, written when all are known."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias, cast

from exporter.records import Lines, Mapped, Messages, Output, Row
from exporter.sinks import Outcome, Result
from exporter.sinks.runs import MEMORY_BYTES, SortedRuns
from exporter.sinks.targets import SinkSettings

Encode: TypeAlias = Callable[[Row], tuple[bytes, bytes]]
"""From a row to its sort key and its line; raises RowRefused."""


class RowRefused(ValueError):
    """A row that this timeline cannot hold; costs the record (outcome dead)."""


class Timeline:
    """Results and sorting. `encode` gives a row's sort key and line, or raises RowRefused.

    Nothing is acknowledged before the file has its name: a line's place is known only when all lines are.
    """

    def __init__(self, target: str, settings: SinkSettings, encode: Encode, messages: Messages = Messages.OWN) -> None:
        self._encode = encode
        self._messages = messages
        self.runs = SortedRuns(settings.temporary_directory or _folder(target), MEMORY_BYTES)
        self.position = 0

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take the rows of one record, all or none."""
        self.position = position
        try:
            lines = [self._encode(row) for row in event.rows(self._messages)]
        except RowRefused as error:
            return (Result(position, event.id, Outcome.DEAD, str(error), 0),)
        if not lines:
            return (Result(position, event.id, Outcome.SKIPPED, "no usable time", 0),)
        self.runs.add_all(lines)
        return (Result(position, event.id, Outcome.WRITTEN, "", len(lines)),)

    def take(self, outputs: Sequence[Output], position: int) -> Iterable[Result]:
        """Take the lines that were made of as many records."""
        self.position = position
        made = cast(Sequence[Lines], outputs)
        lines = list(chain.from_iterable(made))
        self.runs.add_all(lines)
        empty = made.count([])
        if empty:
            yield Result(position, "", Outcome.SKIPPED, "no usable time", 0, records=empty)
        yield Result(position, "", Outcome.WRITTEN, "", len(lines), records=len(outputs) - empty)


def _folder(target: str) -> Path | None:
    """The folder of the target; None (the system's) for standard output and devices."""
    path = Path(target)
    special = target == "-" or (path.exists() and not path.is_file())
    return None if special or not path.parent.is_dir() else path.parent

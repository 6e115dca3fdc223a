"""Sinks that take what was made of records elsewhere: by the collector that read them, or in another process."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from exporter.records import Output
from exporter.sinks import Result


class TakesMade(Protocol):
    """A sink of files."""

    def take(self, outputs: Sequence[Output], position: int) -> Iterable[Result]:
        """Take what `parts.maker` made of as many records, of which `position` is the last one's."""
        ...

"""What a process of a batch writes in place of a sink's file: one host's part, which the sink merges with those of the others.

Timelines leave sorted runs (`Saved`), `ecs` leaves its documents. Sinks that acknowledge as they go have no parts: they are written to
from every process.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from exporter.records import Mapped, Messages, Output
from exporter.sinks import STREAMING, Result, Sink
from exporter.sinks.checked import CheckedFile
from exporter.sinks.ecs import EcsSink
from exporter.sinks.repeated import DocumentMaker, LineMaker, RowEncoder
from exporter.sinks.runs import Saved
from exporter.sinks.targets import SinkSettings, SinkTarget, open_sink
from exporter.sinks.timeline import Encode, Timeline

_FILES = frozenset(("ecs", "l2tcsv", "timesketch"))


@runtime_checkable
class Merging(Protocol):
    """A sink that takes parts in place of records; then `flush` and `close` as ever."""

    def merge(self, saved: Sequence[Saved]) -> None:
        """Take the parts, in the order of the hosts. Raises SinkUnavailable."""
        ...


class TimelinePart:
    """The rows of one host, as a sorted run in `path` when it is closed."""

    def __init__(self, name: str, path: Path, encode: Encode, settings: SinkSettings) -> None:
        self.name, self.target = name, str(path)
        self._path = path
        self._timeline = Timeline(self.target, settings, encode, _messages(name))
        self.saved = Saved(path, 0, 0)

    def check(self) -> None:
        """Nothing to ask."""

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take the rows of one record."""
        return self._timeline.write(event, position)

    def take(self, outputs: Sequence[Output], position: int) -> Iterable[Result]:
        """Take lines that were made elsewhere."""
        return self._timeline.take(outputs, position)

    def flush(self) -> Iterable[Result]:
        """Nothing to send: the order is known only at the end."""
        return ()

    @property
    def acknowledged(self) -> int:
        """0: the part is the batch's, not the target's."""
        return 0

    def close(self) -> list[str]:
        """Write the run."""
        self.saved = self._timeline.runs.save(self._path)
        self._timeline.runs.close()
        return [self.target]

    def abort(self) -> None:
        """What is in the folder of the host goes with it."""
        self._timeline.runs.close()


class DocumentsPart(EcsSink):
    """The documents of one host."""

    def __init__(self, path: Path, settings: SinkSettings) -> None:
        self._file = CheckedFile(path)
        super().__init__(SinkTarget(self.name, str(path)), settings, self._file)

    @property
    def saved(self) -> Saved:
        """The part when it is closed."""
        return Saved(self._file.path, 0, 0, self._file.checksum)


def open_part(target: SinkTarget, path: Path, settings: SinkSettings) -> Sink:
    """The sink that writes one host's part of `target` to `path`, or the target itself where it takes hosts as they come."""
    if target.name in STREAMING:
        return open_sink(target, settings)
    if target.name == "ecs":
        return cast(Sink, DocumentsPart(path, settings))
    return TimelinePart(target.name, path, encoder(target, settings).encode, settings)


def maker(target: SinkTarget) -> DocumentMaker | LineMaker | None:
    """What makes the document or the lines that this target's sink writes of a record, and may raise RowRefused; None for a server's."""
    if target.server or target.name not in _FILES:
        return None
    if target.name == "ecs":
        return DocumentMaker()
    return LineMaker(encoder(target, SinkSettings()), _messages(target.name))


def _messages(name: str) -> Messages:
    return Messages.PLASO if name == "l2tcsv" else Messages.OWN


def encoder(target: SinkTarget, settings: SinkSettings) -> RowEncoder:
    """What encodes the rows of a timeline."""
    if target.name == "l2tcsv":
        from exporter.sinks.l2tcsv import L2tcsvSink

        return L2tcsvSink(target, settings)
    from exporter.sinks.timesketch import Encoder

    return Encoder()


def saved(sink: Sink) -> Saved:
    """What a closed part holds."""
    assert isinstance(sink, TimelinePart | DocumentsPart)
    return sink.saved

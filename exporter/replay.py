"""Sends what a server once refused again: the documents of a dead letter file, by their ids (sink-contracts E23)."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import msgspec

from exporter.errors import ConfigurationError, SinkRefused, SinkUnavailable
from exporter.pipeline import write_refused
from exporter.records import Mapped
from exporter.sinks import SERVERS, Counts, Outcome, Result, Sink
from exporter.sinks.ingested import without
from exporter.sinks.targets import SinkSettings, SinkTarget, open_sink, parse_target
from exporter.state.dead_letters import DeadLetters


class Replay(msgspec.Struct):
    """What became of a file: documents by outcome, lines that no server had refused, lines that are none; `stopped` as in a run."""

    counts: Counts = msgspec.field(default_factory=Counts)
    others: int = 0
    damaged: int = 0
    dead_letter_file: str | None = None
    stopped: str | None = None
    refused: bool = False


class _Line(msgspec.Struct):
    stage: str
    sink: str = ""
    index: str = ""
    id: str = ""
    document: msgspec.Raw = msgspec.Raw(b"")


class _Document:
    """As much of `Mapped` as a server sink looks at."""

    def __init__(self, line: _Line) -> None:
        self.id = line.id
        self._document = without(bytes(line.document))

    def document(self) -> bytes:
        return self._document


class Replayer:
    """Sends the lines of `source` to `to`; what is refused again goes to `dead_letters`. Raises ConfigurationError and SinkRefused."""

    def __init__(self, source: Path, to: str, dead_letters: Path, settings: SinkSettings) -> None:
        self._source = source
        self._target = parse_target(to)
        if self._target.name not in SERVERS:
            known = " and ".join(f"`{name}`" for name in sorted(SERVERS))
            raise ConfigurationError(f"`{self._target.name}` is a file, which an export writes anew: replay is for {known}")
        if source.resolve() == dead_letters.resolve():
            raise ConfigurationError("what is refused again needs a file of its own")
        self._settings = settings
        self._letters = DeadLetters(dead_letters, force=settings.force)
        self._sinks: dict[str, Sink] = {}
        self.report = Replay()

    def run(self) -> Replay:
        """Send everything; a server that gives up is told in the report."""
        try:
            for number, line in enumerate(self._lines(), 1):
                sink = self._sink(line.index)
                self.report.counts.incoming += 1
                self._count(sink, sink.write(cast(Mapped, _Document(line)), number))
            for sink in self._sinks.values():
                self._count(sink, sink.flush())
                sink.close()
        except (SinkUnavailable, SinkRefused) as error:
            self.report.stopped = str(error)
            self.report.refused = isinstance(error, SinkRefused)
        finally:
            for sink in self._sinks.values():
                sink.abort()
            self.report.counts.unsent = self.report.counts.open
            self.report.dead_letter_file = self._letters.close()
        return self.report

    def _lines(self) -> Iterator[_Line]:
        decoder = msgspec.json.Decoder(_Line)
        with self._source.open("rb") as file:
            for text in file:
                try:
                    line = decoder.decode(text)
                except (msgspec.DecodeError, ValueError):
                    self.report.damaged += 1
                    continue
                if line.stage == "sink" and line.sink in SERVERS and line.id and bytes(line.document):
                    yield line
                else:
                    self.report.others += 1

    def _sink(self, index: str) -> Sink:
        """The sink of the index that the line names, unless the target names one."""
        wanted = self._target.options.get("index") or index
        if not wanted:
            raise ConfigurationError(f"`{self._source}` does not name its index: give one, `{self._target.name}:...?index=NAME`")
        if wanted not in self._sinks:
            target = SinkTarget(self._target.name, self._target.target, {**self._target.options, "index": wanted})
            sink = open_sink(target, self._settings)
            sink.check()
            self._sinks[wanted] = sink
        return self._sinks[wanted]

    def _count(self, sink: Sink, results: Iterable[Result]) -> None:
        for result in results:
            self.report.counts.add(result)
            if result.outcome is Outcome.DEAD:
                write_refused(self._letters, sink.name, result)

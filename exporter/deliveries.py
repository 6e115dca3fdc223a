"""One delivery of `ingest`: sinks that open with the first new event, and a transaction that ends when all of them have acknowledged."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from exporter.collectors import ReadingOptions, Settings
from exporter.errors import ConfigurationError, SourceGone
from exporter.evidence.hosts import Discovery, Host
from exporter.file_history import FileHistory
from exporter.job import make_mapper
from exporter.ledger import NightLedger
from exporter.pipeline import Pipeline, Progress
from exporter.records import Mapped
from exporter.report.run import RunReport, SinkReport
from exporter.sinks import STREAMING, Result, Sink
from exporter.sinks.targets import SinkSettings, SinkTarget, open_sink, parse_target
from exporter.state.checkpoint import State
from exporter.state.dead_letters import DeadLetters
from exporter.unfinished import remove_files, remove_timelines

CASE = "{case}"
RUN = "{run}"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80


class DeliverySettings(ReadingOptions, frozen=True, kw_only=True):
    """What all deliveries of a night share."""

    to: tuple[str, ...]
    letters: Path
    alerts: str = "incident"
    temporary: Path | None = None
    reproducible: bool = False


def check_targets(to: Iterable[str]) -> list[SinkTarget]:
    """The targets as patterns; raises ConfigurationError for one that a second night would overwrite, or that nothing acknowledges."""
    targets = [parse_target(text) for text in to]
    for target in targets:
        if target.target == "-":
            raise ConfigurationError("`ingest` does not write to standard output: nothing says that what was written there has arrived")
        if target.path is not None and RUN not in target.path.name:
            raise ConfigurationError(f"the file name `{target.path.name}` needs `{RUN}`: every delivery writes a file of its own")
        if target.server and target.name not in STREAMING and RUN not in target.options.get("timeline", ""):
            raise ConfigurationError(f"`{target.name}` needs `timeline=...{RUN}`: every delivery is a timeline of its own")
    places = [f"{target.target}?{json.dumps(dict(target.options), sort_keys=True)}" for target in targets]
    if len(set(places)) < len(places):
        raise ConfigurationError("two outputs go to the same target")
    return targets


def slug(text: str) -> str:
    """A case as a part of a file name."""
    return _UNFIT.sub("_", text).strip("._")[:_LONGEST] or "case"


def discard_unfinished(state: State, settings: DeliverySettings) -> None:
    """Take away what the delivery left that was not acknowledged, and forget it. Raises SinkError."""
    left = state.unfinished()
    if left is not None:
        remove_files(left)
        remove_timelines(_targets(settings, left.case, left.stamp), _sink_settings(state, left.case, settings))
        state.withdraw()


def _targets(settings: DeliverySettings, case: str, stamp: str) -> list[SinkTarget]:
    return [parse_target(text.replace(CASE, slug(case)).replace(RUN, stamp)) for text in settings.to]


def _sink_settings(state: State, case: str, settings: DeliverySettings) -> SinkSettings:
    return SinkSettings(
        reproducible=settings.reproducible,
        temporary_directory=settings.temporary,
        case=case,
        spool=state.folder / "timesketch-spool",
        own_timeline=True,
    )


class _Lazy:
    """A sink that is opened when the first document comes, so that a night without news leaves no file and asks no server.

    `again`: a delivery of this name failed before, and what it uploaded is taken away when there is nothing to complete it with.
    """

    def __init__(self, target: SinkTarget, settings: SinkSettings, *, again: bool) -> None:
        self.name, self.target = target.name, target.target
        self._make = partial(open_sink, target, settings)
        self._take_away = partial(remove_timelines, [target] if again else [], settings)
        self._sink: Sink | None = None

    def check(self) -> None:
        if self._sink is None:
            self._sink = self._make()
            self._sink.check()

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        if self._sink is None:
            self.check()
        assert self._sink is not None
        return self._sink.write(event, position)

    def flush(self) -> Iterable[Result]:
        return self._sink.flush() if self._sink else ()

    @property
    def acknowledged(self) -> int:
        return self._sink.acknowledged if self._sink else 0

    def close(self) -> list[str]:
        if self._sink is None:
            self._take_away()
        return self._sink.close() if self._sink else []

    def abort(self) -> None:
        if self._sink:
            self._sink.abort()


class Delivery:
    """Collections of one case. Call `read` for each, then `finish`, or `abort`."""

    def __init__(self, state: State, case: str, settings: DeliverySettings, progress: Progress) -> None:
        self.state, self.case = state, case
        left = state.unfinished()
        if left is not None and left.case != case:
            discard_unfinished(state, settings)
        elif left is not None:
            remove_files(left)
        self.number, stamp = state.announce(case)
        targets = _targets(settings, case, stamp)
        letters = settings.letters.with_name(f"{settings.letters.stem}-{stamp}{settings.letters.suffix}")
        self._streaming = all(target.name in STREAMING for target in targets)
        self._files = [str(target.path) for target in targets if target.path is not None]
        state.expect(self.number, [*self._files, str(letters)])
        self.report = RunReport(case=case, evidence=[])
        sink_settings = _sink_settings(state, case, settings)
        self.report.sinks = [SinkReport(name=target.name, target=target.target, server=target.server) for target in targets]
        self._sinks: list[tuple[Sink, SinkReport]] = [
            (_Lazy(target, sink_settings, again=left is not None), report)
            for target, report in zip(targets, self.report.sinks, strict=True)
        ]
        self._letters = DeadLetters(letters, reproducible=settings.reproducible)
        self._history: FileHistory | None = None
        self.ledger = NightLedger(state, case, self._host_done)
        self._pipeline = Pipeline(
            mapper=make_mapper(case, settings.alerts),
            sinks=self._sinks,
            dead_letters=self._letters,
            settings=Settings(**settings.reading),
            progress=progress,
            report=self.report,
            hashed=False,
            ledger=self.ledger,
        )
        self.damaged = False
        self._counted: dict[tuple[str, str, str], int] = {}
        state.execute("BEGIN IMMEDIATE")

    def read(self, discovery: Discovery, history: FileHistory) -> bool:
        """Read hosts and note each that is complete, within the transaction; True when a log ended in the middle of a block.

        Raises SourceGone; what was written until then stays.
        """
        self._history = history
        self.ledger.cut.clear()
        try:
            self._pipeline.read(discovery)
        except SourceGone:
            self.ledger.abandon()
            raise
        finally:
            self.damaged = self.damaged or self.report.damaged
            self.report.files.clear()
            self.report.hosts.clear()
        return bool(self.ledger.cut)

    def _host_done(self, host: Host, flush: Callable[[], bool]) -> None:
        """With sinks that acknowledge as they go, what arrived is safe now: the checkpoint moves."""
        assert self._history is not None
        self._history.note(host, self.number, frozenset(self.ledger.cut))
        if self._streaming and flush():
            self._commit()
            self.state.execute("BEGIN IMMEDIATE")

    def finish(self) -> None:
        """Give the files their names, and only then move the checkpoint. Raises SinkError."""
        self._pipeline.flush()
        for sink, report in self._sinks:
            report.written = sink.close()
            if not report.counts.balanced:
                self.report.unbalanced.append(f"sink {report.name}: {report.counts}")
        self._letters.close()
        self._commit()

    def _commit(self) -> None:
        self._count()
        outputs = [path for report in self.report.sinks for path in report.written]
        if self.report.dead_letters:
            outputs.append(str(self._letters.path))
        values = (time.time(), json.dumps(outputs), self.ledger.new, self.ledger.known, self.report.dead_letters, self.number)
        statement = "UPDATE deliveries SET finished = ?, outputs = ?, ids = ?, known = ?, rejected = ? WHERE number = ?"
        self.state.execute(statement, values)
        self.state.execute("COMMIT")

    def abort(self) -> None:
        """Leave no file under a final name, and the checkpoint where it was."""
        for sink, _ in self._sinks:
            sink.abort()
        self._letters.close()
        self.state.rollback()

    def _count(self) -> None:
        """Bring the totals up to what is acknowledged with this commit."""
        now: dict[tuple[str, str, str], int] = {("duplicates", "", ""): self.ledger.known, ("rejected", "", ""): self.report.dead_letters}
        for report in self.report.sinks:
            counts: Mapping[str, int] = msgspec.structs.asdict(report.counts)
            now |= {(f"documents_{outcome}", "", report.name): counts[outcome] for outcome in ("written", "duplicate", "skipped", "dead")}
            now |= {("events", source, report.name): number for source, number in self.ledger.by_source.items()}
        for name, number in now.items():
            self.state.count(*name, number - self._counted.get(name, 0))
        self._counted = now

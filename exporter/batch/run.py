"""One batch from options to report: what is left to do is done by a runner, and all that there is becomes the outputs."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from exporter import __version__
from exporter.batch.merge import Hosts, Output, count, merge, merge_letters, write_manifest
from exporter.batch.options import Batch
from exporter.batch.plan import looked_at
from exporter.batch.runners import RunnerSettings, open_runner
from exporter.batch.store import LETTERS, Store
from exporter.batch.task import Item, Outcome, Task
from exporter.batch.totals import BatchReport
from exporter.errors import ConfigurationError
from exporter.job import Job, keep_apart, place_of
from exporter.report.run import SinkReport
from exporter.sinks import STREAMING, Sink
from exporter.sinks.atomic import PartFile, refuse_existing
from exporter.sinks.targets import SinkSettings, SinkTarget, open_sink, parse_target, wall_clock
from exporter.state.lock import Lock
from exporter.state.place import prepare
from exporter.times import from_unix_ns

_NOTE = "batch.json"


class Teller(Protocol):
    """Who is told how far a batch is. Sizes are bytes of evidence."""

    def start(self, hosts: int, size: int) -> None: ...
    def advance(self, size: int) -> None: ...
    def done(self, outcome: Outcome) -> None: ...
    def close(self) -> None: ...


class _Note(msgspec.Struct, kw_only=True):
    """What a batch remembers of itself: `begun` when its outputs are its own to replace, `finished` is the digest of what they hold."""

    now: int
    begun: bool = False
    finished: str = ""


def job_of(batch: Batch) -> Job:
    """What all hosts of a batch have in common, as a job."""
    return Job(
        evidence=(),
        case=batch.case,
        to=batch.to,
        alerts=batch.alerts,
        sources=batch.sources,
        temporary=batch.temporary,
        force=True,
        reproducible=batch.reproducible,
    )


def run_batch(batch: Batch, teller: Teller, result: Callable[[Outcome], None]) -> BatchReport:
    """Read what is left to read, then merge. `result` is told every outcome as it comes.

    Raises SinkError, ConfigurationError or LockHeld before anything is read; later a sink that gives up is in the report (`stopped`).
    """
    targets = [parse_target(text) for text in batch.to]
    letters = batch.dead_letters or _beside(targets, batch) / LETTERS
    _keep_apart(batch, targets, letters)
    plan = looked_at(batch.items)
    if batch.only is not None:
        batch.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _Run(batch, targets, letters, plan, teller, result).some([plan[number] for number in batch.only])
    with Lock(prepare(batch.state)):
        prepare(batch.work, force_network=True)
        return _Run(batch, targets, letters, plan, teller, result).all()


class _Run:
    """A batch that holds its lock."""

    def __init__(
        self,
        batch: Batch,
        targets: list[SinkTarget],
        letters: Path,
        plan: list[Item],
        teller: Teller,
        result: Callable[[Outcome], None],
    ) -> None:
        self._batch, self._targets, self._letters, self._plan = batch, targets, letters, plan
        self._teller, self._result = teller, result
        self._job = job_of(batch)
        self._settings = _digest(self._job)
        self._store = Store(batch.work.resolve())
        self._hosts = Hosts(self._store, plan, self._settings)
        self._note = _read_note(batch.state) or _Note(now=_now(batch))
        self.report = self._report()

    def _report(self) -> BatchReport:
        sinks = [SinkReport(name=target.name, target=target.target, server=target.server) for target in self._targets]
        return BatchReport(case=self._batch.case, sinks=sinks)

    def some(self, items: Sequence[Item]) -> BatchReport:
        """Read these and leave their parts; nothing is merged."""
        self._read(items)
        hosts = Hosts(self._store, items, self._settings)
        if not self.report.stopped:
            count(hosts, self.report)
        self.report.merged = False
        return self.report

    def all(self) -> BatchReport:
        """Read what is left, and merge."""
        batch = self._batch
        left = self._left()
        self.report.done_before = len(self._plan) - len(left)
        todo = left if batch.read else []
        if not todo and self._note.finished == self._state_of_plan() and self._outputs_are_there():
            self.report.finished_before = True
            count(self._hosts, self.report)
            return self.report
        with contextlib.ExitStack() as opened:
            outputs = self._open(opened)
            self._note = _Note(now=self._note.now, begun=True)
            _write_note(batch.state, self._note)
            self._read(todo)
            if self.report.stopped:
                return self.report
            count(self._hosts, self.report)
            merge(self._store, self._hosts, outputs, self.report)
        self.report.dead_letter_file = merge_letters(self._store, self._hosts, self._letters, force=True)
        if batch.manifest is not None:
            write_manifest(batch.manifest, self._head(), self._hosts, self._store)
        self._note.finished = self._state_of_plan()
        _write_note(batch.state, self._note)
        return self.report

    def _left(self) -> list[Item]:
        """The items without a manifest that holds. Raises ConfigurationError where an earlier run's would be thrown away unasked."""
        batch, store = self._batch, self._store
        goes_on = batch.resume or batch.retry_failed or not batch.read
        if not goes_on:
            there = any(store.manifest(item.id).exists() for item in self._plan)
            if there and not batch.force:
                raise ConfigurationError(
                    f"`{batch.state}` holds hosts of an earlier run: continue it with --resume, or begin anew with --force"
                )
            self._note = _Note(now=_now(batch))
            if there:
                store.forget(item.id for item in self._plan)
        if batch.read:
            store.tidy(item.id for item in self._plan)
        again = ("failed", "incomplete") if batch.retry_failed else ()
        return [item for item in self._plan if (done := store.current(item, self._settings)) is None or done.outcome.state in again]

    def _open(self, opened: contextlib.ExitStack) -> list[Output]:
        """The sinks that merge, open; servers that are written to by the processes are asked whether they will have it."""
        batch = self._batch
        force = batch.force or self._note.begun
        for path in filter(None, (self._letters, batch.manifest)):
            refuse_existing(path, force)
        spool = (batch.manifest or self._letters).parent / "timesketch-spool"
        settings = SinkSettings(
            force=force,
            reproducible=batch.reproducible,
            temporary_directory=batch.temporary,
            case=batch.case,
            spool=spool,
            lock=Lock,
        )
        outputs = []
        for number, (target, report) in enumerate(zip(self._targets, self.report.sinks, strict=True)):
            sink: Sink = open_sink(target, settings)
            opened.callback(sink.abort)
            sink.check()
            if target.name in STREAMING:
                sink.abort()
            else:
                outputs.append(Output(number, sink, report))
        return outputs

    def _read(self, items: Sequence[Item]) -> None:
        self._teller.start(len(items), sum(item.size for item in items))
        if not items:
            return
        by_id = {item.id: item for item in items}
        runner = open_runner(self._batch.runner, _runner_settings(self._batch, len(items)))
        try:
            for outcome in runner.run(self._tasks(items), self._teller.advance):
                if outcome.state == "failed":
                    self._store.fail(by_id[outcome.id], self._settings, outcome, reproducible=self._batch.reproducible)
                self._teller.done(outcome)
                self._result(outcome)
                if outcome.state == "stopped":
                    self.report.stopped, self.report.refused = outcome.reasons[0], outcome.refused
                    return
        finally:
            runner.close()

    def _tasks(self, items: Sequence[Item]) -> Iterator[Task]:
        batch = self._batch
        for item in items:
            job = msgspec.structs.replace(self._job, evidence=item.evidence, host=item.name, utc_offset=item.utc_offset)
            yield Task(
                item=item,
                job=job,
                work=self._store.folder,
                settings=self._settings,
                now=self._note.now,
                hashed=batch.manifest is not None,
                silence=batch.silence,
            )

    def _state_of_plan(self) -> str:
        """A digest of all manifests: another means that the outputs are not what they would be now."""
        digest = hashlib.blake2b(digest_size=16)
        for item, done, outcome in self._hosts:
            digest.update(f"{item.id} {outcome.state} {done.folder if done else ''}\n".encode())
        return digest.hexdigest()

    def _outputs_are_there(self) -> bool:
        paths = [target.path for target in self._targets] + [self._batch.manifest]
        return all(path is None or path.exists() or path.with_name(f"{path.stem}-manifest.json").exists() for path in paths)

    def _head(self) -> dict[str, Any]:
        report = self.report
        return {
            "tool": {"name": "defender-exporter", "version": __version__},
            "case": report.case,
            "states": report.states,
            "sums": report.sums,
            "verdicts": report.verdicts,
            "sinks": report.sinks,
            "dead_letters": {"count": report.dead_letters, "file": report.dead_letter_file},
            "unbalanced": report.unbalanced,
        }


def _runner_settings(batch: Batch, hosts: int) -> RunnerSettings:
    return RunnerSettings(
        jobs=min(batch.jobs, hosts),
        silence=batch.silence,
        scheduler=batch.scheduler,
        memory=batch.worker_memory,
        tls_ca=batch.tls_ca,
        tls_cert=batch.tls_cert,
        tls_key=batch.tls_key,
        insecure=batch.insecure,
    )


def _now(batch: Batch) -> int:
    """The time of documents that have none, in ticks; with `reproducible` that of the newest evidence."""
    if not batch.reproducible:
        return wall_clock()
    times = [0]
    for item in batch.items:
        for path in item.evidence:
            with contextlib.suppress(OSError):
                times.append(Path(path).stat().st_mtime_ns)
    return from_unix_ns(max(times))


def _digest(job: Job) -> str:
    """What the documents of a host depend on, besides its evidence."""
    text = msgspec.json.encode(msgspec.structs.replace(job, temporary=None), enc_hook=str)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _beside(targets: Sequence[SinkTarget], batch: Batch) -> Path:
    paths = [path for target in targets if (path := target.path) is not None]
    return paths[0].parent if paths else batch.state


def _keep_apart(batch: Batch, targets: Sequence[SinkTarget], letters: Path) -> None:
    """Refuse two outputs at one place, and outputs in the evidence."""
    keep_apart([*map(place_of, targets), str(letters), *([str(batch.manifest)] if batch.manifest else [])])
    roots = {Path(path).resolve() for item in batch.items for path in item.evidence}
    outputs = [*(target.path for target in targets), letters, batch.manifest, batch.state, batch.work, batch.temporary, batch.results]
    for output in filter(None, outputs):
        real = output.resolve()
        for root in (real, *real.parents):
            if root in roots:
                raise ConfigurationError(f"`{output}` lies inside the evidence `{root}`, which is never written to")


def _read_note(folder: Path) -> _Note | None:
    try:
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_note(folder: Path, note: _Note) -> None:
    file = PartFile(folder / _NOTE, force=True)
    try:
        file.write(msgspec.json.encode(note))
        file.commit()
    finally:
        file.abort()

"""One batch from options to report: what is left to do is done by a runner, and all that there is becomes the outputs."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from exporter import __version__
from exporter.batch.merge import Hosts, Output, count, merge, merge_early, merge_letters, write_manifest
from exporter.batch.options import Batch
from exporter.batch.outputs import Note, Outputs, read_note, write_note
from exporter.batch.plan import looked_at
from exporter.batch.results import Results
from exporter.batch.runners import RunnerSettings, open_runner
from exporter.batch.store import Store
from exporter.batch.task import Item, Outcome, Task
from exporter.batch.totals import BatchReport
from exporter.errors import ConfigurationError
from exporter.evidence.keys import key_reference
from exporter.job import Job
from exporter.sinks.targets import wall_clock
from exporter.state.lock import Lock
from exporter.state.place import prepare
from exporter.times import from_unix_ns, iso


class Teller(Protocol):
    """Who is told how far a batch is. Sizes are bytes of evidence."""

    def start(self, hosts: int, size: int) -> None: ...
    def advance(self, size: int) -> None: ...
    def done(self, outcome: Outcome) -> None: ...
    def close(self) -> None: ...


def job_of(batch: Batch) -> Job:
    """What all hosts of a batch have in common, as a job."""
    return Job(
        **{**batch.reading, "jobs": 1, "keys": batch.keys and str(key_reference(batch.keys))},
        evidence=(),
        case=batch.case,
        to=batch.to,
        alerts=batch.alerts,
        sources=batch.sources,
        temporary=batch.temporary,
        force=True,
        reproducible=batch.reproducible,
    )


def run_batch(batch: Batch, teller: Teller) -> BatchReport:
    """Read what is left to read, then merge.

    Raises SinkError, ConfigurationError or LockHeld before anything is read; later a sink that gives up is in the report (`stopped`).
    """
    outputs = Outputs(batch)
    if batch.only is not None:
        prepare(batch.work, force_network=True)
        return _Run(batch, outputs, looked_at([batch.items[number] for number in batch.only]), teller).some()
    with Lock(prepare(batch.state)):
        prepare(batch.work, force_network=True)
        return _Run(batch, outputs, looked_at(batch.items), teller).all()


class _Run:
    """A batch, or some of its hosts."""

    def __init__(self, batch: Batch, outputs: Outputs, plan: list[Item], teller: Teller) -> None:
        self._batch, self._outputs, self._plan = batch, outputs, plan
        self._teller, self._results = teller, Results(batch.results, force=batch.force)
        self._job = job_of(batch)
        self._settings = _digest(self._job, hashed=batch.manifest is not None)
        self._store = Store(batch.work.resolve())
        self._hosts = Hosts(self._store, plan, self._settings)
        self._note = read_note(batch.state) or Note(now=_now(batch))
        if self._note.places != outputs.places:
            self._note = Note(now=self._note.now, places=outputs.places)
        self.report = BatchReport(case=batch.case, sinks=outputs.reports())

    def some(self) -> BatchReport:
        """Read the hosts, with `resume` those that are not done, and leave their parts; nothing is merged."""
        batch = self._batch
        todo = self._undone() if batch.resume or batch.retry_failed else self._plan
        self.report.done_before = len(self._plan) - len(todo)
        self._results.start(goes_on=True)
        self._read(todo)
        self._results.close()
        count(self._hosts, self.report)
        self.report.merged = False
        return self.report

    def all(self) -> BatchReport:
        """Read what is left, and merge."""
        batch = self._batch
        left = self._left()
        self.report.done_before = len(self._plan) - len(left)
        todo = left if batch.read else []
        if not todo and self._note.finished == self._state_of_plan() and self._outputs.are_there():
            self.report.finished_before = True
            count(self._hosts, self.report)
            return self.report
        with contextlib.ExitStack() as opened:
            outputs = self._outputs.open(self.report.sinks, opened, force=batch.force or self._note.begun)
            self._results.start(goes_on=self._note.begun)
            opened.callback(self._results.close)
            self._note = msgspec.structs.replace(self._note, begun=True, finished="")
            write_note(batch.state, self._note)
            self._read(todo, outputs)
            count(self._hosts, self.report)
            if self.report.stopped:
                return self.report
            merge(self._store, self._hosts, outputs, self.report)
        self.report.dead_letter_file = merge_letters(self._store, self._hosts, self._outputs.letters, force=True)
        self._results.end(outcome for _, _, outcome in self._hosts)
        if batch.manifest is not None:
            write_manifest(batch.manifest, self._head(), self._hosts, self._store)
        self._note_end()
        write_note(batch.state, self._note)
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
            self._note = Note(now=_now(batch), places=self._outputs.places)
            if there:
                store.forget(item.id for item in self._plan)
        left = self._undone()
        store.forget(item.id for item in left if store.current(item, self._settings) is None)
        if batch.read:
            store.tidy({done.folder for _, done, _ in self._hosts if done is not None})
        return left

    def _undone(self) -> list[Item]:
        """The items without a whole manifest that holds; with `retry_failed` also those that are not complete."""
        again = ("failed", "incomplete") if self._batch.retry_failed else ()
        found = ((item, self._store.current(item, self._settings)) for item in self._plan)
        return [item for item, done in found if done is None or done.outcome.state in again]

    def _read(self, items: Sequence[Item], outputs: Sequence[Output] = ()) -> None:
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
                self._results.tell(outcome)
                if outcome.state == "stopped":
                    self.report.stopped, self.report.refused = outcome.reasons[0], outcome.refused
                    return
                del by_id[outcome.id]
                merge_early(self._store, self._hosts, outputs, by_id)
        finally:
            runner.close()

    def _tasks(self, items: Sequence[Item]) -> Iterator[Task]:
        batch = self._batch
        for item in items:
            job = msgspec.structs.replace(
                self._job, evidence=item.evidence, host=item.name, utc_offset=_first(item.utc_offset, batch.utc_offset)
            )
            yield Task(
                item=item,
                job=job,
                work=self._store.folder,
                settings=self._settings,
                now=self._note.now,
                hashed=batch.manifest is not None,
                silence=batch.silence,
            )

    def _note_end(self) -> None:
        """Remember what was written, and take away what an earlier merge of this batch wrote and this one did not."""
        written = [path for sink in self.report.sinks for path in sink.written]
        for path in set(self._note.outputs) - {*written, str(self._outputs.letters)}:
            Path(path).unlink(missing_ok=True)
        self._note.outputs = tuple(written)
        self._note.finished = self._state_of_plan()

    def _state_of_plan(self) -> str:
        """A digest of all manifests: another means that the outputs are not what they would be now."""
        digest = hashlib.blake2b(digest_size=16)
        for item, done, outcome in self._hosts:
            digest.update(f"{item.id} {outcome.state} {done.folder if done else ''}\n".encode())
        return digest.hexdigest()

    def _head(self) -> dict[str, Any]:
        report = self.report
        return {
            "tool": {"name": "defender-exporter", "version": __version__},
            "written": iso(wall_clock()),
            "arguments": msgspec.to_builtins(msgspec.structs.replace(self._batch, items=()), enc_hook=str),
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


def _first(own: int | None, common: int | None) -> int | None:
    return common if own is None else own


def _digest(job: Job, *, hashed: bool) -> str:
    """What the documents and the report of a host depend on, besides its evidence; hosts that lack a key are incomplete anyway."""
    text = msgspec.json.encode((msgspec.structs.replace(job, temporary=None, keys=None), hashed), enc_hook=str)
    return hashlib.blake2b(text, digest_size=16).hexdigest()

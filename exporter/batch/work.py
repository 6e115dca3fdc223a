"""One host, read by the process that this runs in: what every runner calls, here or on another machine."""

import faulthandler
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from exporter import __version__
from exporter.batch.store import LETTERS, Done, Part, Store
from exporter.batch.task import Outcome, Sums, Task, failed, unpacked
from exporter.errors import ConfigurationError, EvidenceError, SinkError, SinkUnavailable
from exporter.job import Means, make_mapper, run_job
from exporter.mapping.mapper import Mapper
from exporter.pipeline import Progress
from exporter.report.manifest import manifest
from exporter.report.run import RunReport
from exporter.sinks import STREAMING, Sink
from exporter.sinks.checked import checksum_of
from exporter.sinks.parts import open_part, saved
from exporter.sinks.targets import SinkSettings, SinkTarget, parse_target

_SHOWN_REASONS = 10
_ALARM_SECONDS = 5.0
_ALARM_FACTOR = 1.5


class Quiet:
    """Progress that is told nobody, and puts off the alarm of a process that hangs."""

    def __init__(self, silence: float) -> None:
        self._silence = silence * _ALARM_FACTOR
        self._armed_at = 0.0

    def start(self, files: int, size: int) -> None:
        self.advance(0)

    def file(self, host: str, path: str) -> None:
        self.advance(0)

    def advance(self, size: int) -> None:
        """Set the alarm anew; it needs neither Python nor our parent, and ends the process."""
        now = time.monotonic()
        if now - self._armed_at >= min(_ALARM_SECONDS, self._silence / 10):
            self._armed_at = now
            faulthandler.dump_traceback_later(self._silence, exit=True, file=_nowhere())

    def close(self) -> None:
        faulthandler.cancel_dump_traceback_later()


@lru_cache(1)
def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)


def work(encoded: bytes, progress: Progress | None = None) -> Outcome:
    """Read one host and leave its parts and manifest; what became of it. Raises nothing that evidence or sinks cause.

    It may be done again at any time, by any process: nothing is there twice.
    """
    task = unpacked(encoded)
    quiet = progress or Quiet(task.silence)
    try:
        return _read(task, quiet)
    except EvidenceError as error:
        return failed(task.item, str(error))
    except (SinkError, ConfigurationError) as error:
        return _stopped(task, str(error), refused=not isinstance(error, SinkUnavailable))
    finally:
        quiet.close()


def _stopped(task: Task, reason: str, *, refused: bool) -> Outcome:
    return Outcome(id=task.item.id, host=task.item.label, state="stopped", reasons=(reason,), refused=refused)


@lru_cache(1)
def _mapper(case: str, alerts: str, now: int) -> Mapper:
    """Kept from host to host: making it takes longer than reading a small one."""
    return make_mapper(case, alerts, now)


def _read(task: Task, progress: Progress) -> Outcome:
    began = time.monotonic()
    store = Store(task.work)
    folder = store.attempt(task.item.id)
    kept = False
    try:
        parts = _Parts(folder, task.job.to, progress)
        job = msgspec.structs.replace(task.job, dead_letters=folder / LETTERS, manifest=folder / "manifest" if task.hashed else None)
        report = run_job(job, progress, Means(opener=parts.open, mapper=_mapper(job.case, job.alerts, task.now)))
        if report.stopped:
            return _stopped(task, report.stopped, refused=report.refused)
        outcome = _outcome(task, report)
        outcome.seconds = round(time.monotonic() - began, 3)
        store.save(
            Done(
                version=__version__,
                settings=task.settings,
                input=task.item.input,
                outcome=outcome,
                folder=folder.relative_to(task.work).as_posix(),
                parts=tuple(parts.saved()),
                letters=_letters(folder),
                report=msgspec.Raw(msgspec.json.encode({name: value for name, value in manifest(report, job, 0).items() if name in _KEPT})),
            )
        )
        kept = True
        return outcome
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


_KEPT = ("hosts", "sources", "sinks", "dead_letters", "unbalanced")


class _Parts:
    """The parts of one host, in the order of the targets."""

    def __init__(self, folder: Path, to: tuple[str, ...], progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._targets = [parse_target(text) for text in to]
        self._sinks: dict[int, Sink] = {}

    def open(self, target: SinkTarget, settings: SinkSettings) -> Sink:
        number = self._targets.index(target)
        settings = msgspec.structs.replace(settings, sleep=self._sleep)
        self._sinks[number] = sink = open_part(target, self._folder / str(number), settings)
        return sink

    def _sleep(self, seconds: float) -> None:
        """Waiting for a server is a sign of life."""
        self._progress.advance(0)
        time.sleep(seconds)

    def saved(self) -> Iterator[Part | None]:
        for number, target in enumerate(self._targets):
            if target.name in STREAMING:
                yield None
                continue
            part = saved(self._sinks[number])
            yield Part(part.path.name, part.lines, part.size, part.path.stat().st_size, part.checksum)


def _letters(folder: Path) -> Part | None:
    path = folder / LETTERS
    return Part(LETTERS, 0, 0, path.stat().st_size, checksum_of(path)) if path.exists() else None


def _outcome(task: Task, report: RunReport) -> Outcome:
    sums, verdicts = Sums(), Counter[str]()
    for file in report.files:
        counts = file.counts
        sums.add(Sums(counts.seen, counts.emitted, counts.rejected, sum(counts.unparsed.values())))
        verdicts.update({str(verdict): number for verdict, number in counts.verdicts.items()})
    nothing = () if report.files else ("no Defender evidence was found",)
    altered = tuple(f"{file.path}: FAILED integrity" for file in report.files if file.counts.verdicts.get("failed"))
    reasons = (*nothing, *report.unbalanced, *report.reasons, *altered)
    return Outcome(
        id=task.item.id,
        host=task.item.label,
        state="incomplete" if report.damaged or nothing else "complete",
        reasons=reasons[:_SHOWN_REASONS],
        hosts=tuple(host.name for host in report.hosts),
        files=len(report.files),
        size=task.item.size,
        incidents=sum(host.incidents for host in report.hosts),
        sums=sums,
        verdicts=dict(verdicts),
        sinks=tuple(sink.counts for sink in report.sinks),
        dead_letters=report.dead_letters,
    )

"""The whole line in a test: evidence goes in, everything that comes out is at hand."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from exporter.cli.progress import Silent
from exporter.collectors import Settings
from exporter.job import Job, discovered, make_mapper, run_job
from exporter.pipeline import Pipeline
from exporter.records import Mapped
from exporter.report.run import FileReport, RunReport, SinkReport
from exporter.sinks import Outcome, Result
from exporter.state.dead_letters import DeadLetters

FILES = {"ecs": "case.ndjson", "timesketch": "case.jsonl", "l2tcsv": "case.csv"}
DEAD_LETTERS = "dead-letters.ndjson"
NOW = 134_000_000_000_000_000
"""A fixed clock for `mapped`."""


class Exported(NamedTuple):
    """One run: its report, and the folder of its outputs."""

    report: RunReport
    folder: Path

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The ECS documents, in order."""
        return objects(self.folder / FILES["ecs"])

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The Timesketch lines, in order."""
        return objects(self.folder / FILES["timesketch"])

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the L2T CSV rows without the header, in order."""
        return [line.split(",") for line in (self.folder / FILES["l2tcsv"]).read_text(encoding="utf-8").split("\n")[1:-1]]

    @property
    def letters(self) -> list[dict[str, Any]]:
        """The dead letters; none when nothing was lost."""
        path = self.folder / DEAD_LETTERS
        return objects(path) if path.exists() else []

    @property
    def evidence(self) -> list[dict[str, Any]]:
        """The documents of evidence: neither incidents nor diagnostics."""
        return [document for document in self.documents if document["event"]["kind"] == "event"]

    @property
    def incidents(self) -> list[dict[str, Any]]:
        return [document for document in self.documents if document["event"]["dataset"] == "defender.incident"]

    def file(self, ending: str) -> FileReport:
        """The report of the one evidence file whose path ends so."""
        (found,) = [file for file in self.report.files if file.path.endswith(ending)]
        return found


def export(evidence: Path | Iterable[Path], folder: Path, *, sinks: Sequence[str] = tuple(FILES), **options: Any) -> Exported:
    """Run a job over the evidence into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [evidence] if isinstance(evidence, Path) else evidence
    targets = tuple(f"{name}:{folder / FILES[name]}" for name in sinks)
    job = Job(**{"evidence": tuple(map(str, paths)), "case": "T1", "to": targets, **options})
    return Exported(run_job(job, Silent()), folder)


class Recorder:
    """A sink that keeps what it is given."""

    name, target, acknowledged = "recorder", "", 0

    def __init__(self) -> None:
        self.events: list[Mapped] = []

    def check(self) -> None: ...
    def abort(self) -> None: ...
    def flush(self) -> Iterable[Result]:
        return ()

    def close(self) -> list[str]:
        return []

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        self.events.append(event)
        return (Result(position, event.id, Outcome.WRITTEN),)


def mapped(evidence: Path | Iterable[Path], folder: Path, host: str | None = None, **settings: Any) -> list[Mapped]:
    """Every record as the sinks see it, incidents and diagnostics too, mapped with a fixed clock; `folder` is for dead letters."""
    paths = [evidence] if isinstance(evidence, Path) else evidence
    recorder, report = Recorder(), RunReport(case="T1", evidence=[])
    letters = DeadLetters(folder / DEAD_LETTERS, reproducible=True)
    with discovered([str(path) for path in paths], host) as discovery, closing(letters):
        Pipeline(
            mapper=make_mapper("T1", now=NOW),
            sinks=[(recorder, SinkReport(name="recorder", target=""))],
            dead_letters=letters,
            settings=Settings(**settings),
            progress=Silent(),
            report=report,
            hashed=False,
        ).run(discovery)
    return recorder.events


def objects(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object per line, each line ended by LF."""
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    return [json.loads(line) for line in lines]


def get(document: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name; None where there is none."""
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def kinds_of(files: Iterable[FileReport]) -> Counter[str]:
    """Records by kind over several files."""
    total: Counter[str] = Counter()
    for file in files:
        total.update(file.counts.kinds)
    return total

"""A share in a test: the synthetic hosts in stages, nights over them, and what was delivered."""

import contextlib
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.cli.progress import Silent
from exporter.ingest import Ingest, Ingester, Night
from exporter.synthetic import case as synthetic
from exporter.synthetic.case_hosts import HOSTS
from exporter.synthetic.evtx import Event, write_evtx
from tests.line import objects

LINE_END = "\r\n".encode("utf-16-le")


class Told:
    """Takes what is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def __call__(self, level: str, action: str, message: str, **facts: object) -> None:
        self.lines.append((level, action, message))

    def of(self, action: str) -> list[str]:
        return [message for _, said, message in self.lines if said == action]


class Share:
    """Hosts of which a part has happened: `show` puts a host there with that part of its logs."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.whole = folder.parent / "whole"
        self.logs: dict[str, list[Event]] = {}
        patch.setattr(synthetic, "write_evtx", self._write_evtx)
        synthetic.write_case(self.whole)
        (self.whole / "truth.json").unlink()
        folder.mkdir()

    def _write_evtx(self, path: Path, events: Iterable[Event]) -> None:
        self.logs[path.relative_to(self.whole).as_posix()] = list(events)
        write_evtx(path, events)

    @property
    def hosts(self) -> list[str]:
        return [host.name for host in HOSTS]

    def files(self, host: str) -> list[Path]:
        return sorted(path for path in (self.whole / host).rglob("*") if path.is_file())

    def show(self, host: str, part: float = 1.0, into: Path | None = None) -> Path:
        """Copy the host as it looks when `part` of it has happened: that part of its logs and of its other files."""
        target = into or self.folder / host
        files = self.files(host)
        others = [path for path in files if path.suffix not in (".evtx", ".log", ".json")]
        there = set(others[: round(part * len(others))])
        for path in files:
            place = target / path.relative_to(self.whole / host)
            if path.suffix == ".evtx":
                self._put(place, self._events(path, part))
            elif path.suffix == ".log":
                self._put(place, _lines(path.read_bytes(), part))
            elif path.suffix == ".json" or path in there:
                self._put(place, path.read_bytes())
        return target

    def _events(self, path: Path, part: float) -> bytes:
        events = self.logs[path.relative_to(self.whole).as_posix()]
        copy = path.with_suffix(".part")
        write_evtx(copy, events[: max(1, round(part * len(events)))])
        data = copy.read_bytes()
        copy.unlink()
        return data

    @staticmethod
    def _put(place: Path, data: bytes) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists() or place.read_bytes() != data:
            place.write_bytes(data)

    def zip(self, host: str, name: str, part: float = 1.0) -> Path:
        """The same as an archive on the share."""
        folder = self.folder.parent / "packing" / host
        shutil.rmtree(folder, ignore_errors=True)
        self.show(host, part, folder)
        with zipfile.ZipFile(self.folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, f"{host}/{path.relative_to(folder).as_posix()}")
        return self.folder / name


def _lines(data: bytes, part: float) -> bytes:
    """Whole lines of a log in UTF-16."""
    if part >= 1:
        return data
    end = data.find(LINE_END, round(part * len(data)) // 2 * 2)
    while end % 2:
        end = data.find(LINE_END, end + 1)
    return data[: end + len(LINE_END)]


def options(share: Path, **more: Any) -> Ingest:
    """The options of a night, with files beside the share."""
    out = share.parent / "out"
    out.mkdir(exist_ok=True)
    targets = tuple(
        f"{name}:{out / '{case}-{run}'}.{suffix}" for name, suffix in (("ecs", "ndjson"), ("timesketch", "jsonl"), ("l2tcsv", "csv"))
    )
    given = {"state": share.parent / "state", "case_from": "T1", "to": targets, "settle": 0.0, "reproducible": True} | more
    return msgspec.convert({"share": share, **given}, Ingest)


@contextlib.contextmanager
def ingester(share: Path, told: Told | None = None, **more: Any) -> Iterator[Ingester]:
    """An ingester that is closed afterwards."""
    made = Ingester(options(share, **more), told or Told(), Silent())
    try:
        yield made
    finally:
        made.close()


def night(share: Path, told: Told | None = None, **more: Any) -> Night:
    """One run."""
    with ingester(share, told, **more) as made:
        return made.run()


def delivered(out: Path) -> list[dict[str, Any]]:
    """All documents of all runs."""
    return [document for path in sorted(out.glob("*.ndjson")) if not path.name.startswith("dead") for document in objects(path)]


def ids(documents: Iterable[dict[str, Any]], *, losses: bool = False) -> Counter[str]:
    """Ids of documents by how often they are there; of losses only when asked for: they name paths."""
    return Counter(one["event"]["id"] for one in documents if losses or one["event"]["dataset"] != "defender.diagnostics")


def evidence_ids(documents: Iterable[dict[str, Any]]) -> Counter[str]:
    """Ids of what the evidence says, without incidents, which depend on how much was known."""
    return ids(one for one in documents if one["event"]["dataset"] != "defender.incident")

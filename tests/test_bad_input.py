"""Bad files among good ones: each costs itself only, and is named with offset and reason wherever a person or a program looks."""

import io
import random
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from exporter.cli import exit_codes
from exporter.cli.running import exit_code
from exporter.collectors import COLLECTORS, Settings
from exporter.collectors.guard import FileCounts, collect, load
from exporter.errors import EvidenceError
from exporter.evidence.files import File
from exporter.records import DeadLetter
from exporter.report.summary import summary
from tests.line import Exported, export

DEFENDER = "WS-0142/C/ProgramData/Microsoft/Windows Defender"
LOGS = "WS-0142/C/Windows/System32/winevt/Logs"
RESOURCE = "BAD0" * 10
VICTIMS = {
    "quarantine": (f"{DEFENDER}/Quarantine/Entries/*", f"{DEFENDER}/Quarantine/Entries/{{80008A1B-0000-0000-0000-00000000BAD0}}"),
    "quarantine reference": (f"{DEFENDER}/Quarantine/Resources/*/*", f"{DEFENDER}/Quarantine/Resources/BA/{RESOURCE}"),
    "resource_data": (f"{DEFENDER}/Quarantine/ResourceData/*/*", f"{DEFENDER}/Quarantine/ResourceData/BA/{RESOURCE}"),
    "evtx": (f"{LOGS}/*.evtx", f"{LOGS}/Archive-Bad.evtx"),
    "mplog": (f"{DEFENDER}/Support/MPLog-*.log", f"{DEFENDER}/Support/MPLog-20260101-000000.log"),
    "mpcmdrun": ("SRV-FILES02/**/MpCmdRun.log", "WS-0142/C/Windows/Temp/MpCmdRun.log"),
    "mpdetection": ("SRV-FILES02/**/MPDetection-*.log", f"{DEFENDER}/Support/MPDetection-20260101-000000.log"),
    "detection_history": (
        f"{DEFENDER}/Scans/History/Service/DetectionHistory/*/*",
        f"{DEFENDER}/Scans/History/Service/DetectionHistory/00/00000000-0000-0000-0000-00000000BAD0",
    ),
    "etw": ("SRV-FILES02/**/*Wpp*.bin", f"{DEFENDER}/Support/MpWppTracing-20260101-000000-00000003-ffffffff.bin"),
}
"""Where a good file lies, and the name of a bad one beside it."""
FOREIGN = b"\x89PNG\r\n\x1a\n" + b"not what the name says\r\n" * 200


def truncated(data: bytes) -> bytes:
    """A third of it; a log is cut within a block."""
    mark = "Begin Resource Scan\r\n".encode("utf-16-le")
    return data[: data.index(mark) + len(mark)] if mark in data else data[: len(data) * 3 // 10]


DAMAGE: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": truncated,
    "foreign": lambda _: FOREIGN,
    "random": lambda data: random.Random(len(data)).randbytes(5000),
}


def with_victims(case_folder: Path, folder: Path, damage: Callable[[bytes], bytes]) -> Path:
    """The case with one bad file beside the good ones of each collector."""
    shutil.copytree(case_folder, folder)
    for pattern, place in VICTIMS.values():
        good = min(folder.glob(pattern))
        target = folder / place
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(damage(good.read_bytes()))
    return folder


@pytest.fixture(scope="module", params=DAMAGE)
def damaged(request, case_folder, tmp_path_factory) -> Exported:
    """The case with bad files of one sort, exported."""
    place = tmp_path_factory.mktemp("bad")
    return export(with_victims(case_folder, place / "evidence", DAMAGE[request.param]), place / "out")


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_bad_file_is_named_with_offset_and_reason(damaged, victim):
    path = VICTIMS[victim][1]
    told = [letter for letter in damaged.letters if letter["source"] == path]
    assert told
    assert {letter["collector"] for letter in told} == {victim.partition(" ")[0]}
    assert all(isinstance(letter["offset"], int) and letter["error_reason"] for letter in told)
    text = summary(damaged.report)
    assert all(f"{path}@{letter['offset']}: {letter['error_reason']}" in text for letter in told[:1])
    diagnostics = [document for document in damaged.documents if document["log"]["file"]["path"] == path and "error" in document]
    reasons = {document["error"].get("message") for document in diagnostics}
    assert {letter["error_reason"] for letter in told} <= reasons


def test_bad_files_are_all_that_is_named_and_the_exit_code_says_so(damaged):
    assert {letter["source"] for letter in damaged.letters} == {place for _, place in VICTIMS.values()}
    assert exit_code(damaged.report, allow_dead=False) == exit_codes.DAMAGED
    assert exit_code(damaged.report, allow_dead=True) == exit_codes.COMPLETE
    assert damaged.report.dead_letter_file == str(damaged.folder / "dead-letters.ndjson")


def test_good_neighbors_are_complete(damaged, demo):
    bad = {place for _, place in VICTIMS.values()}
    good = {document["event"]["id"] for document in demo.evidence}
    assert good <= {document["event"]["id"] for document in damaged.evidence if document["log"]["file"]["path"] not in bad}
    counts = {file.path: file.counts for file in damaged.report.files if file.path not in bad}
    assert counts == {file.path: file.counts for file in demo.report.files}


def test_everything_adds_up_in_spite_of_the_damage(damaged):
    assert damaged.report.unbalanced == []
    assert all(file.counts.balanced for file in damaged.report.files)
    assert all(sink.counts.balanced and not sink.counts.dead for sink in damaged.report.sinks)


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_file_that_cannot_be_opened_costs_itself_only(name):
    """A fake, since nothing is unreadable for root."""
    place = VICTIMS[name][1]
    letter, counts = collect(load(name), unreadable(place), "WS", Settings())
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.source, letter.collector) == ("permission denied", place, name)
    assert counts == FileCounts(seen=1, rejected=1)


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_file_that_fails_half_way_keeps_what_was_read(name, case_folder):
    """A bad sector, a broken network share: the stream raises after some bytes."""
    good = min(case_folder.glob(VICTIMS[name][0]))
    *_, counts = collect(load(name), failing(good, 300), "WS", Settings())
    assert isinstance(counts, FileCounts)
    assert counts.balanced
    assert counts.rejected >= 1


def unreadable(path: str) -> File:
    """A file whose opening fails."""

    def refuse() -> NoReturn:
        raise EvidenceError("permission denied", path)

    return File(path=path, evidence="case", root="", size=10, opener=refuse, tails=())


def failing(path: Path, after: int) -> File:
    """The file, whose stream fails behind so many bytes."""

    class Disk(io.RawIOBase):
        def __init__(self) -> None:
            self._data = path.read_bytes()[:after]

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            if not self._data:
                raise OSError(5, "Input/output error")
            data, self._data = self._data[: len(buffer)], self._data[len(buffer) :]
            buffer[: len(data)] = data
            return len(data)

    return File(path=path.name, evidence="case", root="", size=path.stat().st_size, opener=lambda: io.BufferedReader(Disk()), tails=())


def test_a_zip_that_is_none_is_named_and_its_neighbors_are_exported(case_folder, demo, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04" + random.Random(5).randbytes(3000))
    run = export([case_folder, tmp_path / "broken.zip"], tmp_path / "out")
    assert {document["event"]["id"] for document in demo.evidence} <= {document["event"]["id"] for document in run.evidence}
    assert run.report.dead_letters >= 1
    assert any("broken.zip" in letter["source"] for letter in run.letters)
    assert "broken.zip" in summary(run.report)
    assert exit_code(run.report, allow_dead=False) == exit_codes.DAMAGED


def test_a_member_that_is_corrupt_costs_itself_only(case_folder, tmp_path):
    archive = tmp_path / "case.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(case_folder.rglob("*")):
            if path.is_file():
                target.write(path, path.relative_to(case_folder).as_posix())
        (victim,) = [info for info in target.infolist() if info.filename.endswith(".log") and "WS-0142" in info.filename]
    data = bytearray(archive.read_bytes())
    start = victim.header_offset + 30 + len(victim.filename.encode()) + victim.compress_size // 2
    data[start : start + 64] = bytes(64)
    archive.write_bytes(data)
    run = export(archive, tmp_path / "out")
    assert {letter["source"] for letter in run.letters} == {victim.filename}
    assert all(file.counts.rejected == 0 for file in run.report.files if file.path != victim.filename)
    assert exit_code(run.report, allow_dead=False) == exit_codes.DAMAGED

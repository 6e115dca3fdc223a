"""A real file system without room, at every place that is written to: a clean stop that says so, and the same command completes later."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from exporter.correlator.spool import Spool
from exporter.correlator.store import Store
from exporter.errors import SinkUnavailable
from tests.cli.run import invoke
from tests.conftest import missing
from tests.correlator import build
from tests.evtx_logs import log_of
from tests.ingest.share import ids
from tests.line import FILES, Exported, objects
from tests.servers.fake_timesketch import PASSWORD, USER, FakeTimesketch

SIZE = 48 << 20
BLOCK = 4096
FILLER = "filler"


class Disk:
    """A mounted file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, room: int) -> None:
        """Fill it up to this many bytes."""
        self.free()
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        (self.folder / FILLER).write_bytes(bytes(max(free - room, 0)))

    def free(self) -> None:
        (self.folder / FILLER).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """What is on it."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file() and path.name != FILLER)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "none", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        missing("the right to mount a file system", "mount")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def damaged(case_folder: Path, tmp_path: Path) -> Path:
    """Evidence with a loss to explain."""
    folder = tmp_path / "damaged" / "WS-1" / "ProgramData" / "Microsoft" / "Windows Defender" / "Quarantine" / "Entries"
    folder.mkdir(parents=True)
    (folder / "{00000000-0000-0000-0000-000000000001}").write_bytes(b"no entry")
    return tmp_path / "damaged"


@pytest.fixture
def long_log(tmp_path: Path) -> Path:
    """An event log whose timeline is sorted on the disk."""
    (tmp_path / "long.evtx").write_bytes(log_of(4000))
    return tmp_path / "long.evtx"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., int]:
    def run(*arguments: object) -> int:
        return invoke(capsys, *arguments).code

    return run


def targets(folder: Path) -> list[object]:
    return [part for name, file in FILES.items() for part in ("--to", f"{name}:{folder / file}")]


@pytest.fixture
def whole(case_folder: Path, tmp_path: Path, run: Callable[..., int]) -> dict[str, bytes]:
    """The files of an undisturbed export."""
    (tmp_path / "whole").mkdir()
    assert run("export", case_folder, "--case", "T1", "--reproducible", *targets(tmp_path / "whole")) == exit_codes.COMPLETE
    return contents(tmp_path / "whole")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in FILES.values()}


@pytest.mark.parametrize("blocks", [0, 1, 8, 64, 100])
def test_outputs(disk: Disk, case_folder: Path, run: Callable[..., int], whole: dict[str, bytes], blocks: int) -> None:
    assert sum(map(len, whole.values())) > 100 * BLOCK
    command = ("export", case_folder, "--case", "T1", "--reproducible", *targets(disk.folder))
    disk.leave(blocks * BLOCK)
    assert run(*command) == exit_codes.UNAVAILABLE
    assert disk.names() == []
    disk.free()
    assert run(*command) == exit_codes.COMPLETE
    assert contents(disk.folder) == whole


@pytest.mark.parametrize("blocks", [0, 2, 16, 40, 60, 80])
def test_state(disk: Disk, case_folder: Path, tmp_path: Path, run: Callable[..., int], demo: Exported, blocks: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    night = ("ingest", case_folder, "--state", disk.folder / "state", "--case-from", "T1", "--settle", "0", "--reproducible")
    to = ("--to", f"ecs:{out / '{case}-{run}'}.ndjson")
    disk.leave(blocks * BLOCK)
    assert run(*night, *to) in (exit_codes.UNAVAILABLE, exit_codes.CONFIGURATION)
    disk.free()
    assert run(*night, *to) == exit_codes.COMPLETE
    assert run(*night, *to) == exit_codes.COMPLETE
    (file,) = out.iterdir()
    assert ids(objects(file)) == ids(demo.documents)
    assert run("state", "verify", disk.folder / "state") == exit_codes.COMPLETE


def test_sorting_of_timelines(disk: Disk, long_log: Path, tmp_path: Path, run: Callable[..., int]) -> None:
    out = tmp_path / FILES["timesketch"]
    command = ("export", long_log, "--case", "T1", "--to", f"timesketch:{out}", "--temporary", disk.folder)
    disk.leave(BLOCK)
    assert run(*command) == exit_codes.UNAVAILABLE
    assert not out.exists()
    disk.free()
    assert run(*command) == exit_codes.COMPLETE
    assert (len(out.read_bytes().splitlines()), disk.names()) == (4000, [])


def test_parts_of_a_timeline(disk: Disk, long_log: Path, run: Callable[..., int]) -> None:
    command = ("export", long_log, "--case", "T1", "--to", f"timesketch:{disk.folder / FILES['timesketch']}?part_lines=1000")
    disk.leave(3 << 20)
    assert run(*command) == exit_codes.UNAVAILABLE
    assert disk.names() == []
    disk.free()
    assert run(*command) == exit_codes.COMPLETE
    assert disk.names() == [*(f"case-{number:04}.jsonl" for number in range(1, 5)), "case-manifest.json"]


def test_dead_letters(disk: Disk, damaged: Path, tmp_path: Path, run: Callable[..., int]) -> None:
    letters = disk.folder / "dead.ndjson"
    command = ("export", damaged, "--case", "T1", "--to", f"ecs:{tmp_path / 'x.ndjson'}", "--dead-letters", letters)
    disk.leave(0)
    assert run(*command) == exit_codes.UNAVAILABLE
    assert not (tmp_path / "x.ndjson").exists()
    disk.free()
    letters.unlink(missing_ok=True)
    assert run(*command) == exit_codes.DAMAGED
    assert letters.read_bytes().count(b"\n") >= 1


def test_manifest(disk: Disk, case_folder: Path, tmp_path: Path, run: Callable[..., int]) -> None:
    command = ("export", case_folder, "--case", "T1", "--to", f"ecs:{tmp_path / 'x.ndjson'}", "--manifest", disk.folder / "run.json")
    disk.leave(0)
    assert run(*command) == exit_codes.UNAVAILABLE
    assert disk.names() == []
    disk.free()
    assert run(*command, "--force") == exit_codes.COMPLETE
    assert disk.names() == ["run.json"]


def test_metrics_cost_nothing_but_themselves(disk: Disk, case_folder: Path, tmp_path: Path, run: Callable[..., int]) -> None:
    metrics = disk.folder / "x.prom"
    metrics.write_text("before 1\n")
    (tmp_path / "out").mkdir()
    night = ("ingest", case_folder, "--state", tmp_path / "state", "--case-from", "T1", "--settle", "0", "--metrics", metrics)
    to = ("--to", f"ecs:{tmp_path / 'out' / '{run}.ndjson'}")
    disk.leave(0)
    assert run(*night, *to) == exit_codes.COMPLETE
    assert (metrics.read_text(), disk.names()) == ("before 1\n", ["x.prom"])
    disk.free()
    assert run(*night, *to) == exit_codes.COMPLETE
    assert "last_run_exit_code" in metrics.read_text()


def test_records_that_wait_for_their_incident(disk: Disk) -> None:
    record = build.record(build.detected(0))
    spool = Spool(disk.folder, memory_bytes=1)
    disk.leave(BLOCK)

    def fill() -> None:
        for _ in range(100):
            spool.add(record)

    with pytest.raises(SinkUnavailable, match="no room for temporary files"):
        fill()
    spool.close()


def test_incidents_that_wait_for_the_records_of_their_host(disk: Disk) -> None:
    store = Store(disk.folder, memory_bytes=1)
    disk.leave(BLOCK)

    def fill() -> None:
        places = [store.add(bytes(1000)) for _ in range(100)]
        assert [store.get(place) for place in places] == [bytes(1000)] * 100

    with pytest.raises(SinkUnavailable, match="no room for temporary files"):
        fill()
    store.close()


@pytest.mark.parametrize("blocks", [0, 1, 4, 30])
def test_spool_of_an_upload(
    disk: Disk, case_folder: Path, run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_USER", USER)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", PASSWORD)
    monkeypatch.chdir(tmp_path)
    with FakeTimesketch() as server:
        command = ("export", case_folder, "--case", "T1", "--to", f"timesketch:{server.address}?spool={disk.folder / 'spool'}")
        disk.leave(blocks * BLOCK)
        assert run(*command) in (exit_codes.UNAVAILABLE, exit_codes.CONFIGURATION)
        assert server.sources == []
        disk.free()
        assert run(*command) == exit_codes.COMPLETE
        assert len(set(server.all_rows)) == len(server.all_rows) > 0

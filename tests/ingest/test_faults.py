"""Killed at any moment, ended, out of disk, started twice: the next run makes it right, and nothing is lost or there twice.

`DEFENDER_EXPORTER_KILLS` says how often each kind of run is killed (10; CI 50; `make faults` 1,000).
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.cli import exit_codes
from tests.cli.run import command, start
from tests.conftest import missing
from tests.ingest.share import Share, delivered, evidence_ids, ids, ingester
from tests.line import FILES, export, objects

KILLS = int(os.environ.get("DEFENDER_EXPORTER_KILLS", "10"))
LIMITS = ("memory.max", "memory.limit_in_bytes")
"""Of version 2 and 1 of control groups."""
SUFFIXES = {"ecs": "ndjson", "timesketch": "jsonl", "l2tcsv": "csv"}
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from exporter.cli import main
main()
"""


def ingest_command(folder: Path, *more: object) -> list[str]:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    targets = [part for name, suffix in SUFFIXES.items() for part in ("--to", f"{name}:{out / '{case}-{run}'}.{suffix}")]
    given = ("--state", folder / "state", "--case-from", "T1", "--settle", "0", "--reproducible", *targets, *more)
    return command("ingest", folder / "share", *given)


def export_command(evidence: Path, folder: Path, *more: object) -> list[str]:
    targets = [part for name, file in FILES.items() for part in ("--to", f"{name}:{folder / file}")]
    return command("export", evidence, "--case", "T1", "--reproducible", *targets, *more)


def finished(arguments: list[str], folder: Path) -> int:
    """The exit code of a run that nobody disturbs."""
    process = start(arguments, folder)
    process.communicate()
    return process.returncode


def duration(arguments: list[str], folder: Path) -> float:
    """How long it takes here and now."""
    began = time.monotonic()
    assert finished(arguments, folder) == 0
    return time.monotonic() - began


def killed(arguments: list[str], folder: Path, after: float) -> int:
    process = start(arguments, folder)
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode


def contents(folder: Path) -> list[bytes]:
    """The outputs, whatever their runs were called."""
    return sorted(path.read_bytes() for path in folder.iterdir() if path.suffix[1:] in SUFFIXES.values() and "dead" not in path.name)


def test_an_ingest_killed_at_any_moment_writes_the_same_bytes_in_the_end(share: Share, tmp_path: Path) -> None:
    for host in share.hosts:
        share.show(host)
    arguments = ingest_command(tmp_path)
    whole = duration(arguments, tmp_path)
    undisturbed = contents(tmp_path / "out")
    dice = random.Random(1)
    for _ in range(KILLS):
        shutil.rmtree(tmp_path / "out")
        shutil.rmtree(tmp_path / "state")
        (tmp_path / "out").mkdir()
        for _ in range(dice.choice((1, 1, 2))):
            killed(arguments, tmp_path, dice.uniform(0.3, 1.1) * whole)
        assert finished(arguments, tmp_path) == 0
        assert contents(tmp_path / "out") == undisturbed
        assert len(list((tmp_path / "out").iterdir())) == len(SUFFIXES)


def test_nights_that_are_killed_lose_nothing_and_write_nothing_twice(share: Share, tmp_path: Path) -> None:
    grown, packed = share.hosts
    arguments = ingest_command(tmp_path)
    share.show(grown, 0.2)
    whole = duration(arguments, tmp_path)
    dice = random.Random(2)
    for number in range(1, KILLS + 1):
        share.show(grown, 0.2 + 0.8 * number / KILLS)
        if number % 4 == 0:
            share.zip(packed, f"{number}.zip", number / KILLS)
        killed(arguments, tmp_path, dice.uniform(0.3, 1.5) * whole)
    assert finished(arguments, tmp_path) in (exit_codes.COMPLETE, exit_codes.DAMAGED)
    documents = delivered(tmp_path / "out")
    assert max(ids(documents).values()) == 1
    assert evidence_ids(documents).keys() == evidence_ids(export(sorted(share.folder.iterdir()), tmp_path / "once").documents).keys()
    assert finished(command("state", "verify", tmp_path / "state"), tmp_path) == 0
    assert not list((tmp_path / "out").glob("*.part"))


def test_an_export_killed_at_any_moment_and_resumed_writes_the_same_bytes(share: Share, tmp_path: Path) -> None:
    evidence = share.whole
    plain, out = tmp_path / "plain", tmp_path / "out"
    plain.mkdir()
    whole = duration(export_command(evidence, plain), tmp_path)
    arguments = export_command(evidence, out, "--state", tmp_path / "state", "--resume")
    dice = random.Random(3)
    for _ in range(KILLS):
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        out.mkdir()
        killed(arguments, tmp_path, dice.uniform(0.3, 1.2) * whole)
        assert finished(arguments, tmp_path) == 0
        assert contents(out) == contents(plain)
        assert sorted(path.name for path in out.iterdir()) == sorted(FILES.values())


def test_a_resumed_export_that_was_complete_writes_nothing(share: Share, tmp_path: Path) -> None:
    arguments = export_command(share.whole, tmp_path, "--state", tmp_path / "state", "--resume")
    assert finished(arguments, tmp_path) == 0
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.is_file()}
    assert finished(arguments, tmp_path) == 0
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_resumed_export_does_not_replace_files_that_are_not_its_own(share: Share, tmp_path: Path) -> None:
    (tmp_path / FILES["ecs"]).write_text("mine", "utf-8")
    arguments = export_command(share.whole, tmp_path, "--state", tmp_path / "state", "--resume")
    assert finished(arguments, tmp_path) == exit_codes.CONFIGURATION
    assert finished(arguments, tmp_path) == exit_codes.CONFIGURATION
    assert (tmp_path / FILES["ecs"]).read_text("utf-8") == "mine"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("kind", ["ingest", "export"])
def test_a_run_that_is_told_to_end_ends_at_once_and_is_done_again(share: Share, tmp_path: Path, kind: str) -> None:
    """200 signals for 1,000 kills; the one before Python listens ends it as signals do."""
    for host in share.hosts:
        share.show(host)
    out, dice = tmp_path / "out", random.Random(4)
    export_arguments = export_command(share.whole, out, "--state", tmp_path / "state", "--resume")
    arguments = ingest_command(tmp_path) if kind == "ingest" else export_arguments
    out.mkdir(exist_ok=True)
    whole = duration(arguments, tmp_path)
    undisturbed = contents(out)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) * max(1, KILLS // 30):
        shutil.rmtree(out)
        shutil.rmtree(tmp_path / "state")
        out.mkdir()
        process = start(arguments, tmp_path)
        time.sleep(dice.uniform(0.3, 1.0) * whole)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode in (128 + number, exit_codes.COMPLETE, -number, 1)
        whole_ones = all(content in undisturbed for content in contents(out))
        assert whole_ones or process.returncode == exit_codes.COMPLETE or _is_announced(tmp_path)
        assert finished(arguments, tmp_path) == 0
        assert contents(out) == undisturbed


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group whose memory can be limited."""
    group = Path("/sys/fs/cgroup") / ("" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "memory") / f"exporter-{os.getpid()}"
    try:
        group.mkdir()
        if not any((group / name).exists() for name in LIMITS):
            raise OSError
    except OSError:
        missing("a control group of ours with a limit of memory", "memory group")
    yield group
    group.rmdir()


def test_a_run_that_the_system_kills_for_its_memory_is_done_again(share: Share, tmp_path: Path, memory_group: Path) -> None:
    for host in share.hosts:
        share.show(host)
    arguments = ingest_command(tmp_path)
    assert finished(arguments, tmp_path) == 0
    undisturbed = contents(tmp_path / "out")
    codes = []
    for megabytes in (12, 20, 26, 30):
        shutil.rmtree(tmp_path / "out")
        shutil.rmtree(tmp_path / "state")
        (tmp_path / "out").mkdir()
        (limit,) = [memory_group / name for name in LIMITS if (memory_group / name).exists()]
        limit.write_text(str(megabytes << 20))
        inside = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(memory_group), *arguments]
        codes.append(finished(inside, tmp_path))
        assert codes[-1] in (-signal.SIGKILL, exit_codes.COMPLETE)
        assert finished(arguments, tmp_path) == 0
        assert contents(tmp_path / "out") == undisturbed
    assert -signal.SIGKILL in codes


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_log_that_nobody_reads_does_not_stop_the_delivery(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    process = start(ingest_command(tmp_path, "--log-format", "json"), tmp_path)
    process.stderr.close()
    process.stdout.read()
    process.stdout.close()
    process.wait()
    assert process.returncode == 0
    assert delivered(tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("limit", [0, 70_000, 300_000])
def test_a_full_disk_at_any_write_stops_cleanly_and_the_next_run_completes(share: Share, tmp_path: Path, limit: int) -> None:
    for host in share.hosts:
        share.show(host)
    arguments = ingest_command(tmp_path)
    limited = [sys.executable, "-c", LIMITED, str(limit), *arguments[3:]]
    assert finished(limited, tmp_path) in (exit_codes.UNAVAILABLE, exit_codes.CONFIGURATION)
    assert not contents(tmp_path / "out") or _is_announced(tmp_path)
    assert finished(arguments, tmp_path) == 0
    documents = delivered(tmp_path / "out")
    assert ids(documents) == ids(export(sorted(share.folder.iterdir()), tmp_path / "once", sinks=("ecs",)).documents)
    assert len(contents(tmp_path / "out")) == len(SUFFIXES)


def _is_announced(folder: Path) -> bool:
    """Files of a delivery that could not be noted as complete are the next run's to replace."""
    from contextlib import closing

    from exporter.state.checkpoint import State

    with closing(State(folder / "state")) as state:
        return state.unfinished() is not None


@pytest.mark.parametrize("number", [2, 20])
def test_of_overlapping_runs_one_works_and_the_others_say_so(share: Share, tmp_path: Path, number: int) -> None:
    share.show(share.hosts[0])
    arguments = ingest_command(tmp_path, "--settle", f"{4 + number}s")
    processes = [start(arguments, tmp_path) for _ in range(number)]
    codes = [_code(process) for process in processes]
    assert exit_codes.COMPLETE in codes
    assert codes.count(exit_codes.LOCKED) >= number // 2
    assert set(codes) <= {exit_codes.COMPLETE, exit_codes.LOCKED}
    assert max(ids(delivered(tmp_path / "out")).values()) == 1


def _code(process: subprocess.Popen[bytes]) -> int:
    process.communicate()
    return process.returncode


def test_while_a_run_holds_the_state_every_other_is_told_and_the_next_works(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    arguments = ingest_command(tmp_path)
    with ingester(share.folder):
        assert [finished(arguments, tmp_path) for _ in range(2)] == [exit_codes.LOCKED] * 2
    targets = ("--to", f"ecs:{tmp_path / 'out' / '{run}.ndjson'}")
    other = command("ingest", share.folder, "--state", tmp_path / "other", "--case-from", "T1", "--settle", "0", *targets)
    assert finished(other, tmp_path) == 0


def test_a_lock_of_a_killed_run_is_free(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    arguments = ingest_command(tmp_path, "--settle", "60s")
    process = start(arguments, tmp_path)
    _wait_until(
        lambda: (tmp_path / "state" / "state.sqlite").exists() and finished(ingest_command(tmp_path), tmp_path) == exit_codes.LOCKED
    )
    process.kill()
    process.communicate()
    assert finished(ingest_command(tmp_path), tmp_path) == 0
    assert delivered(tmp_path / "out")


def _wait_until(true: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_outputs_of_all_tests_are_whole_lines(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    assert finished(ingest_command(tmp_path), tmp_path) == 0
    assert objects(next((tmp_path / "out").glob("*.jsonl")))

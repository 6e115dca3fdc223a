"""Processes that crash, hang or are killed cost at most the host that they read; a batch that is killed goes on where it was.

`DEFENDER_EXPORTER_SCALE` says how many hosts there are (150; `make scale` 1,000 and 10,000).
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from tests.batch.hosts import write_bombs, write_hosts
from tests.batch.runs import SECONDS, batch, outputs, results, run
from tests.cli.run import start
from tests.line import FILES

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
procfs = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find processes in")
HOSTS = int(os.environ.get("DEFENDER_EXPORTER_SCALE", "150"))
HANG_LIMIT = 15
LIMITED = """
if __name__ == "__main__":
    import resource, sys
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
    from exporter.cli import main
    main()
"""


def children(parent: int) -> list[int]:
    """The processes that a batch has started, by /proc."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = place.read_text().rpartition(")")
            if int(rest.split()[1]) == parent and b"spawn_main" in (place.parent / "cmdline").read_bytes():
                found.append(int(name.split()[0]))
    return found


def alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def memory_mb(process: int) -> float:
    """Resident memory of a process."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return 0.0


@posix
def test_a_host_that_crashes_or_hangs_is_explained_and_costs_itself(models: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    write_hosts(share, models, 6)
    assert run(share, tmp_path / "good", bombs=True)[0] == exit_codes.COMPLETE
    write_bombs(share, tmp_path)
    code, out, err = run(share, tmp_path / "out", "--jobs", 2, "--hang-limit", HANG_LIMIT, "--results", "-", bombs=True)
    assert code == exit_codes.DAMAGED, err
    told = {line["host"]: line for line in results(out)}
    assert len(told) == len(results(out)) == 6 + 3
    assert told["X-CRASH"]["reasons"] == ["the process that read it died 2 times: signal 9"]
    assert told["X-HANG"]["reasons"] == [f"given up: it was not read on for {HANG_LIMIT} seconds"]
    assert told["X-ONCE"]["state"] == "complete"
    assert {name for name, line in told.items() if line["state"] == "failed"} == {"X-CRASH", "X-HANG"}
    for name in ("timesketch", "l2tcsv"):
        assert (tmp_path / "out" / FILES[name]).read_bytes() == (tmp_path / "good" / FILES[name]).read_bytes()


@pytest.fixture(scope="module")
def many(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Very many hosts."""
    folder = tmp_path_factory.mktemp("many")
    write_hosts(folder, models, HOSTS)
    return folder


@pytest.fixture(scope="module")
def undisturbed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process writes of them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, out, err = run(many, folder, "--jobs", 1, "--results", "-")
    assert code == exit_codes.DAMAGED, err
    states = [line["state"] for line in results(out)]
    assert (len(states), states.count("complete")) == (HOSTS, HOSTS - HOSTS // 20)
    return outputs(folder)


@posix
@procfs
def test_processes_killed_at_random_cost_nothing(many: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    dice, kills, told = random.Random(4), min(20, HOSTS // 15), tmp_path / "results"
    process = start(batch(many, tmp_path / "out", "--jobs", 2, "--results", told), tmp_path)
    for number in range(kills):
        _wait_for_lines(told, number * HOSTS // (kills + 1) + 1, process)
        time.sleep(dice.uniform(0, 0.3))
        if working := children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(working), signal.SIGKILL)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == exit_codes.DAMAGED, err
    if b"died 2 times" in err:  # two of the kills met one host
        assert run(many, tmp_path / "out", "--retry-failed")[0] == exit_codes.DAMAGED
    assert outputs(tmp_path / "out") == undisturbed


@posix
@procfs
def test_a_batch_killed_again_and_again_goes_on_and_writes_the_same(many: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """The number of processes changes from run to run, and none of them outlives its parent."""
    dice, done = random.Random(5), 0
    for number in range(min(10, HOSTS // 30)):
        process = start(batch(many, tmp_path / "out", "--jobs", 1 + number % 2, "--resume", "--results", tmp_path / "results"), tmp_path)
        _wait_for_lines(tmp_path / "results", done + dice.randint(1, HOSTS // 20), process)
        orphans = children(process.pid)
        process.kill()
        process.communicate()
        done = len((tmp_path / "results").read_bytes().splitlines()) if (tmp_path / "results").exists() else 0
        _wait_until_gone(orphans)
    code, _, err = run(many, tmp_path / "out", "--jobs", 2, "--resume", "--results", tmp_path / "results")
    assert code == exit_codes.DAMAGED, err
    assert outputs(tmp_path / "out") == undisturbed
    lines = results((tmp_path / "results").read_text("utf-8"))
    assert len(lines) == len({line["id"] for line in lines}) == HOSTS
    assert len(list((tmp_path / "out/state/work/parts").glob("*/*"))) == HOSTS, "killed processes leave nothing behind"


def _wait_for_lines(path: Path, number: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        if path.exists() and len(path.read_bytes().splitlines()) >= number:
            return
        time.sleep(max(0.02, HOSTS / 50_000))


def _wait_until_gone(processes: list[int]) -> None:
    end = time.monotonic() + 30
    while any(map(alive, processes)):
        assert time.monotonic() < end, "a process outlived its parent"
        time.sleep(0.05)


@posix
@procfs
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, exit_codes.INTERRUPTED)])
def test_a_batch_that_is_told_to_end_takes_its_processes_with_it_and_goes_on(share: Path, tmp_path: Path, number: int, code: int) -> None:
    process = start(batch(share, tmp_path / "out", "--jobs", 2, "--results", tmp_path / "results"), tmp_path)
    _wait_for_lines(tmp_path / "results", 2, process)
    started = children(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    assert b"Traceback" not in err
    assert not any(map(alive, started))
    assert not list((tmp_path / "out").glob("*.part"))
    assert not outputs(tmp_path / "out")
    assert run(share, tmp_path / "out", "--resume")[0] == exit_codes.DAMAGED


@procfs
def test_the_memory_of_a_batch_does_not_grow_with_its_hosts(many: Path, tmp_path: Path) -> None:
    process = start(batch(many, tmp_path / "out", "--jobs", 2, "--results", tmp_path / "results"), tmp_path)
    peaks = list(_memory(process, tmp_path / "results"))
    process.communicate()
    assert process.returncode == exit_codes.DAMAGED
    assert max(peaks) - peaks[0] < 60


def _memory(process: subprocess.Popen[bytes], results_file: Path) -> Iterator[float]:
    """From the first host on."""
    _wait_for_lines(results_file, 1, process)
    while process.poll() is None:
        if now := memory_mb(process.pid):
            yield now
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("limit", [3_000, 60_000, 150_000])
def test_a_full_disk_stops_the_batch_and_the_next_run_completes(few: Path, tmp_path: Path, limit: int) -> None:
    program = tmp_path / "limited.py"
    program.write_text(LIMITED, "utf-8")
    words = [sys.executable, str(program), str(limit), *batch(few, tmp_path / "out", "--jobs", 2)[3:]]
    process = start(words, tmp_path)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == exit_codes.UNAVAILABLE, err
    assert b"Traceback" not in err
    assert not outputs(tmp_path / "out").keys() & {FILES["timesketch"], FILES["l2tcsv"]}
    assert run(few, tmp_path / "out", "--resume")[0] == exit_codes.COMPLETE
    assert run(few, tmp_path / "whole")[0] == exit_codes.COMPLETE
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_processes_that_do_not_start_are_no_fault_of_the_hosts(few: Path, tmp_path: Path) -> None:
    program = tmp_path / "unfit.py"
    program.write_text('if __name__ != "__main__":\n    raise SystemExit(7)\nfrom exporter.cli import main\nmain()\n', "utf-8")
    process = start([sys.executable, str(program), *batch(few, tmp_path / "out", "--jobs", 2)[3:]], tmp_path)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == exit_codes.CONFIGURATION
    assert b"the processes that read hosts do not start: exit code 7" in err
    code, out, _ = run(few, tmp_path / "out", "--resume", "--results", "-")
    assert (code, len(results(out))) == (exit_codes.COMPLETE, 8)


def test_of_two_batches_on_one_state_one_is_told(few: Path, tmp_path: Path) -> None:
    from exporter.state.lock import Lock

    (tmp_path / "out" / "state").mkdir(parents=True)
    with Lock(tmp_path / "out" / "state"):
        assert run(few, tmp_path / "out")[0] == exit_codes.LOCKED
    assert run(few, tmp_path / "out")[0] == exit_codes.COMPLETE
    shutil.rmtree(tmp_path / "out")

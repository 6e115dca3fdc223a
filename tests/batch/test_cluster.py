"""The Dask runner: the same bytes as one process writes, whoever of the cluster dies."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporter import __version__
from exporter.batch.cluster import work_elsewhere
from exporter.cli import exit_codes
from tests.batch.hosts import write_hosts, write_models
from tests.batch.runs import outputs, results, targets
from tests.cli.run import ENVIRONMENT, command
from tests.conftest import missing
from tests.servers.certificates import Authority

HOSTS = 40
CRASH = """
import os, signal, sys
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and "HOST-0004" in arguments[0] and "multiprocessing" in " ".join(sys.orig_argv):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""
"""A `sitecustomize` that ends a worker when it opens a file of one host."""


@pytest.fixture(scope="module", autouse=True)
def _there() -> None:
    if find_spec("distributed") is None:
        missing("the extra `cluster`", "cluster")


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Collections of a few dozen hosts, every twentieth broken."""
    folder = tmp_path_factory.mktemp("cluster")
    write_models(folder / "models")
    write_hosts(folder / "hosts", folder / "models", HOSTS)
    return folder / "hosts"


def arguments(share: Path, folder: Path, *more: object) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    given = ("--evidence", share / "*", "--case", "T1", "--state", folder / "state", "--reproducible", *targets(folder))
    return command("batch", *given, "--results", "-", *more)


def begin(share: Path, folder: Path, *more: object, path: Path | None = None) -> subprocess.Popen[bytes]:
    """A batch as a process, whose first place for modules is `path`."""
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{path}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"} if path else ENVIRONMENT
    return subprocess.Popen(arguments(share, folder, *more), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Ended(NamedTuple):
    code: int
    lines: list[dict[str, Any]]
    talk: str


def end(process: subprocess.Popen[bytes]) -> Ended:
    out, talk = process.communicate(timeout=300)
    return Ended(process.returncode, results(out.decode()), talk.decode())


@pytest.fixture(scope="module")
def undisturbed(share: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one local process writes."""
    folder = tmp_path_factory.mktemp("local")
    assert end(begin(share, folder)).code == exit_codes.DAMAGED
    return outputs(folder)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The workers of a cluster that a batch started."""
    import psutil

    try:
        found = psutil.Process(process.pid).children(recursive=True)
        return [child.pid for child in found if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def finished(folder: Path) -> int:
    return len(list((folder / "state" / "work" / "hosts").glob("*/*.json")))


def wait_until(true: Callable[[], object], process: subprocess.Popen[bytes] | None = None) -> None:
    """Until it is true, or the process has ended."""
    for _ in range(3000):
        if true() or (process is not None and process.poll() is not None):
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_a_cluster_of_this_machine_writes_the_same_bytes_and_each_host_once(share, undisturbed, tmp_path):
    ended = end(begin(share, tmp_path, "--runner", "dask", "--jobs", 2))
    assert ended.code == exit_codes.DAMAGED, ended.talk
    assert outputs(tmp_path) == undisturbed
    assert len({line["id"] for line in ended.lines}) == len(ended.lines) == HOSTS


def test_killed_workers_cost_nothing_that_was_done(share, undisturbed, tmp_path):
    process = begin(share, tmp_path, "--runner", "dask", "--jobs", 2)
    chance = random.Random(5)
    for number in (3, 10, 20):
        wait_until(lambda: finished(tmp_path) >= number and children(process), process)  # noqa: B023 (called before it changes)
        for worker in chance.sample(children(process), 1):
            os.kill(worker, signal.SIGKILL)
    ended = end(process)
    assert ended.code == exit_codes.DAMAGED, ended.talk
    assert outputs(tmp_path) == undisturbed
    assert len({line["id"] for line in ended.lines}) == len(ended.lines) == HOSTS


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_host_that_kills_its_workers_fails_and_costs_no_other(share, tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(CRASH)
    ended = end(begin(share, tmp_path / "out", "--runner", "dask", "--jobs", 2, path=tmp_path / "modules"))
    assert ended.code == exit_codes.DAMAGED, ended.talk
    assert [line["host"] for line in ended.lines if line["state"] == "failed"] == ["HOST-0004"]
    assert len(ended.lines) == HOSTS


def test_a_killed_batch_leaves_no_worker_and_goes_on_with_another_runner(share, undisturbed, tmp_path):
    process = begin(share, tmp_path, "--runner", "dask", "--jobs", 2)
    wait_until(lambda: finished(tmp_path) >= 5, process)
    workers = children(process)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(alive, workers)))
    ended = end(begin(share, tmp_path, "--resume"))
    assert outputs(tmp_path) == undisturbed
    assert len(ended.lines) <= HOSTS - 5


def alive(number: int) -> bool:
    import psutil

    return psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE


class Cluster(NamedTuple):
    """A scheduler and a worker in processes of their own, as on other machines."""

    address: str
    scheduler: subprocess.Popen[bytes]
    tls: tuple[object, ...]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose members know each other by certificates."""
    made = Authority(tmp_path, "authority")
    node = made.issue("node")
    files = ("--tls-ca-file", made.path, "--tls-cert", node, "--tls-key", node)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tls://127.0.0.1:{port}"
    places = ("--host", "127.0.0.1", "--port", port, "--no-dashboard")
    scheduler = member(tmp_path, "dask_scheduler", *places, *files)
    workers = ("--nworkers", 2, "--nthreads", 1, "--no-dashboard", "--local-directory", tmp_path)
    worker = member(tmp_path, "dask_worker", address, *files, *workers)
    yield Cluster(address, scheduler, ("--tls-ca", made.path, "--tls-cert", node, "--tls-key", node))
    for process in (worker, scheduler):
        process.terminate()
    for process in (worker, scheduler):
        process.communicate(timeout=60)


def member(folder: Path, module: str, *given: object) -> subprocess.Popen[bytes]:
    log = (folder / f"{module}.log").open("wb")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *map(str, given)], cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log
        )


def test_an_existing_cluster_is_used_over_tls_and_nobody_else_is_let_in(share, undisturbed, tmp_path, cluster):
    ended = end(begin(share, tmp_path / "out", "--runner", "dask", "--scheduler", cluster.address, *cluster.tls))
    assert ended.code == exit_codes.DAMAGED, ended.talk
    assert outputs(tmp_path / "out") == undisturbed
    own = Authority(tmp_path, "own").issue("stranger")
    theirs = ("--tls-ca", cluster.tls[1], "--tls-cert", own, "--tls-key", own)
    refused = end(begin(share, tmp_path / "none", "--runner", "dask", "--scheduler", cluster.address, *theirs))
    assert (refused.code, refused.lines) == (exit_codes.CONFIGURATION, [])
    assert "Traceback" not in refused.talk


def test_when_the_scheduler_dies_the_batch_stops_and_goes_on_elsewhere(share, undisturbed, tmp_path, cluster):
    folder = tmp_path / "out"
    process = begin(share, folder, "--runner", "dask", "--scheduler", cluster.address, *cluster.tls)
    wait_until(lambda: finished(folder) >= 5, process)
    cluster.scheduler.kill()
    ended = end(process)
    assert ended.code == exit_codes.UNAVAILABLE, ended.talk
    assert re.search(r"STOPPED .*Dask cluster", ended.talk)
    again = end(begin(share, folder, "--resume"))
    assert again.code == exit_codes.DAMAGED
    assert outputs(folder) == undisturbed


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--scheduler", "tcp://127.0.0.1:1"), "--insecure"),
        (("--scheduler", "tls://127.0.0.1:1"), "--tls-ca"),
    ],
)
def test_a_cluster_that_is_not_safe_or_whose_certificates_are_missing_is_refused(share, tmp_path, given, said):
    ended = end(begin(share, tmp_path, "--runner", "dask", *given))
    assert ended.code == exit_codes.CONFIGURATION
    assert said in ended.talk


def test_a_worker_of_another_version_does_nothing():
    with pytest.raises(RuntimeError, match="this worker has"):
        work_elsewhere(b"", f"{__version__}.other")

"""We are killed, or the server is, in the middle of an export or of a night: in the end every document is there once."""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.cli.run import command, start
from tests.evtx_logs import log_of
from tests.line import export
from tests.servers.node import Node

pytestmark = pytest.mark.servers
FULL = os.environ.get("DEFENDER_EXPORTER_FULL") == "1"
KILLS = 20 if FULL else 1
HOSTS, EVENTS, BATCH = (4, 500, 25) if FULL else (3, 200, 10)
SERVERS = os.environ.get("DEFENDER_EXPORTER_SERVERS", "opensearch3,elasticsearch9").split(",")
RUNS = (
    [(name, kind) for name in SERVERS for kind in ("export", "ingest")]
    if FULL
    else [("opensearch3", "ingest"), ("elasticsearch9", "export")]
)
LOG = "Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx"


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hosts with an event log each: servers acknowledge one after the other."""
    folder = tmp_path_factory.mktemp("evidence")
    for number in range(HOSTS):
        path = folder / f"WS-{number}" / LOG
        path.parent.mkdir(parents=True)
        path.write_bytes(log_of(EVENTS, computer=f"WS-{number}"))
    return folder


@pytest.fixture(scope="module")
def wanted(evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The ids of an undisturbed run."""
    documents = export(evidence, tmp_path_factory.mktemp("undisturbed"), sinks=("ecs",)).documents
    assert len(documents) == HOSTS * EVENTS
    return sorted(document["event"]["id"] for document in documents)


def arguments(kind: str, node: Node, evidence: Path, state: Path, index: str) -> list[str]:
    to = ("--to", node.target(index=index, batch_documents=BATCH), "--state", state)
    if kind == "export":
        return command("export", evidence, "--case", "T1", "--resume", "--progress", "none", *to)
    return command("ingest", evidence, "--case-from", "T1", "--settle", "0", *to)


def finished(process: subprocess.Popen[bytes]) -> int:
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    return process.returncode


def written(node: Node, index: str) -> int:
    """How many documents the index has taken since the server started, refreshed or not; 0 while there is none."""
    reply = node.request("GET", f"/{index}/_stats/indexing?filter_path=_all.primaries.indexing.index_total")
    digits = "".join(letter for letter in reply.body.decode() if letter.isdigit())
    return int(digits) if reply.status == 200 and digits else 0


def wait_for(node: Node, index: str, number: int, process: subprocess.Popen[bytes]) -> None:
    """Until so many are there, or the run has ended."""
    while process.poll() is None and written(node, index) < number:
        time.sleep(0.002)


Runs: TypeAlias = Iterator[tuple[str, list[str], subprocess.Popen[bytes]]]


@pytest.fixture
def going_on(evidence: Path, wanted: list[str], tmp_path: Path) -> Callable[[Node, str, str], Runs]:
    """Runs of a kind, one after the other, each with its index and command when some of its documents are there."""

    def runs(server: Node, kind: str, purpose: str) -> Runs:
        dice = random.Random(purpose)
        for number in range(KILLS):
            index = f"{purpose}-{kind}-{number}"
            run = arguments(kind, server, evidence, tmp_path / index, index)
            process = start(run, tmp_path)
            wait_for(server, index, dice.randrange(1, len(wanted) // 2), process)
            yield index, run, process

    return runs


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_a_run_that_is_killed_while_it_sends_brings_every_document_once_in_the_end(
    nodes: Callable[[str], Node], going_on: Callable[[Node, str, str], Runs], wanted: list[str], tmp_path: Path, name: str, kind: str
):
    server, in_the_middle = nodes(name), 0
    for index, run, process in going_on(server, kind, "killed"):
        process.kill()
        process.communicate()
        in_the_middle += 0 < written(server, index) < len(wanted)
        for _ in range(2):
            finished(start(run, tmp_path))
            assert server.ids(index) == wanted
    assert in_the_middle, "no kill came in the middle"


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_a_run_whose_server_is_killed_in_mid_bulk_and_comes_back_brings_every_document_once(
    nodes: Callable[[str], Node], going_on: Callable[[Node, str, str], Runs], wanted: list[str], tmp_path: Path, name: str, kind: str
):
    server, in_the_middle = nodes(name), 0
    for index, run, process in going_on(server, kind, "crashed"):
        server.stop(kill=True)
        in_the_middle += process.poll() is None
        server.start()
        finished(process)
        assert server.ids(index) == wanted
        finished(start(run, tmp_path))
        assert server.ids(index) == wanted
    assert in_the_middle, "no run was going on when the server was killed"

"""A real Timesketch: what we upload, what its own import client uploads of our files, and an upload that was killed."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import LockHeld, SinkRefused, SinkUnavailable
from exporter.sinks import timesketch_delivery
from exporter.sinks.runs import SortedRuns
from exporter.sinks.targets import SinkSettings, SinkTarget
from exporter.sinks.timesketch_delivery import Delivery, Destination
from exporter.sinks.timesketch_server import TimesketchServer
from exporter.sinks.timesketch_spool import fill
from exporter.state.lock import Lock
from tests.cli.run import ENVIRONMENT, command
from tests.conftest import missing
from tests.ingest.share import Share, night
from tests.line import FILES, Exported, export
from tests.peers.import_client import IMPORT

pytestmark = pytest.mark.servers
SAMPLES = ("evtx", "mplog", "quarantine", "detection_history", "etl")
SIGMA_NAMES = ("Path", "SourceName", "ThreatName", "NewValue", "OldValue", "Value", "ProcessName", "Feature_Name", "Reason")
START_SECONDS = 400
FULL = os.environ.get("DEFENDER_EXPORTER_FULL") == "1"


class Timesketch:
    """A running server."""

    def __init__(self, address: str, user: str, password: str, opensearch: str) -> None:
        self.address = address
        self.user = user
        self.password = password
        self.opensearch = opensearch
        self.unique = f"{time.time_ns():x}"  # a user's own server keeps what earlier runs put there

    @cached_property
    def server(self) -> TimesketchServer:
        """A connection that is logged in."""
        server = TimesketchServer(SinkTarget("timesketch", self.address), self.environment)
        server.login()
        return server

    @property
    def environment(self) -> dict[str, str]:
        return {"DEFENDER_EXPORTER_TIMESKETCH_USER": self.user, "DEFENDER_EXPORTER_TIMESKETCH_PASSWORD": self.password}

    def timeline(self, sketch: str, name: str) -> dict[str, Any]:
        """The one timeline of that name."""
        (number,) = self.server.sketches(sketch)
        (found,) = [timeline for timeline in self.server.timelines(number) if timeline["name"] == name]
        return {**found, "sketch": number}

    def count(self, timeline: dict[str, Any], query: str) -> int:
        """How many rows a query finds, as an analyst asks."""
        body = {"query": query, "filter": {"indices": [timeline["id"]]}, "count": True}
        return self.server.ask("POST", f"/sketches/{timeline['sketch']}/explore/", body)["meta"]["total_count"]

    def ids(self, timeline: dict[str, Any]) -> Counter[str]:
        """Rows by `event_id`, as the index has them."""
        url = f"{self.opensearch}/{timeline['searchindex']['index_name']}/_search"
        body = {
            "size": 0,
            "query": {"term": {"__ts_timeline_id": timeline["id"]}},
            "aggs": {"ids": {"terms": {"field": "event_id.keyword", "size": 20_000}}},
        }
        request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return Counter({one["key"]: one["doc_count"] for one in json.load(reply)["aggregations"]["ids"]["buckets"]})


@pytest.fixture(scope="session")
def timesketch(shared_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timesketch]:
    """One server for all tests: the kit's, or a user's own: `DEFENDER_EXPORTER_SERVER_TIMESKETCH="URL USER PASSWORD OPENSEARCH_URL"`."""
    if own := os.environ.get("DEFENDER_EXPORTER_SERVER_TIMESKETCH"):
        yield Timesketch(*own.split())
        return
    serve = shared_tools / "servers" / "serve-timesketch"
    if not serve.exists():
        missing(f"{serve}", "servers")
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    try:
        yield Timesketch(*joined(shared, serve))
    finally:
        left(shared, serve)


def joined(shared: Path, serve: Path) -> list[str]:
    """Address, user, password and index of the server that all workers of this run share; the first one starts it."""
    users = shared / "timesketch-users"
    with locked(shared):
        if not users.exists():
            start = [sys.executable, serve, "start", "--data", shared / "timesketch", "--opensearch", "opensearch3"]
            done = subprocess.run(start, capture_output=True, text=True, timeout=START_SECONDS, check=False)
            if done.returncode:
                missing(f"Timesketch does not start: {done.stderr.strip()[-500:]}", "servers")
            users.write_text(done.stdout)
        with users.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return users.read_text().splitlines()[0].split()


def left(shared: Path, serve: Path) -> None:
    """The last worker stops it."""
    users = shared / "timesketch-users"
    with locked(shared):
        lines = [line for line in users.read_text().splitlines() if line != str(os.getpid())] if users.exists() else []
        if len(lines) > 1:
            users.write_text("\n".join(lines) + "\n")
            return
        users.unlink(missing_ok=True)
        stop = [sys.executable, serve, "stop", "--data", shared / "timesketch"]
        subprocess.run(stop, capture_output=True, timeout=60, check=False)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for the other workers."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with Lock(folder):
                yield
                return
        except LockHeld:
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.fixture(autouse=True)
def credentials(timesketch: Timesketch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in timesketch.environment.items():
        monkeypatch.setenv(name, value)


def upload(timesketch: Timesketch, evidence: Path | list[Path], folder: Path, case: str) -> Exported:
    """Export to a file and to the server in one run; the rows of both are equal in number."""
    folder.mkdir(exist_ok=True)
    to = (f"timesketch:{folder / FILES['timesketch']}", f"timesketch:{timesketch.address}?spool={folder / 'spool'}")
    run = export(evidence, folder, to=to, case=case)
    assert run.report.stopped is None
    file, server = run.report.sinks
    assert server.counts == file.counts
    return run


def assert_found(timesketch: Timesketch, timeline: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    """Every row once; kinds, tags and Sigma's names are found as often as our lines have them."""
    assert timesketch.ids(timeline) == Counter(line["event_id"] for line in lines)
    asked = {f'data_type:"{kind}"': number for kind, number in Counter(line["data_type"] for line in lines).items()}
    asked |= {f'tag:"{tag}"': number for tag, number in Counter(tag for line in lines for tag in line.get("tag", ())).items()}
    asked |= {f"_exists_:{name}": sum(name in line for line in lines) for name in SIGMA_NAMES}
    asked |= {f'ThreatName:"{line["ThreatName"]}"': 0 for line in lines if "ThreatName" in line}
    for query in [query for query in asked if query.startswith("ThreatName:")]:
        asked[query] = sum(f'ThreatName:"{line.get("ThreatName")}"' == query for line in lines)
    assert {query: timesketch.count(timeline, query) for query in asked} == asked


def test_the_synthetic_case_arrives_whole_and_a_second_run_sends_nothing(timesketch: Timesketch, case_folder: Path, tmp_path: Path):
    case = f"Case {timesketch.unique}"
    run = upload(timesketch, case_folder, tmp_path / "1", case)
    timeline = timesketch.timeline(case, case)
    assert_found(timesketch, timeline, run.lines)
    assert any("ThreatName" in line for line in run.lines)
    again = export(case_folder, tmp_path / "2", to=(f"timesketch:{timesketch.address}?spool={tmp_path / '2'}",), case=case)
    counts = again.report.sinks[0].counts
    assert (counts.written, counts.duplicate, again.report.stopped) == (0, run.report.sinks[1].counts.written, None)
    assert len(timesketch.timeline(case, case)["datasources"]) == 1


@pytest.mark.real_data
def test_the_real_samples_arrive_whole(timesketch: Timesketch, shared_data: Path, tmp_path: Path):
    case = f"real {timesketch.unique}"
    run = upload(timesketch, [shared_data / name for name in SAMPLES], tmp_path, case)
    assert len(run.lines) > 200
    assert_found(timesketch, timesketch.timeline(case, case), run.lines)


@pytest.mark.peers
@pytest.mark.real_data
@pytest.mark.parametrize("source", ["synthetic", "real"])
def test_its_own_import_client_uploads_the_same_rows_from_our_file(
    timesketch: Timesketch, peer, demo: Exported, shared_data: Path, tmp_path: Path, source: str
):
    run = demo if source == "synthetic" else export([shared_data / name for name in SAMPLES], tmp_path, sinks=["timesketch"])
    sketch = f"by hand {source} {timesketch.unique}"
    number = timesketch.server.create_sketch(sketch)
    arguments = [timesketch.address, timesketch.user, timesketch.password, number, source, run.folder / FILES["timesketch"]]
    program = [peer("timesketch-client"), "-W", "ignore", "-c", IMPORT, *map(str, arguments)]
    subprocess.run(program, check=True, capture_output=True, timeout=120)
    timeline = ready(timesketch, sketch, source, len(run.lines))
    assert_found(timesketch, timeline, run.lines)


def ready(timesketch: Timesketch, sketch: str, name: str, rows: int) -> dict[str, Any]:
    """The timeline, once it has that many rows."""
    for _ in range(120):
        timeline = timesketch.timeline(sketch, name)
        if timeline["status"][0]["status"] == "ready" and timesketch.count(timeline, "*") >= rows:
            return timeline
        time.sleep(0.5)
    raise AssertionError(f"{name} is not complete")


@pytest.mark.parametrize("state", ["sending", "accepted"] if FULL else ["sending"])
def test_an_upload_that_was_killed_resumes_to_the_exact_rows(
    timesketch: Timesketch, case_folder: Path, tmp_path: Path, state: str, monkeypatch
):
    sketch = f"killed-{state}-{timesketch.unique}"
    to = f"timesketch:{timesketch.address}?spool={tmp_path}&sketch={sketch}&part_lines=60"
    with subprocess.Popen(
        command("export", case_folder, "--case", "K1", "--to", to),
        env={**ENVIRONMENT, **timesketch.environment},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        try:
            parts = wait_for(tmp_path, state)
        finally:
            run.kill()
    assert any(part["state"] != "accepted" for part in parts), "killed in the middle"
    monkeypatch.setattr(timesketch_delivery, "SETTLE_SECONDS", 5.0)
    resumed = export(case_folder, tmp_path / "again", to=(to, f"timesketch:{tmp_path / 'again' / FILES['timesketch']}"), case="K1")
    assert resumed.report.stopped is None
    assert_found(timesketch, timesketch.timeline(sketch, "K1"), resumed.lines)


@pytest.mark.parametrize("grown", [False, True], ids=["same share", "grown share"])
def test_a_night_that_failed_in_its_upload_leaves_one_whole_timeline(timesketch: Timesketch, tmp_path: Path, monkeypatch, grown: bool):
    sketch = f"nights-{grown}-{timesketch.unique}"
    to = (f"timesketch:{timesketch.address}?sketch={sketch}&timeline={{case}}-{{run}}&part_lines=30",)
    share = Share(tmp_path / "share", monkeypatch)
    share.show(share.hosts[0], 0.5 if grown else 1.0)
    real = TimesketchServer.upload

    def refuse_the_second(self: TimesketchServer, fields: dict[str, str], name: str, piece: bytes) -> dict[str, Any]:
        if name.endswith("-0002.jsonl"):
            raise SinkRefused("no")
        return real(self, fields, name, piece)

    with monkeypatch.context() as patch:
        patch.setattr(TimesketchServer, "upload", refuse_the_second)
        with pytest.raises(SinkRefused):
            night(share.folder, to=to)
    (number,) = timesketch.server.sketches(sketch)
    (half,) = timesketch.server.timelines(number)
    share.show(share.hosts[0])
    night(share.folder, to=to)
    (whole,) = timesketch.server.timelines(number)
    assert (whole["id"] == half["id"], whole["name"] == half["name"]) == (not grown, True)
    lines = export(sorted(share.folder.iterdir()), tmp_path / "once", sinks=("timesketch",)).lines
    assert_found(timesketch, {**whole, "sketch": number}, lines)
    body = {"query": "*", "filter": {"indices": ["_all"]}, "count": True}
    assert timesketch.server.ask("POST", f"/sketches/{number}/explore/", body)["meta"]["total_count"] == len(lines)


def wait_for(spool: Path, state: str) -> list[dict[str, Any]]:
    """The parts of the journal, once the second is in this state."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for journal in spool.glob("*/*/upload.json"):
            parts: list[dict[str, Any]] = json.loads(journal.read_bytes())["parts"]
            if parts[1]["state"] == state:
                return parts
        time.sleep(0.002)
    raise AssertionError(f"no part was ever {state}")


def test_a_mapping_conflict_is_not_complete(timesketch: Timesketch, tmp_path: Path):
    row = {"message": "m", "datetime": "2026-01-01T00:00:00.000000+00:00", "timestamp": 1767225600000000, "timestamp_desc": "x"}
    runs = SortedRuns(tmp_path)
    for key, value in ((b"1", 1), (b"2", "no number")):
        runs.add(key, json.dumps({**row, "n": value}).encode() + b"\n")
    spool = fill(tmp_path, runs.blocks(), (1 << 20, 10), timesketch.address, "conflict")
    with pytest.raises(SinkUnavailable, match="1 out of 2 events imported"):
        Delivery(timesketch.server, Destination(f"conflict {timesketch.unique}", "conflict"), SinkSettings(), 60).deliver(spool)
    assert not spool.journal.complete

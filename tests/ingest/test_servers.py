"""Servers acknowledge as they go: the checkpoint follows them host by host, and what they have is neither lost nor there twice."""

import json
from pathlib import Path

import pytest

from exporter.cli.progress import Silent
from exporter.errors import SinkRefused, SinkUnavailable
from exporter.job import Job, run_job
from tests.cli.run import invoke
from tests.ingest.share import Share, ids, ingester, night
from tests.line import Exported, export
from tests.servers.fake import FakeServer


def to(server: FakeServer) -> tuple[str, ...]:
    return (f"elasticsearch:{server.address}?patience=1",)


def expected(share: Share, folder: Path) -> set[str]:
    return set(ids(export(sorted(share.folder.iterdir()), folder, sinks=("ecs",)).documents))


def hosts(server: FakeServer) -> set[str]:
    return {json.loads(document)["host"]["name"] for document in server.documents.values()}


def test_a_night_brings_everything_to_a_server_once(share: Share, tmp_path: Path) -> None:
    for host in share.hosts:
        share.show(host)
    with FakeServer() as server:
        first = night(share.folder, to=to(server))
        assert first.events == len(server.documents)
        assert set(server.documents) == expected(share, tmp_path / "once")
        share.zip(share.hosts[0], "again.zip")
        assert night(share.folder, to=to(server)).events == 0
        assert set(server.times.values()) == {1}


def test_what_a_server_took_before_it_went_away_is_not_sent_again(share: Share, tmp_path: Path) -> None:
    for host in share.hosts:
        share.show(host)
    second = max(share.hosts)
    with FakeServer() as server:
        down = True
        server.whole = lambda request: 401 if down and any(second.encode() in body for _, body in request.documents) else None
        with pytest.raises((SinkUnavailable, SinkRefused)):
            night(share.folder, to=to(server))
        taken = set(server.documents)
        assert hosts(server) == set(share.hosts) - {second}
        down = False
        night(share.folder, to=to(server))
        assert set(server.documents) == expected(share, tmp_path / "once")
        assert {server.times[identity] for identity in taken} == {1}


def test_the_letters_of_what_was_acknowledged_outlive_the_run_that_failed(share: Share, tmp_path: Path) -> None:
    first, second = sorted(share.hosts)
    for host in share.hosts:
        share.show(host)
    entry = min(path for path in (share.folder / first).rglob("*") if path.parent.name == "Entries")
    entry.write_bytes(entry.read_bytes()[:20])
    with FakeServer() as server:
        down = True
        server.whole = lambda request: 401 if down and any(second.encode() in body for _, body in request.documents) else None
        with pytest.raises((SinkUnavailable, SinkRefused)):
            night(share.folder, to=to(server))
        down = False
        night(share.folder, to=to(server))
        letters = [line for path in (tmp_path / "state").glob("dead-letters-*") for line in path.read_text("utf-8").splitlines()]
        assert len(letters) == 1
        with ingester(share.folder, to=to(server)) as made:
            assert made.state.unfinished() is None


def test_a_resumed_export_skips_hosts_that_a_server_has(share: Share, tmp_path: Path) -> None:
    second = max(share.hosts)
    options = {"case": "T1", "state": tmp_path / "state", "dead_letters": tmp_path / "dead.ndjson"}
    with FakeServer() as server:
        down = True
        server.whole = lambda request: 401 if down and any(second.encode() in body for _, body in request.documents) else None
        stopped = run_job(Job(evidence=(str(share.whole),), to=to(server), resume=True, **options), Silent())
        assert stopped.stopped
        taken = set(server.documents)
        down = False
        resumed = run_job(Job(evidence=(str(share.whole),), to=to(server), resume=True, **options), Silent())
        assert resumed.delivered_before == [name for name in sorted(share.hosts) if name != second]
        whole = Exported(run_job(Job(evidence=(str(share.whole),), to=(f"ecs:{tmp_path / 'case.ndjson'}",), case="T1"), Silent()), tmp_path)
        assert set(server.documents) == set(ids(whole.documents))
        assert {server.times[identity] for identity in taken} == {1}
        again = run_job(Job(evidence=(str(share.whole),), to=to(server), resume=True, **options), Silent())
        assert again.finished_before


def test_resuming_wants_a_state(share: Share, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = invoke(capsys, "export", share.whole, "--case", "T1", "--to", f"ecs:{tmp_path / 'x.ndjson'}", "--resume")
    assert (said.code, "--state" in said.err) == (3, True)

"""Servers: Elasticsearch gets its documents from every process, Timesketch one timeline from their parent."""

from pathlib import Path

import pytest

from exporter.cli import exit_codes
from tests.batch.runs import batch, outputs, results
from tests.cli.run import invoke
from tests.line import FILES, objects
from tests.servers.fake import FakeServer
from tests.servers.fake_timesketch import PASSWORD, USER, FakeTimesketch


def test_processes_deliver_every_document_once_to_a_server(capsys, few: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        words = batch(few, tmp_path / "out", "--jobs", 2, "--to", f"elasticsearch:{server.address}")[3:]
        said = invoke(capsys, *words)
        assert said.code == exit_codes.COMPLETE, said.err
        documents = objects(tmp_path / "out" / FILES["ecs"])
        assert sorted(server.documents) == sorted(document["event"]["id"] for document in documents)
        assert f"elasticsearch {len(documents)} record(s)" in said.err


def test_a_server_that_stays_away_stops_the_batch_and_the_next_run_completes(capsys, few: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        server.whole = lambda request: 503 if request.number > 4 else None
        target = f"elasticsearch:{server.address}?patience=1&batch_documents=50"
        stopped = invoke(capsys, *batch(few, tmp_path / "out", "--jobs", 2, "--to", target)[3:])
        assert stopped.code == exit_codes.UNAVAILABLE
        assert "STOPPED before the end: nothing delivered for 1 s" in stopped.err
        assert not outputs(tmp_path / "out")
        server.whole = lambda request: None
        again = invoke(capsys, *batch(few, tmp_path / "out", "--jobs", 2, "--to", target, "--resume")[3:])
        assert again.code == exit_codes.COMPLETE, again.err
        documents = objects(tmp_path / "out" / FILES["ecs"])
        assert sorted(server.documents) == sorted(document["event"]["id"] for document in documents)


def test_a_server_that_refuses_ends_the_batch_at_the_first_host(capsys, few: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        server.whole = lambda request: 401
        said = invoke(capsys, *batch(few, tmp_path / "out", "--results", "-", "--to", f"elasticsearch:{server.address}")[3:])
        assert said.code == exit_codes.CONFIGURATION
        assert [line["state"] for line in results(said.out)] == ["stopped"]
        assert "status 401" in said.err
        assert not list((tmp_path / "out").glob("*.part"))


def test_a_case_is_one_timeline(capsys, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_USER", USER)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", PASSWORD)
    with FakeTimesketch() as server:
        words = batch(few, tmp_path / "out", "--jobs", 2, "--to", f"timesketch:{server.address}?sketch=S&spool={tmp_path / 'spool'}")[3:]
        said = invoke(capsys, *words)
        assert said.code == exit_codes.COMPLETE, said.err
        lines = (tmp_path / "out" / FILES["timesketch"]).read_bytes().splitlines()
        assert [row.rstrip(b"\n") for row in server.all_rows] == lines
        again = invoke(capsys, *words, "--resume", "--force")
        assert again.code == exit_codes.COMPLETE, again.err
        assert len(server.all_rows) == len(lines)

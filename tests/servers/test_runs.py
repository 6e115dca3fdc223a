"""Whole runs against a server that fails as told: what the report, the manifest, the dead letters and the exit code say."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from exporter.cli import exit_codes
from exporter.cli.progress import Silent
from exporter.cli.running import exit_code
from exporter.errors import ConfigurationError, SinkRefused
from exporter.job import Job, run_job
from exporter.report.summary import summary
from tests.cli.run import Said, invoke
from tests.line import objects
from tests.servers.fake import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def export(capsys: pytest.CaptureFixture[str], case_folder: Path, *arguments: object) -> Said:
    return invoke(capsys, "export", case_folder, "--case", "c1", "--progress", "none", *arguments)


def counts(path: Path) -> list[dict[str, int]]:
    return [sink["counts"] for sink in json.loads(path.read_text())["sinks"]]


def test_two_runs_say_what_they_wrote_and_what_was_there(server, case_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    target = f"elasticsearch:{server.address}"
    first = export(capsys, case_folder, "--to", target, "--to", "ecs:case.ndjson", "--manifest", "a.json")
    again = export(capsys, case_folder, "--to", target, "--manifest", "b.json")
    assert (first.code, again.code) == (exit_codes.COMPLETE, exit_codes.COMPLETE)
    total = len(objects(tmp_path / "case.ndjson"))
    assert [(sink["written"], sink["duplicate"]) for name in ("a.json", "b.json") for sink in counts(tmp_path / name)[:1]] == [
        (total, 0),
        (0, total),
    ]
    assert f"elasticsearch 0 record(s) in 0 line(s), {total} known before" in again.err
    ids = [document["event"]["id"] for document in objects(tmp_path / "case.ndjson")]
    assert list(server.documents) == ids, "one document for each identity, in order"
    assert server.paths[-1].startswith("/dfir-defender-c1/_bulk?")


def test_a_server_that_stays_away_leaves_true_counts_and_the_next_run_completes(server, case_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    server.whole = lambda request: 503 if request.number > 2 else None
    target = f"elasticsearch:{server.address}?batch_documents=10&patience=1"
    stopped = export(capsys, case_folder, "--to", target, "--to", "ecs:case.ndjson", "--manifest", "a.json")
    assert stopped.code == exit_codes.UNAVAILABLE
    assert "STOPPED before the end: nothing delivered for 1 s: " in stopped.err
    assert "status 503" in stopped.err
    told, file = counts(tmp_path / "a.json")
    assert (told["written"], told["unsent"]) == (20, told["incoming"] - 20)
    assert (file["written"], file["rows"], file["unsent"]) == (0, 0, file["incoming"]), "a file that did not get its name holds nothing"
    assert json.loads((tmp_path / "a.json").read_text())["exit_code"] == exit_codes.UNAVAILABLE
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    server.whole = lambda request: None
    again = export(capsys, case_folder, "--to", target, "--to", "ecs:case.ndjson", "--manifest", "b.json")
    assert again.code == exit_codes.COMPLETE
    assert counts(tmp_path / "b.json")[0]["duplicate"] == 20
    assert list(server.documents) == [document["event"]["id"] for document in objects(tmp_path / "case.ndjson")]


def test_a_server_that_refuses_half_way_ends_as_a_target_that_refuses(server, case_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.whole = lambda request: 401 if request.number > 2 else None
    report = run_job(Job(evidence=(str(case_folder),), case="c1", to=(f"elasticsearch:{server.address}?batch_documents=10",)), Silent())
    assert exit_code(report, allow_dead=True) == exit_codes.CONFIGURATION
    assert report.stopped
    assert "status 401" in report.stopped
    [sink] = report.sinks
    assert (sink.counts.written, sink.counts.dead, sink.counts.balanced) == (20, 0, True)
    assert sink.counts.unsent == sink.counts.incoming - 20
    assert "STOPPED before the end" in summary(report)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_at_the_start_is_one_line(server, case_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    server.root_headers = {"x": "y"}
    said = export(capsys, case_folder, "--to", f"elasticsearch:{server.address}", "--to", "ecs:case.ndjson")
    assert said.code == exit_codes.CONFIGURATION
    assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SinkRefused):
        run_job(Job(evidence=(str(case_folder),), case="c1", to=(f"elasticsearch:{server.address}",)), Silent())


def test_a_refused_document_is_explained_and_replayed_when_the_mapping_is_mended(server, case_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refused = lambda identity, times: 400 if identity < "2" else None  # noqa: E731
    server.item = refused
    first = export(capsys, case_folder, "--to", f"elasticsearch:{server.address}", "--to", "ecs:case.ndjson")
    assert first.code == exit_codes.DAMAGED
    letters = objects(tmp_path / "dead-letters.ndjson")
    assert letters
    assert {letter["id"] for letter in letters} == {
        document["event"]["id"] for document in objects(tmp_path / "case.ndjson") if document["event"]["id"] < "2"
    }
    letter = letters[0]
    expected = ("sink", "elasticsearch", "dfir-defender-c1", 400, "type_400", "reason 400; the cause")
    assert tuple(letter[name] for name in ("stage", "sink", "index", "status", "error_type", "error_reason")) == expected
    assert letter["document"]["event"]["id"] == letter["id"]

    again = invoke(capsys, "replay", "dead-letters.ndjson", "--to", f"elasticsearch:{server.address}")
    assert again.code == exit_codes.DAMAGED
    assert f"{len(letters)} refused again" in again.out
    assert {letter["id"] for letter in objects(tmp_path / "dead-letters-again.ndjson")} == {letter["id"] for letter in letters}

    server.item = lambda identity, times: None
    mended = invoke(capsys, "replay", "dead-letters-again.ndjson", "--to", f"opensearch:{server.address}")
    assert (mended.code, f"{len(letters)} written" in mended.out) == (exit_codes.COMPLETE, True)
    assert not (tmp_path / "dead-letters-again-again.ndjson").exists()
    assert set(server.documents) == {document["event"]["id"] for document in objects(tmp_path / "case.ndjson")}
    sent = json.loads(server.documents[letter["id"]], object_pairs_hook=no_key_twice)
    assert {**sent, "event": {**sent["event"], "ingested": ""}} == {
        **letter["document"],
        "event": {**letter["document"]["event"], "ingested": ""},
    }
    twice = invoke(capsys, "replay", "dead-letters.ndjson", "--to", f"elasticsearch:{server.address}", "--force")
    assert (twice.code, f"{len(letters)} known before" in twice.out) == (exit_codes.COMPLETE, True)


def no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


LETTER = '{"stage":"sink","sink":"elasticsearch","index":"dfir-defender-x","id":"%s","document":{"event":{"id":"1"}}}\n'


def test_replay_leaves_alone_what_no_server_refused_and_counts_what_is_no_line(server, tmp_path, capsys):
    lines = [
        LETTER % "a",
        '{"stage":"parse","source":"x"}\n',
        '{"stage":"sink","sink":"ecs","id":"b","document":{}}\n',
        '{"stage":"sink","sink":"elasticsearch","id":"c"}\n',
        '{"stage":"sink","sink":"elast',
    ]
    (tmp_path / "dead.ndjson").write_text("".join(lines))
    said = invoke(capsys, "replay", tmp_path / "dead.ndjson", "--to", f"elasticsearch:{server.address}")
    assert "1 document(s): 1 written" in said.out
    assert "3 other line(s) left alone, 1 damaged" in said.out
    assert said.code == exit_codes.DAMAGED
    assert list(server.documents) == ["a"]
    assert server.paths[-1].startswith("/dfir-defender-x/_bulk?")


def test_replay_to_an_index_that_is_named(server, tmp_path, capsys):
    (tmp_path / "dead.ndjson").write_text(LETTER % "a" + (LETTER % "b").replace("-x", "-y"))
    said = invoke(capsys, "replay", tmp_path / "dead.ndjson", "--to", f"elasticsearch:{server.address}?index=other")
    assert said.code == exit_codes.COMPLETE
    assert {path.split("?")[0] for path in server.paths} == {"/", "/other/_bulk"}


def test_replay_to_the_indices_of_the_lines(server, tmp_path, capsys):
    (tmp_path / "dead.ndjson").write_text(LETTER % "a" + (LETTER % "b").replace("-x", "-y") + LETTER % "c")
    assert invoke(capsys, "replay", tmp_path / "dead.ndjson", "--to", f"elasticsearch:{server.address}").code == exit_codes.COMPLETE
    assert {path.split("?")[0] for path in server.paths if "_bulk" in path} == {"/dfir-defender-x/_bulk", "/dfir-defender-y/_bulk"}
    assert server.refreshed == ["/dfir-defender-x/_refresh", "/dfir-defender-y/_refresh"]


def test_replay_that_is_stopped_says_what_was_not_sent(server, tmp_path, capsys):
    (tmp_path / "dead.ndjson").write_text("".join(LETTER % number for number in range(30)))
    server.whole = lambda request: 503 if request.number > 1 else None
    target = f"elasticsearch:{server.address}?batch_documents=10&patience=1"
    said = invoke(capsys, "replay", tmp_path / "dead.ndjson", "--to", target)
    assert said.code == exit_codes.UNAVAILABLE
    assert "10 written" in said.out
    assert "not sent" in said.out
    assert "STOPPED" in said.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--to", "ecs:x.ndjson"), "is a file"),
        (("--to", "elasticsearch:http://127.0.0.1:9", "--dead-letters", "dead.ndjson", "--force"), "a file of its own"),
    ],
)
def test_replay_refuses_what_makes_no_sense_and_keeps_its_input(arguments, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dead.ndjson").write_text(LETTER % "a")
    said = invoke(capsys, "replay", "dead.ndjson", *arguments)
    assert (said.code, reason in said.err) == (exit_codes.CONFIGURATION, True)
    assert (tmp_path / "dead.ndjson").read_text() == LETTER % "a"


def test_a_letter_that_names_no_index_needs_one(server, tmp_path, capsys):
    (tmp_path / "dead.ndjson").write_text((LETTER % "a").replace('"index":"dfir-defender-x",', ""))
    said = invoke(capsys, "replay", tmp_path / "dead.ndjson", "--to", f"elasticsearch:{server.address}")
    assert (said.code, "index=NAME" in said.err) == (exit_codes.CONFIGURATION, True)


def test_two_indices_of_one_server_are_two_targets(server, case_folder, tmp_path):
    job = Job(evidence=(str(case_folder),), case="c1", to=(), dead_letters=tmp_path / "dead.ndjson")
    same = msgspec.structs.replace(job, to=(f"elasticsearch:{server.address}", f"elasticsearch:{server.address}?gzip=no"))
    with pytest.raises(ConfigurationError, match="two outputs"):
        run_job(same, Silent())
    two = msgspec.structs.replace(job, to=(f"elasticsearch:{server.address}?index=a", f"elasticsearch:{server.address}?index=b"))
    report = run_job(two, Silent())
    assert [sink.counts.balanced for sink in report.sinks] == [True, True]

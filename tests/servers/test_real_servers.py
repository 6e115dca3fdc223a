"""Exports to real servers: every document once, whatever happens to the server meanwhile."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from exporter.cli import exit_codes
from exporter.data import folder, template_file
from exporter.errors import SinkRefused
from exporter.setup.run import install, plan
from exporter.sinks import Sink
from exporter.sinks.elasticsearch import ElasticsearchSink
from exporter.sinks.targets import SinkSettings, open_sink, parse_target
from tests.cli.run import invoke
from tests.line import objects
from tests.servers.delivery import deliver
from tests.servers.node import Node
from tests.sinks.fakes import events

TEMPLATE = orjson.loads((folder("mappings") / template_file("elasticsearch")).read_bytes())
pytestmark = pytest.mark.servers
KILLS = 20 if os.environ.get("DEFENDER_EXPORTER_FULL") == "1" else 2


@pytest.fixture
def secure(nodes: Callable[[str], Node]) -> Node:
    """A server that asks who we are."""
    return nodes("elasticsearch8-security")


@pytest.mark.parametrize("prepared", [True, False], ids=["with template", "without"])
def test_the_case_is_there_once_and_the_second_run_says_so(
    node: Node, case_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prepared: bool
):
    monkeypatch.chdir(tmp_path)
    case = f"twice-{prepared}"
    if prepared:
        list(install(plan(node.target(), case, None, data_stream=False, timestamp_type="date_nanos"), replace=False))
    else:
        node.request("DELETE", "/_index_template/dfir-defender")
    options = ("--case", case, "--progress", "none", "--to", node.target())
    first = invoke(capsys, "export", case_folder, *options, "--to", "ecs:case.ndjson", "--manifest", "a.json")
    index = f"dfir-defender-twice-{str(prepared).lower()}"
    there = node.ask("GET", f"/{index}/_count")["count"]
    again = invoke(capsys, "export", case_folder, *options, "--manifest", "b.json")
    assert (first.code, again.code) == (exit_codes.COMPLETE, exit_codes.COMPLETE), first.err + again.err
    ids = sorted(document["event"]["id"] for document in objects(tmp_path / "case.ndjson"))
    counts = [json.loads((tmp_path / name).read_text())["sinks"][0]["counts"] for name in ("a.json", "b.json")]
    assert [(count["written"], count["duplicate"], count["dead"]) for count in counts] == [(len(ids), 0, 0), (0, len(ids), 0)]
    assert there == len(ids), "without waiting for the refresh of the index"
    assert node.ids(index) == ids
    made = node.ask("GET", f"/{index}")
    assert list(made) == [f"{index}-000001"]
    assert made[f"{index}-000001"]["mappings"]["_meta"] == {"version": TEMPLATE["version"]}
    assert made[f"{index}-000001"]["settings"]["index"]["mapping"]["total_fields"]["limit"] == "1500"


@pytest.mark.real_data
def test_the_real_samples_are_there_once_and_the_second_run_says_so(
    node: Node, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    list(install(plan(node.target(), "samples", None, data_stream=False, timestamp_type="date_nanos"), replace=False))
    evidence = [shared_data / name for name in ("evtx", "mplog", "quarantine", "detection_history", "etl")]
    options = ("--case", "samples", "--progress", "none", "--to", node.target())
    first = invoke(capsys, "export", *evidence, *options, "--to", "ecs:case.ndjson", "--manifest", "a.json", "--dead-letters", "a.ndjson")
    again = invoke(capsys, "export", *evidence, *options, "--manifest", "b.json", "--dead-letters", "b.ndjson")
    assert (first.code, again.code) == (exit_codes.DAMAGED, exit_codes.DAMAGED), "some of the samples are damaged"
    ids = [document["event"]["id"] for document in objects(tmp_path / "case.ndjson")]
    assert len(ids) > 200
    counts = [json.loads((tmp_path / name).read_text())["sinks"][0]["counts"] for name in ("a.json", "b.json")]
    assert [(count["written"], count["duplicate"], count["dead"]) for count in counts] == [
        (len(set(ids)), len(ids) - len(set(ids)), 0),
        (0, len(ids), 0),
    ]
    assert node.ids("dfir-defender-samples") == sorted(set(ids))


def test_a_key_without_a_say_in_indices_writes_through_the_alias(secure: Node, tmp_path: Path, case_folder: Path):
    list(install(plan(secure.target(), "Keyed", None, data_stream=False, timestamp_type="date_nanos"), replace=False))
    key(secure, tmp_path, "dfir-defender-keyed", ["create_doc"])
    done = deliver(f"elasticsearch:{secure.url}?api_key_file={tmp_path / 'key'}", events(25), case="Keyed")
    assert done.counts.written == 25, done.error


def test_a_server_that_is_killed_in_the_middle_has_every_document_once_in_the_end(node: Node):
    """It comes back while the export waits, as often as it is killed; then everything is sent once more."""
    index = "killed"
    records = events(2000)
    killer = threading.Thread()
    starts = node.starts

    def comes_back(_seconds: float = 0) -> None:
        if killer.ident:
            killer.join()
        if not node.answers():
            node.start()

    sink = open_sink(parse_target(node.target(index=index, batch_documents=50)), SinkSettings(sleep=comes_back))
    sink.check()
    results = []
    for position, record in enumerate(records, 1):
        results += sink.write(record, position)
        if position % (len(records) // (KILLS + 1)) == 0:
            comes_back()
            killer = threading.Thread(target=node.stop, kwargs={"kill": True})
            killer.start()
    results += sink.flush()
    comes_back()
    assert sorted(result.position for result in results) == list(range(1, 2001))
    assert sink.acknowledged == 2000
    sink.close()
    assert node.starts - starts >= KILLS
    assert node.ids(index) == sorted(record.id for record in records)
    again = deliver(node.target(index=index), records)
    assert (again.counts.written, again.counts.duplicate) == (0, 2000)
    assert node.ids(index) == sorted(record.id for record in records)


def test_documents_that_do_not_fit_are_explained_and_replayed(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case_folder: Path
):
    monkeypatch.chdir(tmp_path)
    node.ask("PUT", "/too-narrow", {"mappings": {"dynamic": False, "properties": {"message": {"type": "long"}}}})
    node.ask("PUT", "/wide-enough", {"mappings": {"dynamic": False}})
    refused = invoke(capsys, "export", case_folder, "--case", "x", "--progress", "none", "--to", node.target(index="too-narrow"))
    assert refused.code == exit_codes.DAMAGED
    letters = objects(tmp_path / "dead-letters.ndjson")
    assert {letter["status"] for letter in letters} == {400}
    assert {letter["error_type"] for letter in letters} <= {"mapper_parsing_exception", "document_parsing_exception"}
    assert all("failed to parse field [message] of type [long]" in letter["error_reason"] for letter in letters)
    replayed = invoke(capsys, "replay", "dead-letters.ndjson", "--to", node.target(index="wide-enough"))
    assert (replayed.code, f"{len(letters)} written" in replayed.out) == (exit_codes.COMPLETE, True)
    assert node.ids("wide-enough") == sorted(letter["id"] for letter in letters)


def test_an_index_that_takes_no_writes_stops_the_run(node: Node):
    node.ask("PUT", "/closed-to-writes", {"settings": {"index.blocks.write": True}})
    done = deliver(node.target(index="closed-to-writes"), events(10))
    assert isinstance(done.error, SinkRefused)
    assert "cluster_block_exception" in str(done.error)
    assert (done.counts.written, done.counts.dead) == (0, 0)


def test_the_product_is_known(node: Node):
    sink = open_sink(parse_target(node.target()), SinkSettings(case="x"))
    sink.check()
    assert isinstance(sink, ElasticsearchSink)
    assert sink.product
    assert sink.product.name == node.product
    assert sink.product.version
    sink.abort()


def key(node: Node, tmp_path: Path, index: str, privileges: list[str]) -> dict[str, str]:
    """An API key for one index, written to `tmp_path / "key"`."""
    role = {"cluster": [], "index": [{"names": [index], "privileges": privileges}]}
    made: dict[str, str] = node.ask("POST", "/_security/api_key", {"name": index, "role_descriptors": {"r": role}})
    (tmp_path / "key").write_text(f"{made['id']}:{made['api_key']}")
    return made


def with_key(node: Node, tmp_path: Path, index: str) -> str:
    return f"elasticsearch:{node.url}?index={index}&batch_documents=10&api_key_file={tmp_path / 'key'}"


def write_all(sink: Sink, first: int = 1) -> None:
    """25 documents."""
    for position, record in enumerate(events(first + 24)[first - 1 :], first):
        sink.write(record, position)


def test_an_api_key_that_may_only_create_is_enough(secure: Node, tmp_path: Path):
    key(secure, tmp_path, "mine", ["create_doc", "auto_configure"])
    done = deliver(with_key(secure, tmp_path, "mine"), events(25))
    assert done.counts.written == 25, done.error
    assert deliver(with_key(secure, tmp_path, "mine"), events(25)).counts.duplicate == 25


def test_an_api_key_of_another_index_is_refused_before_anything_is_read_and_with_each_item(secure: Node, tmp_path: Path):
    made = key(secure, tmp_path, "mine", ["create_doc", "auto_configure"])
    done = deliver(with_key(secure, tmp_path, "yours"), events(25))
    assert isinstance(done.error, SinkRefused)
    assert "`create_doc` on the index `yours` is missing" in str(done.error)
    assert done.counts.incoming == 0
    unchecked = open_sink(parse_target(with_key(secure, tmp_path, "yours")), SinkSettings())
    with pytest.raises(SinkRefused, match="security_exception") as refused:
        write_all(unchecked)
    assert made["api_key"] not in str(refused.value)


def test_an_api_key_that_ends_in_the_middle_stops_the_run(secure: Node, tmp_path: Path):
    made = key(secure, tmp_path, "mine", ["create_doc", "auto_configure"])
    sink = open_sink(parse_target(with_key(secure, tmp_path, "mine")), SinkSettings())
    sink.check()
    write_all(sink, first=1)
    secure.ask("DELETE", "/_security/api_key", {"ids": [made["id"]]})
    with pytest.raises(SinkRefused, match="status 401") as refused:
        write_all(sink, first=26)
    assert sink.acknowledged == 20
    assert made["api_key"] not in str(refused.value)


def test_wrong_passwords_are_refused_at_once(secure: Node, tmp_path: Path):
    (tmp_path / "wrong").write_text("wrong-password")
    done = deliver(f"elasticsearch:{secure.url}?index=x&user=test&password_file={tmp_path / 'wrong'}", events(5))
    assert isinstance(done.error, SinkRefused)
    assert "status 401" in str(done.error)
    assert "wrong-password" not in str(done.error)

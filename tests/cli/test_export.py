"""What `export` puts on standard output and standard error, and in its manifest."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from tests.cli.run import command, invoke, start
from tests.line import objects


@pytest.fixture(scope="module")
def run(case_folder, tmp_path_factory):
    """A run of its own process with a manifest and damage: the manifest, the folder, and what it said."""
    folder = tmp_path_factory.mktemp("run")
    bad = folder / "bad" / "Quarantine" / "Entries"
    bad.mkdir(parents=True)
    (bad / "{80008A1B-0000-0000-0000-00000000BAD0}").write_bytes(b"nothing of the kind")
    out = folder / "out"
    out.mkdir()
    to = ["--to", "timesketch:case.jsonl", "--to", "l2tcsv:case.csv"]
    arguments = command("export", case_folder, folder / "bad", "--case", "C1", "--to", "ecs:-", *to, "--manifest", "run.json")
    with start(arguments, out) as process:
        said, talk = process.communicate(timeout=60)
    assert process.returncode == exit_codes.DAMAGED, talk
    return json.loads((out / "run.json").read_bytes()), out, said, talk.decode()


def test_standard_output_is_ndjson_and_nothing_else(run):
    _, _, said, talk = run
    *lines, rest = said.split(b"\n")
    assert rest == b""
    assert len(lines) > 200
    assert all("@timestamp" in json.loads(line) for line in lines)
    assert talk.startswith("Case C1: 3 host(s)")


def test_the_summary_says_what_is_where(run):
    manifest, out, _, talk = run
    assert "WS-0142" in talk
    assert "Incidents: 14" in talk
    assert "not there: " in talk
    assert "case.jsonl" in talk
    assert "dead-letters.ndjson" in talk
    assert all(reason in talk for reason in manifest["dead_letters"]["reasons"])
    assert objects(out / "dead-letters.ndjson")[0]["error_reason"] in talk


def test_the_manifest_has_every_file_as_it_is_on_the_disk(run, case_folder):
    manifest = run[0]
    places = {case_folder.name: case_folder, "bad": run[1].parent / "bad"}
    assert len(manifest["sources"]) == 45
    for source in manifest["sources"]:
        assert not Path(source["path"]).is_absolute()
        path = on_disk(places[source["evidence"]], source["path"])
        assert source["size"] == path.stat().st_size
        assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert source["modified"].endswith("Z")


def on_disk(root: Path, shown: str) -> Path:
    """Paths are shown as Windows had them; the collector escaped them."""
    names = {path.relative_to(root).as_posix().replace("%3A", ":").replace("%25", "%"): path for path in root.rglob("*") if path.is_file()}
    return names[shown]


def test_the_manifest_adds_up(run):
    manifest, out, said, _ = run
    for source in manifest["sources"]:
        counts = source["counts"]
        assert counts["seen"] == counts["emitted"] + counts["rejected"] + sum(counts["unparsed"].values())
    sinks = {sink["name"]: sink for sink in manifest["sinks"]}
    assert list(sinks) == ["ecs", "timesketch", "l2tcsv"]
    for sink in sinks.values():
        counts = sink["counts"]
        assert counts["incoming"] == counts["written"] + counts["duplicate"] + counts["skipped"] + counts["dead"]
    assert sinks["ecs"]["counts"]["rows"] == said.count(b"\n")
    assert sinks["timesketch"]["counts"]["rows"] == len(objects(out / "case.jsonl"))
    assert sinks["timesketch"]["written"] == ["case.jsonl"]
    assert manifest["unbalanced"] == []


def test_the_manifest_says_which_tool_ran_with_what_and_how_it_ended(run):
    manifest, out, _, _ = run
    assert manifest["tool"]["name"] == "defender-exporter"
    assert manifest["tool"]["version"]
    assert manifest["arguments"]["case"] == "C1"
    assert manifest["arguments"]["to"] == ["ecs:-", "timesketch:case.jsonl", "l2tcsv:case.csv"]
    assert manifest["exit_code"] == exit_codes.DAMAGED
    assert manifest["dead_letters"]["count"] == len(objects(out / "dead-letters.ndjson")) == 1
    assert [host["name"] for host in manifest["hosts"]] == ["bad", "SRV-FILES02", "WS-0142"]


def test_the_only_absolute_paths_in_the_manifest_are_those_that_were_given(run, case_folder):
    text = json.dumps(run[0] | {"arguments": {}})
    assert str(case_folder.parent) not in text
    assert str(run[1]) not in text


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_has_seen_enough_ends_the_run_without_a_word(case_folder, tmp_path, buffered):
    arguments = command("export", case_folder, "--case", "C1", "--to", "ecs:-", "--to", "l2tcsv:x.csv")
    with start(arguments if buffered else [arguments[0], "-u", *arguments[1:]], tmp_path) as process:
        assert json.loads(process.stdout.readline())["labels"]["case_id"] == "C1"
        process.stdout.close()
        talk = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode == exit_codes.INTERRUPTED
    assert b"Traceback" not in talk
    assert b"Exception" not in talk
    assert list(tmp_path.iterdir()) == []


def test_progress_as_json_is_one_object_a_line_and_ends_with_the_totals(capsys, case_folder, tmp_path):
    said = invoke(capsys, "export", case_folder, "--case", "C1", "--to", f"ecs:{tmp_path / 'x.ndjson'}", "--progress", "json")
    told = [json.loads(line)["progress"] for line in said.err.splitlines() if line.startswith("{")]
    assert (told[0]["files"], told[0]["files_total"]) == (0, 44)
    assert told[-1]["files"] == told[-1]["files_total"] == 44
    size = sum(path.stat().st_size for path in case_folder.rglob("*") if path.is_file() and path.name != "client_info.json")
    assert told[-1]["bytes_total"] == size
    assert told[-1]["bytes"] >= size


def test_a_pipe_gets_no_progress(capsys, case_folder, tmp_path):
    said = invoke(capsys, "export", case_folder, "--case", "C1", "--to", f"ecs:{tmp_path / 'x.ndjson'}")
    assert said.err.startswith("Case C1")
    assert said.out == ""


def test_settings_come_from_the_environment_too(capsys, case_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DEFENDER_EXPORTER_EXPORT_CASE", "FROM-ENV")
    assert invoke(capsys, "export", case_folder, "--to", f"ecs:{tmp_path / 'x.ndjson'}").code == 0
    assert objects(tmp_path / "x.ndjson")[0]["labels"]["case_id"] == "FROM-ENV"


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_outputs_are_readable_by_their_owner_only(capsys, case_folder, tmp_path):
    """They may hold personal data, and paths of malware."""
    assert invoke(capsys, "export", case_folder, "--case", "C1", "--to", f"ecs:{tmp_path / 'x.ndjson'}").code == 0
    assert (tmp_path / "x.ndjson").stat().st_mode & 0o077 == 0

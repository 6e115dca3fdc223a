"""A batch writes what an export of the same evidence writes, whatever the number of processes; every host is told."""

import json
import shutil
from pathlib import Path

import pytest

from exporter.batch import store
from exporter.cli import exit_codes
from tests.batch.conftest import HOSTS
from tests.batch.hosts import BREAK_EVERY
from tests.batch.runs import batch, outputs, results, run, told
from tests.cli.run import invoke
from tests.line import FILES, Exported, export, objects

BROKEN = HOSTS // BREAK_EVERY


def test_two_processes_write_the_same_bytes_as_one_and_as_an_export(share: Path, exported: Exported, tmp_path: Path) -> None:
    code, out, err = run(share, tmp_path / "two", "--jobs", 2, "--results", "-", "--manifest", tmp_path / "run.json")
    assert code == exit_codes.DAMAGED, err
    assert run(share, tmp_path / "one", "--jobs", 1)[0] == exit_codes.DAMAGED
    assert outputs(tmp_path / "two") == outputs(tmp_path / "one")
    for name in ("timesketch", "l2tcsv"):
        assert (tmp_path / "two" / FILES[name]).read_bytes() == (exported.folder / FILES[name]).read_bytes()
    assert told(objects(tmp_path / "two" / FILES["ecs"])) == told(exported.documents)
    lines = results(out)
    assert len(lines) == HOSTS
    assert sum(line["state"] == "complete" for line in lines) == HOSTS - BROKEN
    assert all(line["reasons"] for line in lines if line["state"] != "complete")
    _check_manifest(json.loads((tmp_path / "run.json").read_text("utf-8")), exported)


def _check_manifest(manifest: dict, exported: Exported) -> None:
    assert len(manifest["hosts"]) == HOSTS
    assert manifest["states"]["complete"] == HOSTS - BROKEN
    assert (manifest["arguments"]["case"], manifest["arguments"]["jobs"]) == ("T1", 2)
    complete = [host for host in manifest["hosts"] if host["outcome"]["state"] == "complete"]
    files = [file for host in manifest["hosts"] if host["report"] for file in host["report"].get("sources", ())]
    assert len(files) == len(exported.report.files)
    assert all(file["sha256"] for host in complete for file in host["report"]["sources"])
    for total, sink in zip(manifest["sinks"], exported.report.sinks, strict=True):
        assert total["counts"]["written"] == sink.counts.written
        assert total["counts"]["rows"] == sink.counts.rows
    sums = manifest["sums"]
    assert sums["seen"] == sums["emitted"] + sums["rejected"] + sums["unparsed"] == sum(f.counts.seen for f in exported.report.files)


def test_a_batch_that_is_complete_is_not_done_again(few: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert run(few, folder, "--jobs", 2)[0] == exit_codes.COMPLETE
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}
    code, out, err = run(few, folder, "--resume", "--results", "-")
    assert (code, out) == (exit_codes.COMPLETE, "")
    assert "Nothing was left to do" in err
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()} == before
    assert run(few, folder)[0] == exit_codes.CONFIGURATION


@pytest.fixture
def own(models: Path, tmp_path: Path) -> Path:
    """Four hosts that a test may change."""
    from tests.batch.hosts import write_hosts

    folder = tmp_path / "own"
    write_hosts(folder, models, 4)
    return folder


def here(capsys: pytest.CaptureFixture[str], share: Path, folder: Path, *more: object) -> tuple[int, list[str], str]:
    """A batch in this process: code, hosts that were read, talk."""
    said = invoke(capsys, *batch(share, folder, "--results", "-", *more)[3:])
    return said.code, sorted(line["host"] for line in results(said.out)), said.err


def test_only_hosts_that_have_changed_are_read_again(capsys, own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert here(capsys, own, folder)[:2] == (0, ["HOST-0000", "HOST-0001", "HOST-0002", "HOST-0003.zip"])
    log = min((own / "HOST-0001").glob("**/MPLog-*.log"))
    data = log.read_bytes()
    log.write_bytes(data + data[2:])
    assert here(capsys, own, folder, "--resume")[:2] == (0, ["HOST-0001"])
    assert here(capsys, own, folder, "--resume")[:2] == (0, [])
    again = export(sorted(own.iterdir()), tmp_path / "again", reproducible=True)
    assert (folder / FILES["l2tcsv"]).read_bytes() == (again.folder / FILES["l2tcsv"]).read_bytes()


def test_what_another_version_has_read_is_read_again(capsys, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    assert here(capsys, own, folder)[0] == 0
    before = outputs(folder)
    for manifest in (folder / "state/work/hosts").glob("*/*.json"):
        manifest.write_text(manifest.read_text("utf-8").replace(f'"version":"{store.__version__}"', '"version":"0.0.9"', 1), "utf-8")
    code, hosts, _ = here(capsys, own, folder, "--resume")
    assert (code, len(hosts)) == (0, 4)
    assert outputs(folder) == before


def test_a_manifest_that_is_damaged_or_whose_parts_are_gone_counts_for_nothing(capsys, own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    here(capsys, own, folder)
    before = outputs(folder)
    first, *others = sorted((folder / "state/work/hosts").glob("*/*.json"))
    first.write_bytes(first.read_bytes()[:40])
    second, third = (folder / "state/work" / json.loads(other.read_bytes())["folder"] / "0" for other in others[:2])
    second.write_bytes(second.read_bytes()[:-1])
    third.write_bytes(bytes(third.stat().st_size))  # as a file may look like after a power cut
    code, hosts, _ = here(capsys, own, folder, "--resume")
    assert (code, len(hosts)) == (0, 3)
    assert outputs(folder) == before


def test_failed_and_incomplete_hosts_are_read_again_when_asked(capsys, own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    path = own / "HOST-0003.zip"
    data = path.read_bytes()
    path.unlink()
    path.symlink_to(tmp_path / "away.zip")
    assert here(capsys, own, folder)[0] == exit_codes.DAMAGED
    (letter,) = objects(folder / "dead-letters.ndjson")
    assert (letter["stage"], letter["host"]) == ("batch", "HOST-0003.zip")
    assert here(capsys, own, folder, "--resume")[:2] == (exit_codes.DAMAGED, [])
    assert here(capsys, own, folder, "--retry-failed")[:2] == (exit_codes.DAMAGED, ["HOST-0003.zip"])
    path.unlink()
    path.write_bytes(data)
    assert here(capsys, own, folder, "--resume")[:2] == (exit_codes.COMPLETE, ["HOST-0003.zip"])
    assert not (folder / "dead-letters.ndjson").exists()
    assert (folder / FILES["l2tcsv"]).read_bytes() == (export(sorted(own.iterdir()), tmp_path / "e").folder / FILES["l2tcsv"]).read_bytes()


def test_hosts_one_by_one_and_a_merge_are_a_batch(capsys, own: Path, tmp_path: Path) -> None:
    assert here(capsys, own, tmp_path / "whole")[0] == 0
    folder = tmp_path / "out"
    assert here(capsys, own, folder, "--only", "HOST-0002", "--only", 1)[:2] == (0, ["HOST-0000", "HOST-0002"])
    assert not outputs(folder)
    code, hosts, err = here(capsys, own, folder, "--merge")
    assert (code, hosts) == (exit_codes.DAMAGED, [])
    assert "MISSING HOST-0001: it was not read yet" in err
    assert here(capsys, own, folder, "--only", 2)[:2] == (0, ["HOST-0001"])
    assert here(capsys, own, folder, "--only", "HOST-0003.zip")[0] == 0
    assert here(capsys, own, folder, "--merge")[:2] == (0, [])
    assert outputs(folder) == outputs(tmp_path / "whole")
    assert here(capsys, own, folder, "--only", "HOST-9")[0] == exit_codes.CONFIGURATION


def test_a_dry_run_lists_hosts_and_sizes_and_leaves_nothing(capsys, own: Path, tmp_path: Path) -> None:
    said = invoke(capsys, *batch(own, tmp_path / "out", "--dry-run")[3:])
    assert said.code == 0
    size = sum(path.stat().st_size for path in own.rglob("*") if path.is_file())
    assert f"4 host(s), {size:,} bytes" in said.out
    assert "HOST-0003.zip" in said.out
    assert list((tmp_path / "out").iterdir()) == []


def test_a_host_in_two_entries_is_told_and_as_one_entry_it_is_joined(capsys, models: Path, tmp_path: Path) -> None:
    drive = "C/ProgramData/Microsoft/Windows Defender"
    for name, part in (("a", "Support"), ("b", "Quarantine")):
        shutil.copytree(models / "WS-0142" / drive / part, tmp_path / "parts" / name / "WS" / drive / part)
    apart = here(capsys, tmp_path / "parts", tmp_path / "apart", "--evidence", tmp_path / "parts" / "*" / "WS")
    assert "In more than one entry, and joined within each only: ws" in apart[2]
    (tmp_path / "CASE.yaml").write_text("case: T1\nhosts: [{name: WS, evidence: [parts/*/WS]}]\nsinks: ['ecs:one.ndjson']\n", "utf-8")
    assert invoke(capsys, "batch", tmp_path / "CASE.yaml").code == 0
    together = [one for one in objects(tmp_path / "one.ndjson") if one["event"]["dataset"] == "defender.incident"]
    whole = export(sorted((tmp_path / "parts").iterdir()), tmp_path / "e", sinks=("ecs",), host="WS").incidents
    assert sorted(one["event"]["id"] for one in together) == sorted(one["event"]["id"] for one in whole)


def test_chosen_sources_are_read_with_the_ids_that_all_of_them_would_have(capsys, own: Path, tmp_path: Path) -> None:
    assert here(capsys, own, tmp_path / "all")[0] == 0
    assert here(capsys, own, tmp_path / "logs", "--sources", "mplog")[0] == exit_codes.DAMAGED
    every, logs = ({doc["event"]["id"]: doc for doc in objects(tmp_path / name / FILES["ecs"])} for name in ("all", "logs"))
    evidence = {name for name, doc in logs.items() if doc["event"]["kind"] == "event"}
    assert evidence
    assert evidence == {name for name, doc in every.items() if doc["event"]["dataset"] == "defender.mplog"}
    assert here(capsys, own, tmp_path / "none", "--sources", "registry")[0] == exit_codes.CONFIGURATION


def test_outputs_in_the_evidence_or_at_one_place_are_refused(capsys, own: Path, tmp_path: Path) -> None:
    inside = own / "HOST-0001" / "C"
    for more in (
        ("--manifest", inside / "run.json"),
        ("--results", inside / "results"),
        ("--work", inside),
        ("--to", f"ecs:{inside / 'x'}"),
    ):
        code, hosts, err = here(capsys, own, tmp_path / "out", *more)
        assert (code, hosts) == (exit_codes.CONFIGURATION, [])
        assert "lies inside the evidence" in err
    assert here(capsys, own, tmp_path / "out", "--to", f"ecs:{tmp_path / 'out' / FILES['ecs']}")[0] == exit_codes.CONFIGURATION
    assert list((tmp_path / "out").iterdir()) == []


def test_a_results_file_has_one_line_for_each_host_in_the_order_of_the_plan(capsys, own: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    words = batch(own, tmp_path / "out", "--results", path, "--jobs", 2)[3:]
    assert invoke(capsys, *words).code == 0
    names = ["HOST-0000", "HOST-0001", "HOST-0002", "HOST-0003.zip"]
    assert [line["host"] for line in results(path.read_text("utf-8"))] == names
    assert invoke(capsys, *words, "--force").code == 0
    assert [line["host"] for line in results(path.read_text("utf-8"))] == names
    (tmp_path / "out" / "state" / "batch.json").unlink()
    assert invoke(capsys, *words, "--resume").code == exit_codes.CONFIGURATION, "the file is not this batch's"


def test_only_outputs_of_the_batch_itself_are_replaced_or_removed(capsys, own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    parts = ("--to", f"timesketch:{folder / 'parts.jsonl'}?part_lines=20")
    assert here(capsys, own, folder, *parts)[0] == 0
    before = sorted(folder.glob("parts-*"))
    assert len(before) > 2
    shutil.rmtree(own / "HOST-0001")
    assert here(capsys, own, folder, *parts, "--resume")[0] == 0
    after = sorted(folder.glob("parts-*"))
    assert len(after) < len(before)
    told = json.loads((folder / "parts-manifest.json").read_bytes())["parts"]
    assert [part["name"] for part in told] == [path.name for path in after[:-1]]
    (folder / "mine.csv").write_text("mine", "utf-8")
    assert here(capsys, own, folder, "--to", f"l2tcsv:{folder / 'mine.csv'}", "--resume")[0] == exit_codes.CONFIGURATION
    assert (folder / "mine.csv").read_text("utf-8") == "mine"
    assert here(capsys, own, folder, "--to", f"l2tcsv:{folder / 'other.csv'}", "--resume", "--force")[0] == 0
    assert sorted(folder.glob("parts-*")) == after, "what went elsewhere before stays"


def test_standard_output_gets_all_of_it_every_time(capsys, own: Path, tmp_path: Path) -> None:
    words = ("batch", "--evidence", own / "*", "--case", "T1", "--state", tmp_path / "state", "--to", "ecs:-", "--reproducible")
    first = invoke(capsys, *words, "--dead-letters", tmp_path / "letters")
    again = invoke(capsys, *words, "--dead-letters", tmp_path / "letters", "--resume")
    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
    assert len(first.out.splitlines()) > 50

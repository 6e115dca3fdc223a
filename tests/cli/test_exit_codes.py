"""The exit code of every situation, and that no file appears under a final name where a run did not end well."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from exporter.job import Job, run_job
from tests.cli.run import command, invoke, start
from tests.conftest import ROOT


@pytest.fixture
def mplog(case_folder, tmp_path) -> Path:
    """A folder with one small log: the fastest evidence there is."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    shutil.copy2(min(case_folder.glob("WS-0142/**/MPLog-*.log")), folder)
    return folder


def to(folder: Path) -> list[str]:
    return ["--to", f"ecs:{folder / 'x.ndjson'}", "--to", f"timesketch:{folder / 'x.jsonl'}", "--to", f"l2tcsv:{folder / 'x.csv'}"]


def outputs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_0_for_a_complete_export_and_for_the_demo(capsys, mplog, tmp_path):
    assert invoke(capsys, "export", mplog, "--case", "C1", *to(tmp_path)).code == exit_codes.COMPLETE == 0
    assert outputs(tmp_path) == ["x.csv", "x.jsonl", "x.ndjson"]
    said = invoke(capsys, "demo", tmp_path / "demo")
    assert said.code == 0
    assert sorted(path.name for path in (tmp_path / "demo" / "out").iterdir()) == ["case.csv", "case.jsonl", "case.ndjson", "run.json"]


def test_the_demo_ends_with_a_summary_that_names_hosts_threats_and_files(capsys, tmp_path):
    said = invoke(capsys, "demo", tmp_path / "demo")
    for word in ("WS-0142", "SRV-FILES02", "Virus:DOS/EICAR_Test_File", "quarantine_entry", "evtx_detection", "Incidents: 14"):
        assert word in said.out
    for name in ("case.ndjson", "case.jsonl", "case.csv", "run.json"):
        assert str(tmp_path / "demo" / "out" / name) in said.out


def test_the_demo_replaces_only_an_earlier_demo(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert invoke(capsys, "demo", tmp_path / "mine", "--force").code == exit_codes.USAGE
    assert outputs(tmp_path / "mine") == ["thesis.txt"]
    assert invoke(capsys, "demo", tmp_path / "demo").code == 0
    assert invoke(capsys, "demo", tmp_path / "demo").code == exit_codes.USAGE
    assert invoke(capsys, "demo", tmp_path / "demo", "--force").code == 0


def test_the_demo_takes_own_evidence_and_leaves_it_alone(capsys, mplog, tmp_path):
    before = outputs(mplog)
    said = invoke(capsys, "demo", tmp_path / "demo", "--evidence", mplog, "--case", "own")
    assert (said.code, outputs(mplog)) == (0, before)
    assert "mplog_session" in said.out
    assert not (tmp_path / "demo" / "evidence").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["export"],
        ["export", "{mplog}"],
        ["export", "{mplog}", "--case", "C1"],
        ["export", "{mplog}", "--case", "C1", "--to", "ecs:x", "--no-such-option"],
        ["export", "{mplog}/nothing-there", "--case", "C1", "--to", "ecs:{out}/x"],
        ["export", "{mplog}", "--case", "C1", "--to", "ecs:{out}/x", "--evtx-engine", "other"],
        ["explain", "{mplog}"],
        ["explain", "{mplog}", "--record", "99999"],
    ],
    ids=" ".join,
)
def test_2_for_wrong_usage(capsys, mplog, tmp_path, arguments):
    said = invoke(capsys, *(text.format(mplog=mplog, out=tmp_path) for text in arguments))
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert said.err
    assert outputs(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--to", "kibana:{out}/x"], "unknown sink"),
        (["--to", "ecs"], "unknown sink|names no target"),
        (["--to", "ecs:"], "names no target"),
        (["--to", "ecs:{out}/x.ndjson?shape=round"], "has no option"),
        (["--to", "timesketch:{out}/x.json"], "jsonl"),
        (["--to", "l2tcsv:{out}/x.csv?dialect=german"], "dialects"),
        (["--to", "ecs:{mplog}/x.ndjson"], "inside the evidence"),
        (["--to", "ecs:{mplog}"], "inside the evidence"),
        (["--to", "ecs:{out}/x.ndjson", "--manifest", "{mplog}/run.json"], "inside the evidence"),
        (["--to", "ecs:{out}/x.ndjson", "--dead-letters", "{mplog}/lost.ndjson"], "inside the evidence"),
        (["--to", "ecs:{out}/x.ndjson", "--temporary", "{mplog}"], "inside the evidence"),
        (["--to", "ecs:{out}/x.ndjson", "--to", "ecs:{out}/x.ndjson"], "two outputs"),
        (["--to", "ecs:-", "--to", "l2tcsv:-"], "two outputs"),
        (["--to", "ecs:{out}/x.ndjson", "--manifest", "{out}/x.ndjson", "--force"], "two outputs"),
        (["--to", "ecs:{out}/no/such/folder/x.ndjson"], "cannot be created"),
        (["--to", "ecs:{out}/x.ndjson", "--to", "timesketch:{out}/taken.jsonl"], "exists"),
        (["--to", "ecs:{out}/x.ndjson", "--manifest", "{out}/taken.jsonl"], "exists"),
        (["--to", "ecs:{out}/x.ndjson", "--dead-letters", "{out}/taken.jsonl"], "exists"),
        (["--to", "ecs:{out}/x.ndjson", "--config", "{out}/no.toml"], "no.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_3_for_a_wrong_configuration_and_for_targets_that_refuse(capsys, mplog, tmp_path, arguments, word):
    (tmp_path / "taken.jsonl").write_text("mine\n", encoding="utf-8")
    evidence = outputs(mplog)
    said = invoke(capsys, "export", mplog, "--case", "C1", *(text.format(mplog=mplog, out=tmp_path) for text in arguments))
    assert (said.code, said.out) == (exit_codes.CONFIGURATION, "")
    assert said.err.startswith("defender-exporter: ")
    assert any(part in said.err for part in word.split("|")), said.err
    assert "Traceback" not in said.err
    assert (outputs(tmp_path), outputs(mplog)) == (["taken.jsonl"], evidence)
    assert (tmp_path / "taken.jsonl").read_text(encoding="utf-8") == "mine\n"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("[export]\nno-such-key = 1\n", "no-such-key"),
        ("[exprot]\ncase = 'C1'\n", "exprot"),
        ("this is no TOML", "x.toml"),
        ("\xff\xfe", "x.toml"),
    ],
)
def test_3_for_a_configuration_file_that_is_wrong(capsys, mplog, tmp_path, content, word):
    (tmp_path / "x.toml").write_bytes(content.encode("latin-1"))
    said = invoke(capsys, "export", mplog, "--case", "C1", *to(tmp_path), "--config", tmp_path / "x.toml")
    assert said.code == exit_codes.CONFIGURATION
    assert word in said.err
    assert outputs(tmp_path) == ["x.toml"]


def test_a_configuration_file_fills_in_what_the_command_line_leaves_out(capsys, mplog, tmp_path):
    (tmp_path / "x.toml").write_text(f"[export]\ncase = 'FROM-FILE'\nto = ['ecs:{(tmp_path / 'a.ndjson').as_posix()}']\n", encoding="utf-8")
    assert invoke(capsys, "export", mplog, "--config", tmp_path / "x.toml").code == 0
    assert '"case_id":"FROM-FILE"' in (tmp_path / "a.ndjson").read_text(encoding="utf-8")
    assert invoke(capsys, "export", mplog, "--config", tmp_path / "x.toml", "--case", "WINS", "--force").code == 0
    assert '"case_id":"WINS"' in (tmp_path / "a.ndjson").read_text(encoding="utf-8")


def test_the_example_configuration_is_one(capsys, mplog, tmp_path):
    example = ROOT / "config" / "exporter.example.toml"
    assert invoke(capsys, "export", mplog, "--config", example, "--case", "C1", *to(tmp_path)).code == 0


def test_4_for_damage_unless_it_is_allowed(capsys, mplog, tmp_path):
    (mplog / "broken.evtx").write_bytes(b"ElfFile\0" + bytes(50))
    said = invoke(capsys, "export", mplog, "--case", "C1", *to(tmp_path))
    assert said.code == exit_codes.DAMAGED
    assert outputs(tmp_path) == ["dead-letters.ndjson", "x.csv", "x.jsonl", "x.ndjson"]
    assert "broken.evtx@0: " in said.err
    assert str(tmp_path / "dead-letters.ndjson") in said.err
    assert invoke(capsys, "export", mplog, "--case", "C1", *to(tmp_path), "--force", "--allow-dead").code == 0


def test_4_for_evidence_in_which_nothing_was_found(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments in (["scan", tmp_path / "empty"], ["export", tmp_path / "empty", "--case", "C1", *to(tmp_path)]):
        said = invoke(capsys, *arguments)
        assert said.code == exit_codes.DAMAGED
        assert "no Defender evidence was found" in said.out + said.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device here that is full")
def test_75_for_a_target_that_takes_no_more_and_no_file_of_the_others(capsys, mplog, tmp_path):
    said = invoke(capsys, "export", mplog, "--case", "C1", "--to", f"l2tcsv:{tmp_path / 'x.csv'}", "--to", "ecs:/dev/full")
    assert said.code == exit_codes.UNAVAILABLE
    assert "/dev/full" in said.err
    assert outputs(tmp_path) == []


class Impatient:
    """A progress display whose user presses Ctrl-C in the middle."""

    def start(self, files: int, size: int) -> None: ...
    def file(self, host: str, path: str) -> None: ...
    def close(self) -> None: ...
    def advance(self, size: int) -> None:
        raise KeyboardInterrupt


def test_an_interruption_leaves_no_file(mplog, tmp_path):
    job = Job(evidence=(str(mplog),), case="C1", to=tuple(to(tmp_path)[1::2]))
    with pytest.raises(KeyboardInterrupt):
        run_job(job, Impatient())
    assert outputs(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_in_the_middle_of_a_run_leaves_no_file_and_the_exit_code_names_it(mplog, tmp_path, number, code):
    log = min(mplog.iterdir())
    data = log.read_bytes()
    log.write_bytes(data + data[2:] * (50_000_000 // len(data)))
    with start(command("export", mplog, "--case", "C1", *to(tmp_path), "--progress", "json"), tmp_path) as process:
        while not (tmp_path / "x.csv.part").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.stderr.readline()
        process.send_signal(getattr(signal, number))
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    assert outputs(tmp_path) == []

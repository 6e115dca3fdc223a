"""Names from evidence are inert on a terminal and in a log, wherever they are shown."""

import json
import os
import shutil
from pathlib import Path

import pytest

from exporter.synthetic.evtx import Event, write_evtx
from exporter.times import from_iso
from tests.cli.run import Said, invoke

ESCAPE = "\x1b[2J\x1b]0;owned\x07"
HOSTILE = f"WS{ESCAPE}\nHost FORGED (evtx): 0 incident(s)\u202etxt.exe"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="such names cannot be made here")


@pytest.fixture
def hostile(case_folder, tmp_path) -> Path:
    """A log that claims a hostile computer name, below a folder and beside a file with hostile names."""
    folder = tmp_path / "evidence" / f"x{ESCAPE}\ny"
    folder.mkdir(parents=True)
    moment = from_iso("2026-01-02T03:04:05Z")[0]
    data = {"Product Name": "x", "New Value": HOSTILE}
    write_evtx(folder / f"a{ESCAPE}.evtx", [Event(event_id=5007, record_id=1, created_at=moment, computer=HOSTILE, data=data)])
    shutil.copy2(min(case_folder.glob("WS-0142/**/MPLog-*.log")), folder / f"MPLog-{ESCAPE}\nnext.log")
    (folder / f"broken{ESCAPE}\n.evtx").write_bytes(b"nothing")
    return tmp_path / "evidence"


def is_inert(said: Said) -> bool:
    return (said.out + said.err).replace("\n", "").isprintable()


def forged(text: str) -> list[str]:
    """Lines that begin where a name of ours goes on behind its newline."""
    return [line for line in text.split("\n") if line.startswith(("Host FORGED", "y/", "next.log", ".evtx"))]


def test_names_in_the_summary_and_the_losses_are_inert(capsys, hostile, tmp_path):
    said = invoke(capsys, "export", hostile, "--case", "C1", "--to", f"l2tcsv:{tmp_path / 'x.csv'}")
    assert said.code == 4
    assert is_inert(said)
    assert forged(said.err) == []
    assert "\\x1b[2J" in said.err


@pytest.mark.parametrize("more", [[], ["--files"]])
def test_names_in_a_scan_are_inert(capsys, hostile, more):
    said = invoke(capsys, "scan", hostile, *more)
    assert is_inert(said)
    assert forged(said.out) == []


def test_names_in_the_progress_are_inert(capsys, hostile, tmp_path):
    target = f"ecs:{tmp_path / 'x.ndjson'}"
    said = invoke(capsys, "export", hostile, "--case", "C1", "--to", target, "--progress", "json", "--host", HOSTILE)
    assert is_inert(said)
    told = [json.loads(line)["progress"] for line in said.err.splitlines() if line.startswith('{"')]
    assert told[-1]["host"] == HOSTILE


def test_names_in_an_explanation_are_inert(capsys, hostile):
    said = invoke(capsys, "explain", min(hostile.rglob("a*.evtx")), "--record", "1")
    assert said.code == 0
    assert is_inert(said)


def test_names_in_errors_are_inert(capsys, hostile, tmp_path):
    said = invoke(capsys, "export", hostile, "--case", "C1", "--to", f"{ESCAPE}:{tmp_path / 'x'}")
    assert said.code == 3
    assert is_inert(said)
    assert is_inert(invoke(capsys, "export", f"{hostile}{ESCAPE}", "--case", "C1", "--to", "ecs:-"))


def test_dead_letters_and_timelines_hold_one_line_per_loss_and_row(capsys, hostile, tmp_path):
    to = ["--to", f"l2tcsv:{tmp_path / 'x.csv'}", "--to", f"timesketch:{tmp_path / 'x.jsonl'}"]
    invoke(capsys, "export", hostile, "--case", "C1", *to)
    for name in ("x.csv", "x.jsonl", "dead-letters.ndjson"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "\x1b" not in text, name
        assert forged(text) == [], name
    assert all(line.count(",") == 16 for line in (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines())

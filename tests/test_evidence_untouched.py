"""Evidence is only ever read (promise P3): as the tree looks before and after, and as the system sees our calls."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.evidence.trees import appearance
from tests.line import export

CHANGING = {
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "creat"),
    *("symlink", "symlinkat", "truncate", "ftruncate", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat"),
    *("utime", "utimes", "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
}
"""Calls that change a file, a folder or what is known about them; those on a descriptor need one that was opened for writing, or not."""
WRITING = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b")
CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)$")
IMAGES = ("raw", "E01", "vmdk", "vhdx", "qcow2")
PROGRAM = "from exporter.cli import main; main()"


@pytest.fixture(params=["folder", "zip", *(pytest.param(kind, marks=(pytest.mark.images, pytest.mark.real_data)) for kind in IMAGES)])
def evidence(request, case_folder, tmp_path) -> Path:
    """A copy of the case, as folder, as zip and as disk images, in a folder of its own."""
    kept = tmp_path / "evidence"
    if request.param in IMAGES:
        kept.mkdir()
        request.getfixturevalue("image_tool")("make_image", case_folder, kept / f"case.{request.param}")
    elif request.param == "folder":
        shutil.copytree(case_folder, kept)
    else:
        kept.mkdir()
        shutil.make_archive(str(kept / "case"), "zip", case_folder)
    return kept


def given(evidence: Path) -> Path:
    """What is given to the command: the folder, or the one file in it."""
    return evidence if (evidence / "WS-0142").exists() else next(evidence.iterdir())


def test_a_tree_looks_the_same_after_an_export(evidence, tmp_path):
    before = appearance(evidence)
    run = export(given(evidence), tmp_path / "out", manifest=tmp_path / "run.json")
    assert run.evidence
    assert appearance(evidence) == before


@pytest.mark.real_data
def test_real_samples_look_the_same_after_an_export(shared_data, tmp_path):
    folders = [shared_data / name for name in ("evtx", "mplog", "quarantine", "detection_history")]
    before = [appearance(folder) for folder in folders]
    assert export(folders, tmp_path).evidence
    assert [appearance(folder) for folder in folders] == before


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *map(str, arguments)]


def traced(arguments: list[str], log: Path) -> str:
    """The file-related system calls of a run."""
    tracer = shutil.which("strace")
    if tracer is None:
        pytest.skip("strace is missing")
    watched = "trace=%file,%desc"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [tracer, "-f", "-y", "-s", "4096", "-e", watched, "-o", str(log), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if "PTRACE" in done.stderr.upper() and not log.exists():
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    return log.read_text(encoding="utf-8", errors="replace")


def offences(calls: str, root: Path) -> list[str]:
    """Calls on something below `root` that change it, or open it for writing."""
    found = []
    for line in calls.splitlines():
        call = CALL.match(line)
        if call is None or str(root) not in line:
            continue
        name, rest = call[1], call[2]
        if name in CHANGING or (name in ("open", "openat", "openat2") and WRITING.search(rest)):
            found.append(line)
    return found


def test_the_system_sees_no_call_that_could_change_the_evidence(evidence, tmp_path):
    source = given(evidence)
    out = tmp_path / "out"
    out.mkdir()
    targets = ("--to", f"ecs:{out / 'x.ndjson'}", "--to", f"timesketch:{out / 'x.jsonl'}", "--to", f"l2tcsv:{out / 'x.csv'}")
    calls = traced(command("export", source, "--case", "T1", *targets, "--manifest", out / "run.json"), tmp_path / "strace.log")
    assert str(evidence) in calls
    assert offences(calls, out), "this test sees what writing looks like"
    assert offences(calls, evidence) == []


def test_scanning_writes_nothing_anywhere(evidence, tmp_path):
    calls = traced(command("scan", evidence), tmp_path / "strace.log")
    assert str(evidence) in calls
    assert offences(calls, tmp_path) == []

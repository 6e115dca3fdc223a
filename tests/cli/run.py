"""The command line in a test: in this process where that is enough, else in one of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporter.cli import main
from tests.conftest import ROOT

PROGRAM = "from exporter.cli import main; main()"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("DEFENDER_EXPORTER_", "PYTHONUNBUFFERED"))},
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


def invoke(capsys: pytest.CaptureFixture[str], *arguments: object) -> Said:
    """Run the command in this process."""
    before = sys.argv
    sys.argv = ["defender-exporter", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as stopped:
            main()
    finally:
        sys.argv = before
    code = stopped.value.code
    assert isinstance(code, int)
    return Said(code, *capsys.readouterr())


def command(*arguments: object) -> list[str]:
    """The command as a process of its own."""
    return [sys.executable, "-c", PROGRAM, *map(str, arguments)]


def start(arguments: list[str], folder: Path, **options: Any) -> subprocess.Popen[bytes]:
    """A process with pipes for what it says, and with the signals of a terminal even where the tests run in the background."""
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    if os.name == "posix":
        given.setdefault("preexec_fn", _hear_signals)
    return subprocess.Popen(arguments, cwd=folder, env=ENVIRONMENT, **given)


def _hear_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)

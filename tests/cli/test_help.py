"""Help costs nothing: no command's help imports what only its work needs."""

import re
import subprocess
import sys

import pytest

from exporter.cli import COMMANDS
from exporter.cli.exit_codes import MEANING
from tests.cli.run import ENVIRONMENT, invoke

HEAVY = ("elasticsearch", "elastic_transport", "rich", "Crypto", "Evtx", "evtx", "yaml", "orjson")
PROGRAM = f"""
import sys
from exporter.cli import main
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"imported: {{loaded}}" if loaded else 0)
"""
HELPS = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS), *(["mappings", sub, "--help"] for sub in ("check", "list"))]


@pytest.mark.parametrize("arguments", HELPS, ids=" ".join)
def test_help_imports_nothing_heavy(arguments, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_help_names_every_command_and_every_exit_code(capsys):
    said = invoke(capsys, "--help")
    text = " ".join(said.out.split())
    assert all(re.search(rf"\b{name}\b", said.out) for name in COMMANDS)
    assert all(f"{code} {meaning}" in text for code, meaning in MEANING.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_in_its_help(capsys, name):
    said = invoke(capsys, name, "--help")
    assert f"defender-exporter {name}" in said.out
    assert said.code == 0

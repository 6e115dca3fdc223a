"""What an administrator installs: units, cron line, and that their commands are ours."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from exporter.cli import cli
from exporter.data import folder

UNITS = folder("config") / "systemd"
CRON = folder("config") / "cron.example"
HARDENED = {
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "NoNewPrivileges": "yes",
    "PrivateTmp": "yes",
    "StateDirectoryMode": "0700",
    "ReadOnlyPaths": "/srv/triage",
    "CapabilityBoundingSet": "",
    "MemoryDenyWriteExecute": "yes",
}


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read(UNITS / name, "utf-8")
    return parser


def commands() -> list[list[str]]:
    line = next(line for line in CRON.read_text("utf-8").splitlines() if "defender-exporter ingest" in line and not line.startswith("#"))
    assert re.match(r"\d+ \d+ \* \* \* [a-z-]+ ", line)
    return [shlex.split(unit("defender-exporter.service")["Service"]["ExecStart"]), shlex.split(line.partition(" 2>>")[0])]


@pytest.mark.parametrize("number", [0, 1])
def test_the_commands_are_ours(number: int) -> None:
    words = commands()[number]
    arguments = words[len(words) - words[::-1].index("ingest") :]
    command = cli.get_command(click.Context(cli), "ingest")
    context = command.make_context("ingest", [*arguments, "--case-from", "folder", "--to", "ecs:{run}.ndjson"])
    assert str(context.params["share"]) == "/srv/triage"
    assert context.params["once"]
    assert context.params["log_format"] == "json"


def test_the_service_may_write_where_it_must_and_nowhere_else() -> None:
    service = unit("defender-exporter.service")["Service"]
    assert {name: service[name] for name in HARDENED} == HARDENED
    assert f"--state /var/lib/{service['StateDirectory']}" in service["ExecStart"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        shutil.copy(path, tmp_path)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    if "Failed to initialize manager" in checked.stderr:
        pytest.skip("systemd-analyze does not work here")
    assert "defender-exporter" not in checked.stderr
    assert checked.returncode == 0

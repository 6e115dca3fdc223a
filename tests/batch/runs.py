"""Batches as processes of their own, and what they leave."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.cli.run import command, start
from tests.line import FILES

PROGRAM = Path(__file__).with_name("bombs.py")
"""Never imported here: it adds a collector to those that every other test goes through."""
SECONDS = 3600


def targets(folder: Path) -> list[str]:
    return [part for name, file in FILES.items() for part in ("--to", f"{name}:{folder / file}")]


def batch(share: Path, folder: Path, *more: object, bombs: bool = False) -> list[str]:
    """The command over all hosts of a share; its outputs and its state are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    given = ("--evidence", share / "*", "--case", "T1", "--state", folder / "state", "--reproducible", *targets(folder))
    words = command("batch", *given, *more)
    return [sys.executable, str(PROGRAM), *words[3:]] if bombs else words


def run(share: Path, folder: Path, *more: object, bombs: bool = False) -> tuple[int, str, str]:
    """Its exit code, output and talk."""
    process = start(batch(share, folder, *more, bombs=bombs), folder.parent)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out.decode(), err.decode()


def outputs(folder: Path) -> dict[str, bytes]:
    names = [*FILES.values(), "dead-letters.ndjson"]
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def results(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def told(documents: list[dict[str, Any]]) -> list[str]:
    """The documents in one order, without the time of those that have none of their own."""
    return sorted(json.dumps(one | ({"@timestamp": 0} if one["event"]["kind"] == "pipeline_error" else {})) for one in documents)

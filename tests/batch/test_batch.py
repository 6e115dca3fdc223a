"""A batch writes what an export of the same evidence writes, whatever happens to a host, to a process or to itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.cli import exit_codes
from tests.batch.hosts import BREAK_EVERY, write_hosts, write_models
from tests.cli.run import command, start
from tests.line import FILES, Exported, export, objects

HOSTS = 60
BROKEN = HOSTS // BREAK_EVERY


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Collections of many hosts, every twentieth broken."""
    folder = tmp_path_factory.mktemp("share")
    write_models(folder / "models")
    write_hosts(folder / "hosts", folder / "models", HOSTS)
    return folder / "hosts"


@pytest.fixture(scope="session")
def exported(share: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """What one `export` makes of the hosts that can be opened."""
    good = [path for path in sorted(share.iterdir()) if path.is_dir() or path.exists()]
    return export(good, tmp_path_factory.mktemp("exported"), reproducible=True)


def targets(folder: Path) -> list[str]:
    return [part for name, file in FILES.items() for part in ("--to", f"{name}:{folder / file}")]


def arguments(share: Path, folder: Path, *more: object) -> list[object]:
    folder.mkdir(parents=True, exist_ok=True)
    given = ("--evidence", share / "*", "--case", "T1", "--state", folder / "state", "--reproducible", *targets(folder))
    return ["batch", *given, *more]


def run(share: Path, folder: Path, *more: object) -> tuple[int, str, str]:
    """A batch as a process of its own: code, output, talk."""
    process = start(command(*arguments(share, folder, *more)), folder.parent)
    out, err = process.communicate(timeout=300)
    return process.returncode, out.decode(), err.decode()


def outputs(folder: Path) -> dict[str, bytes]:
    return {file: (folder / file).read_bytes() for file in FILES.values()}


def told(documents: list[dict[str, Any]]) -> list[str]:
    """The documents in one order, without the time of those that have none of their own."""
    return sorted(json.dumps(one | ({"@timestamp": 0} if one["event"]["kind"] == "pipeline_error" else {})) for one in documents)


def results(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_two_processes_write_the_same_bytes_as_one_and_as_an_export(share: Path, exported: Exported, tmp_path: Path) -> None:
    code, out, err = run(share, tmp_path / "two", "--jobs", 2, "--results", "-")
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


def test_a_batch_that_is_complete_is_not_done_again(share: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert run(share, folder, "--jobs", 2)[0] == exit_codes.DAMAGED
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}
    code, out, err = run(share, folder, "--resume", "--results", "-")
    assert (code, out) == (exit_codes.DAMAGED, "")
    assert "Nothing was left to do" in err
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()} == before
    assert run(share, folder)[0] == exit_codes.CONFIGURATION

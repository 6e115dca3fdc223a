"""The examples for SLURM and Celery do what they say: one host a task, then a merge, and it is the batch."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from exporter.cli import exit_codes
from exporter.data import folder
from tests.batch.hosts import write_hosts
from tests.batch.runs import outputs, run
from tests.cli.run import ENVIRONMENT, PROGRAM, command, start
from tests.line import FILES

posix = pytest.mark.skipif(os.name != "posix", reason="shell scripts")
CASE = """\
case: T1
evidence: [own/*]
sinks: [{sinks}]
state: state
"""


@pytest.fixture
def case(models: Path, tmp_path: Path) -> Path:
    """A case of five hosts, one broken, with sinks beside it."""
    write_hosts(tmp_path / "own", models, 4)
    (tmp_path / "own" / "HOST-9999").mkdir()
    path = tmp_path / "CASE.yaml"
    path.write_text(CASE.format(sinks=", ".join(f"{name}:{file}" for name, file in FILES.items())), "utf-8")
    return path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`defender-exporter` on the path."""
    place = tmp_path / "bin" / "defender-exporter"
    place.parent.mkdir()
    place.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{PROGRAM}" "$@"\n', "utf-8")
    place.chmod(0o755)
    for name, value in {**ENVIRONMENT, "PATH": f"{place.parent}{os.pathsep}{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)


def merged(case: Path) -> dict[str, bytes]:
    """The outputs after `--merge`, without `event.ingested`, which differs from run to run."""
    process = start(command("batch", case, "--merge"), case.parent)
    _, err = process.communicate(timeout=300)
    assert process.returncode == exit_codes.DAMAGED, err
    return {name: data for name, data in outputs(case.parent).items() if name in (FILES["timesketch"], FILES["l2tcsv"])}


def expected(case: Path) -> dict[str, bytes]:
    assert run(case.parent / "own", case.parent / "whole", "--jobs", 2)[0] == exit_codes.DAMAGED
    return {name: data for name, data in outputs(case.parent / "whole").items() if name in (FILES["timesketch"], FILES["l2tcsv"])}


@posix
@pytest.mark.usefixtures("program")
def test_the_tasks_of_an_array_job_read_a_host_each_at_the_same_time(case: Path) -> None:
    script = folder("config") / "slurm-array.sh"
    tasks = [
        subprocess.Popen(["sh", script, case], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}, stderr=subprocess.DEVNULL)
        for number in range(1, 6)
    ]
    assert [task.wait(timeout=300) for task in tasks] == [exit_codes.COMPLETE] * 4 + [exit_codes.DAMAGED]
    assert merged(case) == expected(case)


@posix
@pytest.mark.usefixtures("program")
def test_a_celery_task_gives_the_exit_code_and_tries_again_when_a_sink_is_away(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "celery", _celery())
    host = runpy.run_path(str(folder("config") / "celery_hosts.py"))["host"]
    task = SimpleNamespace(retry=lambda countdown: TimeoutError(countdown))
    assert [host(task, case, name) for name in ("HOST-0000", "HOST-9999", "HOST-0000")] == [0, 4, 0]
    (tmp_path / "bin" / "defender-exporter").write_text("#!/bin/sh\nexit 75\n", "utf-8")
    with pytest.raises(TimeoutError):
        host(task, case, "HOST-0001")


def _celery() -> ModuleType:
    class Celery:
        def __init__(self, name: str, broker: str) -> None: ...
        def task(self, **options: Any) -> Any:
            assert options["acks_late"]
            return lambda function: function

    module = ModuleType("celery")
    module.Celery = Celery
    return module

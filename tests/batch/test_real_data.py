"""A batch of real samples, one of them with logs of many computers, is an export of them."""

from pathlib import Path

import pytest

from exporter.cli import exit_codes
from tests.batch.runs import targets, told
from tests.cli.run import command, start
from tests.line import FILES, export, objects

pytestmark = pytest.mark.real_data


def test_a_batch_of_the_samples_writes_what_an_export_writes(shared_data: Path, tmp_path: Path) -> None:
    kinds = [shared_data / name for name in ("detection_history", "etl", "evtx", "mplog", "quarantine")]
    patterns = [word for kind in kinds for word in ("--evidence", kind)]
    given = ("--case", "T1", "--state", tmp_path / "state", "--reproducible", "--jobs", 2)
    process = start(command("batch", *patterns, *given, *targets(tmp_path)), tmp_path)
    _, err = process.communicate(timeout=600)
    assert process.returncode == exit_codes.DAMAGED
    whole = export(kinds, tmp_path / "export", reproducible=True)
    for name in ("timesketch", "l2tcsv"):
        assert (tmp_path / FILES[name]).read_bytes() == (whole.folder / FILES[name]).read_bytes()
    assert told(objects(tmp_path / FILES["ecs"])) == told(whole.documents)
    assert f"; {len(whole.report.hosts)} names in them" in err.decode()

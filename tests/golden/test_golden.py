"""Golden cases: for each input, the three outputs as an analyst gets them. See README.md in this folder."""

from pathlib import Path

import pytest

from tests.golden.compare import check
from tests.golden.inputs import CASES, REAL_CASES, write_input
from tests.line import FILES, export

HERE = Path(__file__).parent


def judge(name: str, place: Path, samples: Path, refresh: bool) -> None:
    """Export the input of a case and compare every output with the golden one."""
    run = export(write_input(name, place, samples), place / "out", reproducible=True, case=name)
    assert run.report.unbalanced == []
    for file in FILES.values():
        check(HERE / name / file, (run.folder / file).read_bytes(), refresh=refresh)


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_exported_as_its_golden_files_say(name, tmp_path, refresh_golden):
    judge(name, tmp_path, Path(), refresh_golden)


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL_CASES)
def test_real_samples_are_exported_as_their_golden_files_say(name, shared_data, tmp_path, refresh_golden):
    judge(name, tmp_path, shared_data, refresh_golden)


def test_there_is_a_folder_for_each_case_and_for_nothing_else():
    folders = {path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*CASES, *REAL_CASES, "kinds"}

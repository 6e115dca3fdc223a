"""Where samples and peers are, and what their absence means: a skip for a user, a failure where `REQUIRE` says so (CI)."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from exporter.synthetic.case import write_case
from tests.line import Exported, export

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("DEFENDER_EXPORTER_SHARED", ROOT.parent / "shared"))
PEERS = Path(os.environ.get("DEFENDER_EXPORTER_PEERS", ROOT / ".peers"))
settings.register_profile("ci", derandomize=True)
"""CI tries the same examples every time, so that a red run is the change's fault; new ones are found by everybody else's runs."""
if os.environ.get("CI"):
    settings.load_profile("ci")
REQUIRED = os.environ.get("DEFENDER_EXPORTER_REQUIRE", "").split(",")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh-golden", action="store_true", help="write the golden files of tests/golden anew (`make golden`)")


@pytest.fixture(scope="session")
def refresh_golden(pytestconfig: pytest.Config) -> bool:
    """True when golden files are to be written instead of compared."""
    return bool(pytestconfig.getoption("--refresh-golden"))


def missing(what: str, marker: str) -> None:
    """Skip by name, or fail where this run must show that the tests of `marker` ran."""
    if marker in REQUIRED:
        pytest.fail(f"{what} is required here and missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples; use together with the marker `real_data`."""
    if not (SHARED / "data").is_dir():
        missing(f"the samples folder {SHARED / 'data'}", "real_data")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_tools() -> Path:
    """The folder of independent generators; use together with the marker `real_data`."""
    if not (SHARED / "tools").is_dir():
        missing(f"the generators folder {SHARED / 'tools'}", "real_data")
    return SHARED / "tools"


@pytest.fixture(scope="session")
def peer():
    """`peer(name)` is the Python of an independent tool's environment; use together with the marker `peers`."""

    def find(name: str) -> Path:
        for place in (PEERS / name / "bin" / "python", PEERS / name / "Scripts" / "python.exe"):
            if place.exists():
                return place
        missing(f"the environment of {name} (make peers)", "peers")
        raise AssertionError

    return find


@pytest.fixture(scope="session")
def case_folder(tmp_path_factory) -> Path:
    """The evidence of the synthetic case, without its truth file."""
    folder = tmp_path_factory.mktemp("case") / "evidence"
    write_case(folder)
    (folder / "truth.json").unlink()
    return folder


@pytest.fixture(scope="session")
def demo(case_folder, tmp_path_factory) -> Exported:
    """The synthetic case, exported to every sink."""
    return export(case_folder, tmp_path_factory.mktemp("demo"))

"""Where samples and peers are, and what their absence means: a skip for a user, a failure where `REQUIRE` says so (CI)."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
def image_tool(shared_tools) -> Callable[..., dict[str, Any]]:
    """`image_tool(name, *arguments)` runs make_image, make_vss or make_bitlocker; its truth. Use together with the marker `images`."""
    if importlib.util.find_spec("pyfsntfs") is None:
        missing("the extra `images`", "images")
    for program, package in {"mkntfs": "ntfs-3g", "sfdisk": "fdisk", "qemu-img": "qemu-utils", "ewfacquire": "ewf-tools"}.items():
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            missing(f"{program} (Debian package {package})", "images")

    def run(name: str, *arguments: object) -> dict[str, Any]:
        command = [sys.executable, str(shared_tools / f"{name}.py"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        truth: dict[str, Any] = json.loads(done.stdout)
        return truth

    return run


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

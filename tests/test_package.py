"""The wheel, installed where nothing of this checkout is: what a user gets."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

BINARIES = "Scripts" if os.name == "nt" else "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without network."""
    target = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target], ROOT)
    (found,) = target.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs the installed command, in an environment with our dependencies and without our checkout, from an empty folder."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=False)
    python = place / BINARIES / Path(sys.executable).name
    run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel], place)
    (packages,) = place.rglob("site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    return lambda *arguments: run([place / BINARIES / "defender-exporter", *arguments], elsewhere)


def run(command, place):
    """Its standard output; fails with what it said when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DEFENDER_EXPORTER", "COV_"))}
    done = subprocess.run(command, cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_the_mappings_and_the_example_and_nothing_of_the_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("mappings/common.yaml", "mappings/plaso/known.yaml", "mappings/values/ecs-9.4.0.csv", "config/exporter.example.toml"):
        assert f"exporter/_data/{name}" in names
    assert "exporter/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"exporter", "defender_exporter"}


def test_the_installed_command_says_what_it_can(installed):
    assert "demo" in installed("--help")


def test_the_installed_mappings_are_found_and_right(installed):
    installed("mappings", "check")


def test_the_installed_demo_exports_a_case_from_any_folder(installed, tmp_path):
    told = installed("demo", tmp_path / "case")
    for ending in ("ndjson", "jsonl", "csv"):
        found = [path for path in (tmp_path / "case").rglob(f"*.{ending}") if path.name in told]
        assert found, told
        assert all(path.stat().st_size for path in found)

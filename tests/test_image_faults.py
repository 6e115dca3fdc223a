"""Damaged images: the right data, or exit code 4 with a reason; never wrong data marked verified, never a hang or a dead run.

`DEFENDER_EXPORTER_IMAGE_FAULTS` says that one of so many faults is tried (`make image-faults`: 1, all; else every 64th).
"""

import os
from pathlib import Path

import pytest

from tests.image_faults import Fault, Verdict, cuts, flips, flips_anywhere, verdicts

pytestmark = [pytest.mark.images, pytest.mark.real_data]
EVERY = int(os.environ.get("DEFENDER_EXPORTER_IMAGE_FAULTS", "64"))
START = 1 << 20


@pytest.fixture(scope="module")
def raw(case_folder, image_tool, tmp_path_factory) -> Path:
    """One host's Windows drive on a disk with an MBR."""
    made = tmp_path_factory.mktemp("faults") / "disk.raw"
    image_tool("make_image", case_folder / "WS-0142" / "C", made)
    return made


def judged(image: Path, folder: Path, faults: list[Fault]) -> list[Verdict]:
    """What is not as it should be."""
    found = list(verdicts(image, folder, faults[::EVERY]))
    assert len(found) == len(faults[::EVERY])
    return [verdict for verdict in found if verdict.what not in ("right", "told")]


def test_an_image_cut_anywhere_is_told(raw, tmp_path):
    assert judged(raw, tmp_path / "out", cuts(raw, 200)) == []


def test_a_flipped_bit_in_the_metadata_of_ntfs_is_told_or_changes_nothing(raw, tmp_path):
    assert judged(raw, tmp_path / "out", flips(raw, START)) == []


@pytest.mark.parametrize("kind", ["E01", "vmdk", "vhd", "vhdx", "qcow2"])
def test_a_flipped_bit_in_a_container_never_makes_wrong_data_verified(kind, raw, image_tool, tmp_path):
    image = tmp_path / f"disk.{kind}"
    image_tool("make_image", raw, image, "--table", "none")
    faults = flips_anywhere(image, 100) + cuts(image, 50)
    allowed = () if kind == "E01" else ("silent",)
    assert [verdict for verdict in judged(image, tmp_path / "out", faults) if verdict.what not in allowed] == []

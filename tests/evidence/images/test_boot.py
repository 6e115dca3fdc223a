"""A damaged boot sector of an NTFS volume: its copy in the last sector stands in for it, and only then."""

from pathlib import Path

import pytest

from exporter.evidence.images.tree import image_kind
from tests.evidence.images.build import read, write_tree
from tests.evidence.images.volume_writer import VolumeWriter

pytestmark = [pytest.mark.images, pytest.mark.real_data]

START = 1 << 20
MENDED = "its first sector is damaged; the copy in its last sector was used"
DAMAGE = {
    "all": (0, bytes(512)),
    "signature": (3, b"NTFT"),
    "cluster size": (13, b"\0"),
    "volume size": (46, b"\xff"),
    "place of the MFT": (48, b"\x05"),
    "size of an MFT entry": (64, b"\x55"),
    "size of an index entry": (69, b"\x01"),
}


@pytest.fixture(scope="module")
def disk(image_tool, tmp_path_factory) -> bytes:
    """A disk with one volume, from `START` on, that ends where the last megabyte begins."""
    folder = tmp_path_factory.mktemp("boot")
    image_tool("make_image", write_tree(folder / "tree", {"MPLog-1.log": b"the log" * 500}), folder / "disk.raw")
    content = (folder / "disk.raw").read_bytes()
    assert content[-START - 512 + 3 :].startswith(b"NTFS")
    return content


@pytest.fixture(scope="module")
def volume(disk) -> bytes:
    return disk[START:-START]


def damaged(folder: Path, content: bytes, *changes: tuple[int, bytes]) -> Path:
    """An image with other bytes at some places."""
    changed = bytearray(content)
    for at, data in changes:
        changed[at : at + len(data)] = data
    (folder / "disk.raw").write_bytes(changed)
    return folder / "disk.raw"


@pytest.mark.parametrize("what", DAMAGE)
def test_the_copy_stands_in_for_a_damaged_boot_sector(what, disk, tmp_path):
    at, data = DAMAGE[what]
    found, losses, image = read(damaged(tmp_path, disk, (START + at, data)))
    assert found == {"p1/MPLog-1.log": b"the log" * 500}
    assert [(loss.reason, loss.excerpt, loss.units) for loss in losses] == [(MENDED, "p1", 0)]
    assert image.volumes[0].file_system == "ntfs"


def test_a_volume_that_is_not_on_a_disk_is_known_by_the_copy(volume, tmp_path):
    damaged(tmp_path, volume, (0, bytes(512))).rename(tmp_path / "dump")
    assert image_kind(tmp_path, ("dump",)) == "raw"
    found, losses, _ = read(tmp_path / "dump")
    assert found == {"volume/MPLog-1.log": b"the log" * 500}
    assert [loss.reason for loss in losses] == [MENDED]


def test_the_copy_in_a_sector_of_4096_bytes_is_found(image_tool, shared_tools, tmp_path):
    with VolumeWriter(shared_tools, tmp_path / "v.ntfs", sector=4096) as writer:
        writer.add("MPLog-1.log", b"x")
    found, losses, _ = read(damaged(tmp_path, (tmp_path / "v.ntfs").read_bytes(), (0, bytes(4096))))
    assert (found, [loss.reason for loss in losses]) == ({"volume/MPLog-1.log": b"x"}, [MENDED])


def test_a_damaged_copy_is_not_looked_at_while_the_first_is_whole(volume, tmp_path):
    found, losses, _ = read(damaged(tmp_path, volume, (len(volume) - 512 + 48, b"\x05")))
    assert (list(found), losses) == (["volume/MPLog-1.log"], [])


def test_two_damaged_boot_sectors_are_a_loss(disk, tmp_path):
    _, losses, _ = read(damaged(tmp_path, disk, (START + 3, b"NTFT"), (len(disk) - START - 512, bytes(512))))
    assert [(loss.reason, loss.units) for loss in losses] == [("no known file system, or its first sector is damaged", 1)]


def test_a_copy_that_leads_nowhere_is_a_remnant_and_not_told(disk, tmp_path):
    inside = (START, bytes(len(disk) - 2 * START - 512))
    _, losses, image = read(damaged(tmp_path, disk, inside))
    assert (image.volumes[0].file_system, losses) == ("empty", [])

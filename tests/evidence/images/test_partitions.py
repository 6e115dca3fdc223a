"""Partition tables: what is read of whole and of damaged ones."""

import struct
import subprocess
from pathlib import Path

import pytest

from exporter.errors import EvidenceError
from exporter.evidence.images.media import Media
from exporter.evidence.images.partitions import Partition, read_table
from tests.evidence.images.build import read, write_tree

SECTOR = 512


def media(content: bytes) -> Media:
    return Media(lambda offset, size: content[offset : offset + size], len(content))


def entry(kind: int, start: int, length: int) -> bytes:
    return struct.pack("<B3xB3xII", 0, kind, start, length)


def boot(*entries: bytes) -> bytes:
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def disk(sectors: dict[int, bytes], length: int = 4096) -> bytes:
    content = bytearray(length * SECTOR)
    for number, sector in sectors.items():
        content[number * SECTOR : number * SECTOR + len(sector)] = sector
    return bytes(content)


def test_primary_partitions_come_in_the_order_of_the_table():
    table = read_table(media(disk({0: boot(entry(7, 2048, 100), entry(0x27, 1024, 10))})), SECTOR)
    assert table is not None
    assert table.kind == "mbr"
    assert table.partitions == [
        Partition(2048 * SECTOR, 100 * SECTOR, "basic data"),
        Partition(1024 * SECTOR, 10 * SECTOR, "Windows recovery"),
    ]


def test_logical_partitions_are_found_through_the_chain():
    content = disk(
        {
            0: boot(entry(7, 10, 20), entry(0x0F, 100, 1000)),
            100: boot(entry(7, 5, 50), entry(5, 200, 300)),
            300: boot(entry(0x83, 7, 70)),
        }
    )
    table = read_table(media(content), SECTOR)
    assert table is not None
    assert [(part.start // SECTOR, part.size // SECTOR) for part in table.partitions] == [(10, 20), (105, 50), (307, 70)]
    assert table.damage is None


def test_a_chain_in_a_circle_ends():
    content = disk({0: boot(entry(5, 100, 1000)), 100: boot(entry(7, 5, 50), entry(5, 0, 300))})
    table = read_table(media(content), SECTOR)
    assert table is not None
    assert len(table.partitions) == 1


def test_a_broken_chain_is_told():
    content = disk({0: boot(entry(7, 10, 20), entry(5, 100, 1000))})
    table = read_table(media(content), SECTOR)
    assert table is not None
    assert table.damage == "the chain of logical partitions is damaged at sector 100"


def test_no_table_is_none():
    assert read_table(media(bytes(8192)), SECTOR) is None
    assert read_table(media(b""), SECTOR) is None


@pytest.fixture(scope="module")
def gpt(image_tool, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpt")
    image_tool("make_image", write_tree(folder / "tree", {"MPLog-1.log": b"x"}), folder / "disk.raw", "--table", "gpt")
    return folder / "disk.raw"


def changed(source: Path, folder: Path, *places: tuple[int, int], length: int | None = None) -> Path:
    """A copy with zeros from each place on, up to the other; or cut off."""
    content = bytearray(source.read_bytes()[:length])
    for start, end in places:
        content[start:end] = bytes(end - start)
    (folder / "disk.raw").write_bytes(content)
    return folder / "disk.raw"


@pytest.mark.images
@pytest.mark.real_data
class TestGpt:
    def test_a_disk_whose_second_table_is_cut_off_is_read(self, gpt, tmp_path):
        found, losses, image = read(changed(gpt, tmp_path, length=gpt.stat().st_size - 34 * SECTOR))
        assert found == {"p1/MPLog-1.log": b"x"}
        assert not losses
        assert (image.table, image.sectors) == ("gpt", SECTOR)

    @pytest.mark.parametrize("place", [(512, 1024), (1024, 1536), (0, 1024)], ids=["header", "entries", "boot sector too"])
    def test_the_second_table_stands_in_for_a_damaged_first_one(self, gpt, place, tmp_path):
        found, losses, _ = read(changed(gpt, tmp_path, place))
        assert found == {"p1/MPLog-1.log": b"x"}
        assert [loss.reason for loss in losses] == ["the first copy of the partition table (GPT) is damaged; the second one was used"]

    def test_two_damaged_tables_are_a_loss(self, gpt, tmp_path):
        size = gpt.stat().st_size
        _, losses, _ = read(changed(gpt, tmp_path, (512, 1024), (size - 512, size)))
        assert [loss.reason for loss in losses] == ["both copies of the partition table (GPT) are damaged"]

    def test_a_volume_that_the_image_ends_in_is_told(self, gpt, tmp_path):
        _, losses, _ = read(changed(gpt, tmp_path, length=gpt.stat().st_size // 2))
        assert losses[0].excerpt == "p1"
        assert losses[0].reason.endswith("bytes before this volume does")


@pytest.mark.images
@pytest.mark.real_data
def test_sectors_of_4096_bytes_are_counted_as_such(image_tool, tmp_path):
    volume = tmp_path / "volume.ntfs"
    image_tool("make_image", write_tree(tmp_path / "tree", {"MPLog-1.log": b"x"}), volume, "--table", "none")
    content = volume.read_bytes()
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20) + content + bytes(1 << 20))
    script = (
        f"label: gpt\nunit: sectors\nsector-size: 4096\nstart=256, size={len(content) // 4096}, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n"
    )
    arguments = ["/usr/sbin/sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--sector-size", "4096", str(tmp_path / "disk.raw")]
    done = subprocess.run(arguments, input=script, text=True, capture_output=True, check=False)
    if done.returncode and "sector-size" in done.stderr:
        pytest.skip("this sfdisk knows no --sector-size")
    assert done.returncode == 0, done.stderr
    found, losses, image = read(tmp_path / "disk.raw")
    assert found == {"p1/MPLog-1.log": b"x"}
    assert not losses
    assert image.sectors == 4096


def test_damage_to_both_tables_of_a_disk_raises():
    protective = disk({0: boot(entry(0xEE, 1, 4095))})
    with pytest.raises(EvidenceError, match="both copies"):
        read_table(media(protective), SECTOR)

"""Partition tables: what is read of whole and of damaged ones."""

import struct
import subprocess
import uuid
import zlib
from pathlib import Path

import pytest

from exporter.errors import EvidenceError
from exporter.evidence.images.media import Media
from exporter.evidence.images.partitions import Partition, read_table
from exporter.evidence.images.tree import image_kind
from tests.evidence.images.build import read, write_tree
from tests.evidence.images.volume_writer import VolumeWriter

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


def gpt_of(volume: bytes, sector: int) -> bytes:
    """A disk that counts in sectors of this size, with the volume at sector 256: UEFI specification 2.10, 5.3."""
    first, last = 256, 256 + len(volume) // sector - 1
    basic_data = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7").bytes_le
    entries = (basic_data + uuid.UUID(int=1).bytes_le + struct.pack("<QQ", first, last)).ljust(128 * 128, b"\0")
    end = last + 1 + len(entries) // sector
    headers = []
    for here, there, table in ((1, end, 2), (end, 1, last + 1)):
        fields = struct.pack("<QQQQ16sQIII", here, there, first, last, uuid.UUID(int=2).bytes_le, table, 128, 128, zlib.crc32(entries))
        head = struct.pack("<8sIIII", b"EFI PART", 1 << 16, 92, 0, 0) + fields
        headers.append((head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]).ljust(sector, b"\0"))
    before = boot(entry(0xEE, 1, end)).ljust(sector, b"\0") + headers[0] + entries
    return before.ljust(first * sector, b"\0") + volume + entries + headers[1]


def mbr_of(volume: bytes, sector: int) -> bytes:
    """A disk with the volume in a logical partition."""
    length = len(volume) // sector
    extended = (boot(entry(0x0F, 16, length + 16)).ljust(16 * sector, b"\0") + boot(entry(7, 16, length))).ljust(32 * sector, b"\0")
    return extended + volume


@pytest.fixture(scope="module")
def large(image_tool, shared_tools, tmp_path_factory) -> bytes:
    """A volume with sectors of 4,096 bytes and a file."""
    path = tmp_path_factory.mktemp("large") / "v.ntfs"
    with VolumeWriter(shared_tools, path, sector=4096) as writer:
        writer.add("MPLog-1.log", b"x" * 10_000)
    content = path.read_bytes()
    assert content[11:13] == b"\0\x10"
    return content


@pytest.mark.images
@pytest.mark.real_data
class TestLargeSectors:
    """Disks of 4,096-byte sectors (4Kn). The tool that makes images counts in 512; so does QEMU in every container it writes."""

    @pytest.mark.parametrize(("table", "cut"), [("gpt", 0), ("gpt", 4096), ("mbr", 0)])
    def test_a_volume_on_such_a_disk_is_read(self, table, cut, large, tmp_path):
        content = gpt_of(large, 4096) if table == "gpt" else mbr_of(large, 4096)
        (tmp_path / "disk.raw").write_bytes(content[: len(content) - cut])
        found, losses, image = read(tmp_path / "disk.raw")
        assert (found, losses) == ({"p1/MPLog-1.log": b"x" * 10_000}, [])
        assert (image.table, image.sectors) == (table, 4096)

    def test_the_second_table_stands_in_for_a_damaged_first_one(self, large, tmp_path):
        content = gpt_of(large, 4096)
        (tmp_path / "disk.raw").write_bytes(content[:4096] + bytes(4096) + content[8192:])
        found, losses, image = read(tmp_path / "disk.raw")
        assert (found, image.sectors) == ({"p1/MPLog-1.log": b"x" * 10_000}, 4096)
        assert [loss.reason for loss in losses] == ["the first copy of the partition table (GPT) is damaged; the second one was used"]

    def test_the_table_is_found_without_the_protective_mbr_and_whatever_the_name(self, large, tmp_path):
        (tmp_path / "disk").write_bytes(boot().ljust(4096, b"\0") + gpt_of(large, 4096)[4096:])
        assert image_kind(tmp_path, ("disk",)) == "raw"
        assert read(tmp_path / "disk")[0] == {"p1/MPLog-1.log": b"x" * 10_000}

    @pytest.mark.parametrize("options", [["-P", "4096"], []], ids=["told", "not told"])
    def test_an_e01_of_such_a_disk_is_read(self, options, large, tmp_path):
        (tmp_path / "disk.raw").write_bytes(gpt_of(large, 4096))
        command = ["ewfacquire", "-u", "-q", "-c", "fast", *options, "-t", tmp_path / "disk", tmp_path / "disk.raw"]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        found, losses, image = read(tmp_path / "disk.E01")
        assert (found, losses, image.sectors) == ({"p1/MPLog-1.log": b"x" * 10_000}, [], 4096)

    def test_a_vhdx_of_such_a_disk_is_read(self, large, tmp_path):
        (tmp_path / "disk.raw").write_bytes(gpt_of(large, 4096))
        command = ["qemu-img", "convert", "-f", "raw", "-O", "vhdx", tmp_path / "disk.raw", tmp_path / "disk.vhdx"]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        assert read(tmp_path / "disk.vhdx")[0] == {"p1/MPLog-1.log": b"x" * 10_000}


def test_an_mbr_counts_in_what_its_container_says_when_no_partition_tells():
    content = disk({0: boot(entry(7, 16, 100))})
    for sector in (512, 4096):
        table = read_table(media(content), sector)
        assert table is not None
        assert (table.sector, table.partitions[0].start) == (sector, 16 * sector)


def test_damage_to_both_tables_of_a_disk_raises():
    protective = disk({0: boot(entry(0xEE, 1, 4095))})
    with pytest.raises(EvidenceError, match="both copies"):
        read_table(media(protective), SECTOR)

"""Ex01: read, and vouched for chunk by chunk as E01 is."""

import random
import struct
import zlib
from pathlib import Path

import pytest

from exporter.evidence.images.ewf import Chunks
from exporter.evidence.images.ewf2 import SectorTable
from exporter.evidence.images.media import Media
from exporter.evidence.images.segments import Siblings, segments
from tests.evidence.images.build import read, write_tree
from tests.evidence.images.ex01_writer import CHUNK, write_ex01
from tests.line import export

pytestmark = [pytest.mark.images, pytest.mark.real_data]

TEXTS = {
    "Support/MPLog-20240101-000000.log": random.Random(1).randbytes(700_000),
    "Support/MPLog-20240102-000000.log": b"".join(b"line %d %d\r\n" % (number, number * number) for number in range(40_000)),
}


@pytest.fixture(scope="module")
def split(image_tool, tmp_path_factory) -> Path:
    """An image in three segments, with stored, compressed and empty chunks."""
    folder = tmp_path_factory.mktemp("ex01")
    image_tool("make_image", write_tree(folder / "tree", TEXTS), folder / "disk.raw", "--table", "gpt")
    write_ex01((folder / "disk.raw").read_bytes(), folder / "disk.Ex01", segments=3)
    return folder / "disk.Ex01"


@pytest.fixture
def copy(split, tmp_path) -> Path:
    for part in split.parent.glob("disk.Ex*"):
        (tmp_path / part.name).write_bytes(part.read_bytes())
    return tmp_path / "disk.Ex01"


def test_an_ex01_is_read_and_its_hash_compared(split):
    found, losses, image = read(split, verify=True)
    assert found == {f"p1/{name}": content for name, content in TEXTS.items()}
    assert not losses
    assert (image.container, image.segments, image.verification) == ("ex01", 3, "matches")


def test_every_chunk_of_a_whole_image_is_vouched_for(split):
    files = Siblings(split.parent, (split.name,))
    chunks = Chunks([files.media(name) for name in segments(files, split.name)], CHUNK)
    assert chunks.listed == (split.parent / "disk.raw").stat().st_size
    assert not any(chunks.is_damaged(number) for number in range(2000))
    files.close()


@pytest.mark.parametrize("name", TEXTS)
def test_a_damaged_chunk_in_a_file_is_told_although_the_library_reads_zeros(copy, name, tmp_path):
    piece = TEXTS[name][300_000 : 300_000 + CHUNK]
    disk = b"".join(read_chunks(copy))
    chunk = disk.find(piece[:4096]) // CHUNK
    part, at, length = place(copy, chunk)
    content = bytearray(part.read_bytes())
    content[at + length // 2] ^= 0x10
    part.write_bytes(content)
    run = export(copy, tmp_path / "out", sinks=["ecs"])
    assert run.report.damaged
    told = [letter["error_reason"] for letter in run.letters if "fail their checksum and were read as zeros" in letter["error_reason"]]
    assert told == [f"{CHUNK} bytes of the image, from byte {chunk * CHUNK} of the disk on, fail their checksum and were read as zeros"]


def tables(image: Path) -> list[tuple[Path, int, int, int]]:
    """Segment, place of the entries, first chunk and number of chunks of each table."""
    found = []
    for part in sorted(image.parent.glob("disk.Ex*")):
        content, at = part.read_bytes(), part.stat().st_size - 64
        while at:
            kind, previous, length = struct.unpack_from("<I4xQQ", content, at)
            if kind == 4:
                found.append((part, at - length + 32, *struct.unpack_from("<QI", content, at - length)))
            at = previous
    return sorted(found, key=lambda table: table[2])


def place(image: Path, chunk: int) -> tuple[Path, int, int]:
    """Segment, first byte and length of a chunk's data."""
    part, entries, first, _ = next(table for table in tables(image) if table[2] <= chunk < table[2] + table[3])
    return (part, *struct.unpack_from("<QI", part.read_bytes(), entries + 16 * (chunk - first)))


def read_chunks(image: Path) -> list[bytes]:
    found = []
    for part, entries, _, count in tables(image):
        content = part.read_bytes()
        for at in range(entries, entries + 16 * count, 16):
            offset, length, flags = struct.unpack_from("<QII", content, at)
            data = content[offset : offset + length] if flags != 5 else content[at : at + 8] * (CHUNK // 8)
            found.append(zlib.decompress(data) if flags == 1 else data[:CHUNK])
    return found


def test_a_missing_last_segment_is_a_loss(copy):
    copy.with_suffix(".Ex03").unlink()
    (loss,) = read(copy, ["nothing"])[1]
    assert loss.reason.endswith("of the disk: the last ones are missing")


def test_a_later_segment_given_by_itself_says_which_one_is_wanted(split):
    (loss,) = read(split.with_suffix(".Ex02"))[1]
    assert loss.reason == "it is segment 2 of an image: give the first one"


@pytest.mark.parametrize(
    ("data", "flags", "method", "verdict"),
    [
        (zlib.compress(b"x" * 99), 1, 1, True),
        (zlib.compress(b"x" * 99)[:-1], 1, 1, False),
        (b"BZh91AY&SY\x17\x72\x45\x38\x50\x90\0\0\0\0", 1, 2, False),
        (b"anything", 1, 3, None),
        (b"data" + struct.pack("<I", zlib.adler32(b"data")), 2, 1, True),
        (b"Data" + struct.pack("<I", zlib.adler32(b"data")), 2, 1, False),
        (b"no checksum", 0, 1, None),
        (b"", 2, 1, False),
        (bytes(200), 4, 1, True),
    ],
)
def test_what_a_table_says_of_a_chunk_decides_how_it_is_checked(data, flags, method, verdict):
    content = struct.pack("<QII", 16, len(data), flags) + data
    table = SectorTable(0, 1, Media(lambda offset, size: content[offset : offset + size], len(content)), 0, method)
    assert table.holds(0, 64) is verdict

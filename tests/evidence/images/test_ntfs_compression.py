"""Files whose bytes are not simply there: compressed by NTFS or by the system, sparse, or with content kept elsewhere."""

import base64
import random
import struct
from pathlib import Path

import pytest

from exporter.errors import EvidenceError
from exporter.evidence.files import File
from exporter.evidence.images import ImageOptions
from exporter.evidence.images.tree import ImageTree
from tests.evidence.images.build import read
from tests.evidence.images.volume_writer import VolumeWriter, packed, packed_by, reparse_point
from tests.line import export

pytestmark = [pytest.mark.images, pytest.mark.real_data]

CONTENT = bytes(0x30 + (number * number // 7) % 16 for number in range(20_000))
DEDUPLICATED, CLOUD = 0x80000013, 0x9000601A
PACKED = {
    "xpress4k": (0, 4096, ()),
    "xpress8k": (2, 8192, ()),
    "xpress16k": (3, 16384, ()),
    "stored": (0, 4096, (0, 2)),
    "lzx": (1, 32768, (0,)),
}
HOLLOW = {
    "deduplicated": {"reparse": reparse_point(DEDUPLICATED)},
    "cloud": {"reparse": reparse_point(CLOUD)},
    "wim": {"reparse": packed_by(0, provider=1)},
    "stream-gone": {"reparse": packed_by(0)},
    "point-gone": {"packed": packed(CONTENT, 4096)},
}


def calling(text: bytes, at: int, address: int) -> bytes:
    """With the instruction that LZX changes on its way, except in the last 10 bytes of a unit."""
    return text[:at] + b"\xe8" + struct.pack("<i", address) + text[at + 5 :]


LINES = b"".join(b"line %d of a log, %d\r\n" % (number // 90, number // 50) for number in range(3_000))
LZX_CONTENT = calling(calling(calling(LINES, 32_768 - 10, 7), 40_000, 9), len(LINES) - 8, -3)
LZX_PACKED = base64.b64decode(
    "2gAAAAAyAAACAABEMwASNjMIOrr+Bpr9ogItHPz9jOYAwAAAkAABAIEI9iMEw66xv0z6fgBkAAAGAKBKSgqQARw0GrMarNN9qUcGTUW7NowwaMwM7CwrawMDCAoXcPbk"
    "/L3SdHkap+s1Pdvz65cNj2B2EGtiHEDKMCeQd0D/qBMw+7B53QkAdcBz6gyQ4YwTcDazdIBIICW4emC2UAnAflQ+KwHIMBcP9wB/GGCgGQFMAUpbCAAqiL6QCECymK5g"
    "CIAaq/cAB2CoWgK4AjA3mwPI4LSuCosvrZe++wD8xScAggAAAgAAMzQAKkekDp0LfgJuy4a3qIBJgu/fnO5ABAAAAAAACAwAOcR07nj/97kwxgAAAAAwAkJAkjCAXeRc"
    "hQfqRsWlkqlAXOJaT9ys02gj2mshHV7nofzwOOffn8YJgFwMmBdRAgCcQK1LGzMlSwDdA/G5u91w/8z5uFpgApAWmfokACZGyAsmAQDNgFbqDUClMBNmHYDV4BKHtQD4"
    "XHEuhsQLJAEAzmBWpw2UkkoA6oBmLZYApAW4P2ACYGJv8/5ehuMA8A=="
)
"""Made by wimlib 1.13.6 (`wimcapture --compress=lzx --chunk-size=32768`): a resource of a WIM is the same stream."""


@pytest.fixture(scope="module")
def volume(image_tool, shared_tools, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "v.ntfs"
    with VolumeWriter(shared_tools, path) as writer:
        for name, (algorithm, unit, stored) in PACKED.items():
            writer.add(name, size=len(CONTENT), reparse=packed_by(algorithm), packed=packed(CONTENT, unit, stored))
        for name, options in HOLLOW.items():
            writer.add(name, size=len(CONTENT), **options)
        tail = CONTENT[:-10] + b"\xe8\x07" + bytes(8)
        writer.add("lzx-tail", size=len(tail), reparse=packed_by(1), packed=packed(tail, 32768, (0,)))
        writer.add("wimlib", size=len(LZX_CONTENT), reparse=packed_by(1), packed=LZX_PACKED)
        writer.add("filled", CONTENT, reparse=reparse_point(CLOUD))
        writer.add("sparse", CONTENT, size=200_000)
        writer.add("damaged", size=len(CONTENT), reparse=packed_by(0), packed=bytes(5_000))
        writer.add("MPLog-20240101-000000.log", size=len(CONTENT), reparse=packed_by(0))
    return path


@pytest.fixture(scope="module")
def contents(volume) -> dict[str, bytes | str]:
    """What each file holds, or why it cannot be read."""
    found: dict[str, bytes | str] = {}
    tree = ImageTree(volume.parent, (volume.name,), ImageOptions())
    for file in tree.walk(["*"]):
        assert isinstance(file, File), file
        name = file.path.removeprefix("volume/")
        try:
            with file.open() as stream:
                found[name] = stream.read()
        except EvidenceError as error:
            found[name] = error.reason
    tree.close()
    return found


@pytest.mark.parametrize("name", PACKED)
def test_a_file_that_the_system_has_compressed_is_read(name, contents):
    assert contents[name] == CONTENT


def test_a_file_that_another_tool_has_compressed_by_lzx_is_read(contents):
    assert contents["wimlib"] == LZX_CONTENT


def test_a_unit_that_lzx_stores_as_it_is_keeps_its_end(contents):
    assert contents["lzx-tail"] == CONTENT[:-10] + b"\xe8\x07" + bytes(8)


def test_the_parts_of_a_file_compressed_by_lzx_are_read_alike_in_any_order(volume):
    tree = ImageTree(volume.parent, (volume.name,), ImageOptions())
    file = next(file for file in tree.walk(["*"]) if isinstance(file, File) and file.path == "volume/wimlib")
    with file.open() as stream:
        for at, size in ((32_760, 16), (64_590, 10), (32_757, 3), (0, 32_768), (10, 64_000)):
            stream.seek(at)
            assert stream.read(size) == LZX_CONTENT[at : at + size]
    tree.close()


def test_a_file_compressed_nobody_knows_how_is_not_read(volume, tmp_path):
    point = packed_by(1)[:20]
    (tmp_path / "v.ntfs").write_bytes(volume.read_bytes().replace(point, point[:16] + b"\x02" + point[17:]))
    tree = ImageTree(tmp_path, ("v.ntfs",), ImageOptions())
    file = next(file for file in tree.walk(["*"]) if isinstance(file, File) and file.path == "volume/wimlib")
    with pytest.raises(EvidenceError, match="it cannot be told how"):
        file.open()
    tree.close()


@pytest.mark.parametrize("name", HOLLOW)
def test_a_file_whose_content_is_elsewhere_is_named_and_not_read_as_zeros(name, contents):
    assert "its content is not in it" in contents[name]


def test_a_file_of_the_cloud_that_is_here_is_read(contents):
    assert contents["filled"] == CONTENT


def test_the_holes_of_a_sparse_file_are_zeros(contents):
    assert contents["sparse"] == CONTENT.ljust(200_000, b"\0")


def test_damage_in_a_compressed_file_is_a_reason(contents):
    assert "cannot be read at byte 0" in contents["damaged"]


def test_a_log_whose_content_is_elsewhere_is_a_loss_of_the_run(volume, tmp_path):
    run = export(volume, tmp_path / "out", sinks=["ecs"])
    assert run.report.damaged
    assert [letter["source"] for letter in run.letters] == ["volume/MPLog-20240101-000000.log"]
    assert "its content is not in it" in run.letters[0]["error_reason"]


def test_a_compression_that_nobody_knows_is_a_loss(image_tool, shared_tools, tmp_path):
    with VolumeWriter(shared_tools, tmp_path / "v.ntfs") as writer:
        writer.add("unknown", size=len(CONTENT), reparse=packed_by(9), packed=packed(CONTENT, 4096))
        writer.add("other", CONTENT)
    found, losses, _ = read(tmp_path / "v.ntfs")
    assert found == {"volume/other": CONTENT}
    assert ["unsupported compression method: 9" in loss.reason for loss in losses] == [True]


def test_a_file_with_ntfs_compression_is_read(image_tool, shared_tools, tmp_path):
    text = b"".join(b"line %d of a log that says the same again\r\n" % number for number in range(3_000))
    content = text + random.Random(1).randbytes(200_000) + bytes(300_000) + text
    with VolumeWriter(shared_tools, tmp_path / "v.ntfs", compression=True) as writer:
        writer.add("compressed", content)
        writer.add("cloud", content, reparse=reparse_point(CLOUD))
    assert text[:4096] not in (tmp_path / "v.ntfs").read_bytes()
    assert read(tmp_path / "v.ntfs")[0] == {"volume/cloud": content, "volume/compressed": content}

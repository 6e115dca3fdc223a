"""Files whose bytes are not simply there: compressed by NTFS or by the system, sparse, or with content kept elsewhere."""

import random
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


@pytest.fixture(scope="module")
def volume(image_tool, shared_tools, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "v.ntfs"
    with VolumeWriter(shared_tools, path) as writer:
        for name, (algorithm, unit, stored) in PACKED.items():
            writer.add(name, size=len(CONTENT), reparse=packed_by(algorithm), packed=packed(CONTENT, unit, stored))
        for name, options in HOLLOW.items():
            writer.add(name, size=len(CONTENT), **options)
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

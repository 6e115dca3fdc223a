"""E01: segments, stored hashes, and damage that the library reads as zeros without a word."""

import random
import shutil
from pathlib import Path

import pytest

from exporter.evidence.images.ewf import Chunks
from exporter.evidence.images.segments import Siblings, segments
from tests.evidence.images.build import read, write_tree
from tests.line import export

pytestmark = [pytest.mark.images, pytest.mark.real_data]

TEXTS = {f"Support/MPLog-2024010{day}-000000.log": random.Random(day).randbytes(700_000) for day in range(3)}


@pytest.fixture(scope="module")
def split(image_tool, tmp_path_factory) -> Path:
    """An E01 of bytes that do not shrink, in several segments."""
    folder = tmp_path_factory.mktemp("e01")
    image_tool("make_image", write_tree(folder / "tree", TEXTS), folder / "disk.E01", "--table", "gpt", "--segment", "1M")
    return folder / "disk.E01"


@pytest.fixture
def copy(split, tmp_path) -> Path:
    for part in split.parent.glob("disk.E*"):
        shutil.copy(part, tmp_path / part.name)
    return tmp_path / "disk.E01"


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_all_segments_are_read(split):
    found, losses, image = read(split)
    assert found == {f"p1/{name}": content for name, content in TEXTS.items()}
    assert not losses
    assert image.segments == len(list(split.parent.glob("disk.E*"))) > 2


def test_a_missing_segment_in_the_middle_is_named(copy):
    copy.with_suffix(".E02").unlink()
    assert [loss.reason for loss in read(copy)[1]] == ["segment `disk.E02` of the image is missing"]


def test_a_missing_last_segment_is_a_loss(copy):
    max(copy.parent.glob("disk.E*")).unlink()
    (loss,) = read(copy, ["nothing"])[1]
    assert loss.reason.endswith("of the disk: the last ones are missing")


def test_a_later_segment_given_by_itself_says_which_one_is_wanted(split):
    (loss,) = read(split.with_suffix(".E02"))[1]
    assert loss.reason == "it is segment 2 of an image: give the first one"


def test_the_stored_hash_is_compared_when_asked_for(split):
    _, losses, image = read(split, verify=True)
    assert not losses
    assert image.verification == "matches"
    assert image.stored_hash is not None
    assert read(split)[2].verification == "not asked for"


def test_damage_shows_in_the_stored_hash(copy):
    flip(copy.with_suffix(".E02"), 400_000)
    _, losses, image = read(copy, verify=True)
    assert image.verification == "differs"
    assert "damaged or altered" in losses[0].reason


def test_every_chunk_of_a_whole_image_is_vouched_for(split):
    files = Siblings(split.parent, (split.name,))
    chunks = Chunks([files.media(name) for name in segments(files, split.name)], 32768)
    assert not any(chunks.is_damaged(number) for number in range(2000))
    files.close()


@pytest.mark.parametrize("at", range(100_000, 1_000_000, 150_000))
def test_a_damaged_chunk_in_a_file_is_told_although_the_library_reads_zeros(copy, at, tmp_path):
    flip(copy.with_suffix(".E02"), at)
    run = export(copy, tmp_path / "out", sinks=["ecs"])
    assert run.report.damaged
    told = [letter["error_reason"] for letter in run.letters if "fail their checksum and were read as zeros" in letter["error_reason"]]
    assert len(told) == 1
    assert told[0].startswith("32768 bytes of the image, from byte ")


def test_zeros_that_are_whole_are_no_damage(image_tool, tmp_path):
    zeros = {"Support/MPLog-20240101-000000.log": bytes(300_000)}
    image_tool("make_image", write_tree(tmp_path / "tree", zeros), tmp_path / "disk.E01")
    run = export(tmp_path / "disk.E01", tmp_path / "out", sinks=["ecs"])
    assert not any("checksum" in letter["error_reason"] for letter in run.letters)

"""A zip that was cut off gives what it still has, and says so."""

import io
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import EvidenceError
from exporter.evidence.archive import ArchiveTree
from exporter.evidence.files import File
from exporter.evidence.streams import Limits
from exporter.evidence.zip_members import ZipMember
from exporter.evidence.zip_salvage import salvaged_members
from exporter.records import Rejected
from tests.evidence import trees

LOG = random.Random(3).randbytes(30_000)
FILES = {"a.evtx": LOG, "b.evtx": b"short", "d/c.evtx": LOG[::-1]}


class Pipe(io.BytesIO):
    """A target that cannot seek, so that zipfile writes sizes behind the members as Velociraptor does."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


def piped(method: int) -> bytes:
    target = Pipe()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return target.getvalue()


ZIPS = {
    "sizes before, deflated": trees.zipped(FILES),
    "sizes before, stored": trees.zipped(FILES, zipfile.ZIP_STORED),
    "sizes behind, deflated": piped(zipfile.ZIP_DEFLATED),
    "sizes behind, stored": piped(zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_without_its_directory_all_members_are_still_read(tmp_path: Path, kind: str) -> None:
    data = ZIPS[kind]
    found, lost = trees.walked(ArchiveTree(trees.write(tmp_path / "case.zip", data[: data.index(b"PK\1\2")])))
    assert found == FILES
    assert [loss.reason for loss in lost] == [
        "no zip directory at its end: cut off or damaged; its members are looked for by their own headers"
    ]


@pytest.mark.parametrize("kind", ZIPS)
def test_the_member_that_the_cut_goes_through_gives_its_beginning_and_then_an_error(tmp_path: Path, kind: str) -> None:
    data = ZIPS[kind]
    cut = data[: data.rindex(b"PK\3\4") + 20_000]
    found = [file for file in ArchiveTree(trees.write(tmp_path / "case.zip", cut)).walk(trees.TAILS) if isinstance(file, File)]
    assert [file.path for file in found] == list(FILES)
    assert [trees.content(file) for file in found[:2]] == list(FILES.values())[:2]
    with found[2].open() as stream:
        assert stream.read(4096) == LOG[::-1][:4096]
        with pytest.raises(EvidenceError, match=r"ends after|end in the middle|CRC-32"):
            stream.read()


@given(st.sampled_from(list(ZIPS.values())), st.integers(0, 200), st.binary(max_size=40))
def test_any_bytes_are_members_or_losses(data: bytes, at: int, noise: bytes) -> None:
    damaged = data[:at] + noise + data[at + len(noise) : 3000]
    found = list(salvaged_members(io.BytesIO(damaged), len(damaged), Limits()))
    assert all(isinstance(item, ZipMember | Rejected) for item in found)


def test_a_bomb_without_a_directory_is_not_measured_to_its_end() -> None:
    target = Pipe()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.evtx", bytes(3_000_000))
    data = target.getvalue()
    (member,) = salvaged_members(io.BytesIO(data), len(data), Limits(ratio_floor_bytes=100_000))
    assert isinstance(member, ZipMember)
    assert member.size < 1_000_000


def test_no_more_members_than_allowed_are_looked_for() -> None:
    data = ZIPS["sizes before, stored"]
    found = list(salvaged_members(io.BytesIO(data), len(data), Limits(members=2)))
    assert [type(item) for item in found] == [ZipMember, ZipMember, Rejected]

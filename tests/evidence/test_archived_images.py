"""A disk image in an archive is not opened, and that is told; one on a host's own drive is no evidence."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from exporter.evidence.archive import ArchiveTree
from tests.evidence import trees

ARCHIVES: dict[str, Callable[..., bytes]] = {"zip": trees.zipped, "tar": trees.tarred, "tar.gz": partial(trees.tarred, mode="w:gz")}
REASON = "a disk image in an archive is not opened: unpack it"


@pytest.fixture(params=ARCHIVES)
def losses(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, bytes]], list[tuple[str, str]]]:
    """What is told of an archive of these members and of the files of a drive, all of which are found."""

    def told(members: dict[str, bytes]) -> list[tuple[str, str]]:
        data = ARCHIVES[request.param]({**members, **trees.below("host/C")})
        files, lost = trees.walked(ArchiveTree(trees.write(tmp_path / f"case.{request.param}", data)))
        assert trees.below("host/C").items() <= files.items()
        return [(loss.excerpt, loss.reason) for loss in lost]

    return told


@pytest.mark.parametrize("name", ["disk.E01", "disk.vmdk", "disk.VHDX", "disk.qcow2", "disk.dd", "disk.001"])
def test_an_image_in_an_archive_is_named(name, losses):
    assert losses({f"images/{name}": b"not looked at"}) == [(f"images/{name}", REASON)]


def test_of_an_image_in_several_files_the_first_one_is_named(losses):
    members = dict.fromkeys(("disk.E01", "disk.E02", "disk.vmdk", "disk-flat.vmdk"), b"")
    assert losses(members) == [
        ("disk.E01", REASON),
        ("disk.vmdk", REASON),
    ]


def test_an_image_on_a_hosts_own_drive_is_none_of_the_evidence(losses):
    assert losses({"host/C/Users/a/vm.vhdx": b""}) == []


def test_an_image_in_an_archive_of_an_archive_is_named(losses):
    assert losses({"inner.zip": trees.zipped({"disk.E01": b""})}) == [("inner.zip/disk.E01", REASON)]

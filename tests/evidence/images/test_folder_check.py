"""A folder whose list of entries is damaged between its blocks: libfsntfs says nothing, so it is told, and what can be found is."""

from pathlib import Path

import pytest

from exporter.evidence.images.containers import open_container
from exporter.evidence.images.folder_check import FolderCheck
from exporter.evidence.images.media import Media
from exporter.evidence.images.ntfs import Ntfs
from exporter.evidence.images.segments import Siblings
from exporter.evidence.images.volumes import Opened, volumes
from exporter.formats.ntfs_index import Index, Node, Value
from exporter.records import Rejected
from tests.evidence.images.build import read, write_tree
from tests.evidence.images.volume_writer import VolumeWriter

pytestmark = [pytest.mark.images, pytest.mark.real_data]

FILES = {f"Support/MPLog-{number:08}-000000.log": b"%d" % number for number in range(200)}
LEADS = "it leads to a block that is damaged, none of its own, or met twice"
BLOCK = 4096


def made(image_tool, folder: Path, *options: object) -> Path:
    image_tool("make_image", write_tree(folder / "tree", FILES), folder / "v.ntfs", "--table", "none", *options)
    return folder / "v.ntfs"


@pytest.fixture(scope="module")
def volume(image_tool, tmp_path_factory) -> bytes:
    return made(image_tool, tmp_path_factory.mktemp("folder")).read_bytes()


def blocks(content: bytes) -> list[int]:
    """Where the blocks of the list of `Support` are."""
    found = [at for at in range(0, len(content), BLOCK) if content.startswith(b"INDX", at)]
    return [at for at in found if "MPLog-0".encode("utf-16-le") in content[at : at + BLOCK]]


def ways(content: bytes) -> list[int]:
    """Where entries of these blocks end that lead to another one, by its number in their last 8 bytes."""
    found = []
    for block in blocks(content):
        at = block + 24 + int.from_bytes(content[block + 24 : block + 28], "little")
        while True:
            flags, length = content[at + 12], int.from_bytes(content[at + 8 : at + 10], "little")
            at += length
            found += [at] if flags & 1 else []
            if flags & 2:
                break
    return found


def losses(folder: Path, content: bytes | bytearray) -> tuple[dict[str, bytes], list[Rejected]]:
    (folder / "v.ntfs").write_bytes(content)
    return read(folder / "v.ntfs")[:2]


@pytest.mark.parametrize("number", [4000, 0], ids=["beyond the end", "a block met already"])
def test_what_a_damaged_way_led_to_is_found_and_told(number, volume, tmp_path):
    content = bytearray(volume)
    way = ways(volume)[-1]
    content[way - 8 : way] = number.to_bytes(8, "little")
    found, told = losses(tmp_path, content)
    assert found == {f"volume/{name}": data for name, data in FILES.items()}
    (loss,) = told
    assert loss.excerpt == "volume/Support"
    assert loss.reason.startswith(f"its list of entries is damaged: {LEADS}; ")


def test_a_list_that_ends_too_early_is_told(volume, tmp_path):
    content = bytearray(volume)
    block = blocks(volume)[-1]
    content[block + 24 + int.from_bytes(content[block + 24 : block + 28], "little") + 12] |= 2
    found, told = losses(tmp_path, content)
    assert len(found) < len(FILES)
    assert any("its list of entries is damaged: one of its blocks ends before it should" in loss.reason for loss in told)


@pytest.mark.parametrize("cluster", [512, 1024, 8192, 65_536])
def test_a_whole_folder_is_no_loss_whatever_the_clusters(cluster, image_tool, tmp_path):
    found, told, _ = read(made(image_tool, tmp_path, "--cluster", cluster, "--size", "48M"))
    assert (len(found), told) == (len(FILES), [])


def test_blocks_left_behind_by_deleted_files_are_no_loss(image_tool, shared_tools, tmp_path):
    with VolumeWriter(shared_tools, tmp_path / "v.ntfs") as writer:
        names = [f"{number * 7919 % 1000:03}-{'x' * (number % 40)}" for number in range(600)]
        for name in names:
            writer.add(name, b"x")
        for name in names[:400]:
            writer.remove(name)
    found, told, _ = read(tmp_path / "v.ntfs")
    assert (set(found), told) == ({f"volume/{name}" for name in names[400:]}, [])


def test_the_folders_of_a_volume_of_windows_are_whole(shared_data):
    container = open_container(Siblings(shared_data / "images" / "vss", ("vsstest.qcow2",)))
    seen = 0
    for one in volumes(container.media, container.sectors, None):
        if isinstance(one, Opened) and one.media is not None:
            ntfs = Ntfs(one.media)
            for path in ((), ("System Volume Information",)):
                found = ntfs.folder(path)
                assert found is not None
                listed = list(ntfs.entries(found[0]))
                seen += len(listed)
                assert not [entry for entry in listed if isinstance(entry, Rejected)]
            ntfs.close()
    container.close()
    assert seen > 5


def test_holes_and_clusters_before_the_volume_are_read_as_nothing():
    root = Node((), (0, 1), whole=True)
    index = Index(root, BLOCK, Value(None, ((None, 1), (-5, 1)), 2 * BLOCK), Value(b"\3"))
    check = FolderCheck(index, Media(lambda offset, size: b"\xff" * size, 1 << 20), BLOCK).run()
    assert check == (LEADS, (), ())

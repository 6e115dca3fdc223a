"""Containers: told by content, opened with all their files, refused with a reason."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from exporter.evidence.hosts import open_tree
from exporter.evidence.images import libyal
from exporter.evidence.images.containers import container_kind
from exporter.evidence.images.media import Media
from exporter.evidence.images.tree import ImageTree
from tests.evidence.images.build import LOG, read, write_tree

pytestmark = [pytest.mark.images, pytest.mark.real_data]
FILES = {LOG: b"of the disk", "Windows/System32/x": b"", "Users/Public/Music/y": b""}


@pytest.fixture(scope="module")
def raw(image_tool, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    image_tool("make_image", write_tree(folder / "tree", FILES), folder / "disk.raw", "--table", "gpt")
    return folder / "disk.raw"


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def reasons(image: Path, **options: object) -> list[str]:
    return [loss.reason for loss in read(image, **options)[1]]


def test_a_raw_image_in_pieces_is_one_disk(raw, tmp_path):
    content = raw.read_bytes()
    step = len(content) // 3 + 1
    for number in range(3):
        (tmp_path / f"disk.{number + 1:03}").write_bytes(content[number * step : (number + 1) * step])
    found, losses, image = read(tmp_path / "disk.001")
    assert found == {f"p1/{LOG}": b"of the disk"}
    assert not losses
    assert image.segments == 3


def test_a_missing_piece_is_named(raw, tmp_path):
    for number in (1, 2, 4):
        (tmp_path / f"disk.{number:03}").write_bytes(raw.read_bytes()[:1000])
    assert reasons(tmp_path / "disk.001") == ["segment `disk.003` of the image is missing"]


@pytest.mark.parametrize(
    "options",
    [
        ["-O", "vmdk", "-o", "subformat=monolithicFlat"],
        ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"],
        ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentFlat"],
        ["-O", "vmdk", "-o", "subformat=streamOptimized"],
        ["-O", "vpc", "-o", "subformat=fixed"],
        ["-O", "vhdx", "-o", "subformat=fixed"],
        ["-O", "qcow2", "-c"],
        ["-O", "qcow2", "-o", "compat=0.10"],
    ],
    ids=lambda options: "-".join(option for option in options if option[0] != "-"),
)
def test_other_layouts_of_a_format_are_read_too(raw, options, tmp_path):
    image = tmp_path / f"disk.{options[1]}"
    run("qemu-img", "convert", "-f", "raw", *options, raw, image)
    found, losses, _ = read(image)
    assert found == {f"p1/{LOG}": b"of the disk"}
    assert not losses


def test_the_content_decides_and_not_the_name(raw, tmp_path):
    shutil.copy(raw, tmp_path / "evidence.bin")
    tree = open_tree(tmp_path / "evidence.bin")
    assert isinstance(tree, ImageTree)
    tree.close()


def test_a_data_file_that_is_not_there_is_named(raw, tmp_path):
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicFlat", raw, tmp_path / "disk.vmdk")
    (tmp_path / "disk-flat.vmdk").unlink()
    assert reasons(tmp_path / "disk.vmdk") == ["the data file of the VMDK, `disk-flat.vmdk`, is not beside it"]


def test_a_data_file_elsewhere_is_never_opened(raw, tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicFlat", raw, folder / "disk.vmdk")
    (folder / "disk-flat.vmdk").rename(tmp_path / "disk-flat.vmdk")
    text = (folder / "disk.vmdk").read_text().replace('"disk-flat.vmdk"', '"../disk-flat.vmdk"')
    (folder / "disk.vmdk").write_text(text)
    assert reasons(folder / "disk.vmdk") == ["the data file of the VMDK, `disk-flat.vmdk`, is not beside it"]


def test_a_disk_of_differences_is_read_with_the_one_it_is_of(raw, tmp_path):
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, tmp_path / "base.qcow2")
    run("qemu-img", "create", "-f", "qcow2", "-b", tmp_path / "base.qcow2", "-F", "qcow2", tmp_path / "top.qcow2")
    assert read(tmp_path / "top.qcow2")[0] == {f"p1/{LOG}": b"of the disk"}
    (tmp_path / "base.qcow2").unlink()
    assert reasons(tmp_path / "top.qcow2") == ["it holds differences only, and the disk that they apply to, `base.qcow2`, is not beside it"]


def test_disks_of_differences_in_a_circle_end(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        run("qemu-img", "create", "-f", "qcow2", tmp_path / f"{one}.qcow2", "1M")
        run("qemu-img", "rebase", "-u", "-b", f"{other}.qcow2", "-F", "qcow2", tmp_path / f"{one}.qcow2")
    assert reasons(tmp_path / "a.qcow2") == ["more than 8 differencing disks behind each other"]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"LVF\x09\x0d\x0a\xff\x00", "a logical evidence file (L01)"),
        (b"AFF10\r\n\x00", "an AFF image"),
        (bytes(0x40) + b"\x7f\x10\xda\xbe", "a VirtualBox disk (VDI)"),
        (b"LUKS\xba\xbe", "a LUKS volume"),
    ],
)
def test_known_formats_that_are_not_read_are_named(head, words, tmp_path):
    (tmp_path / "disk.img").write_bytes(head.ljust(8192, b"\0"))
    (reason,) = reasons(tmp_path / "disk.img")
    assert words in reason
    assert "not read" in reason


@pytest.mark.parametrize("name", ["disk.E01", "disk.vmdk", "disk.vhdx", "disk.raw"])
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"something else" * 400], ids=["empty", "zeros", "text"])
def test_what_only_has_the_name_of_an_image_is_a_loss_with_a_reason(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert reasons(tmp_path / name) == ["neither a partition table nor a known file system is in it"]


@pytest.mark.parametrize("kind", ["E01", "vmdk", "vhd", "vhdx", "qcow2"])
def test_a_container_that_ends_early_is_a_loss(raw, image_tool, kind, tmp_path):
    image = tmp_path / f"disk.{kind}"
    image_tool("make_image", raw, image, "--table", "none")
    image.write_bytes(image.read_bytes()[:700])
    assert reasons(image)


def test_without_the_libraries_the_extra_is_named(raw, monkeypatch):
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(libyal, "import_module", absent)
    assert reasons(raw) == ["disk images need more libraries (pyfsntfs): pip install 'defender-exporter[images]'"]


def kind_of(content: bytes) -> str | None:
    return container_kind(Media(lambda offset, size: content[offset : offset + size], len(content)))


def test_a_boot_signature_alone_makes_no_image():
    entry = struct.pack("<B3xB3xII", 0x80, 7, 2048, 4096)
    disk = bytes(446) + entry + bytes(48) + b"\x55\xaa"
    assert kind_of(disk + bytes(4 << 20)) == "raw"
    assert kind_of(disk) is None
    assert kind_of(bytes(446) + b"\x13" + entry[1:] + bytes(48) + b"\x55\xaa" + bytes(4 << 20)) is None
    assert kind_of(bytes(510) + b"\x55\xaa" + bytes(4 << 20)) is None

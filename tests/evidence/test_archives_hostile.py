"""Bombs stop early and in little memory; archives in archives are read two deep; a host's own archives are left alone."""

import io
import lzma
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest

from exporter.errors import EvidenceError
from exporter.evidence import Tree, streams
from exporter.evidence.archive import ArchiveTree
from exporter.evidence.files import File
from exporter.evidence.folder import FolderTree
from exporter.evidence.hosts import open_tree
from exporter.evidence.streams import Limits
from exporter.records import Rejected
from tests.evidence import trees

SMALL = Limits(ratio_floor_bytes=100_000)


def losses(tree: Tree) -> list[str]:
    found = list(tree.walk(trees.TAILS))
    tree.close()
    return [f"{item.excerpt}: {item.reason}" for item in found if isinstance(item, Rejected)]


def test_a_member_that_grows_beyond_the_ratio_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = trees.write(tmp_path / "case.zip", trees.zipped({"x.evtx": bytes(30_000_000)}))
    (file,) = ArchiveTree(path, SMALL).walk(trees.TAILS)
    assert isinstance(file, File)
    pieces: list[bytes] = []
    with file.open() as stream, pytest.raises(EvidenceError, match="more than 200 times its size"):
        pieces.extend(iter(lambda: stream.read(65_536), b""))
    assert 100_000 < sum(map(len, pieces)) < 7_000_000


def test_below_the_floor_any_ratio_is_honest(tmp_path: Path) -> None:
    path = trees.write(tmp_path / "case.zip", trees.zipped({"empty.evtx": bytes(2_000_000)}))
    assert trees.walked(ArchiveTree(path)) == ({"empty.evtx": bytes(2_000_000)}, [])


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_tar_that_grows_beyond_the_ratio_stops(tmp_path: Path, mode: str) -> None:
    path = trees.write(tmp_path / "case.tar", trees.tarred({"a.evtx": b"a", "x.evtx": bytes(8_000_000)}, mode))
    assert any("more than 200 times its size" in loss for loss in losses(ArchiveTree(path, SMALL)))


def test_what_follows_the_end_of_a_tar_is_no_way_round_the_ratio(tmp_path: Path) -> None:
    data = zlib.compress(trees.tarred({"a.evtx": b"a"}) + bytes(30_000_000), wbits=31)
    assert any("more than 200 times its size" in loss for loss in losses(ArchiveTree(trees.write(tmp_path / "case.tgz", data), SMALL)))


def test_many_small_pieces_are_no_way_round_the_ratio(tmp_path: Path) -> None:
    piece = zlib.compress(bytes(100_000), wbits=31)
    data = zlib.compress(trees.tarred({"x.evtx": bytes(6_000_000)})[:512], wbits=31) + piece * 61
    assert any("more than 200 times its size" in loss for loss in losses(ArchiveTree(trees.write(tmp_path / "case.tgz", data), SMALL)))


def test_an_xz_that_asks_for_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    header = bytearray(lzma.compress(b"x" * 1000, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    # Stream header of 12 bytes, then the block header: size, flags, filter id 0x21, properties size 1, dictionary size; CRC-32 at its end.
    size = (header[12] + 1) * 4
    header[16] = 40
    header[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(bytes(header[12 : 12 + size - 4])))
    (loss,) = losses(ArchiveTree(trees.write(tmp_path / "case.tar.xz", bytes(header))))
    assert "Memory usage limit" in loss


def test_more_than_the_total_is_not_promised(tmp_path: Path) -> None:
    data = trees.zipped({"a.evtx": bytes(600), "b.evtx": bytes(600), "c.evtx": bytes(300)})
    found, lost = trees.walked(ArchiveTree(trees.write(tmp_path / "case.zip", data), Limits(total_bytes=1000)))
    assert sorted(found) == ["a.evtx", "c.evtx"]
    assert [(loss.excerpt, loss.reason[:22]) for loss in lost] == [("b.evtx", "with it more than 1000")]


def test_the_total_counts_all_archives_of_a_folder(tmp_path: Path) -> None:
    trees.folder(tmp_path / "case", {"1.zip": trees.zipped({"a.evtx": bytes(600)}), "2.tar": trees.tarred({"a.evtx": bytes(600)})})
    found, lost = trees.walked(FolderTree(tmp_path / "case", Limits(total_bytes=1000)))
    assert list(found) == ["1.zip/a.evtx"]
    assert [loss.excerpt for loss in lost] == ["2.tar/a.evtx"]


def test_a_declared_size_beyond_the_total_is_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    data = bytearray(trees.zipped({"x.evtx": b"log"}))
    data[data.index(b"PK\1\2") + 24 : data.index(b"PK\1\2") + 28] = b"\xfe\xff\xff\xff"
    assert losses(ArchiveTree(trees.write(tmp_path / "case.zip", bytes(data)), Limits(total_bytes=1 << 30)))[0].startswith(
        "x.evtx: with it more"
    )


def nested(levels: int, data: bytes, name: str = "inner.zip") -> bytes:
    for _ in range(levels):
        data = trees.zipped({name: data})
    return data


def test_archives_in_archives_are_read_two_deep(tmp_path: Path) -> None:
    inner = trees.zipped({"x.evtx": b"log"})
    path = trees.write(tmp_path / "case.zip", nested(1, inner))
    assert trees.walked(ArchiveTree(path)) == ({"inner.zip/x.evtx": b"log"}, [])
    path.write_bytes(nested(2, inner))
    assert losses(ArchiveTree(path)) == ["inner.zip/inner.zip: archives nested deeper than 2: not read"]
    path.write_bytes(nested(1, inner))
    assert trees.walked(FolderTree(tmp_path)) == ({"case.zip/inner.zip/x.evtx": b"log"}, [])


@pytest.mark.parametrize("outer", ["zip", "w", "w:gz"])
@pytest.mark.parametrize("inner", ["zip", "w", "w:xz"])
def test_every_kind_of_archive_is_read_in_every_other(tmp_path: Path, outer: str, inner: str) -> None:
    suffix = {"zip": ".zip", "w": ".tar", "w:gz": ".tar.gz", "w:xz": ".tar.xz"}
    pack = lambda kind, files: trees.zipped(files) if kind == "zip" else trees.tarred(files, kind)  # noqa: E731
    name = f"hosts/ws1{suffix[inner]}"
    path = trees.write(tmp_path / f"case{suffix[outer]}", pack(outer, {name: pack(inner, trees.below("C"))}))
    assert trees.walked(ArchiveTree(path)) == (trees.below(f"{name}/C"), [])


def test_a_damaged_archive_in_a_folder_costs_only_itself(tmp_path: Path) -> None:
    good = trees.zipped({"x.evtx": b"log"})
    trees.folder(tmp_path / "case", {"1.zip": bytes(100), "2.zip": good, "3.tar.gz": b"\x1f\x8bXX", "4.zip": b"", "5.tar": b"no tar"})
    found, lost = trees.walked(FolderTree(tmp_path / "case"))
    assert found == {"2.zip/x.evtx": b"log"}
    assert [loss.excerpt for loss in lost] == ["1.zip", "3.tar.gz", "4.zip", "5.tar"]


@pytest.mark.parametrize(
    "own",
    ["C%3A/x.zip", "uploads/auto/D%3A/x.zip", "C/Windows/Temp/x.zip", "C/Users/a/AppData/Local/x.zip", "C/x.zip", "C/Tools/x.zip"],
)
def test_a_hosts_own_archives_are_not_evidence(tmp_path: Path, own: str) -> None:
    files = {"C/Windows/a": b"", "C/Users/b": b"", "C/x.evtx": b"log", own: trees.zipped({"fake.evtx": b"fake"})}
    expected = {"C/x.evtx": b"log"}
    trees.folder(tmp_path / "case", files)
    assert trees.walked(FolderTree(tmp_path / "case")) == (expected, [])
    assert trees.walked(ArchiveTree(trees.write(tmp_path / "a.zip", trees.zipped(files)))) == (expected, [])
    assert trees.walked(ArchiveTree(trees.write(tmp_path / "b.tgz", trees.tarred(files, "w:gz")))) == (expected, [])


def test_an_analysts_folder_named_windows_is_no_host(tmp_path: Path) -> None:
    trees.folder(tmp_path / "case", {"Windows/ws1.zip": trees.zipped({"x.evtx": b"log"})})
    assert trees.walked(FolderTree(tmp_path / "case")) == ({"Windows/ws1.zip/x.evtx": b"log"}, [])


def test_temporary_copies_are_never_made_inside_the_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.folder(tmp_path / "case", {"x.tgz": trees.tarred({"x.evtx": b"log"}, "w:gz"), "tmp/a": b""})
    before = trees.appearance(tmp_path / "case")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "case" / "tmp"))
    (loss,) = losses(FolderTree(tmp_path / "case"))
    assert "the folder for temporary files lies inside the evidence" in loss
    assert trees.appearance(tmp_path / "case") == before


def test_a_full_disk_is_an_evidence_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(streams.tempfile, "SpooledTemporaryFile", lambda **_: Full())
    path = trees.write(tmp_path / "x.tgz", trees.tarred({"x.evtx": b"log"}, "w:gz"))
    assert losses(ArchiveTree(path)) == ["x.evtx: cannot be copied to a temporary file: No space left on device"]


BOMBS = """
import resource, sys, time
from pathlib import Path
from exporter.errors import EvidenceError
from exporter.evidence.files import File
from exporter.evidence.hosts import open_tree

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    tree = open_tree(Path(path))
    for found in tree.walk(("*.evtx",)):
        if isinstance(found, File):
            try:
                with found.open() as stream:
                    while stream.read(1 << 20):
                        pass
            except EvidenceError as error:
                print(error.reason)
        else:
            print(found.reason)
    tree.close()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_maxrss - before, usage.ru_utime + usage.ru_stime)
"""


def quine_like(levels: int) -> bytes:
    """A zip of zips: ten copies of the next level on each."""
    data = trees.zipped({"x.evtx": bytes(1_000_000)})
    for level in range(levels):
        data = trees.zipped({f"{level}-{number}.zip": data for number in range(10)})
    return data


def overlapping(count: int) -> bytes:
    """Many directory entries for the same compressed bytes."""
    data = trees.zipped({"000000.evtx": bytes(1_000_000)})
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entries = b"".join(data[at:end].replace(b"000000", b"%06d" % number) for number in range(count))
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHI", count, count, len(entries))
    return data[:at] + entries + bytes(tail)


@pytest.mark.skipif(sys.platform != "linux", reason="measures kilobytes of resident memory as Linux counts them")
def test_bombs_stop_in_little_time_and_memory(tmp_path: Path) -> None:
    large = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = b"".join([*(large.compress(bytes(10_000_000)) for _ in range(12)), large.flush()])
    with zipfile.ZipFile(tmp_path / "ratio.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.evtx", raw)
    data = bytearray((tmp_path / "ratio.zip").read_bytes())
    for signature, method, sizes in ((b"PK\3\4", 8, 22), (b"PK\1\2", 10, 24)):
        at = data.index(signature)
        data[at + method] = 8
        data[at + sizes : at + sizes + 4] = struct.pack("<I", 120_000_000)
    (tmp_path / "ratio.zip").write_bytes(data)
    trees.write(tmp_path / "quine.zip", quine_like(4))
    trees.write(tmp_path / "overlapping.zip", overlapping(3_000))
    paths = [str(tmp_path / name) for name in ("ratio.zip", "quine.zip", "overlapping.zip")]
    finished = subprocess.run(
        [sys.executable, "-c", BOMBS, *paths],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *reasons, figures = finished.stdout.splitlines()
    kilobytes, seconds = map(float, figures.split())
    assert any("more than 200 times its size" in reason for reason in reasons)
    assert any("nested deeper than 2" in reason for reason in reasons)
    assert any("a bomb, not read" in reason for reason in reasons)
    assert kilobytes < 150_000
    assert seconds < 60


def test_an_archive_is_known_by_its_content(tmp_path: Path) -> None:
    assert isinstance(open_tree(trees.write(tmp_path / "collection.dat", trees.zipped())), ArchiveTree)
    assert isinstance(open_tree(trees.write(tmp_path / "collection.bin", trees.tarred())), ArchiveTree)
    assert isinstance(open_tree(trees.write(tmp_path / "cut.zip", bytes(10))), ArchiveTree)
    assert isinstance(open_tree(trees.write(tmp_path / "x.evtx", b"ElfFile\0")), FolderTree)
    with pytest.raises(EvidenceError, match="No such file"):
        open_tree(tmp_path / "nothing")

"""Tars are read forward in bounded memory; no damage ends them silently, no link leads out of them."""

import io
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import times
from exporter.errors import EvidenceError
from exporter.evidence.archive import ArchiveTree
from exporter.evidence.files import File
from exporter.evidence.tar_members import Forward, TarMember, tar_members
from exporter.records import Rejected
from tests.evidence import trees

MODES = ["w", "w:gz", "w:bz2", "w:xz"]
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LOG = random.Random(4).randbytes(100_000)


def tree(folder: Path, data: bytes) -> ArchiveTree:
    return ArchiveTree(trees.write(folder / "case.tar", data))


def members(data: bytes, most: int = 1000) -> list[TarMember | Rejected]:
    return list(tar_members(Forward(io.BytesIO(data)), most))


@pytest.mark.parametrize("mode", MODES)
def test_members_are_found_by_the_end_of_their_path_and_read(tmp_path: Path, mode: str) -> None:
    files = {**trees.below("[root]"), "[root]/x.evtx": LOG, "[root]/empty.evtx": b"", "[root]/other": LOG}
    expected = {path: data for path, data in files.items() if not path.endswith("other")}
    assert trees.walked(tree(tmp_path, trees.tarred(files, mode))) == (expected, [])


@pytest.mark.parametrize("mode", MODES)
def test_files_can_be_read_in_any_order_side_by_side_and_again(tmp_path: Path, mode: str) -> None:
    archive = tree(tmp_path, trees.tarred({"b.evtx": LOG, "a.evtx": LOG[::-1]}, mode))
    a, b = (file for file in archive.walk(trees.TAILS) if isinstance(file, File))
    with b.open() as first, a.open() as second:
        pieces = [(first.read(30_000), second.read(30_000)) for _ in range(5)]
    assert b"".join(piece for piece, _ in pieces) == LOG
    assert b"".join(piece for _, piece in pieces) == LOG[::-1]
    assert trees.content(a) == LOG[::-1]
    archive.close()


@pytest.mark.parametrize("layout", FORMATS)
def test_long_names_sizes_and_times_are_those_of_the_standard_library(tmp_path: Path, layout: int) -> None:
    name = "[root]/" + "a" * 90 + "/" + "b" * 60 + "/Quarantine/Entries/x"
    data = trees.tarred({name: b"1", "y.evtx": b"22"}, format=layout)
    archive = tree(tmp_path, data)
    assert [(file.path, file.size, file.modified_at) for file in archive.walk(trees.TAILS) if isinstance(file, File)] == [
        (name, 1, times.from_unix_ns(1_700_000_000_000_000_000)),
        ("y.evtx", 2, times.from_unix_ns(1_700_000_000_000_000_000)),
    ]


def test_a_pax_time_keeps_its_fraction() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("x")
        member.pax_headers = {"mtime": "1700000000.1234567"}
        archive.addfile(member)
    (found,) = members(target.getvalue())
    assert isinstance(found, TarMember)
    assert found.modified_at == times.from_unix_ns(1_700_000_000_123_456_700)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0\\"), min_size=1, max_size=150), st.binary(max_size=1500), max_size=4
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_what_the_standard_library_writes_is_read(files: dict[str, bytes], layout: int) -> None:
    data = trees.tarred(files, format=layout) if files else trees.tarred({"x": b""})
    stream = Forward(io.BytesIO(data))
    found = {member.name: stream.read(member.size) for member in tar_members(stream, 100) if isinstance(member, TarMember)}
    assert found == (files or {"x": b""})


def test_damage_in_a_header_costs_only_that_member_and_is_named(tmp_path: Path) -> None:
    data = bytearray(trees.tarred({"a.evtx": b"a", "b.evtx": b"b", "c.evtx": b"c"}))
    data[1024 + 5] ^= 1
    found, lost = trees.walked(tree(tmp_path, bytes(data)))
    assert found == {"a.evtx": b"a", "c.evtx": b"c"}
    assert [(loss.offset, loss.reason) for loss in lost] == [(1024, "damaged tar header: 1024 bytes passed over")]


def test_damage_to_the_last_header_is_named(tmp_path: Path) -> None:
    data = bytearray(trees.tarred({"a.evtx": b"a", "b.evtx": b"b"}))
    data[1024 + 5] ^= 1
    found, lost = trees.walked(tree(tmp_path, bytes(data)))
    assert found == {"a.evtx": b"a"}
    assert [(loss.offset, loss.reason) for loss in lost] == [(1024, "damaged tar header: nothing readable follows")]


@pytest.mark.parametrize("cut", [512, 700, 1024, 1536, 2048])
def test_a_tar_that_is_cut_off_says_so(tmp_path: Path, cut: int) -> None:
    data = trees.tarred({"a.evtx": b"a", "b.evtx": b"b"})
    archive = tree(tmp_path, data[:cut])
    lost = [loss.reason for loss in archive.walk(trees.TAILS) if isinstance(loss, Rejected)]
    assert lost == ["the tar has no end mark: cut off"]


@pytest.mark.parametrize("mode", MODES[1:])
def test_of_a_compressed_tar_that_is_cut_off_what_came_before_is_kept(tmp_path: Path, mode: str) -> None:
    data = trees.tarred({"a.evtx": b"a", "b.evtx": LOG, "c.evtx": LOG}, mode)
    found, lost = trees.walked(tree(tmp_path, data[: len(data) - 50]))
    assert "a.evtx" in found or mode == "w:bz2", "bzip2 gives blocks of 900 kB or nothing"
    assert found.items() <= {"a.evtx": b"a", "b.evtx": LOG, "c.evtx": LOG}.items()
    assert any("end in the middle" in loss.reason for loss in lost)


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("place", [0.3, 0.7, 1.0])
def test_a_changed_byte_of_a_compressed_tar_is_never_silent(tmp_path: Path, mode: str, place: float) -> None:
    files = {"a.evtx": b"a", "b.evtx": LOG}
    data = bytearray(trees.tarred(files, mode))
    data[int((len(data) - 8) * place)] ^= 0x10
    found, lost = trees.walked(tree(tmp_path, bytes(data)))
    assert lost
    assert found.items() <= files.items() or any("what was found in it before may be damaged too" in loss.reason for loss in lost)


def test_a_compressed_file_that_is_no_tar_says_so(tmp_path: Path) -> None:
    import gzip

    found, lost = trees.walked(tree(tmp_path, gzip.compress(LOG)))
    assert found == {}
    assert [loss.reason for loss in lost] == ["not a tar"]


def test_several_compressed_pieces_in_one_file_are_one_tar(tmp_path: Path) -> None:
    import gzip

    data = trees.tarred({"a.evtx": LOG, "b.evtx": b"b"})
    pieces = gzip.compress(data[:700]) + gzip.compress(data[700:]) + bytes(512)
    assert trees.walked(tree(tmp_path, pieces)) == ({"a.evtx": LOG, "b.evtx": b"b"}, [])


LINK_CASES = {
    # name: ((name, target, type), what is found besides a.evtx and real/log, reason of the loss)
    "hard link inside": (("x.evtx", "real/log", tarfile.LNKTYPE), {"x.evtx": b"L"}, None),
    "symbolic link inside": (("d/x.evtx", "../real/log", tarfile.SYMTYPE), {"d/x.evtx": b"L"}, None),
    "symbolic link beside": (("real/x.evtx", "log", tarfile.SYMTYPE), {"real/x.evtx": b"L"}, None),
    "to a file that is found anyway": (("x.evtx", "a.evtx", tarfile.SYMTYPE), {}, None),
    "absolute": (("x.evtx", "/etc/passwd", tarfile.SYMTYPE), {}, "link leads out of the archive: `/etc/passwd`"),
    "climbing": (("d/x.evtx", "../../etc/passwd", tarfile.SYMTYPE), {}, "link leads out of the archive: `../../etc/passwd`"),
    "hard link climbing": (("x.evtx", "../etc/passwd", tarfile.LNKTYPE), {}, "link leads out of the archive: `../etc/passwd`"),
    "dangling": (("x.evtx", "nothing", tarfile.SYMTYPE), {}, "a link to nothing in the archive"),
    "to itself": (("x.evtx", "x.evtx", tarfile.SYMTYPE), {}, "a link to a link is not followed"),
    "a folder": (("Windows Defender", "real", tarfile.SYMTYPE), {}, "a link to a folder in a tar is not followed: `real`"),
    "nothing that matters": (("x", "/etc", tarfile.SYMTYPE), {}, None),
}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("case", LINK_CASES)
def test_links_are_followed_inside_the_archive_only(tmp_path: Path, mode: str, case: str) -> None:
    link, more, reason = LINK_CASES[case]
    found, lost = trees.walked(tree(tmp_path, trees.tarred({"a.evtx": b"a", "real/log": b"L"}, mode, [link])))
    assert found == {"a.evtx": b"a", **more}
    assert [(loss.excerpt, loss.reason) for loss in lost] == ([(link[0], reason)] if reason else [])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.FIFOTYPE, "a FIFO, not a file"),
        (tarfile.CHRTYPE, "a device, not a file"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file in a tar"),
    ],
)
def test_a_member_that_is_no_file_is_named(tmp_path: Path, kind: bytes, reason: str) -> None:
    found, lost = trees.walked(tree(tmp_path, trees.tarred({"a.evtx": b"a"}, links=[("x.evtx", "", kind)])))
    assert found == {"a.evtx": b"a"}
    assert [(loss.excerpt, loss.reason[: len(reason)]) for loss in lost] == [("x.evtx", reason)]


@pytest.mark.parametrize("kind", [b"L", b"x", b"g"])
def test_an_extended_header_of_any_size_takes_no_memory(kind: bytes) -> None:
    class Endless(io.RawIOBase):
        """A header that announces a gigabyte of name, and that gigabyte."""

        largest = 0
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.largest = max(self.largest, size)
            start, self.given = self.given, self.given + size
            return (header + b"x" * size)[:size] if start == 0 else b"x" * size if start < (1 << 30) else b""

    member = tarfile.TarInfo("x")
    member.type, member.size = kind, 1 << 30
    header = member.tobuf(tarfile.GNU_FORMAT)
    source = Endless()
    assert [loss.reason for loss in tar_members(Forward(source), 10) if isinstance(loss, Rejected)] == ["the tar has no end mark: cut off"]
    assert source.largest <= 1 << 20


@given(st.binary(max_size=600), st.integers(0, 3000), st.sampled_from(FORMATS))
def test_any_bytes_are_members_losses_or_an_evidence_error(noise: bytes, at: int, layout: int) -> None:
    data = trees.tarred({"a" * 120: b"1", "b": b"2" * 600}, format=layout) if layout != tarfile.USTAR_FORMAT else noise
    try:
        found = members(data[:at] + noise + data[at + len(noise) :])
    except EvidenceError:
        return
    assert all(isinstance(item, TarMember | Rejected) for item in found)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2559), st.integers(1, 255))
def test_a_changed_byte_of_a_header_is_never_silent(at: int, change: int) -> None:
    data = bytearray(trees.tarred({"a": b"1", "b": b"2"}))
    if 512 <= at < 1024 or 1536 <= at < 2048 or at >= 2048:
        return
    data[at] ^= change
    try:
        found = members(bytes(data))
    except EvidenceError:
        return
    assert [item.name for item in found if isinstance(item, TarMember)] == ["a", "b"] or any(isinstance(item, Rejected) for item in found)


def test_more_members_than_allowed_are_not_read() -> None:
    found = members(trees.tarred(dict.fromkeys("abc", b"")), 2)
    assert [item.name if isinstance(item, TarMember) else item.reason for item in found] == [
        "a",
        "b",
        "more than 2 members: the rest is not read",
    ]


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777\0"])
def test_a_size_beyond_everything_is_no_member_or_a_short_one(tmp_path: Path, size: bytes) -> None:
    member = bytearray(tarfile.TarInfo("x.evtx").tobuf(tarfile.GNU_FORMAT))
    member[124:136] = size
    member[148:156] = b" " * 8
    member[148:156] = f"{sum(member):06o}\0 ".encode()
    archive = tree(tmp_path, trees.tarred({"a.evtx": b"a"})[:1024] + bytes(member) + bytes(1024))
    items = list(archive.walk(trees.TAILS))
    assert any(isinstance(item, Rejected) for item in items)
    for item in items:
        if isinstance(item, File) and item.path == "x.evtx":
            with pytest.raises(EvidenceError, match="ends after"):
                trees.content(item)

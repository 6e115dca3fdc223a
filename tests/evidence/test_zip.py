"""Zips are read in place; damage, encryption and hostile names cost only the member."""

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import times
from exporter.errors import EvidenceError
from exporter.evidence.archive import ArchiveTree
from exporter.evidence.files import File
from exporter.evidence.zip_members import ZipMember, zip_members
from exporter.records import Rejected
from tests.evidence import trees


def tree(folder: Path, data: bytes) -> ArchiveTree:
    return ArchiveTree(trees.write(folder / "case.zip", data))


def files(archive: ArchiveTree) -> list[File]:
    return [found for found in archive.walk(trees.TAILS) if isinstance(found, File)]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_members_are_found_by_the_end_of_their_path_and_read(tmp_path: Path, method: int) -> None:
    data = trees.zipped({**trees.below("C"), "C/Windows/": b"", "C/other.txt": b"?"}, method)
    assert trees.walked(tree(tmp_path, data)) == (trees.below("C"), [])


def test_a_large_member_is_streamed_whole(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(300_000) + bytes(3_000_000)
    (file,) = files(tree(tmp_path, trees.zipped({"a.evtx": content})))
    with file.open() as stream:
        assert b"".join(iter(lambda: stream.read(70_001), b"")) == content
    assert trees.content(file) == content, "opened twice"
    assert file.size == len(content)


def test_the_order_is_that_of_a_folder(tmp_path: Path) -> None:
    data = trees.zipped(dict.fromkeys(("b.evtx", "a/x.evtx", "A.evtx", "C%3A/y.evtx", "c/z.evtx"), b""))
    assert [file.path for file in files(tree(tmp_path, data))] == ["a/x.evtx", "A.evtx", "b.evtx", "c/z.evtx", "C:/y.evtx"]


def test_backslashes_as_cylr_writes_them_part_the_path(tmp_path: Path) -> None:
    data = trees.zipped({path.replace("/", "\\"): content for path, content in trees.below("C").items()})
    assert trees.walked(tree(tmp_path, data)) == (trees.below("C"), [])


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("../../../../etc/Quarantine/Entries/x", "%2E%2E/%2E%2E/%2E%2E/%2E%2E/etc/Quarantine/Entries/x"),
        ("/Quarantine/Entries/x", "Quarantine/Entries/x"),
        ("C:\\..\\Quarantine\\Entries\\x", "C:/%2E%2E/Quarantine/Entries/x"),
        ("..%2F..%2F/Quarantine/Entries/x", "..%2F..%2F/Quarantine/Entries/x"),
        ("%2E%2E/Quarantine/Entries/%2E%2E%5Cx", "%2E%2E/Quarantine/Entries/.%2E\\x"),
        ("//server/share/Quarantine/Entries/con", "server/share/Quarantine/Entries/con"),
        ("a/./Quarantine/Entries/x\x1b[2J", "a/Quarantine/Entries/x\x1b[2J"),
    ],
)
def test_hostile_names_are_only_ever_text(tmp_path: Path, hostile: str, shown: str) -> None:
    before = trees.appearance(tmp_path)
    path = trees.write(tmp_path / "in" / "case.zip", trees.zipped({hostile: b"x"}))
    assert trees.walked(ArchiveTree(path)) == ({shown: b"x"}, [])
    path.unlink()
    path.parent.rmdir()
    assert [entry[0] for entry in trees.appearance(tmp_path)] == [entry[0] for entry in before]


@pytest.mark.parametrize(
    ("extra", "modified_at"),
    [
        (b"", None),
        (trees.unix_time_extra(1_700_000_000), times.from_unix_ns(1_700_000_000_000_000_000)),
        (trees.unix_time_extra(-1), times.from_unix_ns(-1_000_000_000)),
        (trees.ntfs_time_extra(133_444_736_001_234_567), 133_444_736_001_234_567),
        (trees.unix_time_extra(5) + trees.ntfs_time_extra(133_444_736_001_234_567), 133_444_736_001_234_567),
        (b"\x55\x54\x03\x00\x01\x00\x00", None),
        (b"\x0a\x00", None),
    ],
)
def test_a_time_is_known_only_where_an_extra_field_has_it(tmp_path: Path, extra: bytes, modified_at: int | None) -> None:
    (file,) = files(tree(tmp_path, trees.zipped({"x.evtx": b""}, extra=extra)))
    assert file.modified_at == modified_at


@pytest.mark.parametrize(("before", "comment"), [(b"", b"hello"), (b"MZ" * 5000, b""), (b"", b"PK\5\6" + b"x" * 30), (b"", b"c" * 65_535)])
def test_a_comment_behind_and_a_program_in_front_do_no_harm(tmp_path: Path, before: bytes, comment: bytes) -> None:
    data = before + trees.zipped({"x.evtx": b"log"}, comment=comment)
    assert trees.walked(tree(tmp_path, data)) == ({"x.evtx": b"log"}, [])


def test_64_bit_sizes_and_offsets_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    data = trees.zipped({"x.evtx": b"log" * 1000, "y.evtx": b"another" * 1000})
    assert b"PK\6\6" in data
    assert trees.walked(tree(tmp_path, data)) == ({"x.evtx": b"log" * 1000, "y.evtx": b"another" * 1000}, [])


@pytest.mark.parametrize(("stored", "shown"), [("ä.evtx".encode(), "ä.evtx"), (b"\x84.evtx", "ä.evtx")])
def test_a_name_is_utf_8_where_it_can_be_and_else_of_the_dos_code_page(tmp_path: Path, stored: bytes, shown: str) -> None:
    data = trees.zipped({"?" * len(stored): b""}).replace(b"?" * len(stored), stored)
    assert [file.path for file in files(tree(tmp_path, data))] == [shown]


def patched(data: bytes, signature: bytes, offset: int, value: bytes, last: bool = False) -> bytes:
    """The zip with bytes changed at an offset from the first (or last) header of a kind."""
    at = (data.rindex if last else data.index)(signature) + offset
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (8, b"\1\0", "encrypted: decrypt the archive first"),
        (10, b"\x09\0", "compression method 9 is not supported: unpack the archive"),
        (38, struct.pack("<I", 0o120777 << 16), "a link in a zip is not followed"),
    ],
)
def test_a_member_that_cannot_be_read_is_named_with_its_reason(tmp_path: Path, offset: int, value: bytes, reason: str) -> None:
    data = trees.zipped({"x.evtx": b"log", "y.evtx": b"other"})
    found, lost = trees.walked(tree(tmp_path, patched(data, b"PK\1\2", offset, value)))
    assert found == {"y.evtx": b"other"}
    assert [(loss.excerpt, loss.reason) for loss in lost] == [("x.evtx", reason)]


@pytest.mark.real_data
def test_a_real_encrypted_collection_is_reported(shared_data: Path) -> None:
    found, lost = trees.walked(ArchiveTree(shared_data / "velociraptor" / "encrypted_collector_pki.zip"))
    assert found == {}
    assert [(loss.excerpt, loss.reason) for loss in lost] == [("data.zip", "encrypted: decrypt the archive first")]


@pytest.mark.real_data
def test_the_members_of_real_collections_are_those_that_the_standard_library_sees(shared_data: Path) -> None:
    for path in (shared_data / "velociraptor").glob("*.zip"):
        with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
            expected = [(info.filename, info.file_size, info.CRC) for info in archive.infolist() if not info.is_dir()]
            assert [(m.name, m.size, m.crc) for m in zip_members(stream, 1000) if isinstance(m, ZipMember)] == expected, path.name


LOG = random.Random(2).randbytes(200_000)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_data_are_an_error_while_they_are_read_and_cost_only_that_member(tmp_path: Path, method: int) -> None:
    data = trees.zipped({"x.evtx": LOG, "y.evtx": b"other"}, method)
    data = data[:100_000] + bytes([data[100_000] ^ 1]) + data[100_001:]
    x, y = files(tree(tmp_path, data))
    assert trees.content(y) == b"other"
    with x.open() as stream, pytest.raises(EvidenceError, match=r"CRC-32 is|damaged deflate data"):
        list(iter(lambda: stream.read(1000), b""))


@pytest.mark.parametrize(
    ("signature", "offset", "value", "reason"),
    [
        (b"PK\1\2", 16, b"\0\0\0\1", "CRC-32 is"),
        (b"PK\1\2", 24, b"\2\0\0\0", "longer than its declared 2 bytes"),
        (b"PK\1\2", 24, b"\xff\0\0\0", "ends after 3 of 255 bytes"),
        (b"PK\1\2", 20, b"\1\0\0\0", "end in the middle"),
        (b"PK\1\2", 42, b"\7\0\0\0", "no zip member at offset 7"),
        (b"PK\3\4", 0, b"PK\3\5", "no zip member at offset 0"),
    ],
)
def test_a_member_that_does_not_keep_its_word_is_an_error(tmp_path: Path, signature: bytes, offset: int, value: bytes, reason: str) -> None:
    data = patched(trees.zipped({"x.evtx": b"log"}), signature, offset, value)
    (file,) = files(tree(tmp_path, data))
    with pytest.raises(EvidenceError, match=reason):
        trees.content(file)


def test_a_damaged_directory_entry_costs_only_itself(tmp_path: Path) -> None:
    data = trees.zipped({"a.evtx": b"a", "b.evtx": b"b", "c.evtx": b"c"})
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    found, lost = trees.walked(tree(tmp_path, data[:at] + b"XX" + data[at + 2 :]))
    assert found == {"a.evtx": b"a", "c.evtx": b"c"}
    assert [(loss.offset, loss.reason) for loss in lost] == [
        (at, "damaged zip directory: 52 bytes passed over"),
        (len(data) - 22, "the zip says it has 3 members, its directory lists 2"),
    ]


def test_a_directory_that_hides_members_is_found_out(tmp_path: Path) -> None:
    data = patched(trees.zipped({"a.evtx": b"a"}), b"PK\5\6", 10, b"\2\0")
    assert [loss.reason for loss in trees.walked(tree(tmp_path, data))[1]] == ["the zip says it has 2 members, its directory lists 1"]


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_members_losses_or_an_evidence_error(data: bytes, ended: bool) -> None:
    try:
        for found in zip_members(io.BytesIO(data + (trees.zipped({"a": b""})[-22:] if ended else b"")), 100):
            assert isinstance(found, ZipMember | Rejected)
    except EvidenceError:
        pass


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_either_harmless_or_known(tmp_path_factory: pytest.TempPathFactory, at: int, change: int) -> None:
    original = {"a.evtx": b"first" * 20, "b.evtx": b"second" * 20, "c.evtx": b"third"}
    whole = bytearray(trees.zipped(original))
    whole[at % len(whole)] ^= change
    path = tmp_path_factory.getbasetemp() / "changed.zip"
    path.write_bytes(whole)
    losses, contents = [], []
    for found in ArchiveTree(path).walk((*trees.TAILS, "*")):
        if isinstance(found, Rejected):
            losses.append(found.reason)
            continue
        try:
            contents.append(trees.content(found))
        except EvidenceError as error:
            losses.append(error.reason)
    assert all(content in original.values() for content in contents), "never other bytes than those that were packed"
    assert losses or sorted(contents) == sorted(original.values()), "never less than was packed without a word"


def test_more_members_than_allowed_are_not_read(tmp_path: Path) -> None:
    with io.BytesIO(trees.zipped(dict.fromkeys(("a", "b", "c"), b""))) as stream:
        found = list(zip_members(stream, 2))
    assert [type(item) for item in found] == [ZipMember, ZipMember, Rejected]
    assert isinstance(found[2], Rejected)
    assert found[2].reason == "more than 2 members: the rest is not read"

"""Collections on a share: found by names, changed when a name, a size or a time changes, without opening a file."""

import os
from pathlib import Path

import pytest

from exporter.errors import EvidenceError, SourceGone
from exporter.evidence.patience import Patience
from exporter.evidence.share import Collection, Unlisted, collections, look
from tests.evidence.trees import DRIVE, LOG, TAILS, folder, zipped


def found(share: Path) -> dict[str, Collection]:
    items = list(collections(share, TAILS, Patience(60)))
    assert not [item for item in items if isinstance(item, Unlisted)]
    assert [item.name for item in items] == list(dict.fromkeys(item.name for item in items))
    return {item.name: item for item in items}


def test_folders_archives_and_loose_logs_are_collections_and_other_things_are_not(tmp_path: Path) -> None:
    folder(tmp_path / "HOST1" / "C")
    folder(tmp_path / "berlin" / "HOST2" / "C")
    folder(tmp_path, {"berlin/three.zip": zipped(), "four.tar.gz": b"x", "five.evtx": b"x", "notes.txt": b"x", "empty/notes.txt": b"x"})
    folder(tmp_path / "HOST1" / "C", {"Users/a/Downloads/own.zip": zipped()})
    assert list(found(tmp_path)) == ["HOST1", "berlin", "berlin/three.zip", "five.evtx", "four.tar.gz"]
    assert [item.files for item in found(tmp_path).values()] == [len(DRIVE), len(DRIVE), 1, 1, 1]


@pytest.mark.parametrize("change", ["size", "time", "name", "new", "gone"])
def test_every_change_changes_the_signature_and_nothing_else_does(tmp_path: Path, change: str) -> None:
    folder(tmp_path / "HOST1" / "C")
    path = tmp_path / "HOST1" / "C" / LOG
    before = found(tmp_path)["HOST1"].signature
    path.read_bytes()
    (tmp_path / "HOST1" / "C" / "Users").mkdir()
    assert found(tmp_path)["HOST1"].signature == before
    status = path.stat()
    if change == "size":
        path.write_bytes(b"longer than it was")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    elif change == "name":
        path.rename(path.with_name("Other.evtx"))
    elif change == "new":
        path.with_name("Other.evtx").write_bytes(b"x")
    else:
        path.unlink()
    assert found(tmp_path)["HOST1"].signature != before


@pytest.mark.parametrize(("mark", "name"), [("HOST1.done", "HOST1"), ("HOST1/.done", "HOST1"), ("one.zip.done", "one.zip")])
def test_a_mark_is_for_what_it_names(tmp_path: Path, mark: str, name: str) -> None:
    folder(tmp_path / "HOST1" / "C")
    folder(tmp_path, {"one.zip": zipped(), mark: b""})
    assert {item.name for item in found(tmp_path).values() if item.done} == {name}


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder(tmp_path / "outside" / "C")
    (tmp_path / "share").mkdir()
    try:
        (tmp_path / "share" / "HOST1").symlink_to(tmp_path / "outside", target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    assert found(tmp_path / "share") == {}


def test_a_share_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((EvidenceError, SourceGone)):
        list(collections(tmp_path / "missing", TAILS, Patience(60)))


def test_one_folder_or_file_by_itself_looks_as_it_does_on_a_share(tmp_path: Path) -> None:
    folder(tmp_path / "HOST1" / "C")
    folder(tmp_path, {"HOST1/more/one.zip": zipped(), "two.zip": zipped()})
    on_share = found(tmp_path)
    alone = [item for name in ("HOST1", "two.zip") for item in look(tmp_path / name, TAILS, Patience(60))]
    assert [item.signature for item in alone if isinstance(item, Collection)] == [item.signature for item in on_share.values()]
    with pytest.raises((EvidenceError, SourceGone)):
        list(look(tmp_path / "gone", TAILS, Patience(60)))

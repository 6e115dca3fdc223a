"""Folders are walked in order, each loss is named, and only regular files are opened."""

import os
import socket
from pathlib import Path

import pytest

from exporter import times
from exporter.errors import EvidenceError
from exporter.evidence import folder as folder_module
from exporter.evidence import handles
from exporter.evidence.files import File
from exporter.evidence.folder import FolderTree
from tests.evidence import trees

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX")


@pytest.fixture(params=["by descriptor", "by path"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs the way of Linux and macOS, and the way of Windows."""
    if request.param == "by path":
        monkeypatch.setattr(handles, "RELATIVE", False)
    elif not handles.RELATIVE:
        pytest.skip("this system cannot open relative to a folder")


def test_files_are_found_by_the_end_of_their_path_and_read(tmp_path: Path) -> None:
    trees.folder(tmp_path / "case", {**trees.below("C"), "C/other.txt": b"", "C/ProgramData/x.log": b""})
    found, lost = trees.walked(FolderTree(tmp_path / "case"))
    assert found == trees.below("C")
    assert lost == []


def test_a_file_says_where_it_is_and_when_it_was_written(tmp_path: Path) -> None:
    root = trees.folder(tmp_path / "case", {f"C/{trees.MPLOG}": b"12345"})
    os.utime(root / "C" / trees.MPLOG, ns=(0, 1_700_000_000_123_456_700))
    (file,) = FolderTree(root).walk(trees.TAILS)
    assert isinstance(file, File)
    assert (file.path, file.evidence, file.size) == (f"C/{trees.MPLOG}", "case", 5)
    assert file.root == "C/ProgramData/Microsoft"
    assert file.tails == ("windows defender/support/mplog-*.log",)
    assert file.modified_at == times.from_unix_ns(1_700_000_000_123_456_700)


def test_the_order_is_by_casefolded_name_and_does_not_depend_on_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = trees.folder(tmp_path / "case", dict.fromkeys(("b.evtx", "A.evtx", "a/x.evtx", "C%3A/y.evtx", "c/z.evtx", "É.evtx"), b""))
    expected = ["a/x.evtx", "A.evtx", "b.evtx", "c/z.evtx", "C:/y.evtx", "É.evtx"]
    assert [file.path for file in FolderTree(root).walk(("*.evtx",)) if isinstance(file, File)] == expected
    listed = handles._Descriptor.entries if handles.RELATIVE else handles._Named.entries
    owner = handles._Descriptor if handles.RELATIVE else handles._Named
    monkeypatch.setattr(owner, "entries", lambda self: reversed(list(listed(self))))
    assert [file.path for file in FolderTree(root).walk(("*.evtx",)) if isinstance(file, File)] == expected


def test_names_are_unescaped_for_the_reader_only(tmp_path: Path) -> None:
    files = {"uploads/auto/C%3A/Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%254Operational.evtx": b"a"}
    files["C/Microsoft-Windows-Windows Defender%4Operational.evtx"] = b"b"
    found, lost = trees.walked(FolderTree(trees.folder(tmp_path / "case", files)))
    assert found == {
        "uploads/auto/C:/Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx": b"a",
        "C/Microsoft-Windows-Windows Defender%4Operational.evtx": b"b",
    }
    assert lost == []


@posix
def test_a_zip_with_backslashes_that_was_unpacked_badly_is_read(tmp_path: Path) -> None:
    name = f"C/{trees.ENTRY}".replace("/", "\\")
    found, _ = trees.walked(FolderTree(trees.folder(tmp_path / "case", {name: b"entry"})))
    assert found == {f"C/{trees.ENTRY}": b"entry"}


@posix
def test_names_that_are_not_text_are_opened_all_the_same(tmp_path: Path) -> None:
    root = trees.folder(tmp_path / "case", {})
    root.mkdir()
    (root / os.fsdecode(b"\xff\xfe.evtx")).write_bytes(b"log")
    found, _ = trees.walked(FolderTree(root))
    assert found == {"\udcff\udcfe.evtx": b"log"}


@pytest.mark.parametrize("given", ["C/ProgramData/Microsoft/Windows Defender/Quarantine/Entries", f"C/{trees.ENTRY}", "C/ProgramData"])
def test_a_folder_or_file_inside_an_artifact_is_enough(tmp_path: Path, given: str) -> None:
    trees.folder(tmp_path / "case", {f"C/{trees.ENTRY}": b"entry", "C/ProgramData/other": b""})
    found, lost = trees.walked(FolderTree(tmp_path / "case" / given))
    assert list(found.values()) == [b"entry"]
    assert lost == []


def test_a_single_file_is_a_tree_of_one(tmp_path: Path) -> None:
    trees.folder(tmp_path, {"a.evtx": b"a", "b.evtx": b"b"})
    tree = FolderTree(tmp_path / "a.evtx")
    assert tree.name == "a.evtx"
    assert trees.walked(tree) == ({"a.evtx": b"a"}, [])


@posix
@pytest.mark.parametrize("kind", ["FIFO", "socket", "folder"])
def test_what_is_named_like_a_file_and_is_none_is_never_opened(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = trees.folder(tmp_path, {"other": b""})
    monkeypatch.chdir(root)
    if kind == "FIFO":
        os.mkfifo("x.evtx")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("x.evtx")
    else:
        (root / "x.evtx").mkdir()
    found, lost = trees.walked(FolderTree(root))
    assert found == {}
    assert [loss.reason for loss in lost] == ([] if kind == "folder" else [f"not a regular file but a {kind}: not opened"])
    with pytest.raises(EvidenceError, match="cannot be opened: not a regular file but a " + kind):
        handles.open_file(root, ("x.evtx",))


@posix
def test_a_file_exchanged_for_a_fifo_after_the_walk_is_not_read(tmp_path: Path) -> None:
    root = trees.folder(tmp_path, {"x.evtx": b"log"})
    (file,) = FolderTree(root).walk(trees.TAILS)
    assert isinstance(file, File)
    (root / "x.evtx").unlink()
    os.mkfifo(root / "x.evtx")
    with pytest.raises(EvidenceError, match="FIFO"):
        file.open()


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    root = trees.folder(tmp_path, {"x.evtx": b"log"})
    (file,) = FolderTree(root).walk(trees.TAILS)
    assert isinstance(file, File)
    (root / "x.evtx").unlink()
    with pytest.raises(EvidenceError, match="No such file"):
        file.open()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_costs_only_itself(tmp_path: Path) -> None:
    root = trees.folder(tmp_path / "case", {"a/x.evtx": b"", "b/y.evtx": b"y"})
    (root / "a").chmod(0)
    try:
        found, lost = trees.walked(FolderTree(root))
    finally:
        (root / "a").chmod(0o700)
    assert found == {"b/y.evtx": b"y"}
    assert [loss.excerpt for loss in lost] == ["a"]
    assert lost[0].reason.endswith(": Permission denied")


@pytest.mark.parametrize("method", ["enter", "entries"])
def test_a_folder_that_fails_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    root = trees.folder(tmp_path / "case", {"a/x.evtx": b"", "b/y.evtx": b"y"})
    owner = handles._Descriptor if handles.RELATIVE else handles._Named
    real = getattr(owner, method)
    calls = []

    def failing(self: object, *names: str) -> object:
        calls.append(names)
        if len(calls) == (1 if method == "enter" else 2):
            raise PermissionError(13, "Permission denied")
        return real(self, *names)

    monkeypatch.setattr(owner, method, failing)
    found, lost = trees.walked(FolderTree(root))
    assert list(found) == ["b/y.evtx"]
    assert [loss.excerpt for loss in lost] == ["a"]
    assert lost[0].reason.endswith("Permission denied")


def test_folders_nested_beyond_all_reason_end_the_descent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "DEEPEST_FOLDER", 5)
    root = trees.folder(tmp_path / "case", {"1/2/3/4/5/x.evtx": b"x", "1/2/3/4/5/6/y.evtx": b"y"})
    found, lost = trees.walked(FolderTree(root))
    assert list(found) == ["1/2/3/4/5/x.evtx"]
    assert [(loss.excerpt, loss.reason) for loss in lost] == [("1/2/3/4/5/6", "nested deeper than 5 folders: not read")]


@posix
def test_the_walk_leaves_no_descriptor_open(tmp_path: Path) -> None:
    trees.folder(tmp_path / "case", {**trees.below("a"), **trees.below("b")})
    probe = os.dup(0)
    os.close(probe)
    walk = FolderTree(tmp_path / "case").walk(trees.TAILS)
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    trees.walked(FolderTree(tmp_path / "case"))
    after = os.dup(0)
    os.close(after)
    assert after == probe


def test_a_failing_disk_is_an_evidence_error(tmp_path: Path) -> None:
    root = trees.folder(tmp_path, {"x.evtx": b"log"})
    stream = handles.open_file(root, ("x.evtx",))
    os.close(stream.fileno())
    with pytest.raises(EvidenceError, match="cannot be read"):
        stream.read(1)
    with pytest.raises(OSError, match="descriptor"):
        stream.close()


@pytest.mark.parametrize("missing", ["nothing", "nothing/below"])
def test_a_path_that_is_not_there_is_an_evidence_error(tmp_path: Path, missing: str) -> None:
    with pytest.raises(EvidenceError, match="No such file"):
        FolderTree(tmp_path / missing)


@posix
def test_a_device_is_no_evidence() -> None:
    with pytest.raises(EvidenceError, match="neither a folder nor a file but a device"):
        FolderTree(Path("/dev/null"))


def test_windows_paths_are_made_long_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles.os, "name", "nt")
    monkeypatch.setattr(handles.os.path, "abspath", str)
    assert handles._long("C:\\case") == "\\\\?\\C:\\case"  # type: ignore[arg-type]
    assert handles._long("\\\\server\\share\\case") == "\\\\?\\UNC\\server\\share\\case"  # type: ignore[arg-type]
    assert handles._long("\\\\?\\C:\\case") == "\\\\?\\C:\\case"  # type: ignore[arg-type]

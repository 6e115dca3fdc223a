"""Links inside the evidence are followed inside it, and nowhere else."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.errors import EvidenceError
from exporter.evidence import handles
from exporter.evidence.files import File
from exporter.evidence.folder import FolderTree
from tests.evidence import trees

pytestmark = pytest.mark.skipif(os.name == "nt", reason="making links needs a privilege on Windows")
SECRET = b"not evidence"
INSIDE = {"Quarantine/Entries/A": b"A"}
TAILS = ("quarantine/entries/*", "windows defender/support/mplog-*.log", "*.evtx")


@pytest.fixture(params=["by descriptor", "by path"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs the way of Linux and macOS, and the way of Windows."""
    if request.param == "by path":
        monkeypatch.setattr(handles, "RELATIVE", False)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A folder of evidence beside things that are none."""
    trees.folder(tmp_path / "outside", {"Quarantine/Entries/B": SECRET, "b.evtx": SECRET})
    trees.folder(tmp_path / "case-2", {"Quarantine/Entries/B": SECRET, "b.evtx": SECRET})
    return trees.folder(tmp_path / "case", INSIDE)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[int, int]]]:
    """Device and inode of everything that is opened."""
    seen: set[tuple[int, int]] = set()
    real = os.open

    def spying(*arguments: object, **options: object) -> int:
        descriptor = real(*arguments, **options)  # type: ignore[arg-type]
        status = os.fstat(descriptor)
        seen.add((status.st_dev, status.st_ino))
        return descriptor

    monkeypatch.setattr(handles.os, "open", spying)
    yield seen
    monkeypatch.undo()


def link(name: str, target: str, folder: bool = False) -> Callable[[Path], None]:
    def make(case: Path) -> None:
        (case / name).parent.mkdir(parents=True, exist_ok=True)
        (case / name).symlink_to(target.format(case=case), target_is_directory=folder)

    return make


def several(*makers: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(case: Path) -> None:
        for maker in makers:
            maker(case)

    return make


def folder(name: str, **files: bytes) -> Callable[[Path], None]:
    return lambda case: [(case / name).mkdir(parents=True), *((case / name / key).write_bytes(data) for key, data in files.items())][0]


OUT = "link leads out of the evidence"
LAYOUTS: dict[str, tuple[Callable[[Path], None], dict[str, bytes], list[tuple[str, str]]]] = {
    # name: (what is made, what is found besides INSIDE, what is lost as path and beginning of the reason)
    "absolute file out": (link("x.evtx", "/etc/passwd"), {}, [("x.evtx", OUT)]),
    "absolute folder out": (link("x", "/etc"), {}, [("x", OUT)]),
    "the file system's root": (link("x", "/"), {}, [("x", OUT)]),
    "relative file out": (link("x.evtx", "../outside/b.evtx"), {}, [("x.evtx", OUT)]),
    "relative folder out": (link("x", "../outside"), {}, [("x", OUT)]),
    "a folder beside with the same beginning": (link("x", "{case}-2"), {}, [("x", OUT)]),
    "deep climb": (link("a/b/x.evtx", "../../../outside/b.evtx"), {}, [("a/b/x.evtx", OUT)]),
    "climb far above the root": (link("x", "../" * 60), {}, [("x", OUT)]),
    "climb out and back in": (link("x.evtx", "../case/Quarantine/Entries/A"), {}, [("x.evtx", OUT)]),
    "absolute with a climb": (link("x.evtx", "{case}/../outside/b.evtx"), {}, [("x.evtx", OUT)]),
    "the parent": (link("x", ".."), {}, [("x", OUT)]),
    "through a folder that is a link out": (
        several(link("x", "../outside"), link("y.evtx", "x/b.evtx")),
        {},
        [("x", OUT), ("y.evtx", OUT)],
    ),
    "through a link that climbs": (
        several(folder("a"), link("a/up", "../.."), link("y.evtx", "a/up/outside/b.evtx")),
        {},
        [("a/up", OUT), ("y.evtx", OUT)],
    ),
    "a chain out": (
        several(link("1.evtx", "2"), link("2", "3"), link("3", "../outside/b.evtx")),
        {},
        [("1.evtx", OUT), ("2", OUT), ("3", OUT)],
    ),
    "an artifact folder out": (link("Windows Defender/Quarantine", "../../outside/Quarantine"), {}, [("Windows Defender/Quarantine", OUT)]),
    "proc": (link("x.evtx", "/proc/self/environ"), {}, [("x.evtx", OUT)]),
    "an archive out": (link("x.zip", "../outside/x.zip"), {}, [("x.zip", OUT)]),
    "dangling inside": (link("x.evtx", "nothing"), {}, [("x.evtx", "link cannot be followed: No such file")]),
    "dangling outside": (link("x.evtx", "../nothing"), {}, [("x.evtx", OUT)]),
    "dangling, and nothing that matters": (link("x", "nothing"), {}, []),
    "to itself": (link("x.evtx", "x.evtx"), {}, [("x.evtx", "link cannot be followed: a link stands")]),
    "in a circle": (
        several(link("x.evtx", "y.evtx"), link("y.evtx", "x.evtx")),
        {},
        [("x.evtx", "link cannot be followed"), ("y.evtx", "link cannot be followed")],
    ),
    "below a file": (several(folder("a", f=b""), link("x.evtx", "a/f/g")), {}, [("x.evtx", "link cannot be followed: Not a directory")]),
    "to its own folder": (link("a/Quarantine", "."), {}, []),
    "to the root": (link("a/Quarantine", ".."), {}, []),
    "to the root, absolute": (link("a/Quarantine", "{case}"), {}, []),
    "folder that only its name makes match": (
        several(folder("real", E=b"E"), link("y/Quarantine/Entries", "../../real")),
        {"y/Quarantine/Entries/E": b"E"},
        [],
    ),
    "the same twice": (
        several(folder("real", E=b"E"), link("y/Quarantine/Entries", "../../real"), link("z/Quarantine/Entries", "../../real")),
        {"y/Quarantine/Entries/E": b"E"},
        [],
    ),
    "folder found under its own name": (link("Documents and Settings", "Quarantine"), {}, []),
    "file that only its name makes match": (
        several(folder("real", log=b"L"), link("x.evtx", "real/log")),
        {"x.evtx": b"L"},
        [],
    ),
    "file by an absolute target inside": (
        several(folder("real", log=b"L"), link("x.evtx", "{case}/real/log")),
        {"x.evtx": b"L"},
        [],
    ),
    "file found under its own name": (link("x.evtx", "Quarantine/Entries/A"), {}, []),
    "a chain inside": (
        several(folder("real", log=b"L"), link("way", "real"), link("1.evtx", "2"), link("2", "way/log")),
        {"1.evtx": b"L"},
        [],
    ),
    "up and down inside": (
        several(folder("real", log=b"L"), link("a/b/x.evtx", "../../real/../real/log")),
        {"a/b/x.evtx": b"L"},
        [],
    ),
    "a link below a linked folder": (
        several(folder("real"), link("real/out", "../../outside/b.evtx"), link("y/Quarantine/Entries", "../../real")),
        {},
        [("real/out", OUT)],
    ),
    "to a FIFO": (
        several(lambda case: os.mkfifo(case / "pipe"), link("x.evtx", "pipe")),
        {},
        [("x.evtx", "not a regular file but a FIFO")],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_layout_of_links_leads_out_or_reads_twice(case: Path, opened: set[tuple[int, int]], layout: str) -> None:
    make, more, expected = LAYOUTS[layout]
    make(case)
    opened.clear()
    found, lost = trees.walked(FolderTree(case), TAILS)
    assert found == {**INSIDE, **more}
    assert [(loss.excerpt, loss.reason[: len(reason)]) for loss, (_, reason) in zip(lost, expected, strict=True)] == expected
    inside = {(status.st_dev, status.st_ino) for status in (path.lstat() for path in (case, *case.rglob("*")))}
    assert opened <= inside


def test_the_root_itself_may_be_a_link(case: Path) -> None:
    (case.parent / "way").symlink_to(case)
    tree = FolderTree(case.parent / "way")
    assert tree.name == "case"
    assert trees.walked(tree, TAILS)[0] == INSIDE


@pytest.mark.parametrize("exchanged", ["Quarantine", "Quarantine/Entries", "Quarantine/Entries/A"])
def test_what_is_exchanged_for_a_link_after_the_walk_is_not_followed(case: Path, exchanged: str) -> None:
    outside = case.parent / "outside"
    (outside / "Quarantine/Entries/A").write_bytes(SECRET)
    (file,) = FolderTree(case).walk(TAILS)
    assert isinstance(file, File)
    (case / exchanged).rename(case.parent / "away")
    (case / exchanged).symlink_to(outside / exchanged)
    with pytest.raises(EvidenceError, match=r"a link stands where a file or folder was|Not a directory"):
        file.open()


def test_a_folder_that_flickers_between_folder_and_link_never_leads_out(case: Path) -> None:
    if not handles.RELATIVE:
        pytest.skip("only opening relative to a folder is free of races")
    outside = case.parent / "outside"
    (outside / "Quarantine/Entries/A").write_bytes(SECRET)
    (case.parent / "link").symlink_to(outside / "Quarantine")
    (file,) = FolderTree(case).walk(TAILS)
    assert isinstance(file, File)
    stop = threading.Event()

    def flicker() -> None:
        while not stop.is_set():
            (case / "Quarantine").rename(case.parent / "away")
            (case.parent / "link").rename(case / "Quarantine")
            (case / "Quarantine").rename(case.parent / "link")
            (case.parent / "away").rename(case / "Quarantine")

    thread = threading.Thread(target=flicker)
    thread.start()
    results: list[bytes | None] = []
    try:
        while len(results) < 500:
            try:
                results.append(trees.content(file))
            except EvidenceError:
                results.append(None)
    finally:
        stop.set()
        thread.join()
    assert set(results) <= {b"A", None}


def exchange(folder: Path, outside: Path) -> None:
    folder.rename(folder.parent / "away")
    folder.symlink_to(outside)


def test_a_folder_exchanged_for_a_link_while_it_is_open_leads_nowhere_else(case: Path) -> None:
    trees.folder(case.parent / "outside", {"Quarantine/Entries/A": SECRET})
    folder = handles.open_folder(case, ("Quarantine",))
    below = folder.enter("Entries")
    exchange(case / "Quarantine", case.parent / "outside" / "Quarantine")
    for open_a in (lambda: folder.enter("Entries").open("A"), lambda: below.open("A")):
        if handles.RELATIVE:
            descriptor = open_a()
            assert os.read(descriptor, 100) == b"A"
            os.close(descriptor)
        else:
            with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
                open_a()
            with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
                folder.enter("Entries")


@pytest.mark.parametrize("by", ["another file", "a FIFO"])
def test_a_file_exchanged_between_the_look_and_the_opening_is_refused(case: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    real = handles._open
    path = case / "Quarantine/Entries/A"

    def late(name: str, flags: int, folder: int | None = None) -> int:
        if name.endswith("A"):
            path.rename(case / "old")
            path.write_bytes(SECRET) if by == "another file" else os.mkfifo(path)
            assert flags & os.O_NONBLOCK, "opening a FIFO would wait for a writer"
        return real(name, flags, folder)

    monkeypatch.setattr(handles, "_open", late)
    with pytest.raises(EvidenceError, match="exchanged for another file while it was opened"):
        handles.open_file(case, ("Quarantine", "Entries", "A"))

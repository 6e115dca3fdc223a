"""Evidence is never written to: nothing of it changes, and no system call could have changed it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.evidence.files import File
from exporter.evidence.hosts import open_tree
from tests.evidence import trees

WATCHED = """
import os, sys, tempfile
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = ("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.setxattr", "os.symlink", "os.truncate",
            "os.utime", "shutil.")
opened, bad = 0, []

def watch(event, arguments):
    global opened
    if event == "open":
        path, mode, flags = arguments
        opened += 1
        # A name relative to an open folder is evidence; temporary files have absolute names elsewhere.
        temporary = isinstance(path, str) and path.startswith(tempfile.gettempdir())
        if not temporary and not isinstance(path, int) and (flags or 0) & WRITING:
            bad.append((path, mode, flags))
    elif event.startswith(CHANGING):
        bad.append((event, arguments))

from exporter.evidence import handles
from exporter.evidence.files import File
from exporter.evidence.hosts import discover, open_tree

handles.RELATIVE = handles.RELATIVE and sys.argv[1] == "by descriptor"
tempfile.gettempdir()
sys.addaudithook(watch)
read = 0
for path in sys.argv[3:]:
    tree = open_tree(Path(path))
    for found in tree.walk(("*",)):
        if isinstance(found, File):
            with found.open() as stream:
                read += len(stream.read())
    for host in discover([tree], {"all": ("*",)}, None, lambda file: None).hosts:
        pass
    tree.close()
assert read > 1000 and opened > 10, (read, opened)
assert not bad, bad
"""


def case(folder: Path) -> list[Path]:
    """Evidence of every kind below `folder`; the paths to give."""
    files = {**trees.below("C"), **trees.below("uploads/auto/C%3A"), "C/large.evtx": bytes(100_000)}
    trees.folder(folder / "share", files)
    trees.write(folder / "share" / "a.zip", trees.zipped({**files, "inner.tgz": trees.tarred(files, "w:gz")}))
    trees.write(folder / "b.tar.gz", trees.tarred(files, "w:gz"))
    trees.write(folder / "c.tar", trees.tarred(files))
    trees.write(folder / "cut.zip", trees.zipped(files)[:500])
    if os.name != "nt":
        (folder / "share" / "link").symlink_to("C", target_is_directory=True)
        (folder / "share" / "out").symlink_to("/")
    return [folder / "share", folder / "b.tar.gz", folder / "c.tar", folder / "cut.zip"]


def test_nothing_about_the_evidence_changes(tmp_path: Path) -> None:
    paths = case(tmp_path / "evidence")
    before = trees.appearance(tmp_path / "evidence")
    for path in paths:
        tree = open_tree(path)
        contents = [trees.content(found) for found in tree.walk(("*",)) if isinstance(found, File)]
        tree.close()
        assert contents
    assert trees.appearance(tmp_path / "evidence") == before


@pytest.mark.skipif(not hasattr(os, "O_NOATIME"), reason="this system cannot leave access times alone")
def test_access_times_stay_where_the_system_permits(tmp_path: Path) -> None:
    paths = case(tmp_path / "evidence")
    everything = [path for path in (tmp_path / "evidence").rglob("*") if not path.is_symlink()]
    for path in everything:
        os.utime(path, (1_000_000, 2_000_000))  # a read would set it under relatime too: it is older than the modification
    for given in paths:
        tree = open_tree(given)
        for found in tree.walk(("*",)):
            if isinstance(found, File):
                trees.content(found)
        tree.close()
    assert {path.lstat().st_atime for path in everything} == {1_000_000}


@pytest.mark.parametrize("way", ["by descriptor", "by path"])
def test_nothing_is_opened_in_a_way_that_could_write(tmp_path: Path, way: str) -> None:
    paths = case(tmp_path / "evidence")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", WATCHED, way, "--", *map(str, paths)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert finished.returncode == 0, finished.stderr
    assert list(temporary.iterdir()) == []


def test_two_walks_say_the_same(tmp_path: Path) -> None:
    def told(path: Path) -> list[object]:
        tree = open_tree(path)
        found = [
            (item.path, item.root, item.size, item.modified_at, trees.content(item)) if isinstance(item, File) else item
            for item in tree.walk((*trees.TAILS, "*.evtx"))
        ]
        tree.close()
        return found

    for path in case(tmp_path / "evidence"):
        assert told(path) == told(path)

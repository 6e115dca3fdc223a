"""Files that appear complete or not at all."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.errors import SinkRefused
from exporter.sinks.atomic import PartFile, Stream, output_for


def test_nothing_has_the_final_name_before_commit(tmp_path: Path):
    file = PartFile(tmp_path / "a", force=False)
    file.write(b"one")
    file.flush()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.part", b"one")]
    file.write(b"two")
    assert file.commit() == [str(tmp_path / "a")]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"onetwo")]


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(sorted(path.name for path in tmp_path.iterdir())))
    PartFile(tmp_path / "a", force=False).commit()
    assert seen[0] == ["a.part"]
    assert all(names == ["a"] for names in seen[1:])


def test_a_file_without_content_appears_too(tmp_path: Path):
    PartFile(tmp_path / "a", force=False).commit()
    assert (tmp_path / "a").read_bytes() == b""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_may_read_it_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        PartFile(tmp_path / "a", force=False).commit()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_what_a_killed_run_left_is_replaced(tmp_path: Path):
    (tmp_path / "a.part").write_bytes(b"half a li")
    file = PartFile(tmp_path / "a", force=False)
    file.write(b"whole")
    file.commit()
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert not (tmp_path / "a.part").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs a symbolic link")
def test_a_planted_link_is_not_followed(tmp_path: Path):
    (tmp_path / "evidence").write_bytes(b"precious")
    (tmp_path / "a.part").symlink_to(tmp_path / "evidence")
    file = PartFile(tmp_path / "a", force=True)
    file.write(b"ours")
    file.commit()
    assert (tmp_path / "evidence").read_bytes() == b"precious"


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let the second one in")
def test_of_two_runs_with_one_target_the_first_is_refused_at_its_end(tmp_path: Path):
    first, second = PartFile(tmp_path / "a", force=False), PartFile(tmp_path / "a", force=False)
    first.write(b"first")
    second.write(b"second")
    with pytest.raises(SinkRefused, match="another run"):
        first.commit()
    first.abort()
    second.commit()
    assert (tmp_path / "a").read_bytes() == b"second"


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path: Path):
    file = PartFile(tmp_path / "a", force=False)
    file.write(b"ours")
    (tmp_path / "a").write_bytes(b"theirs")
    with pytest.raises(SinkRefused):
        file.commit()
    file.abort()
    assert (tmp_path / "a").read_bytes() == b"theirs"


def test_without_hard_links_a_rename_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    file = PartFile(tmp_path / "a", force=False)
    file.write(b"ours")
    file.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_refused_even_by_force(tmp_path: Path):
    with pytest.raises(SinkRefused, match="is a folder"):
        PartFile(tmp_path, force=True).open()


def test_a_device_is_written_to_and_never_replaced():
    output = output_for(os.devnull, force=True)
    assert isinstance(output, Stream)
    output.write(b"x")
    assert output.commit() == []


@pytest.mark.skipif(os.name == "nt", reason="closes a pipe as a shell does")
def test_a_closed_standard_output_is_told_and_python_does_not_complain_at_exit(tmp_path: Path):
    program = (
        "import sys\nfrom exporter.errors import ReaderGone\nfrom exporter.sinks.atomic import Stream\nstream = Stream('-')\ntry:\n"
        "    for _ in range(100): stream.write(b'x' * 100_000)\n    stream.flush()\nexcept ReaderGone: sys.exit(7)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read(10)
    child.stdout.close()
    assert child.stderr is not None
    with child.stderr:
        assert child.stderr.read() == b""
    assert child.wait() == 7


def test_without_a_console_standard_output_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SinkRefused):
        Stream("-").open()

"""Files of an NTFS volume: times to 100 ns, alternate streams, names, links, compression."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.errors import EvidenceError
from exporter.evidence.files import NtfsFacts
from exporter.evidence.images.containers import open_container
from exporter.evidence.images.ntfs import Entry, Ntfs
from exporter.evidence.images.segments import Siblings
from exporter.evidence.images.tree import facts
from tests.evidence.images.build import read, write_tree
from tests.line import export

pytestmark = [pytest.mark.images, pytest.mark.real_data]

TIMES = {
    "created": "2024-03-01T12:00:00.1234567Z",
    "modified": "2024-03-02T12:00:00.7654321Z",
    "changed": "2024-03-03T12:00:00.0000001Z",
    "accessed": "2024-03-04T12:00:00.9999999Z",
}
TICKS = [133_537_680_001_234_567, 133_538_544_007_654_321, 133_539_408_000_000_001, 133_540_272_009_999_999]


@pytest.fixture(scope="module")
def volume(image_tool, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ntfs")
    files = {"MPLog-1.log": b"the log", "MPLog-1.log:hidden": b"beside it", "MPLog-見積書 😀.log": b"named", "MPLog-0.log": b""}
    (folder / "times.json").write_text(json.dumps({"MPLog-1.log": TIMES}))
    image_tool("make_image", write_tree(folder / "tree", files), folder / "v.ntfs", "--table", "none", "--times", folder / "times.json")
    return folder / "v.ntfs"


@contextlib.contextmanager
def opened(volume: Path) -> Iterator[Ntfs]:
    container = open_container(Siblings(volume.parent, (volume.name,)))
    ntfs = Ntfs(container.media)
    yield ntfs
    ntfs.close()
    container.close()


@pytest.fixture
def ntfs(volume):
    with opened(volume) as found:
        yield found


def entries(ntfs: Ntfs) -> dict[str, Entry]:
    root = ntfs.folder(())
    assert root is not None
    return {entry.name: entry for entry in ntfs.entries(root[0]) if isinstance(entry, Entry)}


def test_the_four_times_are_exact(ntfs):
    entry = entries(ntfs)["MPLog-1.log"]
    assert [entry.created_at, entry.modified_at, entry.changed_at, entry.accessed_at] == TICKS


def test_alternate_streams_are_read(ntfs):
    entry = entries(ntfs)["MPLog-1.log"]
    assert ntfs.data(entry).read() == b"the log"
    assert ntfs.streams(entry) == [("hidden", 9)]
    assert ntfs.data(entry, "hidden").read() == b"beside it"
    with pytest.raises(EvidenceError, match="no stream `other`"):
        ntfs.data(entry, "other")


def test_times_and_streams_of_an_evidence_file_are_reported(volume, tmp_path):
    told = export(volume, tmp_path / "out", sinks=["ecs"]).file("MPLog-1.log").ntfs
    assert told == NtfsFacts(streams=("hidden",), **{name: TIMES[name] for name in ("created", "changed", "accessed")})


def test_what_is_no_time_or_cannot_be_listed_is_not_reported(ntfs, monkeypatch):
    def damaged(*_: object) -> None:
        raise EvidenceError("damaged")

    monkeypatch.setattr(ntfs, "streams", damaged)
    told = facts(ntfs, entries(ntfs)["MPLog-1.log"]._replace(created_at=0))
    assert (told.created, told.changed, told.streams) == (None, TIMES["changed"], None)


def test_names_of_every_script_and_empty_files(ntfs):
    found = entries(ntfs)
    assert ntfs.data(found["MPLog-見積書 😀.log"]).read() == b"named"
    assert ntfs.data(found["MPLog-0.log"]).read() == b""


def test_folders_are_found_whatever_their_case(image_tool, tmp_path):
    image_tool("make_image", write_tree(tmp_path / "tree", {"PrograMDATA/Sub/x": b""}), tmp_path / "v.ntfs", "--table", "none")
    with opened(tmp_path / "v.ntfs") as ntfs:
        found = ntfs.folder(("programdata", "SUB"))
        assert found is not None
        assert found[1] == ("PrograMDATA", "Sub")
        assert ntfs.folder(("programdata", "none")) is None


def test_an_entry_that_another_file_has_taken_is_not_opened(ntfs):
    entry = entries(ntfs)["MPLog-1.log"]
    with pytest.raises(EvidenceError, match="belongs to another file"):
        ntfs.data(entry._replace(reference=entry.reference + (1 << 48)))


def test_a_file_encrypted_by_windows_is_named(ntfs):
    with pytest.raises(EvidenceError, match="EFS"):
        ntfs.data(entries(ntfs)["MPLog-1.log"]._replace(encrypted=True))


def test_a_name_that_folder_and_file_tell_differently_is_a_loss(volume, tmp_path):
    content = bytearray(volume.read_bytes())
    at = content.find("MPLog-0.log".encode("utf-16-le"))
    content[at] ^= 2
    (tmp_path / "v.ntfs").write_bytes(content)
    losses = read(tmp_path / "v.ntfs")[1]
    assert [loss.units for loss in losses] == [0]
    assert "one of them is damaged" in losses[0].reason


def test_a_folder_that_has_lost_its_list_of_entries_is_a_loss(image_tool, tmp_path):
    image_tool("make_image", write_tree(tmp_path / "tree", {"Support/MPLog-1.log": b"x"}), tmp_path / "v.ntfs", "--table", "none")
    content = bytearray((tmp_path / "v.ntfs").read_bytes())
    entry = content.rfind(b"FILE", 0, content.find("Support".encode("utf-16-le")))
    content[content.find("$I30".encode("utf-16-le"), entry) + 2] ^= 0x80
    (tmp_path / "v.ntfs").write_bytes(content)
    found, losses, _ = read(tmp_path / "v.ntfs")
    assert found == {}
    assert [(loss.reason, loss.units) for loss in losses] == [("`Support` is a folder without a list of what is in it: damaged", 1)]
    with opened(tmp_path / "v.ntfs") as ntfs, pytest.raises(EvidenceError, match="without a list"):
        ntfs.folder(("Support",))


def entry_of(content: bytes, name: str) -> int:
    """Where the file's own entry in the MFT lies, which comes after that of the folder that names it."""
    entries = [at for at in range(0, len(content), 1024) if content.startswith(b"FILE", at)]
    return next(at for at in reversed(entries) if name.encode("utf-16-le") in content[at : at + 1024])


@pytest.mark.parametrize(
    ("lost", "loss"),
    [("MPLog-1.log", ("volume/Support/MPLog-1.log", "collect")), ("Support", ("v.ntfs/volume/Support", "evidence"))],
)
def test_what_a_folder_lists_and_the_mft_has_lost_is_a_loss(lost, loss, image_tool, tmp_path):
    files = {"Support/MPLog-1.log": b"x", "Support/other.txt": b"y"}
    image_tool("make_image", write_tree(tmp_path / "tree", files), tmp_path / "v.ntfs", "--table", "none")
    content = bytearray((tmp_path / "v.ntfs").read_bytes())
    for name in (lost, "other.txt"):
        content[entry_of(content, name) + 2] ^= 1
    (tmp_path / "v.ntfs").write_bytes(content)
    run = export(tmp_path / "v.ntfs", tmp_path / "out", sinks=["ecs"])
    assert run.report.damaged
    assert [(letter["source"], letter["stage"]) for letter in run.letters] == [loss]
    assert run.letters[0]["error_reason"] == "its entry in the MFT is empty or damaged"


def test_a_folder_that_is_looked_up_and_the_mft_has_lost_is_a_loss(volume, tmp_path):
    content = bytearray(volume.read_bytes())
    content[entry_of(content, "MPLog-1.log") + 2] ^= 1
    (tmp_path / "v.ntfs").write_bytes(content)
    with opened(tmp_path / "v.ntfs") as ntfs, pytest.raises(EvidenceError, match="empty or damaged"):
        ntfs.folder(("MPLog-1.log",))


def test_a_file_whose_number_is_that_of_a_file_of_the_system_is_a_loss(volume, tmp_path):
    content = bytearray(volume.read_bytes())
    own = entry_of(content, "MPLog-0.log")
    number = int.from_bytes(content[own + 44 : own + 48], "little")
    listed = content.rfind(number.to_bytes(6, "little") + b"\1\0", 0, content.rfind("MPLog-0.log".encode("utf-16-le")))
    content[listed : listed + 8] = (4).to_bytes(6, "little") + b"\4\0"
    (tmp_path / "v.ntfs").write_bytes(content)
    losses = read(tmp_path / "v.ntfs")[1]
    assert [loss.reason.partition(",")[0] for loss in losses] == ["the folder calls an entry `MPLog-0.log`"]


def test_a_volume_that_has_lost_its_list_of_entries_is_a_loss(volume, tmp_path):
    content = bytearray(volume.read_bytes())
    content[content.find("$I30".encode("utf-16-le"), content.find(b"FILE") + 5 * 1024)] ^= 1
    (tmp_path / "v.ntfs").write_bytes(content)
    assert [loss.reason for loss in read(tmp_path / "v.ntfs")[1]] == ["it has no list of what is in it: damaged"]

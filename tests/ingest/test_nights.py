"""Thirty nights of a share that lives: what was delivered is what one export of everything says, once."""

import os
import shutil
from pathlib import Path

import pytest

from exporter.state import checkpoint
from tests.ingest.share import Share, Told, delivered, evidence_ids, ids, night
from tests.line import export

NIGHTS = 30


def _happen(share: Share, number: int) -> None:
    """What happens on the share before a night: one host grows, the other is collected again and again, zips come broken and are mended."""
    grown, packed = share.hosts
    if number != 7:
        share.show(grown, number / (NIGHTS - 2) if number < NIGHTS - 2 else 1.0)
    if number % 5 == 0:
        share.zip(packed, f"{packed}-{number:02d}.zip", number / NIGHTS)
    if number == 12:
        broken = share.zip(packed, f"{packed}-broken.zip", 0.5)
        broken.write_bytes(broken.read_bytes()[:-300])
    if number == 14:
        share.zip(packed, f"{packed}-broken.zip", 0.7)
    if number == 17:
        (share.folder / "junk.zip").write_bytes(os.urandom(2000))
    if number == 20:
        shutil.rmtree(share.folder / "away", ignore_errors=True)
        (share.folder / f"{packed}-00.zip").unlink(missing_ok=True)


def test_thirty_nights_deliver_what_one_export_of_the_end_says_and_nothing_twice(share: Share, tmp_path: Path) -> None:
    told = Told()
    for number in range(1, NIGHTS + 1):
        _happen(share, number)
        night(share.folder, told)
    documents = delivered(tmp_path / "out")
    assert max(ids(documents).values()) == 1
    final = export(sorted(share.folder.iterdir()), tmp_path / "once", sinks=("ecs",))
    assert evidence_ids(documents).keys() == evidence_ids(final.documents).keys()
    assert ids(final.documents).keys() <= ids(documents).keys()


def test_an_incident_that_grew_is_told_again_and_names_what_it_replaces(share: Share, tmp_path: Path) -> None:
    host = share.hosts[0]
    for part in (0.3, 0.6, 1.0):
        share.show(host, part)
        night(share.folder)
    documents = delivered(tmp_path / "out")
    incidents = {one["event"]["id"]: one["defender"]["incident"] for one in documents if one["event"]["dataset"] == "defender.incident"}
    replaced = {old for incident in incidents.values() for old in incident.get("supersedes", ())}
    final = {one["event"]["id"] for one in export(share.folder, tmp_path / "once", sinks=("ecs",)).incidents}
    assert replaced
    assert incidents.keys() - replaced == final
    for incident in incidents.values():
        for old in incident.get("supersedes", ()):
            assert not set(incidents[old]["members"]).isdisjoint(incident["members"])


def test_a_quiet_night_opens_no_file_and_leaves_none(share: Share, tmp_path: Path, monkeypatch) -> None:
    share.show(share.hosts[0])
    share.zip(share.hosts[1], "second.zip")
    assert night(share.folder).events > 0
    before = sorted(path.name for path in (tmp_path / "out").iterdir())

    def refuse(*_: object) -> None:
        raise AssertionError("opened")

    for module in ("exporter.evidence.folder", "exporter.evidence.archive", "exporter.evidence.hosts"):
        monkeypatch.setattr(f"{module}.open_file", refuse)
    quiet = night(share.folder)
    assert (quiet.delivered, quiet.events, quiet.collections) == (0, 0, 2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


def test_only_files_that_changed_are_read_again(share: Share, monkeypatch) -> None:
    share.show(share.hosts[0], 0.5)
    night(share.folder)
    share.show(share.hosts[0], 1.0)
    opened: list[str] = []
    from exporter.evidence.patience import PatientFile

    real = PatientFile.open
    monkeypatch.setattr(PatientFile, "open", lambda self: opened.append(self.path) or real(self))
    night(share.folder)
    assert opened
    total = len([path for path in share.files(share.hosts[0]) if path.suffix != ".json"])
    assert len(set(opened)) < total
    assert all(path.endswith((".evtx", ".log")) or path not in _before(share) for path in opened)


def _before(share: Share) -> set[str]:
    """The files that were there at half time, other than logs."""
    files = [path for path in share.files(share.hosts[0]) if path.suffix not in (".evtx", ".log", ".json")]
    return {path.relative_to(share.whole / share.hosts[0]).as_posix() for path in files[: round(0.5 * len(files))]}


@pytest.mark.parametrize("grown", [False, True])
def test_a_newer_program_reads_everything_again_and_writes_nothing_twice(
    share: Share, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grown: bool
) -> None:
    share.show(share.hosts[0], 0.5 if grown else 1.0)
    night(share.folder)
    monkeypatch.setattr(checkpoint, "__version__", "99.0")
    share.show(share.hosts[0])
    run = night(share.folder)
    assert (run.delivered, run.known > 0, run.events > 0) == (1, True, grown)
    documents = delivered(tmp_path / "out")
    assert max(ids(documents).values()) == 1
    assert evidence_ids(documents) == evidence_ids(export(share.folder, tmp_path / "once", sinks=("ecs",)).documents)

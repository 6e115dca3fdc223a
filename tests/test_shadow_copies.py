"""A host's evidence in an image with shadow copies: every event of every state, once, with the names of its states."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from exporter.synthetic.case import write_case
from exporter.synthetic.case_hosts import WORKSTATION
from tests.line import Exported, export

pytestmark = [pytest.mark.images, pytest.mark.real_data]

CREATED = ("2024-02-28T06:00:00.1234567Z", "2024-03-01T06:00:00.7654321Z")
FIRST, SECOND = (f"vss{number} {created}" for number, created in enumerate(CREATED, 1))


def drive_of(folder: Path) -> Path:
    """Drive C of the synthetic workstation."""
    write_case(folder / "case", hosts=(WORKSTATION,))
    return folder / "case" / WORKSTATION.name / "C"


@pytest.fixture(scope="module")
def exports(image_tool, tmp_path_factory) -> tuple[Exported, Exported]:
    """The drive as a folder; and as an image where its log grew and an entry of the quarantine was removed since the first copy."""
    folder = tmp_path_factory.mktemp("states")
    drive = drive_of(folder)
    whole = export(drive, folder / "whole")
    states = [folder / f"{number}.ntfs" for number in range(3)]
    (log,) = drive.glob("ProgramData/Microsoft/Windows Defender/Support/MPLog-*.log")
    grown = log.read_bytes()
    log.write_bytes(grown[: grown.index("\n".encode("utf-16-le"), len(grown) // 2) + 2])
    image_tool("make_image", drive, states[0], "--table", "none", "--size", "48M")
    log.write_bytes(grown)
    entries = sorted((drive / "ProgramData/Microsoft/Windows Defender/Quarantine/Entries").iterdir())
    image_tool("make_image", drive, states[1], "--table", "none", "--size", "48M")
    entries[0].unlink()
    image_tool("make_image", drive, states[2], "--table", "none", "--size", "48M")
    made = [argument for when in CREATED for argument in ("--created", when)]
    image_tool("make_vss", *states, folder / "volume.ntfs", *made)
    image_tool("make_image", folder / "volume.ntfs", folder / "disk.E01", "--table", "gpt")
    shutil.rmtree(folder / "case")
    return whole, export(folder / "disk.E01", folder / "out", vss="all", reproducible=True)


def states_of(document: dict) -> tuple[str, ...]:
    return tuple(document["defender"]["source"]["snapshot"])


def test_every_event_of_every_state_is_told_once(exports):
    whole, image = exports
    told = Counter(document["event"]["id"] for document in image.evidence)
    assert set(told.values()) == {1}
    assert set(told) >= {document["event"]["id"] for document in whole.evidence}


def test_events_name_the_states_that_hold_them(exports):
    _, image = exports
    found = {(document["event"]["dataset"], states_of(document)) for document in image.evidence}
    assert ("defender.quarantine", (SECOND, FIRST)) in found, "the entry that is gone from the live volume"
    assert ("defender.quarantine", ("live", SECOND, FIRST)) in found
    logs = Counter(states_of(document) for document in image.evidence if document["event"]["dataset"].startswith("defender.mplog"))
    assert logs[("live", SECOND, FIRST)], "what stood in the log when the first copy was made"
    assert logs[("live", SECOND)], "what came after it"


def test_the_run_says_what_it_left_out_as_repeated(exports):
    _, image = exports
    (host,) = image.report.hosts
    files = [file for file in image.report.files if file.collector == "mplog"]
    assert [file.snapshot for file in files] == [None, FIRST], "of equal contents one is read"
    assert host.repeated == sum(file.repeated for file in image.report.files) > 0
    assert all(file.counts.balanced for file in image.report.files)


def test_incidents_are_those_of_the_whole_host(exports):
    whole, image = exports
    assert {one["event"]["id"] for one in image.incidents} == {one["event"]["id"] for one in whole.incidents}

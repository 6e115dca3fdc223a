"""Shadow copies: which are read, what is in them, when they were made."""

from pathlib import Path

import pytest

from tests.evidence.images.build import LOG, read, write_tree

pytestmark = [pytest.mark.images, pytest.mark.real_data]

CREATED = ("2024-02-28T06:00:00.1234567Z", "2024-03-01T06:00:00.7654321Z")


@pytest.fixture(scope="module")
def disk(image_tool, tmp_path_factory) -> Path:
    """A volume of two shadow copies in an E01 with a GPT."""
    folder = tmp_path_factory.mktemp("vss")
    states = []
    for day, files in enumerate(({LOG: b"one", "gone.log": b"g"}, {LOG: b"one two"}, {LOG: b"one two three"})):
        tree = write_tree(folder / f"tree{day}", {**files, "Windows/System32/x": b"", "Users/Public/y": b""})
        states.append(folder / f"{day}.ntfs")
        image_tool("make_image", tree, states[-1], "--table", "none", "--size", "24M")
    made = [argument for when in CREATED for argument in ("--created", when)]
    image_tool("make_vss", *states, folder / "case.ntfs", *made)
    image_tool("make_image", folder / "case.ntfs", folder / "case.E01", "--table", "gpt")
    return folder / "case.E01"


def logs(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in found.items() if name.endswith(LOG)}


def test_all_older_states_are_read_beside_the_live_one(disk):
    found, losses, image = read(disk, vss="all")
    assert logs(found) == {f"p1/{LOG}": b"one two three", f"vss1 {CREATED[0]}:p1/{LOG}": b"one", f"vss2 {CREATED[1]}:p1/{LOG}": b"one two"}
    assert not losses
    assert [(copy.name, copy.created, copy.read) for copy in image.volumes[0].snapshots] == [
        ("vss1", CREATED[0], True),
        ("vss2", CREATED[1], True),
    ]


def test_the_latest_one_is_the_one_made_last(disk):
    found, _, _ = read(disk, vss="latest")
    assert logs(found) == {f"p1/{LOG}": b"one two three", f"vss2 {CREATED[1]}:p1/{LOG}": b"one two"}


def test_without_being_asked_for_they_are_listed_and_not_read(disk):
    found, losses, image = read(disk)
    assert logs(found) == {f"p1/{LOG}": b"one two three"}
    assert not losses
    assert [copy.read for copy in image.volumes[0].snapshots] == [False, False]


def test_the_copies_of_a_real_volume(shared_data):
    found, losses, image = read(shared_data / "images" / "vss" / "vsstest.qcow2", ["syslog*", "*.txt", "another_file"], vss="all")
    first, second = (f"{copy.name} {copy.created}:volume" for copy in image.volumes[0].snapshots)
    assert not losses
    assert {name: len(content) for name, content in found.items()} == {
        "volume/another_file": 22,
        "volume/password.txt": 116,
        "volume/syslog.gz": 540,
        f"{first}/syslog": 1247,
        f"{second}/another_file": 22,
        f"{second}/syslog.gz": 540,
    }
    assert [copy.identifier for copy in image.volumes[0].snapshots] == [
        "4e3c03c2-7bc6-4288-ad96-c1eac1a55f71",
        "18f1ac6e-959d-436f-bdcc-e797a729e290",
    ]

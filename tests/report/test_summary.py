"""What the summary says of images (what their hash vouches for, what in them was not read) and of computers that sent events."""

import pytest

from exporter.evidence.images import Image, Snapshot, Volume
from exporter.report.run import HostReport, RunReport
from exporter.report.summary import summary


def said(*images: Image) -> list[str]:
    """The lines about images."""
    text = summary(RunReport(case="C1", evidence=[], images=list(images)))
    return text.partition("evidence file(s)\n")[2].partition("\n\nIncidents")[0].splitlines()


@pytest.mark.parametrize(
    ("stored", "verification", "verdict"),
    [
        (None, "not asked for", "no hash is stored in it"),
        (None, "no hash is stored", "no hash is stored in it"),
        ("MD5:00", "not asked for", "its stored hash was not compared (--verify-image does)"),
        ("MD5:00", "matches", "its stored hash matches"),
        ("MD5:00", "differs", "its stored hash DIFFERS"),
        ("MD5:00", "cannot be read to its end", "its stored hash could NOT be compared"),
    ],
)
def test_the_verdict_on_an_image_is_said(stored, verification, verdict):
    assert said(Image(name="a.E01", container="e01", stored_hash=stored, verification=verification)) == [f"Image a.E01 (e01): {verdict}"]


def test_states_and_volumes_that_were_not_read_are_said():
    states = [Snapshot(name=f"vss{number}", created_at=0, created=f"2024-02-0{number}", read=number == 3) for number in (1, 2, 3)]
    volumes = [
        Volume(name="p1", start=0, size=1, file_system="ntfs", snapshots=states),
        Volume(name="p2", start=0, size=1, file_system="bitlocker", encryption="converting", partial=True),
        Volume(name="p3", start=0, size=1, file_system="ntfs", encryption="encrypted", partial=True),
        Volume(name="p4", start=0, size=1, file_system="ntfs", encryption="encrypted", snapshots=states[1:]),
        Volume(name="p5", start=0, size=1, file_system="ntfs", snapshots=states[2:]),
    ]
    assert said(Image(name="a.raw", container="raw", volumes=volumes))[1:] == [
        "  p1: 2 shadow copy(s) not read: vss1 2024-02-01 to vss2 2024-02-02 (--vss all does)",
        "  p2: BitLocker (converting), NOT READ",
        "  p3: BitLocker (encrypted), read, but NOT vouched for",
        "  p4: 1 shadow copy(s) not read: vss2 2024-02-02 (--vss all does)",
    ]


def test_many_images_are_counted():
    assert said(*(Image(name=f"{number}.raw") for number in range(30)))[-1] == "… and 5 more image(s)"


def test_of_many_senders_those_with_most_incidents_are_named_and_the_others_counted():
    senders = [HostReport(name=f"WS-{number:02}", name_basis="forwarded", forwarded=3, incidents=number % 3) for number in range(30)]
    lines = summary(RunReport(case="C1", evidence=[], hosts=senders)).splitlines()
    start = lines.index("Events of 30 other computer(s) in logs of forwarded events:") + 1
    assert lines[start : start + 2] == ["  WS-02: 3 record(s), 2 incident(s)", "  WS-05: 3 record(s), 2 incident(s)"]
    assert lines[start + 25] == "  … and 5 more computer(s)"
    assert not any(line.startswith("Host ") for line in lines)

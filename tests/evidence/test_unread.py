"""What belongs to Defender and is not read is named with its host, and makes nothing fail."""

import json

import pytest

from exporter.cli import exit_codes
from exporter.collectors import COLLECTORS
from exporter.collectors.guard import load
from exporter.evidence.places import Matcher, components
from exporter.evidence.unread import UNREAD
from tests.cli.run import invoke

SUPPORT = "ProgramData/Microsoft/Windows Defender/Support"
SERVICE = "ProgramData/Microsoft/Windows Defender/Scans/History/Service"
LOG = "2024-03-05T10:15:01.000Z [Cloud] Queued cloud request.\r\n"


@pytest.mark.parametrize(
    "path",
    [
        "Windows/Temp/MpSigStub.log",
        "Windows/ServiceProfiles/NetworkService/AppData/Local/Temp/MpSigStub.log",
        f"{SUPPORT}/MpSupportFiles.cab",
        f"{SUPPORT}/MPScanSkip-20260101-000000.log",
        f"{SUPPORT}/MPDeviceControl-20260101-000000.log",
        f"{SUPPORT}/MPDlpLog-20260101-000000.log",
        f"{SERVICE}/Detections.log",
        f"{SERVICE}/Unknown.Log",
        f"{SERVICE}/History.Log",
        "MPRegistry.txt",
    ],
)
def test_neighbors_of_the_log_are_known_and_belong_to_no_collector(path):
    hit = Matcher(tuple(UNREAD)).find(components(path))
    assert hit is not None
    assert UNREAD[hit.tails[0]]
    tails = [tail for name in COLLECTORS for tail in load(name).tails]
    assert Matcher(tails).find(components(path)) is None


def test_they_are_told_with_their_host_and_counted_nowhere(tmp_path, capsys):
    host = tmp_path / "WS-1" / "C"
    for place, content in (
        (f"{SUPPORT}/MPLog-1.log", LOG),
        ("Windows/Temp/MpSigStub.log", "x"),
        ("Windows.old/Windows/Temp/MpSigStub.log", "y"),
    ):
        (host / place).parent.mkdir(parents=True, exist_ok=True)
        (host / place).write_text(content)
    said = invoke(capsys, "export", tmp_path / "WS-1", "--case", "C1", "--to", f"ecs:{tmp_path / 'x'}", "--manifest", tmp_path / "m.json")
    assert said.code == exit_codes.COMPLETE
    assert "seen and not read: C/Windows.old/Windows/Temp/MpSigStub.log and 1 more (log of signature updates)" in said.err
    manifest = json.loads((tmp_path / "m.json").read_bytes())
    (told,) = manifest["hosts"]
    assert [(one["path"], one["size"]) for one in told["unread"]] == [
        ("C/Windows.old/Windows/Temp/MpSigStub.log", 1),
        ("C/Windows/Temp/MpSigStub.log", 1),
    ]
    assert [source["path"] for source in manifest["sources"]] == [f"C/{SUPPORT}/MPLog-1.log"]

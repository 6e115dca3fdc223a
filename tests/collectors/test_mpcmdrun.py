import pytest

from exporter.collectors import Settings
from exporter.collectors.mpcmdrun import MpcmdrunCollector
from exporter.evidence.places import Matcher, components
from exporter.records import Parsed
from tests.collectors.memory import Memory

LOG = 'MpCmdRun: Command Line: "C:\\x\\MpCmdRun.exe" -h\r\n Start Time: Tue Mar 05 2024 09:15:02\r\n' + "-" * 85 + "\r\n"


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("C/Windows/Temp/MpCmdRun.log", "C/Windows"),
        ("C/Windows.old/Windows/Temp/MpCmdRun.log.bak", "C/Windows.old/Windows"),
        ("C/Windows/Microsoft Antimalware/Tmp/MpCmdRun.log", "C/Windows"),
        ("C/Users/ana/AppData/Local/Temp/MPCMDRUN.LOG", "C/Users/ana/AppData/Local"),
        ("C/Users/ana/AppData/Local/Temp/2/MpCmdRun.log", "C/Users/ana/AppData/Local/Temp/2"),
        (
            "C/Windows/ServiceProfiles/NetworkService/AppData/Local/Temp/MpCmdRun.log",
            "C/Windows/ServiceProfiles/NetworkService/AppData/Local",
        ),
        ("uploads/auto/C%3A/Windows/Temp/MpCmdRun.log", "uploads/auto/C:/Windows"),
        ("MpCmdRun.log", ""),
    ],
)
def test_the_log_is_found_in_every_place(path, root):
    parts = components(path)
    hit = Matcher(MpcmdrunCollector.tails).find(parts)
    assert hit is not None
    assert "/".join(parts[: hit.before]) == root


@pytest.mark.parametrize("name", ["MpSigStub.log", "MpCmdRun.log.txt", "MpCmdRun.exe", "xMpCmdRun.log"])
def test_other_files_are_not_taken(name):
    assert Matcher(MpcmdrunCollector.tails).find(("Windows", "Temp", name)) is None


def test_a_log_is_read_with_the_offset_of_the_host_and_closed():
    file = Memory("Temp/MpCmdRun.log", LOG.encode())
    record, _ = MpcmdrunCollector().read(file, Settings(sessions=((0, -60),)))
    assert file.opened.closed
    assert isinstance(record, Parsed)
    assert (record.payload.utc_offset, record.payload.utc_offset_basis) == (-60, "session")


def test_a_run_keeps_its_key_when_the_log_becomes_the_older_one():
    collector = MpcmdrunCollector()
    keys = []
    for path in ("E:/Case 7/MpCmdRun.LOG", "MpCmdRun.log.bak"):
        file = Memory(path, LOG.encode())
        record, _ = collector.read(file, Settings())
        assert isinstance(record, Parsed)
        keys.append(collector.key(record, file))
    assert keys == [("mpcmdrun", "mpcmdrun.log", "0", record.raw_hash)] * 2

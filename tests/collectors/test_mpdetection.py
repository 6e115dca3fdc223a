from pathlib import PurePosixPath

import pytest

from exporter.collectors import Settings
from exporter.collectors.mpdetection import MpdetectionCollector
from exporter.evidence.places import Matcher, components
from exporter.records import Parsed
from tests.collectors.memory import Memory

LINE = "2024-03-05T10:16:00.500Z DETECTION Trojan:BAT/Vigorf.A file:C:\\x.bat\r\n"
NAME = "MPDetection-20210213-115635.log"


@pytest.mark.parametrize(
    "path",
    [
        f"C/ProgramData/Microsoft/Windows Defender/Support/{NAME}",
        f"uploads/auto/C%3A/ProgramData/Microsoft/Windows Defender/Support/{NAME}",
        f"C/Windows.old/ProgramData/Microsoft/Microsoft Antimalware/Support/{NAME.upper()}",
        NAME,
    ],
)
def test_the_log_is_found_by_its_tail(path):
    assert Matcher(MpdetectionCollector.tails).find(components(path)) is not None


@pytest.mark.parametrize("name", ["MPLog-20210213-115635.log", "MPDetection.log", f"{NAME}.bak"])
def test_other_logs_are_not_taken(name):
    assert Matcher(MpdetectionCollector.tails).find(("Windows Defender", "Support", name)) is None
    assert not any(PurePosixPath(name.lower()).match(tail) for tail in MpdetectionCollector.tails)


def test_a_log_is_read_and_closed_and_its_key_holds_name_offset_and_hash_but_no_folder():
    file = Memory(f"E:/Case 7/{NAME}", ("\r\n" + LINE).encode())
    collector = MpdetectionCollector()
    record, _ = collector.read(file, Settings())
    assert file.opened.closed
    assert isinstance(record, Parsed)
    assert collector.key(record, file) == ("mpdetection", NAME.lower(), "2", record.raw_hash)

from pathlib import PurePosixPath

import pytest

from exporter.collectors import Settings
from exporter.collectors.mplog import MplogCollector
from exporter.records import Parsed, Rejected, Tally
from tests.collectors.memory import Memory

LINE = "2024-03-05T10:16:00.500Z DETECTIONEVENT MPSOURCE_REALTIME Trojan:BAT/Vigorf.A file:C:\\x.bat;\r\n"


def read(path, data):
    file = Memory(path, data)
    items = list(MplogCollector().read(file, Settings()))
    assert file.opened.closed
    return file, items


@pytest.mark.parametrize(
    "path",
    [
        "C/ProgramData/Microsoft/Windows Defender/Support/MPLog-20231017-224350.log",
        "C/ProgramData/Microsoft/Microsoft Antimalware/Support/MPLog-20231017-224350.log",
        "MPLog-20231017-224350.log",
    ],
)
def test_an_mplog_is_found_by_its_tail(path):
    assert any(PurePosixPath(path.lower()).match(tail) for tail in MplogCollector.tails)


@pytest.mark.parametrize("name", ["MPDetection-20231017-224350.log", "MPLog-20231017.log.truth.json", "MpCmdRun.log"])
def test_other_logs_are_not_taken(name):
    path = f"C/ProgramData/Microsoft/Windows Defender/Support/{name}".lower()
    assert not any(PurePosixPath(path).match(tail) for tail in MplogCollector.tails)


def test_a_log_is_read_and_closed():
    _, (record, tally) = read("Support/MPLog-1.log", LINE.encode())
    assert isinstance(record, Parsed)
    assert tally == Tally(1, {})


def test_the_key_holds_the_name_the_offset_and_the_hash_but_no_folder():
    file, (_, record, _) = read("E:/Case 7/MPLog-1.LOG", ("\0" * 4 + LINE).encode())
    assert MplogCollector().key(record, file) == ("mplog", "mplog-1.log", "4", record.raw_hash)


def test_two_equal_lines_have_two_keys():
    file, items = read("MPLog-1.log", (LINE * 2).encode())
    assert len({MplogCollector().key(item, file) for item in items if isinstance(item, Parsed)}) == 2


def test_an_empty_log_is_named():
    _, (loss, tally) = read("MPLog-1.log", b"")
    assert isinstance(loss, Rejected)
    assert tally.seen == 0

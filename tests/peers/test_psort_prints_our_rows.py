"""What psort makes of rows like ours: the facts that the L2T sink relies on, seen on plaso itself."""

import pytest

from exporter.mapping.formatter import compile_formatter, export_yaml
from exporter.times import UNIX_EPOCH
from tests.mapping.test_formatter import definition
from tests.peers.psort import by, psort, sixteen
from tests.sinks import fakes

pytestmark = pytest.mark.peers
MOMENT = UNIX_EPOCH + 1_700_000_000_1234567
DETECTION = {
    "event_identifier": 1116,
    "event_level": 3,
    "source_name": "Microsoft-Windows-Windows Defender",
    "provider_identifier": "{11cd958a-c507-4ef3-b3f2-5fd9dfbd2c78}",
    "record_number": 7,
    "message_identifier": 1116,
    "user_sid": "S-1-5-18",
    "strings": ["a, b", 'c"d'],
    "hostname": "PC1",
}
HISTORY = {
    "filename": "C:\\evil, 1.exe",
    "sha256": "ab",
    "host_and_user": "CORP\\bob",
    "threat_name": "Virus:X",
    "container_filenames": ["é"],
}
OURS = definition(message=["Path: {path}", "({count:04x})"])
MACB = {
    "Creation Time": "...B",
    "Added Time": "...B",
    "Content Modification Time": "M...",
    "Content Deletion Time": "M...",
    "Last Access Time": ".A..",
    "Start Time": ".A..",
    "Last Time Executed": ".A..",
    "Metadata Modification Time": "..C.",
    "End Time": "....",
    "Recorded Time": "....",
}
BASE = {
    "ticks": MOMENT,
    "timestamp_desc": "Recorded Time",
    "data_type": "av:defender:mplog:entry",
    "hostname": "PC1",
    "username": None,
    "display_name": "C/Logs/a, b.log",
    "parser": "exporter/defender_mplog",
    "own": {"path": '"C:\\x", é', "count": 10},
}


def row(number, **changes):
    return fakes.row(**{**BASE, "event_id": str(number), **changes})


@pytest.fixture(scope="module")
def lines(peer, tmp_path_factory):
    rows = [
        row(
            1,
            data_type="windows:evtx:record",
            own=DETECTION,
            timestamp_desc="Creation Time",
            tags=("a", "b_1"),
            username="CORP\\bob",
        ),
        row(2, data_type="av:defender:detection_history", own=HISTORY),
        *(row(10 + number, timestamp_desc=name, display_name=name) for number, name in enumerate(MACB)),
        row(30, display_name="", hostname="", own={"path": "a\r\nb\tc" * 20, "inode": 0}),
        row(31, timestamp_desc="Creation Time", display_name="twin"),
        row(32, timestamp_desc="Creation Time", display_name="twin"),
    ]
    return psort(peer("plaso"), rows, export_yaml([OURS]), tmp_path_factory.mktemp("psort"))


def test_an_event_log_record_reads_as_plaso_has_it(lines):
    cells = by(lines, 4)["EVT"]
    assert cells[:9] == ["11/14/2023", "22:13:20", "UTC", "...B", "EVT", "WinEVTX", "Creation Time", "CORP\\bob", "PC1"]
    assert cells[9] == "[1116 / 0x045c] Provider identifier: {11cd958a-c507-4ef3-b3f2-5fd9dfbd2c78} S..."
    assert cells[10].endswith("Strings: ['a  b'  'c\"d'] Hostname: PC1 Record Number: 7 Event Level: 3")
    assert cells[11:16] == ["2", "C/Logs/a  b.log", "-", "a b_1", "exporter/defender_mplog"]
    assert cells[16] == "event_id: 1; message_identifier: 1116; user_sid: S-1-5-18"


def test_a_detection_history_file_reads_as_plaso_has_it(lines):
    cells = by(lines, 5)["Windows Defender Detection History Log"]
    assert cells[7:11] == ["-", "PC1", "C:\\evil  1.exe Virus:X", "File Name: C:\\evil  1.exe Hash: ab User: CORP\\bob Virus:X ['é']"]


@pytest.mark.parametrize("name", MACB)
def test_the_letters_follow_the_description(lines, name):
    cells = by(lines, 12)[name]
    assert (cells[3], cells[6]) == (MACB[name], name)


def test_our_own_definition_is_rendered_as_we_render_it(lines):
    ours = compile_formatter(OURS)
    cells = by(lines, 12)["End Time"]
    assert cells[4:6] == [ours.short_source, ours.source]
    assert cells[9:11] == [text(BASE["own"]).replace(",", " ") for text in (ours.short_message, ours.message)]
    assert sixteen([cells])[0][9].startswith("'C:\\x")


def test_what_is_absent_is_a_dash_and_the_short_message_is_cut_at_80_characters(lines):
    cells = by(lines, 13)["0"]
    assert (cells[7], cells[8], cells[12], cells[14]) == ("-", "-", "-", "-")
    assert cells[9] == ("ab\tc" * 20)[:80]
    assert cells[10] == "Path: " + "ab\tc" * 20


def test_rows_that_differ_in_event_id_only_stay_two(lines):
    assert len([cells for cells in lines if cells[12] == "twin"]) == 2


def test_a_second_definition_of_a_data_type_silently_replaces_plasos_own(peer, tmp_path):
    """Why `export_yaml` refuses those: the analyst's own EVTX rows would change."""
    stream = export_yaml([OURS]).replace(OURS["data_type"], "windows:evtx:record")
    lines = psort(peer("plaso"), [row(1, data_type="windows:evtx:record")], stream, tmp_path)
    assert lines[0][5] == OURS["source"]

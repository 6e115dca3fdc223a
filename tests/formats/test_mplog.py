import hashlib

import pytest

from exporter.formats.mplog import Session
from exporter.records import Rejected
from exporter.times import from_iso
from tests.formats.mplog_texts import (
    ACTIONS,
    EVENT,
    HEADER,
    PERF,
    SCAN,
    SECOND,
    STAMPED,
    START,
    TELEMETRY,
    encoded,
    items_of,
    payload_of,
    records_of,
)


def test_a_session_header_gives_product_clocks_and_offset():
    session = payload_of(*HEADER)
    assert session == Session(
        logged_at=START,
        time_basis="line",
        utc_offset=-300,
        utc_offset_basis="session",
        product="Microsoft Defender Antivirus",
        product_guid="77BDAF73-B396-481F-9042-AD358843EC24",
        started_local="03-05-2024 05:15:00",
        os_installed_at=from_iso("2022-03-10T19:33:20Z")[0],
        milliseconds_since_boot=16546,
    )


@pytest.mark.parametrize(
    ("after", "dirty"),
    [
        (["ProductId: 2, IsWcos: 0, DirtyShutdownDetected: 0, PassiveRemediation: 0"], False),
        (["ProductId: 2, IsWcos: 0, DirtyShutdownDetected: 1, PassiveRemediation: 0"], True),
        (["WARNING: the previous service shutdown was not expected.", "ProductId: 2, IsWcos: 0"], True),
        (["ProductId: 2, IsWcos: 0", "ProductId: 2, DirtyShutdownDetected: 1"], None),
        (["[WPP] Starting"] * 20 + ["ProductId: 2, DirtyShutdownDetected: 1"], None),
    ],
)
def test_the_shutdown_before_a_session_is_told_by_the_lines_after_its_header(after, dirty):
    assert payload_of(*HEADER, *(f"2024-03-05T10:15:00.200Z {line}" for line in after)).dirty_shutdown is dirty


def test_a_session_stands_before_the_records_after_it_even_where_nothing_is_said_about_the_shutdown():
    kinds = [record.payload.kind for record in records_of(encoded(*HEADER, EVENT, *HEADER[:-1], EVENT))]
    assert kinds == ["mplog_session", "mplog_detection_event"] * 2


def test_a_header_that_is_cut_is_emitted_and_leaves_the_offset_unknown():
    first, cut, scan = records_of(encoded(*HEADER, *HEADER[:-1], STAMPED, *SCAN))
    assert first.incomplete is None
    assert (cut.incomplete.split(":")[0], cut.units) == ("no `Current time`", 4)
    assert (scan.payload.utc_offset, scan.payload.started_at, scan.payload.time_basis) == (None, None, "previous_line")
    assert scan.payload.started_local == "03-05-2024 05:16:00"


def test_started_on_alone_opens_a_session_without_product():
    session = payload_of(*HEADER[2:])
    assert (session.product, session.product_guid, session.utc_offset) == (None, None, -300)


def test_a_header_without_started_on_says_so():
    (session,) = records_of(encoded(HEADER[1], *HEADER[3:]))
    assert (session.payload.utc_offset, session.payload.logged_at) == (None, START)
    assert session.incomplete.startswith("no `Started On`")


@pytest.mark.parametrize(
    "before",
    ["Engine:\r\n2024-03-05T10:16:00.500Z ", "2024-03-05T10:16:00.500Z Engine:", "2024-03-05T10:16:00.500Z [RTP] "],
    ids=["own line", "after the stamp", "bracketed"],
)
def test_a_component_tag_does_not_hide_a_detection(before):
    record = payload_of(before + EVENT.partition(" ")[2])
    assert (record.threat_name, record.time_basis) == ("Trojan:BAT/Vigorf.A", "line")


def test_an_unstamped_record_takes_the_nearest_stamp_before_it():
    record = payload_of(STAMPED, "Engine:" + EVENT.partition(" ")[2], STAMPED.replace("15:01", "59:59"))
    assert (record.logged_at, record.time_basis) == (from_iso("2024-03-05T10:15:01Z")[0], "previous_line")


def test_the_offset_changes_with_the_session_also_when_the_clock_is_set_back():
    later = [line.replace("03-05-2024 05:15", "02-05-2024 11:15").replace("03/05/2024 10:15", "02/05/2024 10:15") for line in HEADER]
    records = records_of(encoded(*HEADER, STAMPED, *SCAN, *later, *SCAN))
    assert [record.payload.utc_offset for record in records] == [-300, -300, 60, 60]
    assert records[3].payload.started_at == from_iso("2024-03-05T04:16:00Z")[0]
    assert records[3].payload.logged_at == records[2].payload.logged_at == START - 29 * 86_400 * SECOND


@pytest.mark.parametrize(("block", "kind"), [(PERF, "rtp_perf"), (TELEMETRY, "bm_telemetry")])
def test_lines_of_a_counted_block_are_counted_under_its_kind(block, kind):
    assert items_of(encoded(STAMPED, *block, "free text"))[-1].unparsed == {"cloud": 1, kind: len(block), "other": 1}


@pytest.mark.parametrize("then", [STAMPED, EVENT, SCAN[0], ACTIONS[0], "Internal signature match:subtype=Lowfi"])
def test_a_counted_block_without_its_end_swallows_nothing(then):
    tally = items_of(encoded(*PERF[:2], then, "free text"))[-1]
    assert tally.unparsed["rtp_perf"] == 2


def test_the_end_of_a_counted_block_opens_none():
    assert items_of(encoded(STAMPED, PERF[-1], "free text"))[-1].unparsed == {"cloud": 1, "rtp_perf": 1, "other": 1}


def test_hash_and_offset_are_those_of_the_bytes_in_the_file():
    data = b"\xff\xfe" + "\r\n".join([STAMPED, *SCAN, "", EVENT, ""]).encode("utf-16-le")
    scan, event = records_of(data)
    begin = 2 + 2 * len(STAMPED + "\r\n")
    raw = "\r\n".join(SCAN).encode("utf-16-le")
    assert (scan.offset, scan.raw_hash) == (begin, hashlib.sha256(raw).hexdigest())
    assert data[event.offset : event.offset + 2 * len(EVENT)] == EVENT.encode("utf-16-le")
    assert event.raw_hash == hashlib.sha256(EVENT.encode("utf-16-le")).hexdigest()


def test_a_record_on_the_last_line_without_a_line_end_is_marked():
    *_, last = records_of(encoded(*HEADER, EVENT).removesuffix(b"\r\n"))
    assert "before the line does" in last.incomplete


def test_a_detection_without_a_threat_is_rejected_with_place_and_excerpt():
    loss, tally = items_of(encoded("2024-03-05T10:16:00.500Z DETECTIONEVENT MPSOURCE_REALTIME"))
    assert isinstance(loss, Rejected)
    assert (loss.offset, loss.number, loss.units, loss.excerpt[-8:]) == (0, 1, 1, "REALTIME")
    assert tally.unparsed == {}

import hashlib
import io
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.formats import mplog_blocks
from exporter.formats.mplog import DetectionEvent, ResourceScan, Session, ThreatActions, parse_mplog
from exporter.formats.resources import Resource
from exporter.records import Parsed, Rejected, Tally
from exporter.synthetic.mplog import LogSession, Story, write_mplog
from exporter.times import from_iso
from tests.formats.test_text_lines import Drops

START = from_iso("2024-03-05T10:15:00.1234567Z")[0]
SECOND = 10_000_000
HEADER = (
    "-" * 80,
    "Microsoft Defender Antivirus (77BDAF73-B396-481F-9042-AD358843EC24) Service Log",
    "Started On 03-05-2024 05:15:00",
    "*" * 60,
    "OS install time: 03/10/2022 19:33:20.0 UTC",
    "Current time: 03/05/2024 10:15:00.123456700 UTC (16546 ms since boot)",
)
STAMPED = "2024-03-05T10:15:01.000Z [Cloud] Queued cloud request."
EVENT = "2024-03-05T10:16:00.500Z DETECTIONEVENT MPSOURCE_REALTIME Trojan:BAT/Vigorf.A file:C:\\x.bat;"
SCAN = (
    "Begin Resource Scan",
    "Scan ID:{a17cbe22-6345-46c6-b9f3-7144a8c1115b}",
    "Scan Source:3",
    "Start Time:03-05-2024 05:16:00",
    "End Time:03-05-2024 05:16:01",
    "Explicit resource to scan",
    "Resource Schema:file",
    "Resource Path:C:\\x.bat",
    "Result Count:2",
    "Threat Name:Trojan:BAT/Vigorf.A",
    "ID:2147714419",
    "Severity:5",
    "Number of Resources:1",
    "Resource Schema:file",
    "Resource Path:C:\\x.bat->(UTF-16LE)",
    "Extended Info - SigSeq:00001667b7ddc3ff",
    "Extended Info - SigSha:9B97cb4399541cf437c53396f8864cd0fb969df4",
    "Unknown File",
    "Identifier:1743048119144153086",
    "Number of Resources:1",
    "Resource Schema:queryfilertsig",
    "Resource Path:C:\\x.bat",
    "Extended Info - SigSeq:0000000000000000",
    "Extended Info - SigSha:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "End Scan",
)
ACTIONS = (
    "Beginning threat actions",
    "Start time:03-05-2024 05:17:00",
    "Threat Name:Trojan:BAT/Vigorf.A",
    "Threat ID:2147714419",
    "Action:quarantine",
    "Resource action complete:Quarantine",
    "Schema:file",
    "Path:\\\\?\\C:\\x.bat",
    "Threat ID:2147714419",
    "Resource refcount:1",
    "Result:0",
    "File to act on SHA1:7EA62FD644DD9B9F82944268EA649FD007EE354D",
    "File owner:EXAMPLE\\alice",
    "File cleaned/removed successfully",
    "File Name:C:\\x.bat",
    "Action remove successful on file:\\\\?\\C:\\x.bat",
    "Finished threat ID:2147714419",
    "Threat result:0x80508023",
    "Finished threat actions",
    "End time:03-05-2024 05:17:02",
    "Result:0",
)
FAILED = ("Begin Quick Scan", "Scan ID:{F7526DAF-3FAB-47EB-8E98-D48A9760CA29}", "Scan Source:1", "Start Time:03-05-2024 05:20:00")
PERF = ("*" * 9 + "RTP Perf Log" + "*" * 9, "Path Exclusions:", "  C:\\Begin Resource Scan", " ", "*" * 9 + "END RTP Perf Log" + "*" * 9)
TELEMETRY = ("BEGIN BM telemetry", "GUID:{54CD2CC6-3EFD-AFDD-A19B-9D330B894976}", "ProcessID:2976", "END BM telemetry")


def encoded(*lines, end="\r\n"):
    return "".join(line + end for line in lines).encode()


def items_of(data, step=1 << 20):
    """The items, after checking what holds for every input: one Tally, at the end, and its sum."""
    items = list(parse_mplog(Drops(data, step)))
    tally = items[-1]
    assert isinstance(tally, Tally)
    assert not any(isinstance(item, Tally) for item in items[:-1])
    assert tally.seen == sum(item.units for item in items[:-1]) + sum(tally.unparsed.values())
    return items


def records_of(data):
    return [item for item in items_of(data) if isinstance(item, Parsed)]


def payload_of(*lines):
    (record,) = records_of(encoded(*lines))
    return record.payload


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


@pytest.mark.parametrize("block", [HEADER[1:], SCAN, ACTIONS], ids=["session", "scan", "actions"])
@pytest.mark.parametrize("after", ["free text", "", "*" * 60, "Result:0", "Resource Path:C:\\y", "OS install time: x"])
def test_a_finished_block_takes_no_line_after_its_last(block, after):
    (record,) = records_of(encoded(*block, after, after))
    assert (record.units, record.incomplete) == (len(block), None)


@pytest.mark.parametrize(
    ("block", "lacking"),
    [(HEADER[1:4], "no `Current time`"), (SCAN[:9], "no `End Scan`"), (ACTIONS[:9], "no `Finished threat actions`")],
    ids=["session", "scan", "actions"],
)
@pytest.mark.parametrize("next_lines", [HEADER, (STAMPED, *HEADER[1:])], ids=["row", "stamp"])
def test_an_unfinished_block_ends_before_the_next_header_or_stamp_and_says_what_it_lacks(block, lacking, next_lines):
    first, second = records_of(encoded(*block, *next_lines))
    assert (first.units, first.incomplete.partition(":")[0]) == (len(block), lacking)
    assert second.units == 5


def test_threat_actions_that_finish_without_a_result_say_so_and_take_no_other_line():
    (record,) = records_of(encoded(*ACTIONS[:-1], "free text"))
    assert (record.units, record.incomplete) == (len(ACTIONS) - 1, "no result: another record begins")


def test_a_header_takes_no_line_that_is_not_its_own():
    (session,) = records_of(encoded(*HEADER[1:3], "free text", *HEADER[3:]))
    assert session.units == 2


def test_a_path_without_a_schema_is_kept():
    assert payload_of(SCAN[0], "Resource Path:C:\\x").scanned == (Resource("", "C:\\x"),)


def test_a_scan_keeps_its_results_apart_and_its_times_are_utc():
    (_, scan) = records_of(encoded(*HEADER, STAMPED, *SCAN))
    payload = scan.payload
    assert isinstance(payload, ResourceScan)
    assert (scan.incomplete, scan.units, scan.number) == (None, len(SCAN), len(HEADER) + 2)
    assert (payload.scan_type, payload.scan_id, payload.scan_source) == ("Resource", "A17CBE22-6345-46C6-B9F3-7144A8C1115B", 3)
    assert payload.started_at == from_iso("2024-03-05T10:16:00Z")[0]
    assert payload.ended_at == from_iso("2024-03-05T10:16:01Z")[0]
    assert (payload.logged_at, payload.time_basis) == (from_iso("2024-03-05T10:15:01Z")[0], "previous_line")
    threat, unknown = payload.results
    assert (threat.threat_id, threat.severity_id, threat.identifier) == (2147714419, 5, None)
    assert threat.resources == (Resource("file", "C:\\x.bat->(UTF-16LE)"),)
    assert (threat.sig_seqs, threat.sig_shas) == ((0x1667B7DDC3FF,), ("9b97cb4399541cf437c53396f8864cd0fb969df4",))
    assert (unknown.threat_id, unknown.threat_name, unknown.identifier) == (None, None, "1743048119144153086")
    assert (unknown.sig_seqs, unknown.sig_shas) == ((), ())
    assert payload.scanned == (Resource("file", "C:\\x.bat"),)
    assert (payload.threat_id, payload.threat_ids, payload.threat_names) == (2147714419, (2147714419,), ("Trojan:BAT/Vigorf.A",))
    assert (payload.severity_id, payload.file_path) == (5, "C:\\x.bat->(UTF-16LE)")


def test_threat_actions_give_each_resource_hash_owner_and_result():
    (_, record) = records_of(encoded(*HEADER, *ACTIONS))
    payload = record.payload
    assert isinstance(payload, ThreatActions)
    assert (record.incomplete, record.units) == (None, len(ACTIONS))
    assert (payload.started_at, payload.ended_at) == (from_iso("2024-03-05T10:17:00Z")[0], from_iso("2024-03-05T10:17:02Z")[0])
    (action,) = payload.actions
    assert (action.threat_id, action.threat_name, action.action) == (2147714419, "Trojan:BAT/Vigorf.A", "quarantine")
    assert (action.result, payload.result) == (0x80508023, 0)
    (resource,) = action.resources
    assert (resource.schema, resource.value, resource.action, resource.result) == ("file", "\\\\?\\C:\\x.bat", "Quarantine", 0)
    assert (action.sha1, action.owners) == (("7ea62fd644dd9b9f82944268ea649fd007ee354d",), ("EXAMPLE\\alice",))
    assert (payload.threat_id, payload.threat_ids, payload.action) == (2147714419, (2147714419,), "quarantine")
    assert (payload.sha1, payload.file_path) == ("7ea62fd644dd9b9f82944268ea649fd007ee354d", "C:\\x.bat")


def test_threat_actions_may_name_no_threat():
    payload = payload_of(ACTIONS[0], ACTIONS[1], *ACTIONS[-3:])
    assert (payload.actions, payload.threat_id, payload.result, payload.time_basis) == ((), None, 0, "none")


@pytest.mark.parametrize("ended_by", [("*" * 60, ""), (STAMPED,), SCAN, ACTIONS], ids=["stars", "stamp", "scan", "actions"])
def test_a_failed_scan_has_no_end_mark_and_swallows_nothing(ended_by):
    failed, *others = records_of(encoded(*FAILED, "Unsuccessful Scan", "Return Code:1223", *ended_by, EVENT))
    assert (failed.payload.scan_type, failed.payload.return_code, failed.incomplete, failed.units) == ("Quick", 1223, None, 6)
    assert [other.incomplete for other in others] == [None] * len(others)
    assert isinstance(others[-1].payload, DetectionEvent)


@pytest.mark.parametrize("block", [SCAN, ACTIONS], ids=["scan", "actions"])
@pytest.mark.parametrize("then", [(), (EVENT,), (STAMPED,), SCAN, ACTIONS, HEADER[1:]], ids=lambda then: then[0][:12] if then else "end")
def test_a_block_cut_anywhere_is_emitted_as_incomplete_and_its_lines_are_counted_once(block, then):
    for length in range(2, len(block)):
        first, *others = records_of(encoded(*block[:length], *then))
        assert (first.units, first.payload.kind) == (length, f"mplog_{'resource_scan' if block is SCAN else 'threat_actions'}")
        assert first.incomplete is not None
        assert [other.units for other in others] == ([len(then)] if then and then != (STAMPED,) else [])


@pytest.mark.parametrize("opening", [SCAN[0], ACTIONS[0]])
def test_a_block_that_says_nothing_is_rejected_with_its_place(opening):
    loss, record, _ = items_of(encoded(STAMPED, opening, EVENT))
    assert isinstance(loss, Rejected)
    assert (loss.offset, loss.units, loss.number) == (len(encoded(STAMPED)), 1, 2)
    assert record.incomplete is None


def test_results_that_a_scan_declares_and_does_not_have_are_told():
    (record,) = records_of(encoded(*SCAN[:17], "End Scan"))
    assert record.incomplete.startswith("1 of 2 results")


def test_a_block_above_the_limit_is_cut_and_the_rest_counted():
    many = ("Resource Schema:file", "Resource Path:C:\\x") * mplog_blocks.LINES_LIMIT
    items = items_of(encoded(SCAN[0], *many, "End Scan", EVENT))
    assert (items[0].units, "too long" in items[0].incomplete) == (mplog_blocks.LINES_LIMIT, True)
    assert items[-1].unparsed == {"block_detail": mplog_blocks.LINES_LIMIT + 2}


def test_a_block_of_too_much_text_is_cut_too():
    long = "Resource Path:" + "x" * 900_000
    items = items_of(encoded(*SCAN[:7], *[long] * 8, "End Scan", EVENT))
    assert (items[0].units, "too long" in items[0].incomplete) == (7 + 5, True)


def test_a_line_that_is_too_long_ends_the_block_and_costs_only_itself():
    long = "x" * 2_000_000
    scan, loss, event, tally = items_of(encoded(STAMPED, *SCAN[:7], long, EVENT))
    assert (scan.units, "cannot be read" in scan.incomplete) == (7, True)
    assert (loss.offset, loss.units, loss.number) == (len(encoded(STAMPED, *SCAN[:7])), 1, 9)
    assert (event.number, event.incomplete, tally.unparsed) == (10, None, {"cloud": 1})


def test_a_session_waiting_for_its_shutdown_flag_stands_before_the_loss_after_it():
    session, loss, _ = items_of(encoded(*HEADER[1:], "x" * 2_000_000))
    assert (session.payload.kind, loss.units) == ("mplog_session", 1)


@pytest.mark.parametrize("step", [50, 5000, 1 << 20])
def test_records_have_the_number_of_their_first_line(step):
    data = encoded(*[STAMPED] * 200, EVENT, *SCAN, *[STAMPED] * 200, EVENT)
    assert [item.number for item in items_of(data, step) if isinstance(item, Parsed)] == [201, 202, 402 + len(SCAN)]


@pytest.mark.parametrize("lines", [SCAN, [EVENT.partition(" ")[2]], ["DETECTIONEVENT "], ["\0\0", "text"]], ids=lambda lines: lines[0][:9])
def test_a_log_without_a_stamp_is_not_called_foreign(lines):
    assert not any("protection log" in item.reason for item in items_of(encoded(*lines)) if isinstance(item, Rejected))


@pytest.mark.parametrize("block", [SCAN, ACTIONS], ids=["scan", "actions"])
def test_a_block_whose_last_line_has_no_end_is_marked(block):
    (record,) = records_of(encoded(*block).removesuffix(b"\r\n"))
    assert "before the line does" in record.incomplete


@pytest.mark.parametrize("text", ["Begin the rest", "Begin  Scan", "Begin Resource Scanning", "Begin " + "x" * 90 + " Scan"])
def test_a_line_that_only_begins_like_a_scan_is_counted(text):
    assert items_of(encoded(STAMPED, text))[-1].unparsed == {"cloud": 1, "other": 1}


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


def test_zeros_cost_only_themselves():
    zeros = "\0" * 40
    lone, before, record, counted, tally = items_of(encoded(STAMPED, zeros, zeros + EVENT, zeros + STAMPED))
    assert [(loss.offset, loss.units) for loss in (lone, before, counted)] == [(56, 0), (98, 0), (98 + 40 + 2 + len(EVENT), 0)]
    assert (record.offset, record.payload.threat_name) == (138, "Trojan:BAT/Vigorf.A")
    assert tally.unparsed == {"cloud": 2, "blank": 1}


@pytest.mark.parametrize("data", [b"PK\x03\x04" + bytes(range(256)) * 20, b"<html>\n<body>hello\n</html>\n", bytes(5000)])
def test_a_file_with_another_content_is_named(data):
    losses = [item for item in items_of(data) if isinstance(item, Rejected)]
    assert losses
    assert not records_of(data)


def test_an_empty_file_is_named_and_one_with_only_a_mark_is_not():
    assert [item.reason for item in items_of(b"") if isinstance(item, Rejected)] == ["an empty file"]
    assert items_of(b"\xff\xfe") == [Tally(0, {})]


HOSTILE = [
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y " + ";file:" * 174_000,
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y file:" + ";" * 1_000_000,
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y " + "internalCmdLine:i " + "QUJD" * 250_000 + " 1 1 a b",
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y " + "internalCmdLine:i QQ== 1 1;" * 35_000,
    "DETECTIONEVENT " + " " * 1_000_000,
    "DETECTIONEVENT S " + "a" * 1_000_000,
    "DETECTIONEVENT S " + " abcdefghijklmnop" * 60_000,
    "DETECTION_ADD#1 Trojan:X/Y file:" + " PropBag [" * 100_000,
    "DETECTION_ADD#" + "9" * 1_000_000 + " T file:x",
    "DETECTION_CLEANEVENT S A 0x" + "f" * 1_000_000 + " T file:x",
    "Begin " + "Scan " * 200_000,
    "Engine:" * 140_000,
    "[RTP] " * 170_000,
    "*" * 1_000_000,
    " " * 1_000_000,
    "\0" * 1_000_000,
    "2" * 1_000_000,
    "\ud800" * 300_000,
    "Started On " + "0" * 1_000_000,
    "x" * 1_000_000 + ") Service Log",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24])
@pytest.mark.parametrize("inside", [(), SCAN[:2]], ids=["alone", "scan"])
def test_a_hostile_line_of_a_million_characters_costs_linear_time(text, inside):
    data = "\r\n".join([*inside, text, EVENT, ""]).encode("utf-8", "surrogatepass")
    began = time.process_time()
    last = records_of(data)[-1]
    assert isinstance(last.payload, DetectionEvent)
    assert time.process_time() - began < 2  # quadratic time would be minutes


@pytest.mark.parametrize("key", ["ID", "Severity", "Scan Source", "Start Time", "Extended Info - SigSeq", "Resource Path", "Threat Name"])
def test_a_hostile_value_inside_a_scan_costs_linear_time(key):
    began = time.process_time()
    records_of(encoded(*SCAN[:10], f"{key}:" + "9" * 1_000_000, "End Scan"))
    assert time.process_time() - began < 2


class Again(io.RawIOBase):
    """A stream of the same block, so many times."""

    def __init__(self, block: bytes, times: int) -> None:
        self._blocks = iter([block] * times)

    def read(self, size: int = -1) -> bytes:
        return next(self._blocks, b"")


def test_memory_does_not_grow_with_the_log(tmp_path):
    story = Story(threat_id=7, threat_name="T:X/Y", resources=[("file", "C:\\x")], detected_at=START, cleaned_at=START)
    write_mplog(tmp_path / "mplog.log", [LogSession(started_at=START, stories=[story], everyday=2500)])
    block = (tmp_path / "mplog.log").read_bytes()[2:]

    def peak(times):
        tracemalloc.start()
        try:
            assert sum(item.units for item in parse_mplog(Again(block, times)) if isinstance(item, Parsed)) > 5 * times
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(12) < peak(3) * 1.2


LINES = [*HEADER, STAMPED, EVENT, *SCAN, *ACTIONS, *FAILED, *PERF, *TELEMETRY, "", "Engine:", "\0\0", "\ud800", "free text"]


@given(st.binary(max_size=400))
def test_any_bytes_are_counted_and_raise_nothing(data):
    items_of(data)


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=30)), max_size=60), st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_any_lines_give_the_same_items_whatever_the_read_size(lines, step):
    data = "\r\n".join(lines).encode("utf-16-le", "surrogatepass")
    assert items_of(b"\xff\xfe" + data, step) == items_of(b"\xff\xfe" + data)


@given(st.lists(st.sampled_from([HEADER, SCAN, ACTIONS, (EVENT,), PERF, TELEMETRY, (STAMPED,), ("",)]), max_size=8), st.data())
@settings(deadline=None)
def test_a_log_cut_anywhere_keeps_every_record_before_the_cut(blocks, draw):
    data = b"\xff\xfe" + "".join(f"{line}\r\n" for block in blocks for line in block).encode("utf-16-le")
    cut = draw.draw(st.integers(2, len(data)))
    whole, part = records_of(data), records_of(data[:cut])
    ends = {record.offset: len("".join(data[record.offset :].decode("utf-16-le").splitlines(True)[: record.units])) * 2 for record in whole}
    before = [record for record in whole if record.offset + ends[record.offset] <= cut]
    assert part[: len(before)] == before


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40).filter(lambda text: ";" not in text)
RESOURCES = st.lists(st.tuples(st.sampled_from(["file", "containerfile", "process", "regkey"]), WORDS), min_size=1, max_size=4)
STORIES = st.builds(
    Story,
    threat_id=st.integers(1, 0xFFFFFFFF).filter(lambda number: number != 0x80000000),
    threat_name=st.from_regex(r"[A-Z][a-z]{2,9}:[A-Z][A-Za-z0-9]{1,9}/[A-Za-z][A-Za-z0-9_.!]{1,12}", fullmatch=True),
    resources=RESOURCES,
    detected_at=st.integers(START, START + 1000 * SECOND),
    cleaned_at=st.none() | st.integers(START, START + 1000 * SECOND),
    action=st.sampled_from(["quarantine", "remove", "allow"]),
    result=st.sampled_from([0, 0x80508023]),
    source=st.sampled_from(["REALTIME", "SYSTEM"]),
    sha1=st.none() | st.just("ab" * 20),
    owner=st.none() | st.just("EXAMPLE\\alice"),
    sig_seq=st.integers(1, (1 << 64) - 1),
)
SESSIONS = st.builds(
    LogSession,
    started_at=st.integers(START - 10**15, START),
    utc_offset_minutes=st.integers(-48, 56).map(lambda quarters: quarters * 15),
    stories=st.lists(STORIES, max_size=3),
    everyday=st.integers(0, 8),
)


@given(st.lists(SESSIONS, max_size=3))
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read(tmp_path_factory, sessions):
    path = tmp_path_factory.mktemp("mplog") / "MPLog-1.log"
    truth = write_mplog(path, sessions)
    data = path.read_bytes()
    *_, tally = items_of(data)
    records = records_of(data)
    assert tally.seen == truth["lines"]
    assert [(record.payload.kind, record.offset, record.units) for record in records] == [
        (each["kind"], each["offset"], each["lines"]) for each in truth["records"]
    ]
    assert {kind: count for kind, count in truth["kinds"].items() if not kind.startswith("mplog_")}.items() <= {
        **tally.unparsed,
        "other": tally.unparsed.get("other", 0) + tally.unparsed.get("service_start", 0),
    }.items()
    expected = [story for session in sessions for story in sorted(session.stories, key=lambda story: story.detected_at)]
    scans = [record.payload for record in records if isinstance(record.payload, ResourceScan)]
    events = [record.payload for record in records if isinstance(record.payload, DetectionEvent)]
    assert [_told(event.threat_name, event.resources) for event in events] == [
        _told(story.threat_name, [Resource(*pair) for pair in story.resources]) for story in expected
    ]
    assert [event.logged_at for event in events] == [story.detected_at // 10_000 * 10_000 for story in expected]
    assert [(scan.threat_id, scan.results[0].sig_seqs) for scan in scans] == [(story.threat_id, (story.sig_seq,)) for story in expected]
    assert [scan.started_at for scan in scans] == [story.detected_at // SECOND * SECOND for story in expected]


def _told(name, resources):
    return name, [(resource.schema, resource.value) for resource in resources]


def test_the_same_bytes_come_through_any_binary_stream():
    data = encoded(*HEADER, *SCAN)
    assert list(parse_mplog(io.BytesIO(data))) == items_of(data, 5)

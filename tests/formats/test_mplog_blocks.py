import pytest

from exporter.formats import mplog_blocks
from exporter.formats.mplog import DetectionEvent, ResourceScan, ThreatActions
from exporter.formats.resources import Resource
from exporter.records import Parsed, Rejected
from exporter.times import from_iso
from tests.formats.mplog_texts import ACTIONS, EVENT, FAILED, HEADER, SCAN, STAMPED, encoded, items_of, payload_of, records_of


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

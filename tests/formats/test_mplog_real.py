"""The reader against logs that we did not write: two real ones, and those of the independent generator."""

import json
import re
import subprocess
import sys
from collections import Counter

import evtx
import pytest

from exporter.formats.mplog import DetectionEvent, ResourceScan, Session, ThreatActions, parse_mplog
from exporter.records import Parsed, Rejected, Tally
from exporter.times import TICKS_PER_SECOND, from_iso

pytestmark = pytest.mark.real_data

SERVER = "mplog/server2022-aptsimulator/MPLog-20231017-224350.log"
BELKASOFT = "mplog/win10-belkasoft/MPLog-20200801-144809.log"
EVENTS = "evtx/server2022-aptsimulator/Microsoft-Windows-Windows Defender%4Operational.evtx"
THREATS = {
    "Trojan:JS/SharpShooter.A": 2147726364,
    "HackTool:JS/Jsprat": 2147708292,
    "Backdoor:PowerShell/Powercat.A": 2147745713,
    "Backdoor:PHP/Remoteshell.V": 2147742191,
    "Trojan:Win32/Tiggre!rfn": 2147723625,
}


def read(path):
    """Records, losses and tally, after checking the sum."""
    with path.open("rb") as stream:
        *items, tally = parse_mplog(stream)
    assert isinstance(tally, Tally)
    records = [item for item in items if isinstance(item, Parsed)]
    losses = [item for item in items if isinstance(item, Rejected)]
    assert tally.seen == sum(record.units for record in records) + sum(loss.units for loss in losses) + sum(tally.unparsed.values())
    return records, losses, tally


def kinds_of(records):
    return Counter(record.payload.kind.removeprefix("mplog_") for record in records)


def lines_between(path, begin, end):
    """Lines of all blocks from `begin` to `end`, counted over the whole text at once."""
    return sum(block.count("\n") + 1 for block in re.findall(f"{begin}.*?{end}", path.read_bytes().decode("utf-16"), re.DOTALL))


def test_the_server_log_has_every_record_that_its_provenance_counts(shared_data):
    records, losses, tally = read(shared_data / SERVER)
    expected = {"session": 3, "detection_event": 5, "detection_add": 6, "detection_clean": 1, "resource_scan": 9, "threat_actions": 1}
    assert (kinds_of(records), losses, tally.seen) == (expected, [], 1882)
    assert [record.incomplete for record in records] == [None] * 25
    counted = {"vfz_block": 5, "vfz_lofi": 14, "minifilter_blocked": 5, "minifilter_unsuccessful": 2}
    counted |= {"exclusion": 42, "tamper_protection": 10, "signature_match": 76, "routine_clean": 5}
    assert counted.items() <= tally.unparsed.items()
    assert tally.unparsed["bm_telemetry"] == lines_between(shared_data / SERVER, "BEGIN BM telemetry", "END BM telemetry")
    assert tally.unparsed["rtp_perf"] == lines_between(shared_data / SERVER, r"\*RTP Perf Log", "END RTP Perf Log")


def test_the_belkasoft_log_has_every_record_that_its_provenance_counts(shared_data):
    records, losses, tally = read(shared_data / BELKASOFT)
    assert (kinds_of(records), losses) == ({"session": 23, "resource_scan": 1}, [])
    assert tally.seen == 10555 + 1  # its last line has no end
    counted = {"vfz_lofi": 9, "minifilter_unsuccessful": 132, "estimated_impact": 138, "original_file_name": 301, "ems_scan": 44}
    counted |= {"exclusion": 178, "tamper_protection": 25, "signature_match": 115, "signature_update": 6, "service_stop": 2 * 4}
    assert counted.items() <= tally.unparsed.items()
    assert tally.unparsed["bm_telemetry"] == lines_between(shared_data / BELKASOFT, "BEGIN BM telemetry", "END BM telemetry")
    assert tally.unparsed["rtp_perf"] == lines_between(shared_data / BELKASOFT, r"\*RTP Perf Log", "END RTP Perf Log")


def test_sessions_give_offsets_that_change_and_clocks_that_go_back(shared_data):
    server = [record.payload for record in read(shared_data / SERVER)[0] if isinstance(record.payload, Session)]
    assert [session.utc_offset for session in server] == [-420, -240, -240]
    sessions = [record.payload for record in read(shared_data / BELKASOFT)[0] if isinstance(record.payload, Session)]
    assert [session.utc_offset for session in sessions] == [-420, -480, *[-360] * 11, *[-300] * 10]
    assert sessions[1].logged_at > sessions[2].logged_at
    assert sum(session.dirty_shutdown is True for session in sessions) == 3


def test_the_failed_quick_scan_ends_before_the_lines_after_it(shared_data):
    (scan,) = [record for record in read(shared_data / BELKASOFT)[0] if isinstance(record.payload, ResourceScan)]
    payload = scan.payload
    assert (payload.scan_type, payload.return_code, payload.started_local, scan.units) == ("Quick", 1223, "02-10-2021 15:02:31", 6)
    assert payload.started_at == from_iso("2021-02-10T20:02:31Z")[0]


def test_the_five_threats_have_their_ids_and_the_times_of_the_event_log(shared_data):
    detected = {}
    for record in evtx.PyEvtxParser(str(shared_data / EVENTS)).records_json():
        event = json.loads(record["data"])["Event"]
        if event["System"]["EventID"] == 1116:
            data = event["EventData"]
            detected[data["Threat Name"]] = (
                int(data["Threat ID"]),
                from_iso(event["System"]["TimeCreated"]["#attributes"]["SystemTime"])[0],
            )
    assert {name: number for name, (number, _) in detected.items()} == THREATS

    records = [record.payload for record in read(shared_data / SERVER)[0]]
    events = [payload for payload in records if isinstance(payload, DetectionEvent)]
    assert {event.threat_name for event in events} == set(THREATS)
    for event in events:
        assert abs(event.logged_at - detected[event.threat_name][1]) < TICKS_PER_SECOND // 10
    scans = [payload for payload in records if isinstance(payload, ResourceScan)]
    assert {result.threat_name: result.threat_id for scan in scans for result in scan.results if result.threat_name} == THREATS
    for name, (_, ticks) in detected.items():
        assert any(scan.started_at <= ticks <= scan.ended_at + TICKS_PER_SECOND for scan in scans if name in scan.threat_names)
    (actions,) = [payload for payload in records if isinstance(payload, ThreatActions)]
    assert (actions.threat_id, actions.action) == (THREATS["Trojan:JS/SharpShooter.A"], "quarantine")
    assert actions.sha1 == "7ea62fd644dd9b9f82944268ea649fd007ee354d"


SAME = {
    "service_start": "session",
    "scan_failed": "resource_scan",
    "resource_scan": "resource_scan",
    "threat_actions": "threat_actions",
    "detection_event": "detection_event",
    "detection_add": "detection_add",
    "detection_clean": "detection_clean",
}
LINES = {
    "dynamic_signature": 6,
    "amsi_result": 3,
    "file_hash": 2,
    "service_stop": 2,
    "quarantine_recovery": 7,
    "rtp_perf": 14,
    "bm_telemetry": 13,
}
STYLES = [
    (2020, "utf-16", -300, ""),
    (2020, "utf-8", 345, ""),
    (2020, "utf-16-nobom", 0, ""),
    (2023, "utf-16", 60, "--clock-back"),
    (2023, "utf-8", -570, ""),
    (2023, "utf-16-nobom", 840, ""),
    (2025, "utf-16", 0, ""),
    (2025, "utf-8", 120, "--clock-back"),
    (2025, "utf-16-nobom", -720, ""),
]


@pytest.fixture(params=STYLES, ids=lambda style: "-".join(map(str, style)))
def generated(request, shared_tools, tmp_path):
    """A generated log, its truth and its arguments; with the clock set back it has several sessions."""
    style, encoding, offset, more = request.param
    path = tmp_path / "MPLog-20240305-101500.log"
    size = "3M" if more else "150K"
    command = [sys.executable, str(shared_tools / "make_mplog.py"), str(path), "--size", size, "--style", str(style)]
    command += ["--encoding", encoding, "--offset", str(offset), "--seed", str(offset), *filter(None, [more])]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    return path, json.loads((tmp_path / (path.name + ".truth.json")).read_text()), style, offset


def test_every_record_of_a_generated_log_is_read_or_counted(generated):
    path, truth, style, offset = generated
    records, losses, tally = read(path)
    expected: Counter[str] = Counter()
    for kind, count in truth["kinds"].items():
        if kind in SAME:
            expected[SAME[kind]] += count
        else:
            lines = LINES.get(kind, 1) - (kind == "bm_telemetry" and style == 2020)
            assert tally.unparsed[kind] == count * lines, kind
    assert kinds_of(records) == expected
    assert losses == []
    assert [record.incomplete for record in records] == [None] * len(records)
    assert {record.payload.utc_offset for record in records} == {offset}


def test_every_threat_id_of_a_generated_log_is_found_where_the_truth_has_it(generated):
    path, truth, _, _ = generated
    records, _, _ = read(path)
    for number, threat in truth["threats"].items():
        found = Counter(record.payload.kind.removeprefix("mplog_") for record in records if _threat_id(record) == int(number))
        stated = Counter({kind: count for kind, count in threat["records_naming_the_id"].items() if kind in SAME})
        stated.update(threat["records_with_the_id_in_base64"])
        assert found == stated
    assert truth["placeholder_threat_id"] not in map(_threat_id, records)


def test_block_times_of_a_generated_log_are_at_the_stamps_before_them(generated):
    path, truth, _, _ = generated
    for record in read(path)[0]:
        payload = record.payload
        if isinstance(payload, ResourceScan | ThreatActions) and payload.time_basis == "previous_line":
            assert abs(payload.started_at - payload.logged_at) < 2 * TICKS_PER_SECOND
        assert from_iso(truth["first_utc"])[0] <= payload.logged_at <= from_iso(truth["last_utc"])[0]


def test_a_clock_set_back_in_a_generated_log_shows_in_its_sessions(generated):
    path, truth, style, offset = generated
    starts = [record.payload.logged_at for record in read(path)[0] if isinstance(record.payload, Session)]
    assert len(starts) == truth["sessions"]
    if (style, offset) in ((2023, 60), (2025, 120)):
        assert starts[1] < starts[0]


def _threat_id(record):
    return getattr(record.payload, "threat_id", None)

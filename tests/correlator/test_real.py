"""Real machines: the joins that the reference notes found by hand."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from exporter.correlator.incident import Incident
from exporter.formats.detection_history import parse_detection_history
from exporter.formats.evtx import parse as parse_evtx
from exporter.formats.mplog import parse_mplog
from exporter.formats.quarantine import parse_entry
from exporter.records import Item, Parsed, Record, Source
from tests.correlator.build import incidents, joined

pytestmark = pytest.mark.real_data
SERVER_THREATS = {
    "Trojan:JS/SharpShooter.A": 2147726364,
    "HackTool:JS/Jsprat": 2147708292,
    "Backdoor:PowerShell/Powercat.A": 2147745713,
    "Backdoor:PHP/Remoteshell.V": 2147742191,
    "Trojan:Win32/Tiggre!rfn": 2147723625,
}


def records(items: Iterable[Item], path: Path) -> list[Record]:
    return [
        Record(
            payload=item.payload,
            host="HOST",
            source=Source(path.name, "e"),
            collector="test",
            key=(path.name, str(item.offset), str(number)),
            hash=item.raw_hash,
        )
        for number, item in enumerate(items)
        if isinstance(item, Parsed)
    ]


def log_records(folder: Path) -> tuple[list[Record], list[Record]]:
    (events,) = (folder / "evtx/server2022-aptsimulator").glob("*.evtx")
    (log,) = (folder / "mplog/server2022-aptsimulator").glob("MPLog*")
    with events.open("rb") as first, log.open("rb") as second:
        return records(parse_evtx(first), events), records(parse_mplog(second), log)


def test_the_five_threats_of_a_server_are_five_incidents_with_their_events_and_lines(shared_data: Path) -> None:
    events, lines = log_records(shared_data)
    found = incidents(joined(*lines, *events))
    assert {one.threat_name: one.threat_id for one in found} == SERVER_THREATS
    for one in found:
        tiers = dict(zip(one.member_kinds, one.member_tiers, strict=True))
        assert (tiers["evtx_detection"], tiers["evtx_action"], tiers["mplog_detection_event"], tiers["mplog_detection_add"]) == (1, 1, 2, 2)
        assert "mplog_resource_scan" in tiers
        assert (one.states, one.outcome, one.user) == (("detected", "quarantined"), "success", "WIN-FUDU2CKJOE8\\Test")
        assert one.gaps == ("event-without-quarantine-entry",)
    (first,) = [one for one in found if one.threat_id == 2147726364]
    assert {"mplog_detection_clean", "mplog_threat_actions"} < set(first.member_kinds)
    assert first.sha1 == "7ea62fd644dd9b9f82944268ea649fd007ee354d"


def test_no_joinable_record_of_the_server_is_left_over(shared_data: Path) -> None:
    events, lines = log_records(shared_data)
    held = [
        one for one in joined(*events, *lines) if "threat_name" in one.payload.__struct_fields__ and not isinstance(one.payload, Incident)
    ]
    assert len(held) >= 30
    assert [one.payload.kind for one in held if one.correlation is None] == []


def test_without_the_event_log_the_log_alone_tells_of_the_same_five(shared_data: Path) -> None:
    _, lines = log_records(shared_data)
    found = incidents(joined(*lines))
    assert {one.threat_name: one.threat_id for one in found} == SERVER_THREATS
    assert {one.gaps[0] for one in found} == {"log-without-event"}


def test_one_file_detected_twice_within_a_minute_is_two_incidents(shared_data: Path) -> None:
    path = shared_data / "evtx/exported/ID1116-1117-Defender threat detected.evtx"
    with path.open("rb") as stream:
        found = incidents(joined(*records(parse_evtx(stream), path)))
    assert [(one.threat_id, one.states) for one in found] == [
        (2147705511, ("detected",)),
        (2147729891, ("detected", "quarantined")),
        (2147729891, ("detected",)),
    ]
    assert [one.paths[-1].rpartition("\\")[2] for one in found] == ["mimilib.dll", "mimikatz.exe", "mimikatz.exe"]


def test_linked_histories_and_entries_of_independent_writers_join_by_quarantine_id(shared_tools: Path, tmp_path: Path) -> None:
    tool = [sys.executable, str(shared_tools / "make_quarantine.py"), str(tmp_path / "q"), "--entries", "50"]
    truth = tmp_path / "truth.json"
    truth.write_bytes(subprocess.run(tool, capture_output=True, check=True).stdout)
    tool = [sys.executable, str(shared_tools / "make_detection_history.py"), str(tmp_path / "h"), "--from-quarantine", str(truth)]
    linked = json.loads(subprocess.run(tool, capture_output=True, check=True).stdout)["detections"]
    held = []
    for path in (tmp_path / "q").rglob("Entries/*"):
        held += records(parse_entry(path.read_bytes(), path.name), path)
    for path in (tmp_path / "h").rglob("DetectionHistory/*/*"):
        held += records(parse_detection_history(path.read_bytes(), path.name), path)
    found = incidents(joined(*held))
    assert {one.detection_id: one.quarantine_ids for one in found} == {one["detection_id"]: (one["quarantine_id"],) for one in linked}
    assert {tuple(sorted(set(zip(one.member_kinds, one.member_tiers, strict=True)))) for one in found} == {
        (("detection_history", 1), ("quarantine_entry", 1), ("quarantine_resource", 1))
    }

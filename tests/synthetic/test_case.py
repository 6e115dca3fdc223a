"""The synthetic case is the same on every run, its artifacts agree with each other, and its truth with independent readers."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from exporter.formats import detection_history, etl, evtx, mpcmdrun, mpdetection, mplog, quarantine, resource_data
from exporter.records import Integrity, Parsed, Payload, Rejected, Verdict
from exporter.synthetic.case import write_case
from exporter.synthetic.case_events import grow
from exporter.synthetic.detection_history import NO_QUARANTINE
from exporter.synthetic.evtx import Event, write_evtx
from exporter.times import UNIX_EPOCH, from_iso
from tests.synthetic.evtx_readers import with_evtx, with_python_evtx

_MILLISECOND = 10_000
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (DETECTIONEVENT|DETECTION_CLEANEVENT) ")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("case")
    return folder, write_case(folder)


@pytest.fixture(scope="module", params=["WS-0142", "SRV-FILES02"])
def host(case: tuple[Path, dict[str, Any]], request: pytest.FixtureRequest) -> "Told":
    return Told(case[0], case[1]["hosts"][request.param])


class Told:
    """A host's truth, and its artifacts as others read them."""

    def __init__(self, folder: Path, truth: dict[str, Any]) -> None:
        self.folder = folder
        self.truth = truth
        self.incidents: list[dict[str, Any]] = truth["incidents"]
        self.log = self.only("Operational.evtx")
        self.mplog = self.only("log", "MPLog-")
        self.events = {event["record_id"]: event for event in with_evtx(self.log)}

    def only(self, ending: str, part: str = "") -> Path:
        (name,) = [name for name in self.truth["files"] if name.endswith(ending) and part in name]
        return self.folder / name

    def events_of(self, incident: dict[str, Any], *event_ids: int) -> list[dict[str, Any]]:
        events = [self.events[number] for number in incident["members"]["evtx"]]
        return [event for event in events if event["event_id"] in event_ids]

    def history_of(self, incident: dict[str, Any]) -> detection_history.DetectionHistory | None:
        for name in incident["members"]["detection_history"]:
            (payload,) = payloads(self.folder / name)
            assert isinstance(payload, detection_history.DetectionHistory)
            return payload
        return None


def read(path: Path) -> Iterator[Any]:
    """A file through the parser of its kind."""
    data, name = path.read_bytes(), path.name
    if name.endswith(".evtx"):
        return evtx.parse(BytesIO(data))
    if name.endswith((".bin", ".etl")):
        return etl.parse_etl(BytesIO(data))
    if name == "MpCmdRun.log":
        return mpcmdrun.parse_mpcmdrun(BytesIO(data))
    if name.startswith("MPDetection"):
        return mpdetection.parse_mpdetection(BytesIO(data))
    if name.endswith(".log"):
        return mplog.parse_mplog(BytesIO(data))
    if "DetectionHistory" in path.parts:
        return detection_history.parse_detection_history(data, name)
    if "ResourceData" in path.parts:
        return resource_data.parse_container(BytesIO(data), name)
    return (quarantine.parse_entry if "Entries" in path.parts else quarantine.parse_reference)(data, name)


def payloads(path: Path) -> list[Payload]:
    return [item.payload for item in read(path) if isinstance(item, Parsed)]


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


def test_two_runs_write_the_same_bytes_and_times(case: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    assert write_case(tmp_path) == case[1]
    assert snapshot(tmp_path) == snapshot(case[0])


def test_another_seed_gives_other_ids_and_times_to_the_same_story(case: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    truth = write_case(tmp_path, seed=2)
    for name, host in truth["hosts"].items():
        first = case[1]["hosts"][name]
        for key in ("detected_at", "changed_at"):
            assert not {one[key] for one in host["incidents"]} & {one[key] for one in first["incidents"]}
        assert not {one["detection_id"] for one in host["incidents"]} & {one["detection_id"] for one in first["incidents"]} - {None}
        assert [one["name"] for one in host["incidents"]] == [one["name"] for one in first["incidents"]]


def test_the_truth_lies_beside_the_hosts_and_lists_every_file(case: tuple[Path, dict[str, Any]]) -> None:
    folder, truth = case
    assert json.loads((folder / "truth.json").read_bytes()) == json.loads(json.dumps(truth))
    listed = {name: file for host in truth["hosts"].values() for name, file in host["files"].items()}
    found = snapshot(folder)
    assert set(found) == {"truth.json", *listed}
    for name, file in listed.items():
        assert found[name][0] == (file["modified_at"] - UNIX_EPOCH) * 100
        assert (folder / name).stat().st_size == file["size"]


def test_no_payload_is_real(case: tuple[Path, dict[str, Any]]) -> None:
    for host in case[1]["hosts"].values():
        for incident in host["incidents"]:
            for found in incident["hashes"]:
                base_name = re.split(r"->|\\", found["path"])[-1]
                text = f"Harmless stand-in for {incident['threat_name']}: {base_name}\r\n".encode()
                assert found["sha256"] == hashlib.sha256(text).hexdigest()


def test_the_story_has_everything_that_a_reader_must_cope_with(case: tuple[Path, dict[str, Any]]) -> None:
    hosts = {name: Told(case[0], truth) for name, truth in case[1]["hosts"].items()}
    ids = Counter(event["event_id"] for host in hosts.values() for event in host.events.values())
    assert set(ids) == {1000, 1001, 1009, 1013, 1116, 1117, 1118, 1119, 1150, 1151, 2000, 2010, 5000, 5001, 5007}
    outcomes = {incident["outcome"] for host in hosts.values() for incident in host.incidents}
    assert outcomes == {"quarantined", "removed", "allowed", "failed", "failed_critically", "detected"}
    assert sum(len(host.incidents) for host in hosts.values()) == 14
    values = [event["data"].get("New Value", "") for event in hosts["WS-0142"].events.values()]
    assert any("\\Exclusions\\Paths\\C:\\Temp = 0x0" in value for value in values)
    (cleared,) = [incident for host in hosts.values() for incident in host.incidents if not incident["members"]["evtx"]]
    assert cleared["members"]["quarantine"]
    assert cleared["detection_id"] is None
    assert any(not incident["hashes"] for incident in hosts["WS-0142"].incidents)
    old = next(event["data"] for event in hosts["SRV-FILES02"].events.values() if event["event_id"] == 1116)
    assert (old["Product Name"], old["Source Name"]) == ("%%827", "%%818")
    assert "Signature Version" in old


def test_the_event_log_is_what_the_truth_counts(host: Told) -> None:
    told = host.truth["files"][host.log.relative_to(host.folder).as_posix()]
    assert Counter(str(event["event_id"]) for event in host.events.values()) == told["event_ids"]
    assert sum(told["records"].values()) == len(host.events)
    assert {event["computer"] for event in host.events.values()} == {host.truth["host"]}
    assert sorted(host.events.values(), key=lambda event: event["created"]) == list(host.events.values())
    assert with_python_evtx(host.log)[-1]["record_id"] == max(host.events)


def test_every_event_of_a_detection_carries_its_ids(host: Told) -> None:
    for incident in host.incidents:
        for event in host.events_of(incident, 1116, 1117, 1118, 1119):
            assert event["data"]["Detection ID"] == f"{{{incident['detection_id']}}}"
            assert event["data"]["Threat ID"] == str(incident["threat_id"])
            assert event["data"]["Path"] == "; ".join(f"{schema}:_{value}" for schema, value in incident["resources"])
            assert from_iso(event["data"]["Detection Time"])[0] == incident["detected_at"] // _MILLISECOND * _MILLISECOND
        for event in host.events_of(incident, 1117, 1118, 1119):
            assert event["created"] == incident["action_at"] // 10 * 10
        for event in host.events_of(incident, 1009):
            assert event["created"] == incident["restored_at"] // 10 * 10
            assert event["data"]["Threat ID"] == str(incident["threat_id"])


def test_every_detection_event_belongs_to_an_incident(host: Told) -> None:
    members = [number for incident in host.incidents for number in incident["members"]["evtx"]]
    expected = [number for number, event in host.events.items() if "Threat ID" in event["data"]]
    assert sorted(members) == expected


def test_log_lines_lie_within_16_ms_of_their_events(host: Told) -> None:
    raw = host.mplog.read_bytes()
    for incident in host.incidents:
        stamps = {}
        for member in incident["members"]["mplog"]:
            text = raw[member["offset"] :].decode("utf-16-le").split("\r\n", 1)[0]
            if found := _STAMP.match(text):
                assert incident["threat_name"] in text
                stamps[found[2]] = from_iso(found[1])[0]
        if not incident["members"]["evtx"]:
            continue
        (found_event,) = host.events_of(incident, 1116)
        assert 0 <= found_event["created"] - stamps["DETECTIONEVENT"] <= 16 * _MILLISECOND
        if incident["action_at"]:
            assert 0 <= incident["action_at"] - stamps["DETECTION_CLEANEVENT"] <= 16 * _MILLISECOND
        assert (incident["action_at"] is None) == ("DETECTION_CLEANEVENT" not in stamps)


def test_log_records_stand_where_the_truth_says(host: Told) -> None:
    kinds = {item.offset: item.payload.kind for item in read(host.mplog) if isinstance(item, Parsed)}
    members = {member["offset"]: member["kind"] for incident in host.incidents for member in incident["members"]["mplog"]}
    assert members == {offset: kind for offset, kind in kinds.items() if kind != "mplog_session"}


def test_the_log_has_sessions_of_two_offsets(host: Told) -> None:
    text = host.mplog.read_bytes().decode("utf-16")
    local = re.findall(r"Started On \d\d-\d\d-\d{4} (\d\d):", text)
    utc = re.findall(r"Current time: \d\d/\d\d/\d{4} (\d\d):", text)
    offsets = [int(here) - int(there) for here, there in zip(local, utc, strict=True)]
    assert offsets == ([1, 2] if host.truth["host"] == "WS-0142" else [0, 1])


def test_the_history_has_the_times_of_the_events_to_100_nanoseconds(host: Told) -> None:
    for incident in host.incidents:
        history = host.history_of(incident)
        if history is None:
            continue
        assert history.detection_id == history.file_name == incident["detection_id"]
        assert history.detected_at in (incident["detected_at"], 0)
        assert history.last_change_at == incident["changed_at"]
        assert history.remediated_at == (incident["changed_at"] if incident["action_at"] else 0)
        assert history.quarantine_id == (incident["quarantine_id"] or NO_QUARANTINE)
        if incident["action_at"]:
            assert 3100 <= incident["action_at"] - incident["changed_at"] <= 5900
        last = host.events_of(incident, 1116, 1117, 1118, 1119)[-1]["data"]
        assert last["Status Code"] == str(history.status_id)
        assert last["State"] == str(history.state)
        assert int(last["Error Code"], 16) == history.error_code
        assert last["Detection User"] == history.user == incident["user"]
        assert last["Remediation User"] == (history.remediation_user or "")
        assert [history.sha256] == [found["sha256"] for found in incident["hashes"][:1]] or (
            not incident["hashes"] and history.sha256 is None
        )


def test_the_quarantine_holds_what_the_truth_says(host: Told) -> None:
    for incident in host.incidents:
        read_payloads = [payload for name in incident["members"]["quarantine"] for payload in payloads(host.folder / name)]
        entries = [payload for payload in read_payloads if isinstance(payload, quarantine.QuarantineEntry)]
        resources = [payload for payload in read_payloads if isinstance(payload, quarantine.QuarantineResource)]
        references = [payload for payload in read_payloads if isinstance(payload, quarantine.QuarantineReference)]
        containers = [payload for payload in read_payloads if isinstance(payload, resource_data.QuarantineContainer)]
        kept = incident["outcome"] == "quarantined" and incident["restored_at"] is None
        assert [(entry.quarantine_id, entry.quarantined_at, entry.threat_name) for entry in entries] == (
            [(incident["quarantine_id"], incident["quarantined_at"], incident["threat_name"])] if kept else []
        )
        assert [resource.resource_id for resource in resources] == incident["resource_ids"]
        assert [reference.quarantine_ids for reference in references] == [(incident["quarantine_id"],)] * len(resources)
        assert [container.resource_id for container in containers] == incident["resource_ids"]
        assert all(container.container_sha1.upper() == container.resource_id for container in containers)
        assert {resource.sig_seq for resource in resources} <= {incident["sig_seq"]}


def test_the_parsers_find_the_counted_records_and_nothing_damaged(host: Told) -> None:
    for name, file in host.truth["files"].items():
        if name.endswith("client_info.json"):
            continue
        items = list(read(host.folder / name))
        assert not [item for item in items if isinstance(item, Rejected)], name
        parsed = [item for item in items if isinstance(item, Parsed)]
        assert Counter(item.payload.kind for item in parsed) == file["records"], name
        assert {item.integrity.verdict for item in parsed} <= {Verdict.VERIFIED, Verdict.UNVERIFIABLE}
        assert all(isinstance(item.integrity, Integrity) for item in parsed)


def test_the_layouts_are_those_of_two_collectors(case: tuple[Path, dict[str, Any]]) -> None:
    assert (case[0] / "WS-0142/C/Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx").is_file()
    logs = case[0] / "SRV-FILES02/uploads/auto/C%3A/Windows/System32/winevt/Logs"
    assert (logs / "Microsoft-Windows-Windows Defender%254Operational.evtx").is_file()
    assert json.loads((case[0] / "SRV-FILES02/client_info.json").read_bytes())["hostname"] == "SRV-FILES02"


def test_a_grown_log_repeats_its_events_under_new_numbers(tmp_path: Path) -> None:
    events = [Event(event_id=event_id, record_id=5, created_at=UNIX_EPOCH) for event_id in (1116, 1117, 5007)]
    assert write_evtx(tmp_path / "log.evtx", grow(events, 100)) == 100
    read_back = with_evtx(tmp_path / "log.evtx")
    assert [event["record_id"] for event in read_back] == list(range(5, 105))
    assert Counter(event["event_id"] for event in read_back) == {1116: 34, 1117: 33, 5007: 33}
    assert read_back[-1]["created"] - read_back[0]["created"] == 99 * 10_000_000


def test_the_neighbors_of_the_log_stand_where_the_truth_says(case: tuple[Path, dict[str, Any]]) -> None:
    host = Told(case[0], case[1]["hosts"]["SRV-FILES02"])
    for part in ("MPDetection-", "MpCmdRun"):
        path = host.only(".log", part)
        found = [item for item in read(path) if isinstance(item, Parsed)]
        assert Counter(item.payload.kind for item in found) == host.truth["files"][path.relative_to(host.folder).as_posix()]["records"]
        assert all(item.incomplete is None for item in found)
    members = [(one["kind"], one["offset"]) for incident in host.incidents for one in incident["members"]["mpdetection"]]
    notes = [item for item in read(host.only(".log", "MPDetection-")) if isinstance(item, Parsed) and hasattr(item.payload, "threat_name")]
    assert members == [(item.payload.kind, item.offset) for item in notes]
    assert [item.payload.threat_name for item in notes] == [incident["threat_name"] for incident in host.incidents]

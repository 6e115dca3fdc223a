"""What documents say of each event id: sink-contracts 1.2, and formats-logs 2.2 for the ids that it does not name."""

from typing import Any

import orjson
import pytest

from exporter.formats.defender_typing import type_event
from exporter.mapping.ecs import check_document
from exporter.mapping.mapper import Mapper
from exporter.records import Record, Source
from tests.defender_events import DATA

MALWARE = ["malware"], ["info"]
GUARD = ["intrusion_detection"]
PROCESS = ["process"], ["info"]
FAILED = ["package"], ["change", "info"]
UPDATED = ["package"], ["change"]
HKLM = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\"
WANTED: dict[int, tuple[str, list[str], list[str], str | None]] = {
    101: ("defender-state-changed", ["host"], ["info"], None),
    1000: ("scan-started", ["process"], ["start"], None),
    1001: ("scan-finished", ["process"], ["end"], "success"),
    1002: ("scan-stopped", ["process"], ["end"], None),
    1003: ("scan-paused", ["process"], ["start"], None),
    1004: ("scan-resumed", ["process"], ["start"], None),
    1005: ("scan-failed", ["process"], ["end"], "failure"),
    1006: ("malware-detected", *MALWARE, None),
    1007: ("malware-quarantined", *MALWARE, "success"),
    1008: ("malware-action-failed", *MALWARE, "failure"),
    1009: ("quarantine-restored", ["malware", "file"], ["info"], "success"),
    1010: ("quarantine-restore-failed", ["malware", "file"], ["info"], "failure"),
    1011: ("quarantine-deleted", ["malware", "file"], ["info", "deletion"], "success"),
    1012: ("quarantine-delete-failed", ["malware", "file"], ["info", "deletion"], "failure"),
    1013: ("history-deleted", ["malware", "configuration"], ["info", "deletion"], "success"),
    1014: ("history-delete-failed", ["malware", "configuration"], ["info", "deletion"], "failure"),
    1015: ("behavior-detected", ["malware", "intrusion_detection"], ["info"], None),
    1116: ("malware-detected", *MALWARE, "success"),
    1117: ("malware-quarantined", *MALWARE, "success"),
    1118: ("malware-action-failed", *MALWARE, "failure"),
    1119: ("malware-action-failed", *MALWARE, "failure"),
    1120: ("threat-hashes-logged", ["malware", "file"], ["info"], None),
    1121: ("asr-blocked", GUARD, ["denied", "info"], None),
    1122: ("asr-audited", GUARD, ["allowed", "info"], None),
    1123: ("cfa-blocked", [*GUARD, "file"], ["denied", "info"], None),
    1124: ("cfa-audited", [*GUARD, "file"], ["allowed", "info"], None),
    1125: ("network-protection-audited", [*GUARD, "network"], ["allowed", "info"], None),
    1126: ("network-protection-blocked", [*GUARD, "network"], ["denied", "info"], None),
    1127: ("cfa-blocked", [*GUARD, "file"], ["denied", "info"], None),
    1128: ("cfa-audited", [*GUARD, "file"], ["allowed", "info"], None),
    1129: ("asr-user-allowed", GUARD, ["allowed", "info"], None),
    1131: ("dlp-blocked", [*GUARD, "file"], ["denied", "info"], None),
    1132: ("dlp-audited", [*GUARD, "file"], ["allowed", "info"], None),
    1133: ("dlp-blocked", [*GUARD, "file"], ["denied", "info"], None),
    1134: ("dlp-audited", [*GUARD, "file"], ["allowed", "info"], None),
    1150: ("health-reported", ["host"], ["info"], None),
    1151: ("health-reported", ["host"], ["info"], None),
    1160: ("malware-detected", *MALWARE, "success"),
    2000: ("antivirus-updated", *UPDATED, "success"),
    2001: ("antivirus-update-failed", *FAILED, "failure"),
    2002: ("antivirus-updated", *UPDATED, "success"),
    2003: ("antivirus-update-failed", *FAILED, "failure"),
    2004: ("antivirus-update-failed", *FAILED, "failure"),
    2005: ("antivirus-update-failed", *FAILED, "failure"),
    2006: ("antivirus-update-failed", *FAILED, "failure"),
    2007: ("platform-outdated", ["package"], ["info"], None),
    2008: ("platform-update-paused", ["package"], ["info"], None),
    2009: ("platform-update-resumed", ["package"], ["info"], None),
    2010: ("antivirus-updated", *UPDATED, "success"),
    2011: ("cloud-signatures-discarded", ["package"], ["info"], None),
    2012: ("antivirus-update-failed", *FAILED, "failure"),
    2013: ("cloud-signatures-cleared", ["package"], ["info"], None),
    2014: ("platform-updated", *UPDATED, "success"),
    2020: ("clean-file-downloaded", ["file"], ["info"], "success"),
    2021: ("clean-file-download-failed", ["file"], ["info"], "failure"),
    2030: ("offline-scan-scheduled", ["host"], ["info"], "success"),
    2031: ("offline-scan-schedule-failed", ["host"], ["info"], "failure"),
    2040: ("os-support-ending", ["host"], ["info"], None),
    2041: ("os-support-ended", ["host"], ["info"], None),
    2042: ("os-protection-ended", ["host"], ["info"], None),
    2050: ("file-uploaded", ["file"], ["access"], "success"),
    2051: ("file-uploaded", ["file"], ["access"], "failure"),
    3002: ("protection-feature-failed", ["host", "configuration"], ["change"], "failure"),
    3007: ("protection-feature-recovered", ["host", "configuration"], ["change"], "success"),
    5000: ("protection-enabled", ["configuration"], ["change"], "success"),
    5001: ("protection-disabled", ["configuration"], ["change"], "success"),
    5004: ("antivirus-configuration-changed", ["configuration"], ["change"], "success"),
    5007: ("antivirus-configuration-changed", ["configuration"], ["change"], None),
    5008: ("defender-event-5008", *PROCESS, "failure"),
    5009: ("protection-enabled", ["configuration"], ["change"], "success"),
    5010: ("protection-disabled", ["configuration"], ["change"], "success"),
    5011: ("protection-enabled", ["configuration"], ["change"], "success"),
    5012: ("protection-disabled", ["configuration"], ["change"], "success"),
    5013: ("tamper-protection-blocked", ["configuration", "intrusion_detection"], ["denied", "change"], None),
    5100: ("defender-event-5100", *PROCESS, None),
    5101: ("defender-event-5101", *PROCESS, None),
    9999: ("defender-event-9999", *PROCESS, None),
}


def document(mapper: Mapper, event_id: int, **data: str) -> dict[str, Any]:
    values = {**DATA[event_id], **{name.replace("_", " "): text for name, text in data.items()}}
    fields = {"event_id": event_id, "record_id": 1, "channel": "c", "provider_name": "p", "created_at": 133_144_416_260_770_946}
    payload = type_event({**fields, "data": values})
    record = Record(payload=payload, host="H", source=Source("C/x", "case", 1, None), collector="evtx", key=("k",), hash="00")
    made: dict[str, Any] = orjson.loads(mapper.map(record).document())
    return made


def test_the_table_has_every_id() -> None:
    assert WANTED.keys() == DATA.keys()


@pytest.mark.parametrize("event_id", WANTED)
def test_action_category_type_and_outcome_come_from_the_id(mapper: Mapper, event_id: int) -> None:
    made = document(mapper, event_id)
    event = made["event"]
    assert (event["action"], event["category"], event["type"], event.get("outcome")) == WANTED[event_id]
    own = {name: field for name, field in mapper.fields.items() if name.startswith(("defender.", "winlog.", "windows_defender."))}
    assert check_document(made, own) == []


@pytest.mark.parametrize("event_id", DATA)
def test_no_value_of_the_event_is_lost(mapper: Mapper, event_id: int) -> None:
    data = document(mapper, event_id)["winlog"]["event_data"]
    assert data == {name.replace(" ", "_"): text for name, text in DATA[event_id].items() if text}


@pytest.mark.parametrize(
    ("action_id", "code", "action", "outcome"),
    [
        ("1", "0x0", "malware-cleaned", "success"),
        ("3", "0x0", "malware-removed", "success"),
        ("6", "0x0", "malware-allowed", "success"),
        ("10", "0x0", "malware-blocked", "success"),
        ("99", "0x80508023", "malware-action-taken", "failure"),
    ],
)
def test_an_action_is_told_by_its_number_and_error_code_whatever_the_text_says(
    mapper: Mapper, action_id: str, code: str, action: str, outcome: str
) -> None:
    event = document(mapper, 1117, Action_ID=action_id, Action_Name="Quarantine", Error_Code=code)["event"]
    assert (event["action"], event["outcome"]) == (action, outcome)


def test_references_to_the_message_file_are_translated_beside_the_raw_text(mapper: Mapper) -> None:
    made = document(mapper, 3002)
    assert made["winlog"]["event_data"]["Feature_Name"] == "%%886"
    reason = "The system is missing updates that Network Inspection System requires"
    assert made["windows_defender"]["texts"] == {"Feature_Name": "Network Inspection System", "Reason": reason}
    assert made["defender"]["feature"] == {"id": 9, "name": "Network Inspection System", "reason": reason}
    assert "windows_defender" not in document(mapper, 3002, Feature_Name="Netzwerk", Reason="Unbekannt")


def test_a_failure_says_why_and_a_success_does_not(mapper: Mapper) -> None:
    assert document(mapper, 2001)["error"] == {"code": "0x80070005", "message": "Access is denied. "}
    assert "error" not in document(mapper, 2001, Error_Code="0x00000000", Error_Description="The operation completed successfully.")


def test_a_change_of_configuration_keeps_elastic_s_word_and_says_more_below_defender(mapper: Mapper) -> None:
    rule = f"{HKLM}Windows Defender Exploit Guard\\ASR\\Rules\\9e6c4e1f-7d60-472f-ba1a-a39ef669e4b2"
    made = document(mapper, 5007, Old_Value=f"{rule} = 0x1", New_Value=f"{rule} = 0x2")
    assert made["event"]["action"] == "antivirus-configuration-changed"
    assert made["rule"]["id"] == "9E6C4E1F-7D60-472F-BA1A-A39EF669E4B2"
    assert made["rule"]["name"].startswith("Block credential stealing")
    setting = made["defender"]["setting"]
    assert (setting["kind"], setting["mode"], setting["target_type"]) == ("asr-rule-changed", "audit", "asr_rule")
    allowed = document(mapper, 5007, New_Value=f"{HKLM}Threats\\ThreatIDDefaultAction\\2147519003 = 0x6")
    assert allowed["defender"]["threat"] == {"id": 2147519003}
    assert allowed["defender"]["setting"]["kind"] == "threat-default-action-changed"


def test_a_rule_that_nobody_knows_keeps_its_id(mapper: Mapper) -> None:
    made = document(mapper, 1121, ID="{00000000-1111-2222-3333-444444444444}")
    assert made["rule"] == {"ruleset": "Attack surface reduction", "id": "00000000-1111-2222-3333-444444444444"}
    assert "00000000-1111-2222-3333-444444444444" in made["message"]


def test_a_connection_is_told_by_name_or_address(mapper: Mapper) -> None:
    by_name, by_address = document(mapper, 1125), document(mapper, 1126)
    assert by_name["url"] == {"full": "https://malware.example.test:8443/x"}
    assert by_name["destination"] == {"domain": "malware.example.test", "address": "malware.example.test"}
    assert by_address["destination"] == {"ip": "192.0.2.7", "address": "192.0.2.7"}
    assert by_address["related"]["ip"] == ["192.0.2.7"]

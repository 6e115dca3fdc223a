"""Every event id has a family, and the fields that its family is about, by old and new names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats import defender_activity as activity
from exporter.formats.defender_events import ConfigurationChange, DefenderEvent, WindowsEvent
from exporter.formats.defender_fields import CLASSES, FIELDS
from exporter.formats.defender_settings import read_setting, rule_of, threat_of
from exporter.formats.defender_typing import type_event
from exporter.formats.resources import Resource
from exporter.synthetic.mplog import Story, internal_command_line
from exporter.times import from_iso
from tests.defender_events import DATA

IDS = {
    activity.HistoryChange: {1013, 1014},
    activity.ThreatHashes: {1120},
    activity.Scan: {*range(1000, 1006), 2030, 2031},
    activity.AttackSurfaceRule: {1121, 1122, 1129},
    activity.FolderAccess: {1123, 1124, 1127, 1128},
    activity.NetworkProtection: {1125, 1126},
    activity.DataLoss: {1131, 1132, 1133, 1134},
    activity.Health: {101, 1150, 1151},
    activity.Update: {*range(2000, 2010), 2014},
    activity.CloudSignature: {2010, 2011, 2012, 2013},
    activity.FileTransfer: {2020, 2021, 2050, 2051},
    activity.ProtectionFeature: {3002, 3007, 5004},
    activity.ProtectionEnabled: {5000, 5009, 5011},
    activity.TamperProtection: {5013},
    activity.EngineFailure: {5008},
    activity.Expiry: {2040, 2041, 2042, 5100, 5101},
}
DETECTED = from_iso("2026-02-03T04:05:06.123Z")[0]
HKLM = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\"
GUID = "D4F940AB-401B-4EFC-AADC-AD5F3C50688A"


def typed(event_id: int, data: dict[str, str] | None = None) -> Any:
    found = DATA[event_id] if data is None else data
    return type_event({"event_id": event_id, "record_id": 1, "channel": "c", "provider_name": "p", "data": dict(found)})


def fields(event: WindowsEvent) -> dict[str, Any]:
    """The fields of the event's own class that have a value."""
    own = [name for name in event.__struct_fields__ if name not in WindowsEvent.__struct_fields__]
    return {name: value for name in own if (value := getattr(event, name)) not in (None, ())}


def test_every_id_is_of_one_family_and_has_a_sample() -> None:
    for kind, ids in IDS.items():
        assert {event_id for event_id, found in CLASSES.items() if found is kind} == ids
    assert CLASSES.keys() < DATA.keys()
    assert type(typed(9999)) is DefenderEvent


@pytest.mark.parametrize(
    ("event_id", "wanted"),
    [
        (101, {"state_id": 3}),
        (1000, {"scan_id": "831B79B4-9E84-4538-9ED5-8BB6CFFB648D", "scan_type_id": 1, "scan_scope_id": 3, "scan_resources": "C:\\Temp"}),
        (1001, {"scan_id": "831B79B4-9E84-4538-9ED5-8BB6CFFB648D", "scan_type_id": 1, "scan_scope_id": 3, "duration": 3723}),
        (1013, {"removed_entry": "1/2/2026 3:04:05 AM"}),
        (
            1120,
            {
                "path": "file:_C:\\Temp\\eicar.com",
                "resources": (Resource("file", "C:\\Temp\\eicar.com"),),
                "file_path": "C:\\Temp\\eicar.com",
                "hashes": f"SHA1: {'AB' * 20}; SHA256: {'CD' * 32}",
                "sha1": "ab" * 20,
                "sha256": "cd" * 32,
            },
        ),
        (
            1121,
            {
                "rule_id": GUID,
                "detected_at": DETECTED,
                "process_name": "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE",
                "path": "C:\\Windows\\System32\\cmd.exe",
                "target_command_line": "cmd.exe /c whoami",
                "parent_command_line": "WINWORD.EXE /n x.docm",
                "involved_file": "C:\\Temp\\x.docm",
            },
        ),
        (
            1126,
            {
                "rule_id": "01234567-89AB-CDEF-0123-456789ABCDEF",
                "detected_at": DETECTED,
                "process_name": "C:\\Windows\\System32\\curl.exe",
                "destination": "192.0.2.7:443",
            },
        ),
        (
            1133,
            {
                "rule_id": "0A0B0C0D-0000-0000-0000-000000000001",
                "operation": "CopyToRemovableMedia",
                "enforcement": "3",
                "process_name": "C:\\Windows\\explorer.exe",
                "source_path": "C:\\Plans\\secret.docx",
                "target_path": "E:\\secret.docx",
                "actor_sid": "S-1-5-21-1-2-3-1001",
            },
        ),
        (1151, {"product_status": 0x80000, "signature_age": 0, "quick_scan_age": 1}),
        (
            2000,
            {
                "previous_signature_version": "1.447.198.0",
                "previous_engine_version": "1.1.26010.1",
                "signature_type_id": 1,
                "update_type_id": 2,
            },
        ),
        (2014, {"new_platform_version": "4.18.26020.6"}),
        (2050, {"file_path": "C:\\Temp\\sample.exe", "sha256": DATA[2050]["Sha256"].lower()}),
        (2051, {"file_path": "C:\\Temp\\sample.exe"}),
        (3002, {"feature_id": 9, "feature_name": "%%886", "reason": "%%892"}),
        (5004, {"feature_id": 2, "feature_name": "%%835", "configuration": "1"}),
        (5008, {"resource": "C:\\Temp\\bomb.zip", "failure_type_id": 1}),
        (5013, {"changed_type": "Ignored", "setting": f"{HKLM}Real-Time Protection\\DisableRealtimeMonitoring", "new_value": "0x1"}),
        (5100, {"reason": "%%826", "expires": "3/4/2026 5:06:07 AM"}),
    ],
)
def test_the_fields_of_a_family(event_id: int, wanted: dict[str, Any]) -> None:
    assert fields(typed(event_id)) == wanted


def test_a_removal_says_why() -> None:
    assert fields(typed(2011))["removal_reason_id"] == 2


def test_error_codes_are_those_of_the_event_or_of_the_exception() -> None:
    assert (typed(1005).error_code, typed(2051).error_code, typed(5008).error_code) == (0x80070005, 0x80072EE7, 0xC0000005)


def test_behavior_names_its_process_and_target() -> None:
    behavior = typed(1015)
    assert (behavior.actor_pid, behavior.fidelity, behavior.target_file) == (4711, 2, "C:\\Temp\\t.dll")
    assert (behavior.image_hash, behavior.target_hash) == ("0a" * 20, "0b" * 20)


@pytest.mark.parametrize("event_id", [event_id for event_id in DATA if event_id != 9999])
def test_names_without_blanks_and_older_names_give_the_same_event(event_id: int) -> None:
    older = {
        name.replace("ecurity intelligence", "ignature").replace("Signature", "signature"): text for name, text in DATA[event_id].items()
    }
    for data in (older, {name.replace(" ", "").upper(): text for name, text in DATA[event_id].items()}):
        found, wanted = typed(event_id, data), typed(event_id)
        if "Detection ID" not in DATA[event_id]:
            assert fields(found) == fields(wanted)
        assert (found.engine_version, found.signature_version) == (wanted.engine_version, wanted.signature_version)


def test_every_row_of_the_tables_fills_a_field_of_its_class() -> None:
    for kind, table in FIELDS.items():
        assert set(table.values()) <= set(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("old", "new", "kind", "target", "target_type"),
    [
        ("", f"{HKLM}Exclusions\\Paths\\C:\\a = b = 0x0", "exclusion-added", "C:\\a = b", "path"),
        (f"{HKLM}Exclusions\\Paths\\C:\\a = 0x0", "", "exclusion-removed", "C:\\a", "path"),
        (f"{HKLM}Exclusions\\Extensions\\.x = 0x0", f"{HKLM}Exclusions\\Extensions\\.x = 0x1", "exclusion-changed", ".x", "extension"),
        ("N/A\\x = ", f"{HKLM}Exclusions\\Processes\\x.exe = 0x0", "exclusion-added", "x.exe", "process"),
        ("", "HKLM\\S\\Policies\\D\\Exclusions\\IpAddresses\\192.0.2.7 = 0x0", "exclusion-added", "192.0.2.7", "ip_address"),
        ("", f"{HKLM}Exclusions\\TemporaryPaths\\C:\\t = 0x0", "exclusion-added", "C:\\t", "path"),
        ("", f"{HKLM}Exclusions\\Paths\\C:\\Features\\TamperProtection = 0x0", "exclusion-added", "C:\\Features\\TamperProtection", "path"),
        ("Default\\Features\\TamperProtection = 0x0", f"{HKLM}Features\\TamperProtection = 0x1", "tamper-protection-changed", None, None),
        ("", f"{HKLM}Features\\TamperProtectionSource = 0x5", "configuration-changed", None, None),
        ("", f"{HKLM}Threats\\ThreatIDDefaultAction\\2147519003 = 0x6", "threat-default-action-changed", "2147519003", "threat"),
        (f"{HKLM}Windows Defender Exploit Guard\\ASR\\Rules\\{GUID} = 0x1", "", "asr-rule-changed", GUID, "asr_rule"),
        (
            "",
            f"{HKLM}Real-Time Protection\\DisableRealtimeMonitoring = 0x1",
            "real-time-protection-changed",
            "DisableRealtimeMonitoring",
            None,
        ),
        ("", f"{HKLM}Real-Time Protection\\DpaDisabled = 0x0", "configuration-changed", None, None),
        ("", f"{HKLM}Exclusions\\DisableAutoExclusions = 0x1", "configuration-changed", None, None),
        (None, None, "configuration-changed", None, None),
    ],
)
def test_a_change_is_understood_by_its_registry_path(
    old: str | None, new: str | None, kind: str, target: str | None, target_type: str | None
) -> None:
    setting = read_setting(old, new)
    assert (setting.kind, setting.target, setting.target_type) == (kind, target, target_type)


def test_threats_and_rules_of_settings_are_ids() -> None:
    allowed = read_setting("", f"{HKLM}Threats\\ThreatIDDefaultAction\\2147519003 = 0x6")
    switched = read_setting("", f"{HKLM}Windows Defender Exploit Guard\\ASR\\Rules\\{{{GUID.lower()}}} = 0x2")
    assert (threat_of(allowed), rule_of(allowed)) == (2147519003, None)
    assert (threat_of(switched), rule_of(switched)) == (None, GUID)


def test_a_value_that_went_back_to_its_default_is_named_in_full() -> None:
    assert read_setting(f"{HKLM}ServiceStartStates = 0x1", "Default\\ServiceStartStates = 0x0").name == f"{HKLM}ServiceStartStates"


def test_a_change_of_a_rule_has_its_number() -> None:
    change = typed(5007, {"OldValue": "", "NewValue": f"{HKLM}Windows Defender Exploit Guard\\ASR\\Rules\\{GUID} = 0x6"})
    assert isinstance(change, ConfigurationChange)
    assert (change.rule_id, change.new_number, change.threat_id) == (GUID, 6, None)


def test_a_long_value_is_read_as_a_short_one_is() -> None:
    long = "C:\\" + "x" * 5000
    change = typed(5007, {"Old Value": "", "New Value": f"{HKLM}Exclusions\\Paths\\{long} = 0x0"})
    assert (change.setting_kind, change.setting_target, change.new_value) == ("exclusion-added", long, "0x0")


def test_a_coded_command_line_gives_the_signature_and_a_missing_threat_id() -> None:
    story = Story(threat_id=2147519003, threat_name="X", resources=[], detected_at=1, sig_seq=0x0555DC2DDDB0)
    path = f"CmdLine:_cmd /c x; internalCmdLine:_{internal_command_line(story, 'cmd', '/c x')}"
    event = typed(1116, {"Path": path})
    assert (event.sig_seq, event.threat_id) == (0x0555DC2DDDB0, 2147519003)
    assert typed(1116, {"Path": path, "Threat ID": "7"}).threat_id == 7
    assert typed(1116, {"Path": "internalCmdLine:_x"}).sig_seq is None


@given(st.sampled_from([*CLASSES, 9999]), st.dictionaries(st.sampled_from([*{n for d in DATA.values() for n in d}]), st.text(max_size=40)))
def test_any_data_of_any_id_is_typed_and_kept(event_id: int, data: dict[str, str]) -> None:
    before = dict(data)
    assert list(typed(event_id, data).data.items()) == list(before.items())


@given(st.text(), st.text())
def test_any_text_is_a_setting(old: str, new: str) -> None:
    assert read_setting(old, new).kind

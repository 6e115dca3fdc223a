"""Defender events are typed by id, whatever their platform calls the fields."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.defender_events import (
    Action,
    ActionFailed,
    Behavior,
    ConfigurationChange,
    DefenderEvent,
    Detection,
    ProtectionDisabled,
    QuarantineChange,
    ThreatEvent,
    UnwantedApplication,
    WindowsEvent,
)
from exporter.formats.defender_fields import CLASSES
from exporter.formats.defender_paths import split_path
from exporter.formats.defender_settings import split_setting
from exporter.formats.defender_typing import type_event
from exporter.formats.resources import Resource
from exporter.times import from_iso
from tests.evtx_logs import read

D42 = {
    "Product Name": "Microsoft Defender Antivirus",
    "Product Version": "4.18.26030.3011",
    "Detection ID": "{79C5C2FF-764A-4F0D-940E-A6914A52C0F9}",
    "Detection Time": "2026-04-17T04:14:08.003Z",
    "Unused": "",
    "Threat ID": "17463",
    "Threat Name": "Tool:Win32/EICAR_Test_File",
    "Severity ID": "5",
    "Severity Name": "Severe",
    "Category ID": "34",
    "Category Name": "Tool",
    "FWLink": "https://go.microsoft.com/fwlink/?linkid=37020",
    "Status Code": "103",
    "Status Description": "",
    "State": "5",
    "Source ID": "3",
    "Source Name": "%%818",
    "Process Name": "C:\\RedSun.exe",
    "Detection User": "HOST\\user",
    "Path": "containerfile:_C:\\a.zip; file:_C:\\a.zip->b.exe",
    "Origin ID": "1",
    "Execution ID": "1",
    "Type ID": "0",
    "Pre Execution Status": "3",
    "Action ID": "2",
    "Action Name": "%%809",
    "Error Code": "0x80070020",
    "Post Clean Status": "3",
    "Additional Actions ID": "8",
    "Remediation User": "NT AUTHORITY\\SYSTEM",
    "Security intelligence Version": "AV: 1.449.142.0",
    "Engine Version": "AM: 1.1.26030.3008",
}
D28 = {
    "Product Name": "%%827",
    "Product Version": "4.9.10586.0",
    "Detection ID": "{79C5C2FF-764A-4F0D-940E-A6914A52C0F9}",
    "Detection Source Index": "3",
    "Detection Source": "%%818",
    "Process Name": "Unknown",
    "Domain": "HOST",
    "User": "user",
    "SID": "S-1-5-21-1",
    "Threat Name": "Virus:DOS/EICAR_Test_File",
    "Threat ID": "2147519003",
    "Severity ID": "5",
    "Category ID": "42",
    "FWLink": "http://go.microsoft.com/fwlink/?linkid=37020",
    "Path Found": "file:_C:\\eicar.com",
    "Detection Origin Index": "1",
    "Execution Status Index": "1",
    "Detection Type Index": "2",
    "Severity Name": "Severe",
    "Category Name": "Virus",
    "Signature Version": "AV: 1.2.3.4",
    "Engine Version": "AM: 1.1.12805.0",
}


def typed(event_id: int, data: dict[str, str], **fields: Any) -> Any:
    base = {"event_id": event_id, "record_id": 1, "channel": "c", "provider_name": "p", "data": data}
    return type_event({**base, **fields})


@pytest.mark.parametrize(
    ("event_class", "event_ids"),
    [
        (Detection, [1006, 1116]),
        (Behavior, [1015]),
        (Action, [1007, 1117]),
        (ActionFailed, [1008, 1118, 1119]),
        (QuarantineChange, [1009, 1010, 1011, 1012]),
        (UnwantedApplication, [1160]),
        (ConfigurationChange, [5007]),
        (ProtectionDisabled, [5001, 5010, 5012]),
        (DefenderEvent, [0, 1016, 3000, 65535]),
    ],
)
def test_the_id_chooses_the_class(event_class: type[WindowsEvent], event_ids: list[int]) -> None:
    assert {type(typed(event_id, {})) for event_id in event_ids} == {event_class}
    assert event_class.kind.startswith("evtx_")


def test_every_class_of_the_table_has_a_kind_of_its_own() -> None:
    classes = set(CLASSES.values()) | {DefenderEvent}
    assert len({event_class.kind for event_class in classes}) == len(classes)


def test_the_42_fields_of_a_detection() -> None:
    event = typed(1119, D42)
    assert {name: getattr(event, name) for name in ActionFailed.__struct_fields__ if name not in WindowsEvent.__struct_fields__} == {
        "detection_id": "79C5C2FF-764A-4F0D-940E-A6914A52C0F9",
        "detected_at": from_iso("2026-04-17T04:14:08.003Z")[0],
        "threat_id": 17463,
        "threat_name": "Tool:Win32/EICAR_Test_File",
        "severity_id": 5,
        "severity_name": "Severe",
        "category_id": 34,
        "category_name": "Tool",
        "reference": "https://go.microsoft.com/fwlink/?linkid=37020",
        "status_code": 103,
        "state": 5,
        "source_id": 3,
        "source_name": "%%818",
        "process_name": "C:\\RedSun.exe",
        "detection_user": "HOST\\user",
        "remediation_user": "NT AUTHORITY\\SYSTEM",
        "path": "containerfile:_C:\\a.zip; file:_C:\\a.zip->b.exe",
        "resources": (Resource("containerfile", "C:\\a.zip"), Resource("file", "C:\\a.zip->b.exe")),
        "evidence_paths": ("C:\\a.zip", "C:\\a.zip->b.exe"),
        "file_path": "C:\\a.zip->b.exe",
        "origin_id": 1,
        "execution_id": 1,
        "type_id": 0,
        "pre_execution_status": 3,
        "action_id": 2,
        "action_name": "%%809",
        "post_clean_status": 3,
        "additional_actions_id": 8,
        "sig_seq": None,
    }
    assert (event.product_version, event.engine_version, event.signature_version, event.error_code, event.user) == (
        "4.18.26030.3011",
        "AM: 1.1.26030.3008",
        "AV: 1.449.142.0",
        0x80070020,
        None,
    )
    assert list(event.data.items()) == list(D42.items())


def test_the_28_fields_of_older_platforms() -> None:
    event = typed(1006, D28)
    assert (event.threat_id, event.threat_name, event.severity_id, event.category_id) == (2147519003, "Virus:DOS/EICAR_Test_File", 5, 42)
    assert (event.source_id, event.source_name, event.origin_id, event.execution_id, event.type_id) == (3, "%%818", 1, 1, 2)
    assert (event.path, event.file_path) == ("file:_C:\\eicar.com", "C:\\eicar.com")
    assert (event.user, event.signature_version, event.detection_user) == ("HOST\\user", "AV: 1.2.3.4", None)


def test_old_and_new_names_give_the_same_event() -> None:
    older = {name.replace("Security intelligence", "Signature"): value for name, value in D42.items()}
    squeezed = {name.replace(" ", ""): value for name, value in D42.items()}
    for data in (older, squeezed):
        event = typed(1116, data)
        assert (event.signature_version, event.threat_id, event.path) == ("AV: 1.449.142.0", 17463, D42["Path"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("0x80070020", 0x80070020), ("2147942432", 0x80070020), ("-2147024864", 0x80070020), ("0x00000000", 0), ("", None), ("%%1", None)],
)
def test_error_codes_are_unsigned_numbers(text: str, wanted: int | None) -> None:
    assert typed(2001, {"Error Code": text}).error_code == wanted


def test_empty_and_unreadable_values_are_absent() -> None:
    event = typed(1116, dict.fromkeys(D42, ""))
    assert {getattr(event, name) for name in ThreatEvent.__struct_fields__ if name not in WindowsEvent.__struct_fields__} == {None, ()}
    event = typed(1116, dict.fromkeys(D42, "?"))
    assert (event.threat_id, event.detected_at, event.error_code, event.threat_name) == (None, None, None, "?")
    assert event.data == dict.fromkeys(D42, "?")


def test_versions_and_users_of_other_events() -> None:
    health = typed(1150, {"Platform version": "4", "Unused": "", "Engine version": "1", "Security intelligence version": "2"})
    assert (health.product_version, health.engine_version, health.signature_version) == ("4", "1", "2")
    update = typed(
        2000,
        {
            "Previous Engine Version": "0",
            "Current security intelligence Version": "3",
            "Domain": "NT AUTHORITY",
            "User": "SYSTEM",
            "Current Engine Version": "1",
        },
    )
    assert (update.engine_version, update.signature_version, update.user) == ("1", "3", "NT AUTHORITY\\SYSTEM")
    assert typed(2010, {"Domain": "", "User": ""}).user is None


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "wanted"),
        [
            ("file:_C:\\x.exe", [("file", "C:\\x.exe")]),
            (
                "containerfile:_C:\\b.jsp; file:_C:\\b.jsp->(SCRIPT0065)",
                [("containerfile", "C:\\b.jsp"), ("file", "C:\\b.jsp->(SCRIPT0065)")],
            ),
            ("file:_C:\\a; b.exe; file:_C:\\c", [("file", "C:\\a; b.exe"), ("file", "C:\\c")]),
            ("file:_C:\\a; note: b; unknown:_c", [("file", "C:\\a; note: b; unknown:_c")]),
            ("file:_C:\\a; file:b", [("file", "C:\\a; file:b")]),
            ("CmdLine:_C:\\p.exe; x; process:_pid:1,ProcessStart:2", [("CmdLine", "C:\\p.exe; x"), ("process", "pid:1,ProcessStart:2")]),
            ("webfile:_C:\\a|http://x/;y|pid:1", [("webfile", "C:\\a|http://x/;y|pid:1")]),
            ("regkeyvalue:_hklm\\x\\\\y;file:_C:\\z", [("regkeyvalue", "hklm\\x\\\\y"), ("file", "C:\\z")]),
            ("file:C:\\eicar.com;", [("file", "C:\\eicar.com")]),
            ("containerfile:C:\\a.zip;file:C:\\a.zip->x;", [("containerfile", "C:\\a.zip"), ("file", "C:\\a.zip->x")]),
            ("C:\\plain; file:_C:\\x", [("", "C:\\plain; file:_C:\\x")]),
            ("file:_", [("file", "")]),
            ("", []),
            (None, []),
        ],
    )
    def test_only_a_known_scheme_begins_a_resource(self, path: str | None, wanted: list[tuple[str, str]]) -> None:
        assert [(resource.schema, resource.value) for resource in split_path(path)] == wanted

    @given(st.text())
    def test_no_text_of_a_path_is_lost(self, path: str) -> None:
        assert "".join(resource.value for resource in split_path(f"file:_{path}")).count("\\") == path.count("\\")


class TestSettings:
    @pytest.mark.parametrize(
        ("old", "new", "wanted"),
        [
            ("Default\\IsServiceRunning = 0x0", "HKLM\\D\\IsServiceRunning = 0x1", ("HKLM\\D\\IsServiceRunning", "0x0", "0x1")),
            ("N/A\\ProductType = ", "HKLM\\D\\ProductType = 0x2", ("HKLM\\D\\ProductType", "", "0x2")),
            ("HKLM\\D\\Exclusions\\Paths\\C:\\a = 0x0", "", ("HKLM\\D\\Exclusions\\Paths\\C:\\a", "0x0", None)),
            ("", "HKLM\\D\\Exclusions\\Paths\\C:\\a = b\\c = 0x0", ("HKLM\\D\\Exclusions\\Paths\\C:\\a = b\\c", None, "0x0")),
            ("Default\\X = 0x1", "", ("X", "0x1", None)),
            ("", "HKLM\\D\\Text = one = two\r\nthree", ("HKLM\\D\\Text", None, "one = two\r\nthree")),
            ("nothing", None, ("nothing", "nothing"[:0], None)),
            (None, None, (None, None, None)),
        ],
    )
    def test_a_setting_is_named_without_its_prefixes(self, old: str, new: str, wanted: tuple[str, ...]) -> None:
        assert split_setting(old, new) == wanted

    @pytest.mark.real_data
    def test_real_exclusions_are_named(self, shared_data: Path) -> None:
        log = read(shared_data / "evtx" / "exported" / "ID5007-Defender threat exclusion (native).evtx")
        changes = [
            (item.payload.setting.rpartition("\\Exclusions\\")[2], item.payload.old_value, item.payload.new_value) for item in log.parsed
        ]
        assert changes == [
            ("Paths\\C:\\TOOLS\\mimikatz.exe", "0x0", None),
            ("Paths\\C:\\TOOLS\\mimikatz", None, "0x0"),
            ("Processes\\virus.exe", None, "0x0"),
            ("Extensions\\.mimi", None, "0x0"),
        ]


@pytest.mark.real_data
def test_the_threats_of_the_server_are_typed(shared_data: Path) -> None:
    log = read(shared_data / "evtx" / "server2022-aptsimulator" / "Microsoft-Windows-Windows Defender%4Operational.evtx")
    detections = [item.payload for item in log.parsed if isinstance(item.payload, Detection)]
    actions = [item.payload for item in log.parsed if isinstance(item.payload, Action)]
    assert len({event.threat_id for event in detections}) == 5
    assert sorted(event.detection_id for event in detections) == sorted(event.detection_id for event in actions)
    assert {(event.state, event.status_code, event.action_id, event.error_code) for event in detections} == {(1, 1, 9, 0)}
    assert all(event.file_path and event.detected_at and event.severity_id in (4, 5) for event in detections)


@given(st.sampled_from([*CLASSES, 2000]), st.dictionaries(st.sampled_from([*D42, *D28, "Domain", "x"]), st.text(max_size=40), max_size=12))
def test_any_data_is_typed(event_id: int, data: dict[str, str]) -> None:
    before = dict(data)
    assert typed(event_id, data).data == before

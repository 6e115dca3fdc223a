"""Sigma's 18 rules for Defender's log, rebuilt from the facts: id, status, and what is asked of which field.

Names are ours; the rules, by their ids, are SigmaHQ's. `rule` gives one in Sigma's language, for the converters; `tests/sigma_queries.json`
holds what pySigma and Timesketch make of all of them; a test with both says when it is out of date.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

QUERIES = Path(__file__).with_name("sigma_queries.json")
GUARD = r"\Windows Defender\Windows Defender Exploit Guard\Controlled Folder Access"
SYSTEM32 = "C:\\Windows\\System32\\"
_PATIENT = ("atiesrxx.exe", "CompatTelRunner.exe", "msiexec.exe", "nvwmi64.exe", "svchost.exe", "Taskmgr.exe", r"wbem\WmiPrvSE.exe")
_USUAL = (SYSTEM32 + "DriverStore\\", "C:\\WINDOWS\\Installer\\", "C:\\Program Files\\", "C:\\Program Files (x86)\\")
_FOLDERS = (r"\Users\Public", r"\AppData\Local\Temp", r"\Desktop", r"\PerfLogs", r"\Windows\Temp")
_CHANGES = (
    *(r"\Windows Defender\DisableAntiSpyware ", r"\Windows Defender\Scan\DisableRemovableDriveScanning "),
    *(r"\Windows Defender\Scan\DisableScanningMappedNetworkDrivesForFullScan ", r"\Windows Defender\SpyNet\DisableBlockAtFirstSeen "),
    r"\Real-Time Protection\SpyNetReporting ",
)
_BLOCKED = (
    *(r"\Windows Defender\DisableAntiSpyware", r"\Windows Defender\DisableAntiVirus"),
    *(r"\Windows Defender\Scan\DisableArchiveScanning", r"\Windows Defender\Scan\DisableScanningNetworkFiles"),
    *(r"\Real-Time Protection\DisableRealtimeMonitoring", r"\Real-Time Protection\DisableBehaviorMonitoring"),
    *(r"\Real-Time Protection\DisableIOAVProtection", r"\Real-Time Protection\DisableScriptScanning"),
)


class Rule(NamedTuple):
    """`parts` are Sigma's searches: fields with their modifiers to values, all of which must hold."""

    id: str
    status: str
    parts: Mapping[str, Mapping[str, Any]]
    condition: str = "selection"


def _ids(rule: str, status: str, *event_ids: int, **more: Any) -> Rule:
    return Rule(rule, status, {"selection": {"EventID": list(event_ids), **more}})


def _changed(rule: str, *values: str) -> Rule:
    return Rule(rule, "stable", {"selection": {"EventID": 5007, "NewValue|contains": list(values)}})


RULES: Mapping[str, Rule] = {
    "protection off": _ids("fe34868f-6e0e-4882-81f6-c43aa8f15b62", "deprecated", 5001, 5010, 5012, 5101),
    "RedSun": Rule(
        "a7c3e5f2-8b1d-4e9a-b6c2-3d7f5e8a9b4c",
        "experimental",
        {
            "selection_id": {"EventID": 1119, "SourceName": "Real-Time Protection"},
            "selection_any_path": {"Path|endswith": r"\TieringEngineService.exe", "ThreatName|endswith": "EICAR_Test_File"},
            "selection_any_process": {"ProcessName|endswith": r"\RedSun.exe"},
        },
        "selection_id and 1 of selection_any_*",
    ),
    "platform expired": _ids("360a1340-398a-46b6-8d06-99b905dc69d2", "stable", 5101),
    "LSASS opened": Rule(
        "a0a278fe-2c0e-4de2-ac3c-c68b08a9ba98",
        "test",
        {
            "selection": {"EventID": 1121, "Path|endswith": r"\lsass.exe"},
            "filter_scanner": {
                "ProcessName|startswith": "C:\\Windows\\Temp\\asgard2-agent\\",
                "ProcessName|endswith": [r"\thor64.exe", r"\thor.exe"],
            },
            "filter_exact": {"ProcessName": [*(SYSTEM32 + name for name in _PATIENT), r"C:\Windows\SysWOW64\msiexec.exe"]},
            "filter_usual": {"ProcessName|startswith": list(_USUAL)},
        },
        "selection and not 1 of filter_*",
    ),
    "PsExec or WMI blocked": _ids(
        "97b9ce1e-c5ab-11ea-87d0-0242ac130003", "test", 1121, **{"ProcessName|endswith": [r"\wmiprvse.exe", r"\psexesvc.exe"]}
    ),
    "exclusion added": _changed("1321dc4e-a1fe-481d-a016-52c45f0c8b4f", r"\Microsoft\Windows Defender\Exclusions"),
    "folder guard changed": Rule(
        "a3ab73f1-bd46-4319-8f06-4b20d0617886",
        "test",
        {
            "allowed_key": {"EventID": 5007, "NewValue|contains": GUARD + "\\AllowedApplications\\"},
            "allowed_path": {"NewValue|contains": [folder + "\\" for folder in _FOLDERS]},
            "protected": {"EventID": 5007, "OldValue|contains": GUARD + "\\ProtectedFolders\\"},
        },
        "all of allowed* or protected",
    ),
    "samples not sent": _changed("91903aba-1088-42ee-b680-d6d94fe002b0", r"\Real-Time Protection\SubmitSamplesConsent = 0x0"),
    "history deleted": _ids("2afe6582-e149-11ea-87d0-0242ac130003", "test", 1013),
    "antispyware off": _ids("bc275be9-0bec-4d77-8c8f-281a2df6710f", "stable", 5010),
    "AMSI detected": _ids("ea9bf0fa-edec-4fb8-8b78-b119f2528186", "stable", 1116, SourceName="AMSI"),
    "realtime off": _ids("b28e58e4-2a72-4fae-bdee-0fbe904db642", "stable", 5001),
    "feature failed": Rule(
        "dd80db93-6ec2-4f4c-a017-ad40da6ffe81",
        "stable",
        {
            "selection": {"EventID": [3002, 3007]},
            "filter_network_inspection": {"Feature_Name": "%%886", "Reason": ["%%892", "%%858"]},
        },
        "selection and not 1 of filter_*",
    ),
    "quarantine restored": _ids("bc92ca75-cd42-4d61-9a37-9d5aa259c88b", "test", 1009),
    "setting weakened": _changed("801bd44f-ceed-4eb6-887c-11544633c0aa", *_CHANGES),
    "tampering blocked": _ids("49e5bc24-8b86-49f1-b743-535f332c2856", "stable", 5013, **{"Value|endswith": list(_BLOCKED)}),
    "threat detected": _ids("57b649ef-ff42-4fb0-8bf6-62da243a1708", "stable", 1006, 1015, 1116, 1117),
    "antivirus off": _ids("686c0b4b-9dd3-4847-9077-d6c1bbe36fcb", "stable", 5012),
}


def rule(name: str) -> dict[str, Any]:
    """One rule as Sigma's YAML holds it."""
    found = RULES[name]
    return {
        "title": name,
        "id": found.id,
        "status": found.status,
        "description": name,
        "logsource": {"product": "windows", "service": "windefend"},
        "detection": {**found.parts, "condition": found.condition},
        "level": "medium",
    }


def queries(converter: str) -> dict[str, str]:
    """The query of each rule, as `ecs_windows` (pySigma) or `timesketch` made it."""
    made: dict[str, dict[str, str]] = json.loads(QUERIES.read_text(encoding="utf-8"))
    return made[converter]


def rules() -> Sequence[dict[str, Any]]:
    """All of them."""
    return [rule(name) for name in RULES]

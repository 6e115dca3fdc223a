"""The conditions of Sigma's 18 rules for Defender's log as a table, and what they say of a document or a timeline row.

Facts only: titles, fields, operators and values as publicly known; the rules themselves are SigmaHQ's. As in Sigma, case does not count.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

CHANNEL = "Microsoft-Windows-Windows Defender/Operational"
GUARD = r"\Windows Defender\Windows Defender Exploit Guard\Controlled Folder Access"


class Condition(NamedTuple):
    """A field's value is, contains, begins or ends with one of the values; with `negated`, with none."""

    field: str
    operator: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, value: str) -> bool:
        return any(_OPERATORS[self.operator](value.lower(), wanted.lower()) for wanted in self.values) is not self.negated


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "is": str.__eq__,
    "contains": str.__contains__,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


class Rule(NamedTuple):
    """One of the ids, and all tests of one of the alternatives."""

    event_ids: tuple[int, ...]
    alternatives: tuple[tuple[Condition, ...], ...] = ((),)


_REDSUN = Condition("SourceName", "is", ("Real-Time Protection",))
_SYSTEM32 = "C:\\Windows\\System32\\"
_PATIENT = ("atiesrxx.exe", "CompatTelRunner.exe", "msiexec.exe", "nvwmi64.exe", "svchost.exe", "Taskmgr.exe", "wbem\\WmiPrvSE.exe")
_USUAL = (_SYSTEM32 + "DriverStore\\", "C:\\WINDOWS\\Installer\\", "C:\\Program Files\\", "C:\\Program Files (x86)\\")
_FOLDERS = ("\\Users\\Public\\", "\\AppData\\Local\\Temp\\", "\\Desktop\\", "\\PerfLogs\\", "\\Windows\\Temp\\")
_CHANGES = (
    *("\\Windows Defender\\DisableAntiSpyware ", "\\Windows Defender\\Scan\\DisableRemovableDriveScanning "),
    *("\\Windows Defender\\Scan\\DisableScanningMappedNetworkDrivesForFullScan ", "\\Windows Defender\\SpyNet\\DisableBlockAtFirstSeen "),
    "\\Real-Time Protection\\SpyNetReporting ",
)
_BLOCKED = (
    *("\\Windows Defender\\DisableAntiSpyware", "\\Windows Defender\\DisableAntiVirus"),
    *("\\Windows Defender\\Scan\\DisableArchiveScanning", "\\Windows Defender\\Scan\\DisableScanningNetworkFiles"),
    *("\\Real-Time Protection\\DisableRealtimeMonitoring", "\\Real-Time Protection\\DisableBehaviorMonitoring"),
    *("\\Real-Time Protection\\DisableIOAVProtection", "\\Real-Time Protection\\DisableScriptScanning"),
)
RULES: Mapping[str, Rule] = {
    "Windows Defender Threat Detection Disabled": Rule((5001, 5010, 5012, 5101)),
    "RedSun - TieringEngineService.exe Detected as EICAR Test File": Rule(
        (1119,),
        (
            (
                _REDSUN,
                Condition("Path", "endswith", ("\\TieringEngineService.exe",)),
                Condition("ThreatName", "endswith", ("EICAR_Test_File",)),
            ),
            (_REDSUN, Condition("ProcessName", "endswith", ("\\RedSun.exe",))),
        ),
    ),
    "Windows Defender Grace Period Expired": Rule((5101,)),
    "LSASS Access Detected via Attack Surface Reduction": Rule(
        (1121,),
        (
            (
                Condition("Path", "endswith", ("\\lsass.exe",)),
                Condition("ProcessName", "is", (*(_SYSTEM32 + name for name in _PATIENT), "C:\\Windows\\SysWOW64\\msiexec.exe"), True),
                Condition("ProcessName", "startswith", (*_USUAL, "C:\\Windows\\Temp\\asgard2-agent\\"), True),
            ),
        ),
    ),
    "PSExec and WMI Process Creations Block": Rule(
        (1121,), ((Condition("ProcessName", "endswith", ("\\wmiprvse.exe", "\\psexesvc.exe")),),)
    ),
    "Windows Defender Exclusions Added": Rule(
        (5007,), ((Condition("NewValue", "contains", ("\\Microsoft\\Windows Defender\\Exclusions",)),),)
    ),
    "Windows Defender Exploit Guard Tamper": Rule(
        (5007,),
        (
            (Condition("NewValue", "contains", (GUARD + "\\AllowedApplications\\",)), Condition("NewValue", "contains", _FOLDERS)),
            (Condition("OldValue", "contains", (GUARD + "\\ProtectedFolders\\",)),),
        ),
    ),
    "Windows Defender Submit Sample Feature Disabled": Rule(
        (5007,), ((Condition("NewValue", "contains", ("\\Real-Time Protection\\SubmitSamplesConsent = 0x0",)),),)
    ),
    "Windows Defender Malware Detection History Deletion": Rule((1013,)),
    "Windows Defender Malware And PUA Scanning Disabled": Rule((5010,)),
    "Windows Defender AMSI Trigger Detected": Rule((1116,), ((Condition("SourceName", "is", ("AMSI",)),),)),
    "Windows Defender Real-time Protection Disabled": Rule((5001,)),
    "Windows Defender Real-Time Protection Failure/Restart": Rule(
        (3002, 3007), ((Condition("Feature_Name", "is", ("%%886",)), Condition("Reason", "is", ("%%892", "%%858"))),)
    ),
    "Win Defender Restored Quarantine File": Rule((1009,)),
    "Windows Defender Configuration Changes": Rule((5007,), ((Condition("NewValue", "contains", _CHANGES),),)),
    "Microsoft Defender Tamper Protection Trigger": Rule((5013,), ((Condition("Value", "endswith", _BLOCKED),),)),
    "Windows Defender Threat Detected": Rule((1006, 1015, 1116, 1117)),
    "Windows Defender Virus Scanning Feature Disabled": Rule((5012,)),
}
_ALIASES = {"SourceName": "Source_Name", "ThreatName": "Threat_Name", "NewValue": "New_Value", "OldValue": "Old_Value"}
"""As in the index template: what pySigma's `ecs_windows` asks for, and where it is."""


def of_document(document: Mapping[str, Any]) -> frozenset[str]:
    """The titles of the rules that an ECS document matches, by the field names of pySigma's `ecs_windows`."""
    windows = document.get("winlog", {})
    if windows.get("channel") != CHANNEL:
        return frozenset()
    data = windows.get("event_data", {})
    values = {"ProcessName": document.get("process", {}).get("executable", "")}
    return _matches(int(document["event"]["code"]), lambda field: values.get(field, data.get(_ALIASES.get(field, field), "")))


def of_row(row: Mapping[str, Any]) -> frozenset[str]:
    """The titles of the rules that a line for Timesketch matches, by the names of its Sigma configuration."""
    if row["data_type"] != "windows:evtx:record":
        return frozenset()
    return _matches(row["event_identifier"], lambda field: row.get(field, ""))


def _matches(event_id: int, value: Callable[[str], str]) -> frozenset[str]:
    return frozenset(
        title
        for title, rule in RULES.items()
        if event_id in rule.event_ids and any(all(test.holds(value(test.field)) for test in tests) for tests in rule.alternatives)
    )

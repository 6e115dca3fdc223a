"""The 18 Sigma rules for Defender's log as query_string queries with the field names of pySigma's `ecs_windows`, and as Python.

Titles, ids and fields are Sigma's; the conditions are told in one row each, from which query and predicate are made.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

CHANNEL = "Microsoft-Windows-Windows Defender/Operational"
FIELDS = {"ProcessName": "process.executable.caseless"}
"""Sigma's name to the query's; every other stands below winlog.event_data as it is."""
RAW = {
    "ProcessName": "Process_Name",
    "SourceName": "Source_Name",
    "ThreatName": "Threat_Name",
    "NewValue": "New_Value",
    "OldValue": "Old_Value",
}


class Rule(NamedTuple):
    """`where` is field to patterns with `*`: every field must match one of its patterns."""

    title: str
    event_ids: Sequence[int]
    where: Mapping[str, Sequence[str]] = {}

    @property
    def query(self) -> str:
        """The rule as Lucene."""
        ids = " OR ".join(f"event.code:{number}" for number in self.event_ids)
        tests = (" OR ".join(f"{_name(field)}:{_lucene(field, text)}" for text in texts) for field, texts in self.where.items())
        return " AND ".join([f'winlog.channel:"{CHANNEL}"', f"({ids})", *(f"({test})" for test in tests)])

    def matches(self, document: Mapping[str, Any]) -> bool:
        """The rule as Python, on the document as it was exported."""
        windows = document.get("winlog", {})
        if windows.get("channel") != CHANNEL or int(document["event"].get("code", 0)) not in self.event_ids:
            return False
        data = windows.get("event_data", {})
        return all(any(_like(field, text, data.get(RAW.get(field, field), "")) for text in texts) for field, texts in self.where.items())


def _name(field: str) -> str:
    return FIELDS.get(field, f"winlog.event_data.{field}")


def _lucene(field: str, pattern: str) -> str:
    text = pattern.lower() if field in FIELDS else pattern
    return re.sub(r'([\\+\-=&|><!(){}\[\]^"~:/ ?])', r"\\\1", text)


def _like(field: str, pattern: str, value: str) -> bool:
    flags = re.DOTALL | (re.IGNORECASE if field in FIELDS else 0)
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, flags) is not None


GUARD = r"*\Windows Defender\Windows Defender Exploit Guard\Controlled Folder Access"
CHANGES = [
    r"*\Windows Defender\DisableAntiSpyware*",
    r"*\Windows Defender\Scan\*",
    r"*\Real-Time Protection\*",
    r"*\Windows Defender\SpyNet\*",
]
RULES = (
    Rule("Windows Defender Threat Detection Disabled", (5001, 5010, 5012, 5101)),
    Rule(
        "RedSun - TieringEngineService.exe Detected as EICAR Test File",
        (1119,),
        {
            "SourceName": ["Real-Time Protection"],
            "Path": [r"*\TieringEngineService.exe"],
            "ThreatName": ["*EICAR*"],
            "ProcessName": [r"*\REDSUN.EXE"],
        },
    ),
    Rule("Windows Defender Grace Period Expired", (5101,)),
    Rule("LSASS Access Detected via Attack Surface Reduction", (1121,), {"Path": [r"*\lsass.exe"], "ProcessName": ["*.exe"]}),
    Rule("PSExec and WMI Process Creations Block", (1121,), {"ProcessName": [r"*\wmiprvse.exe", r"*\psexesvc.exe"]}),
    Rule("Windows Defender Exclusions Added", (5007,), {"NewValue": [r"*\Microsoft\Windows Defender\Exclusions*"]}),
    Rule(
        "Windows Defender Exploit Guard Tamper",
        (5007,),
        {"NewValue": [rf"{GUARD}\EnableControlledFolderAccess = 0x0*"], "OldValue": [rf"{GUARD}\EnableControlledFolderAccess = 0x1*"]},
    ),
    Rule("Windows Defender Submit Sample Feature Disabled", (5007,), {"NewValue": [r"*\SubmitSamplesConsent = 0x0*"]}),
    Rule("Windows Defender Malware Detection History Deletion", (1013,)),
    Rule("Windows Defender Malware And PUA Scanning Disabled", (5010,)),
    Rule("Windows Defender AMSI Trigger Detected", (1116,), {"SourceName": ["AMSI"]}),
    Rule("Windows Defender Real-time Protection Disabled", (5001,)),
    Rule("Windows Defender Real-Time Protection Failure/Restart", (3002, 3007), {"Feature_Name": ["%%886"], "Reason": ["%%892", "%%858"]}),
    Rule("Win Defender Restored Quarantine File", (1009,)),
    Rule("Windows Defender Configuration Changes", (5007,), {"NewValue": CHANGES}),
    Rule("Microsoft Defender Tamper Protection Trigger", (5013,), {"Value": [r"*\Windows Defender\DisableAntiSpyware", r"*Monitoring*"]}),
    Rule("Windows Defender Threat Detected", (1006, 1015, 1116, 1117)),
    Rule("Windows Defender Virus Scanning Feature Disabled", (5012,)),
)
MADE: Sequence[tuple[int, Mapping[str, str]]] = (
    (5010, {}),
    (5012, {}),
    (5101, {}),
    (1121, {"Path": r"C:\Windows\System32\lsass.exe", "Process Name": r"C:\Tools\Dump.exe"}),
    (1121, {"Path": r"C:\x.exe", "Process Name": r"C:\Windows\System32\wbem\WmiPrvSE.exe"}),
    (3002, {"Feature Name": "%%886", "Reason": "%%892"}),
    (5013, {"Value": r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\DisableAntiSpyware"}),
    (1116, {"Source Name": "AMSI"}),
    (
        5007,
        {
            "Old Value": rf"HKLM{GUARD[1:]}\EnableControlledFolderAccess = 0x1",
            "New Value": rf"HKLM{GUARD[1:]}\EnableControlledFolderAccess = 0x0",
        },
    ),
)
"""Events that our samples lack, so that every rule has something to find."""

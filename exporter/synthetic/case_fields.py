"""The fields that Defender gives each event id of the case, and their values on an ordinary day.

Field names and levels as in the provider's manifest, with the blanks that real logs have (samples of Windows 10 and Server 2022).
"""

from collections.abc import Mapping, Sequence

_PRODUCT = "Product Name|Product Version|"
_SCAN = _PRODUCT + "Scan ID|Scan Type Index|Scan Type|Scan Parameters Index|Scan Parameters|Domain|User|SID"
_CLOUD = (
    _PRODUCT + "Current security intelligence Version|Unused|Unused2|Unused3|Unused4|Domain|User|SID|Security intelligence Type Index|"
    "Security intelligence Type|Unused5|Unused6|Current Engine Version|Unused7|Unused8|Unused9|Unused10|Unused11|Unused12|"
    "Dynamic security intelligence Type Index|Dynamic security intelligence Type|Persistence Path|Dynamic security intelligence Version|"
    "Dynamic security intelligence Compilation Timestamp|Persistence Limit Type Index|Persistence Limit Type|Persistence Limit Value"
)
_HEALTH = (
    "Product Name|Platform version|Unused|Engine version|NRI engine version|AV security intelligence version|"
    "AS security intelligence version|NRI security intelligence version|RTP state|OA state|IOAV state|BM state|"
    "Last AV security intelligence age|Last AS security intelligence age|Last quick scan age|Last full scan age|"
    "AV security intelligence creation time|AS security intelligence creation time|Last quick scan start time|Last quick scan end time|"
    "Last quick scan source|Last full scan start time|Last full scan end time|Last full scan source|Product status"
)
_RESTORED = (
    _PRODUCT + "Unused|Unused2|Unused3|Unused4|Unused5|Domain|User|SID|Threat Name|Threat ID|Severity ID|Category ID|FWLink|Path|Unused6|"
    "Unused7|Unused8|Unused9|Unused10|Unused11|Unused12|Unused13|Severity Name|Category Name|Security intelligence Version|Engine Version"
)
_DETECTION = (
    _PRODUCT + "Detection ID|Detection Time|Unused|Unused2|Threat ID|Threat Name|Severity ID|Severity Name|Category ID|Category Name|"
    "FWLink|Status Code|Status Description|State|Source ID|Source Name|Process Name|Detection User|Unused3|Path|Origin ID|Origin Name|"
    "Execution ID|Execution Name|Type ID|Type Name|Pre Execution Status|Action ID|Action Name|Unused4|Error Code|Error Description|"
    "Unused5|Post Clean Status|Additional Actions ID|Additional Actions String|Remediation User|Unused6|"
    "Security intelligence Version|Engine Version"
)
FIELDS: Mapping[int, tuple[int, str]] = {
    1000: (4, _SCAN + "|Scan Resources"),
    1001: (4, _SCAN + "|Scan Time Hours|Scan Time Minutes|Scan Time Seconds"),
    1009: (4, _RESTORED),
    1013: (4, _PRODUCT + "Timestamp|Unused|Unused2|Unused3|Unused4|Domain|User|SID"),
    1116: (3, _DETECTION),
    1117: (4, _DETECTION),
    1118: (4, _DETECTION),
    1119: (2, _DETECTION),
    1150: (4, "Product Name|Platform version|Unused|Engine version|Security intelligence version"),
    1151: (4, _HEALTH),
    2000: (
        4,
        _PRODUCT + "Current security intelligence Version|Previous security intelligence Version|Unused|Unused2|Unused3|Domain|User|SID|"
        "Security intelligence Type Index|Security intelligence Type|Update Type Index|Update Type|Current Engine Version|"
        "Previous Engine Version",
    ),
    2010: (4, _CLOUD),
    5000: (4, _PRODUCT.rstrip("|")),
    5001: (4, _PRODUCT.rstrip("|")),
    5007: (4, _PRODUCT + "Old Value|New Value"),
}
"""Level and field names of each event id."""
KINDS = {
    1009: "evtx_quarantine_change",
    1116: "evtx_detection",
    1117: "evtx_action",
    1118: "evtx_action_failed",
    1119: "evtx_action_failed",
}
KINDS |= {5000: "evtx_protection_enabled", 5001: "evtx_protection_disabled", 5007: "evtx_configuration_change"}
KINDS |= {1000: "evtx_scan", 1001: "evtx_scan", 1013: "evtx_history_change", 1150: "evtx_health", 1151: "evtx_health"}
KINDS |= {2000: "evtx_update", 2010: "evtx_cloud_signature"}
"""Record kinds of ids that are not `evtx_event`."""
_ENGINE, _SIGNATURES, _PLATFORM = "1.1.26020.3", "1.447.215.0", "4.18.26020.6"
_EVERYDAY = dict(
    pair.split("=", 1)
    for pair in f"""\
Product Name=Microsoft Defender Antivirus
Product Version={_PLATFORM}
Platform version={_PLATFORM}
Engine version={_ENGINE}
NRI engine version={_ENGINE}
Current Engine Version={_ENGINE}
Previous Engine Version={_ENGINE}
Security intelligence version={_SIGNATURES}
AV security intelligence version={_SIGNATURES}
AS security intelligence version={_SIGNATURES}
NRI security intelligence version={_SIGNATURES}
Current security intelligence Version={_SIGNATURES}
Previous security intelligence Version=1.447.198.0
Security intelligence Version=AV: {_SIGNATURES}, AS: {_SIGNATURES}, NIS: {_SIGNATURES}
Engine Version=AM: {_ENGINE}, NIS: {_ENGINE}
Scan Type Index=1
Scan Type=Antimalware
Scan Parameters Index=1
Scan Parameters=Quick Scan
Scan Time Hours=0
Scan Time Minutes=02
Scan Time Seconds=26
Domain=NT AUTHORITY
User=SYSTEM
SID=S-1-5-18
Security intelligence Type Index=1
Security intelligence Type=AntiVirus
Update Type Index=2
Update Type=Delta
Dynamic security intelligence Type Index=1
Dynamic security intelligence Type=Security intelligence update
Persistence Path=C:\\ProgramData\\Microsoft\\Windows Defender\\Scans\\RtSigs\\data\\d21888723c5a20ccaec13cb435cd79bd06355c16
Dynamic security intelligence Version=0.0.0.0
Dynamic security intelligence Compilation Timestamp=3/26/2026 8:11:13 PM
Persistence Limit Type Index=2
Persistence Limit Type=Duration
Persistence Limit Value=864000000
RTP state=Enabled
OA state=Enabled
IOAV state=Enabled
BM state=Enabled
Last AV security intelligence age=0
Last AS security intelligence age=0
Last quick scan age=1
Last full scan age=4294967295
AV security intelligence creation time=3/26/2026 5:12:58 AM
AS security intelligence creation time=3/26/2026 5:12:58 AM
Last quick scan start time=3/26/2026 12:01:14 PM
Last quick scan end time=3/26/2026 12:03:40 PM
Last quick scan source=2
Last full scan start time=1/1/1601 12:00:00 AM
Last full scan end time=1/1/1601 12:00:00 AM
Last full scan source=0
Product status=0x00080000
Type ID=0
Type Name=Concrete
Pre Execution Status=0
Post Clean Status=0
Additional Actions ID=0
Additional Actions String=No additional actions required""".splitlines()
)
_INSTALLED = {
    "Old Value": "Default\\InstallLocation = C:\\Program Files\\Windows Defender",
    "New Value": "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\InstallLocation = C:\\Program Files\\Windows Defender\\",
}
ROUTINE: Sequence[tuple[int, int, Mapping[str, str]]] = (
    (1, 5007, _INSTALLED),
    *((minutes, event_id, {}) for minutes, event_id in ((2, 2010), (3, 1150), (3, 1151), (21, 2000), (22, 2010), (55, 1000), (57, 1001))),
    *((minutes, event_id, {}) for minutes, event_id in ((63, 1150), (63, 1151), (82, 2010), (140, 2010), (201, 2010))),
)
"""Minutes after a session's start, and the event of every day that comes then."""
_PARAMETERS = {
    "Microsoft Defender Antivirus": "%%827",
    "Real-Time Protection": "%%818",
    "System": "%%820",
    "Local machine": "%%845",
    "Suspended": "%%813",
    "Unknown": "%%812",
    "Concrete": "%%822",
    "Quarantine": "%%809",
    "Remove": "%%808",
    "Not Applicable": "%%887",
    "AntiVirus": "%%800",
    "Delta": "%%804",
    "Quick Scan": "%%806",
    "Antimalware": "%%802",
    "Enabled": "%%901",
    "Duration": "%%870",
}
"""Texts that an old platform leaves to be looked up in MpEvMsg.dll (formats-logs.md 2.4)."""
_LOOKED_UP = {"Product Name", "Source Name", "Origin Name", "Execution Name", "Type Name", "Action Name", "Scan Type", "Scan Parameters"}
_LOOKED_UP |= {"Security intelligence Type", "Update Type", "Persistence Limit Type", "RTP state", "OA state", "IOAV state", "BM state"}
"""The fields in which they stand so: `Unknown` as a process name is a text."""


def fill(event_id: int, values: Mapping[str, str], old_platform: bool = False) -> dict[str, str]:
    """All fields of an event id: these values, everyday's for the others, else empty."""
    names = FIELDS[event_id][1].split("|")
    data = {name: values.get(name, _EVERYDAY.get(name, "")) for name in names}
    if not old_platform:
        return data
    return {_old_name(name): _PARAMETERS.get(text, text) if name in _LOOKED_UP else text for name, text in data.items()}


def _old_name(name: str) -> str:
    """How a field was called before `Signature` became `Security intelligence`."""
    name = name.replace("Security intelligence", "Signature").replace("security intelligence Version", "Signature Version")
    return name.replace("security intelligence", "signature")

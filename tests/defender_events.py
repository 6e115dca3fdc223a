"""An event of every id that Defender writes, as a current platform names its fields; the values are made up."""

from collections.abc import Mapping

from exporter.synthetic.case_fields import fill
from exporter.synthetic.evtx import Event
from exporter.times import TICKS_PER_SECOND, from_iso

MOMENT = from_iso("2026-02-03T04:05:06.1234567Z")[0]
_PRODUCT = {"Product Name": "Microsoft Defender Antivirus", "Product Version": "4.18.26010.5"}
_USER = {"Domain": "LAB", "User": "ana", "SID": "S-1-5-21-1-2-3-1001"}
_ERROR = {"Error Code": "0x80070005", "Error Description": "Access is denied. "}
_VERSIONS = {"Security intelligence Version": "1.447.215.0", "Engine Version": "1.1.26020.3"}
_SCAN = {
    "Scan ID": "{831B79B4-9E84-4538-9ED5-8BB6CFFB648D}",
    "Scan Type Index": "1",
    "Scan Type": "%%802",
    "Scan Parameters Index": "3",
    "Scan Parameters": "%%807",
    **_USER,
}
_FOUND = {
    "Detection ID": "{C0A8F3B1-1D2E-4F60-8A7B-9C0D1E2F3A4B}",
    "Threat ID": "2147519003",
    "Threat Name": "Virus:DOS/EICAR_Test_File",
    "Severity ID": "5",
    "Severity Name": "Severe",
    "Category ID": "42",
    "Category Name": "Virus",
}
_OLD = {**_FOUND, **_USER, "Path": "file:_C:\\Temp\\eicar.com", **_VERSIONS}
_NEW = {
    **_FOUND,
    "Detection Time": "2026-02-03T04:05:06.123Z",
    "Status Code": "1",
    "State": "1",
    "Source ID": "3",
    "Source Name": "%%818",
    "Process Name": "C:\\Windows\\explorer.exe",
    "Detection User": "LAB\\ana",
    "Path": "containerfile:_C:\\Temp\\a.zip; file:_C:\\Temp\\a.zip->eicar.com",
    "Action ID": "9",
    "Action Name": "%%887",
    "Error Code": "0x00000000",
    "Error Description": "The operation completed successfully. ",
}
_GUARDED = {
    "Unused": "",
    "ID": "D4F940AB-401B-4EFC-AADC-AD5F3C50688A",
    "Detection Time": "2026-02-03T04:05:06.123Z",
    "User": "LAB\\ana",
    "Path": "C:\\Windows\\System32\\cmd.exe",
    "Process Name": "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE",
    **_VERSIONS,
}
_RULE = {
    **_GUARDED,
    "RuleType": "ENT\\ConsR",
    "Target Commandline": "cmd.exe /c whoami",
    "Parent Commandline": "WINWORD.EXE /n x.docm",
    "Involved File": "C:\\Temp\\x.docm",
    "Inhertiance Flags": "0x00000000",
}
_NETWORK = {
    "ID": "01234567-89AB-CDEF-0123-456789ABCDEF",
    "Detection Time": "2026-02-03T04:05:06.123Z",
    "User": "LAB\\ana",
    "Destination": "https://malware.example.test:8443/x",
    "Process Name": "C:\\Windows\\System32\\curl.exe",
}
_DLP = {
    "Policy Version": "1.0",
    "Policy Rule Id": "{0A0B0C0D-0000-0000-0000-000000000001}",
    "Enforcement Level": "3",
    "Audit Reason": "0",
    "Event Timestamp": "2026-02-03T04:05:06.123Z",
    "Action Type": "CopyToRemovableMedia",
    "Process": "C:\\Windows\\explorer.exe",
    "Source": "C:\\Plans\\secret.docx",
    "Target": "E:\\secret.docx",
    "Session Id": "1",
    "User Sid": "S-1-5-21-1-2-3-1001",
}
_UPDATE = {
    "Current security intelligence Version": "1.447.215.0",
    "Previous security intelligence Version": "1.447.198.0",
    **_USER,
    "Security intelligence Type Index": "1",
    "Security intelligence Type": "%%800",
    "Update Type Index": "2",
    "Update Type": "%%804",
    "Current Engine Version": "1.1.26020.3",
    "Previous Engine Version": "1.1.26010.1",
}
_STATE = {"Update State Index": "2", "Update State": "%%812"}
_ENGINES = {"Current Engine Version": "1.1.26020.3", "Previous Engine Version": "1.1.26010.1", **_USER}
_CLOUD = {
    "Current security intelligence Version": "1.447.215.0",
    "Current Engine Version": "1.1.26020.3",
    **_USER,
    "Dynamic security intelligence Type Index": "1",
    "Dynamic security intelligence Type": "%%863",
    "Persistence Path": "C:\\ProgramData\\Microsoft\\Windows Defender\\Scans\\RtSigs\\data\\d218",
    "Persistence Limit Type": "%%870",
    "Dynamic security intelligence Version": "0.0.0.0",
    "Dynamic security intelligence Compilation Timestamp": "2/3/2026 4:01:13 AM",
}
_SAMPLE = {
    "Filename": "C:\\Temp\\sample.exe",
    "Sha256": "275A021BBFB6489E54D471899F7DB9D1663FC695EC2FE2A2C4538AABF651FD0F",
}
_FEATURE = {"Feature Name": "%%886", "Reason": "%%892", "Feature ID": "9"}
_HKLM = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\"
DATA: Mapping[int, Mapping[str, str]] = {
    101: {"hc_stateid": "3"},
    1000: {**_PRODUCT, **_SCAN, "Scan Resources": "C:\\Temp"},
    1001: {**_PRODUCT, **_SCAN, "Scan Time Hours": "1", "Scan Time Minutes": "02", "Scan Time Seconds": "03"},
    1002: {**_PRODUCT, **_SCAN},
    1003: {**_PRODUCT, **_SCAN},
    1004: {**_PRODUCT, **_SCAN},
    1005: {**_PRODUCT, **_SCAN, **_ERROR},
    1006: {**_PRODUCT, **_OLD, "Detection Source Index": "3", "Detection Source": "%%818", "Process Name": "%%812"},
    1007: {**_PRODUCT, **_OLD, "Status Code": "3", "Cleaning Action Index": "2", "Cleaning Action": "%%809"},
    1008: {**_PRODUCT, **_OLD, "Status Code": "102", "Cleaning Action Index": "2", "Cleaning Action": "%%809", **_ERROR},
    1009: {**_PRODUCT, **_OLD},
    1010: {**_PRODUCT, **_OLD, **_ERROR},
    1011: {**_PRODUCT, **_OLD},
    1012: {**_PRODUCT, **_OLD, **_ERROR},
    1013: {**_PRODUCT, "Timestamp": "1/2/2026 3:04:05 AM", **_USER},
    1014: {**_PRODUCT, "Timestamp": "1/2/2026 3:04:05 AM", **_ERROR, **_USER},
    1015: {
        **_PRODUCT,
        **_OLD,
        "Detection Source Index": "2",
        "Process Name": "C:\\Temp\\tool.exe",
        "Process ID": "4711",
        "Fidelity Value": "2",
        "Fidelity Label": "Medium",
        "Image File Hash": "0a" * 20,
        "Target File Name": "C:\\Temp\\t.dll",
        "Target File Hash": "0b" * 20,
    },
    1116: fill(1116, _NEW),
    1117: fill(1117, {**_NEW, "Status Code": "3", "State": "2", "Action ID": "2", "Action Name": "%%809"}),
    1118: fill(1118, {**_NEW, "Status Code": "103", "State": "4", "Action ID": "3", "Action Name": "%%808", **_ERROR}),
    1119: fill(1119, {**_NEW, "Status Code": "102", "State": "5", "Action ID": "2", "Action Name": "%%809", **_ERROR}),
    1120: {**_PRODUCT, "Threat resource path": "file:_C:\\Temp\\eicar.com", "Hashes": f"SHA1: {'AB' * 20}; SHA256: {'CD' * 32}"},
    1121: {**_PRODUCT, **_RULE},
    1122: {**_PRODUCT, **_RULE, "ID": "{d1e49aac-8f56-4280-b9ba-993a6d77406c}"},
    1123: {**_PRODUCT, **_GUARDED, "Path": "%userprofile%\\Documents\\plan.docx"},
    1124: {**_PRODUCT, **_GUARDED, "Path": "C:\\Users\\ana\\Documents\\plan.docx"},
    1125: {**_PRODUCT, **_NETWORK},
    1126: {**_PRODUCT, **_NETWORK, "Destination": "192.0.2.7:443"},
    1127: {**_PRODUCT, **_GUARDED, "Path": "\\Device\\Harddisk0\\DR0"},
    1128: {**_PRODUCT, **_GUARDED, "Path": "\\Device\\Harddisk0\\DR0"},
    1129: {**_PRODUCT, **_RULE},
    1131: {"ID": "{0A0B0C0D-0000-0000-0000-000000000002}", "State": "Block", "Action": "Print", "Process": "C:\\x.exe", "Source": "C:\\s"},
    1132: {"ID": "{0A0B0C0D-0000-0000-0000-000000000002}", "State": "Audit", "Action": "Print", "Process": "C:\\x.exe", "Source": "C:\\s"},
    1133: {**_PRODUCT, **_DLP},
    1134: {**_PRODUCT, **_DLP},
    1150: fill(1150, {}),
    1151: fill(1151, {}),
    1160: fill(1116, {**_NEW, "Threat ID": "236126", "Threat Name": "PUA:Win32/uTorrent", "Category ID": "27"}),
    2000: {**_PRODUCT, **_UPDATE},
    2001: {**_PRODUCT, **_UPDATE, "Update Source Index": "5", "Update Source": "%%817", **_ERROR, **_STATE, "Source Path": "http://x.test"},
    2002: {**_PRODUCT, **_ENGINES, "Feature Index": "0", "Feature Name": "%%802"},
    2003: {**_PRODUCT, **_ENGINES, **_ERROR, **_STATE},
    2004: {
        **_PRODUCT,
        "Security intelligence Attempted Index": "2",
        "Security intelligence Attempted": "%%825",
        **_ERROR,
        "Loading security intelligence version": "1.447.215.0",
        "Loading engine version": "1.1.26020.3",
    },
    2005: _PRODUCT,
    2006: {**_PRODUCT, **_ERROR},
    2007: _PRODUCT,
    2008: _PRODUCT,
    2009: _PRODUCT,
    2010: {**_PRODUCT, **_CLOUD},
    2011: {**_PRODUCT, **_CLOUD, "Removal Reason Index": "2", "Removal Reason Value": "Automatic"},
    2012: {**_PRODUCT, **_CLOUD, **_ERROR},
    2013: {**_PRODUCT, "Current security intelligence Version": "1.447.215.0", **_USER},
    2014: {**_PRODUCT, "New Platform Version": "4.18.26020.6"},
    2020: {**_PRODUCT, "Filename": "C:\\Windows\\System32\\x.dll"},
    2021: {**_PRODUCT, "Filename": "C:\\Windows\\System32\\x.dll", **_ERROR},
    2030: _PRODUCT,
    2031: {**_PRODUCT, **_ERROR},
    2040: {"Product Name": "Microsoft Defender Antivirus"},
    2041: {"Product Name": "Microsoft Defender Antivirus"},
    2042: {"Product Name": "Microsoft Defender Antivirus"},
    2050: {**_PRODUCT, **_SAMPLE},
    2051: {**_PRODUCT, **_SAMPLE, "Sha256": "", "Error Code": "0x80072ee7"},
    3002: {**_PRODUCT, **_FEATURE, **_ERROR},
    3007: {**_PRODUCT, **_FEATURE, "Reason": "%%858"},
    5000: _PRODUCT,
    5001: _PRODUCT,
    5004: {**_PRODUCT, "Feature Name": "%%835", "Configuration": "1", "Feature ID": "2"},
    5007: {**_PRODUCT, "Old Value": "", "New Value": f"{_HKLM}Exclusions\\Paths\\C:\\Temp = 0x0"},
    5008: {
        **_PRODUCT,
        "Resource": "C:\\Temp\\bomb.zip",
        "Failure Type Index": "1",
        "Failure Type": "%%830",
        "Exception Code": "0xc0000005",
    },
    5009: _PRODUCT,
    5010: _PRODUCT,
    5011: _PRODUCT,
    5012: _PRODUCT,
    5013: {**_PRODUCT, "Changed Type": "Ignored", "Value": f"{_HKLM}Real-Time Protection\\DisableRealtimeMonitoring = 0x1"},
    5100: {**_PRODUCT, "Expiration Reason": "%%826", "Expiration Date": "3/4/2026 5:06:07 AM"},
    5101: {**_PRODUCT, "Expiration Reason": "%%826", **_ERROR},
    9999: {**_PRODUCT, "Something": "new"},
}


def event(event_id: int, record_id: int = 1, data: Mapping[str, str] | None = None, **values: object) -> Event:
    """The event of an id, with other data where they are given."""
    found = DATA[event_id] if data is None else data
    made = {"created_at": MOMENT + record_id * TICKS_PER_SECOND, "data": found, **values}
    return Event(event_id=event_id, record_id=record_id, **made)


def every_event() -> list[Event]:
    """One event of every id, in the order of the ids."""
    return [event(event_id, number) for number, event_id in enumerate(DATA, 1)]


def side_events() -> list[Event]:
    """Events of other providers that tell about Defender, and of the same ids that do not."""
    manager = {"channel": "System", "provider": "Service Control Manager", "provider_guid": "555908D1-A6D7-4695-8E1E-26931D2012F4"}
    security = {"channel": "Security", "provider": "Microsoft-Windows-Security-Auditing", "keywords": 0x8020_0000_0000_0000}
    security["provider_guid"] = "54849625-5478-4994-A5BA-3E3B0328C30D"
    legacy = {"channel": "System", "provider": "Microsoft Antimalware", "provider_guid": None, "named": False}
    display = "Microsoft Defender Antivirus-Dienst"
    image = "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.26010.5-0\\MsMpEng.exe"
    new = {"ServiceName": "WinDefend", "ImagePath": image, "ServiceType": "user mode service", "StartType": "auto start"}
    types = {"param1": display, "param2": "Automatisch starten", "param3": "Deaktiviert", "param4": "WinDefend"}
    return [
        event(7036, 1, {"param1": display, "param2": "beendet"}, binary="WinDefend/1".encode("utf-16-le"), **manager),
        event(7036, 2, {"param1": "Print Spooler", "param2": "running"}, binary="Spooler/4".encode("utf-16-le"), **manager),
        event(7040, 3, types, user_sid="S-1-5-21-1-2-3-1001", **manager),
        event(7045, 4, {**new, "AccountName": "LocalSystem"}, **manager),
        event(7045, 5, {**new, "ServiceName": "Other"}, **manager),
        event(5460, 6, {"Policy": "VelociraptorQuarantine"}, **security),
        event(5461, 7, {"Policy": "x"}, **security),
        event(1116, 8, **legacy),
        event(5007, 9, **legacy),
        event(2000, 10, {"Product Name": "Microsoft Antimalware", "Product Version": "4.10"}, **legacy),
    ]

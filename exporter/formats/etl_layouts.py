"""Providers of Defender and the layouts of those of their events that become records.

Names and types are those of the public manifests (repository jdu2600/Windows10EtwEvents: Service and RTP of Windows 11, Engine of
Windows 10). Event versions stay 0 while fields are added at the end, so the length decides: a payload must end where a field ends, at or
after the field marked `*`; one that does not is handed on undecoded.
"""

from collections.abc import Mapping
from uuid import UUID

import msgspec

ENGINE = "0A002690-3839-4E3A-B3B6-96D8DF868D99"
SERVICE = "751EF305-6C6E-4FED-B847-02EF79D26AEF"
RTP = "8E92DEEF-5E17-413B-B927-59B2F06A3CFC"
AMSI = "2A576B87-09A7-520E-C21A-4942F0271D67"
AMSI_TRACE = "8E805EB3-6A8F-4A1E-90FA-A831D94E54A1"
PROVIDERS: Mapping[str, str] = {
    ENGINE: "Microsoft-Antimalware-Engine",
    SERVICE: "Microsoft-Antimalware-Service",
    RTP: "Microsoft-Antimalware-RTP",
    AMSI: "Microsoft-Antimalware-Scan-Interface",
    AMSI_TRACE: "AmsiTrace",
    "CFEB0608-330E-4410-B00D-56D8DA9986E6": "Microsoft-Antimalware-AMFilter",
    "E4B70372-261F-4C54-8FA6-A5A7914D73DA": "Microsoft-Antimalware-Protection",
    "911F2490-C3DB-4781-94E6-7A9C404803E5": "Microsoft-Antimalware-UI",
    "68621C25-DF8D-4A6B-AABC-19A22E296A7C": "Microsoft-Antimalware-Engine-Instrumentation",
    "102AAB0A-9D9C-4887-A860-55DE33B96595": "Microsoft-Antimalware-NIS",
    "928F7D29-0577-5BE5-3BD3-B6BDAB9AB307": "Microsoft-Antimalware-ShieldProvider",
    "D37E7910-79C8-57C4-DA77-52BB646364CD": "Microsoft-Antimalware-UacScan",
    "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78": "Microsoft-Windows-Windows Defender",
}
"""Providers that make a trace ours, and their names."""

_SIZES = {"u8": 1, "u32": 4, "u64": 8, "x32": 4, "x64": 8, "time": 8, "bool": 4}


class Layout(msgspec.Struct, frozen=True):
    """An event's name and its fields with their types; `least` of them must be there."""

    name: str
    fields: tuple[tuple[str, str], ...]
    least: int


def _layout(name: str, text: str) -> Layout:
    words = text.split()
    least = next((place for place, word in enumerate(words, 1) if word.endswith("*")), len(words))
    pairs = tuple((field, kind) for field, _, kind in (word.rstrip("*").partition(":") for word in words))
    return Layout(name, pairs, least)


_SCAN = "Id:u8 Type:ansi Flags:x32 ScanSource:u32 ResourceCount:u32 FirstResourceType:text FirstResourcePath:text ThreadTime:time"
_STREAM = "Id:u32 Path:text Process:text Reason:u32 ThreadTime:time"
LAYOUTS: Mapping[tuple[str, int], Layout] = {
    (SERVICE, 48): _layout(
        "Sense_RemediationInfoThreat",
        "Sha1:text Sha256:text MD5:text ProcessID:u32 ProcessCreationTime:u64 ProcessPath:text ThreatName:text RealPath:text"
        " WasExecutingWhileDetected:bool Action:u32 RemediationErrorCode:x32 DetectionTime:u64 User:text* UserSid:text ResourceSchema:text"
        " DetectionGuid:text Classification:x32 SchemaParamAndDataDelimiter:text SchemaParamList:text SchemaParamDataList:text"
        " DetectionSource:x32 IsPassiveMode:bool SigSeq:x64 SigSha:text isCritical:bool ThreatTrackingId:text PlatformVersion:text"
        " PlatformUpdateTime:u64 EngineVersion:text EngineUpdateTime:u64 ASSignatureVersion:text ASSignatureUpdateTime:u64"
        " AVSignatureVersion:text AVSignatureUpdateTime:u64 BlockThreatExecSubCategory:u32 PropertyBag:text AllowThreatExpirationUTC:u64",
    ),
    (SERVICE, 49): _layout(
        "Sense_HipsFGInfo",
        "RuleId:text isAudit:bool Sha1:text Sha256:text MD5:text FileSize:u64 ProcessID:u32 ProcessCreationTime:u64"
        " ProcessIntegrityLevel:u32 ProcessPath:text TargetPath:text* SigSeq:u64 SigSha:text CommandLine:text DetectionTime:u64"
        " TargetIdentified:bool ParentCommandLine:text InvolvedFile:text InheritanceFlags:u32 RuleType:u32 RuleState:u32",
    ),
    (SERVICE, 50): _layout(
        "Sense_NetworkFilterLookup",
        "IsAudit:bool Uri:text ProcessId:u32 ProcessCreationTime:u64 UserSid:text* ResponseCategory:text IsWarn:bool DisplayName:text"
        " IocId:text",
    ),
    (RTP, 14): _layout("RTPThreatDetection", "File:text"),
    (RTP, 15): _layout("RTPSampleDetection", "File:text"),
    (RTP, 16): _layout("RTPLofiDetection", "File:text"),
    (RTP, 17): _layout("RTPExpensiveDetection", "File:text"),
    (RTP, 18): _layout("RTPBMDetection", ""),
    (ENGINE, 1): _layout("ScanrequestStart", _SCAN),
    (ENGINE, 2): _layout("ScanrequestStop", _SCAN),
    (ENGINE, 3): _layout("Message", "Message:text"),
    (ENGINE, 4): _layout("Versions", "EngineVersion:text AVVersion:text ASVersion:text"),
    (ENGINE, 5): _layout("StreamscanrequestStart", _STREAM),
    (ENGINE, 6): _layout("StreamscanrequestStop", _STREAM),
    (ENGINE, 7): _layout("Skippedfile", "Path:text Reason:ansi"),
    (ENGINE, 8): _layout("BehaviorMonitoringBmDetection", "PID:u32 GUID:guid Type:u32 Name:text SignatureId:x64 ImagePath:text"),
}


def decode(layout: Layout, data: bytes) -> dict[str, str] | None:
    """The fields as text (numbers decimal or, where the manifest says so, hexadecimal), or None where the payload does not fit."""
    found: dict[str, str] = {}
    place = 0
    for name, kind in layout.fields:
        if place == len(data) and len(found) >= layout.least:
            break
        value = _value(data, place, kind)
        if value is None:
            return None
        found[name], place = value
    return found if place == len(data) else None


def _value(data: bytes, place: int, kind: str) -> tuple[str, int] | None:
    """One value and where the next begins; None where it does not end in the payload, or is no boolean."""
    if kind == "text":
        return wide_text(data, place)
    if kind == "ansi":
        end = data.find(b"\0", place)
        return None if end < 0 else (data[place:end].decode("cp1252", "backslashreplace"), end + 1)
    if kind == "guid":
        return (guid_text(data[place : place + 16]), place + 16) if place + 16 <= len(data) else None
    size = _SIZES[kind]
    if place + size > len(data):
        return None
    number = int.from_bytes(data[place : place + size], "little")
    if kind == "bool":
        return (("false", "true")[number], place + size) if number < 2 else None
    return (f"0x{number:0{size * 2}x}" if kind.startswith("x") else str(number)), place + size


def wide_text(data: bytes, place: int) -> tuple[str, int] | None:
    """UTF-16 up to its NUL, and where what follows begins; None where there is no NUL."""
    end = data.find(b"\0\0", place)
    while end >= 0 and (end - place) % 2:
        end = data.find(b"\0\0", end + 1)
    return None if end < 0 else (data[place:end].decode("utf-16-le", "surrogatepass"), end + 2)


def guid_text(data: bytes) -> str:
    """16 bytes as `XXXXXXXX-XXXX-…`."""
    return str(UUID(bytes_le=data)).upper()

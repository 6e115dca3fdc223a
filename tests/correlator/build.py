"""Records made up for the correlator's tests: one threat, one path, times in seconds after `START`."""

from collections.abc import Iterable
from typing import Any

from exporter.correlator import Correlator
from exporter.correlator.incident import Incident
from exporter.formats.defender_events import Action, ActionFailed, DefenderEvent, Detection, QuarantineChange
from exporter.formats.detection_history import DetectionHistory
from exporter.formats.mpdetection import DetectionLine
from exporter.formats.mplog_records import (
    ActedResource,
    DetectionAdd,
    DetectionClean,
    DetectionEvent,
    ResourceScan,
    ScanResult,
    ThreatAction,
    ThreatActions,
)
from exporter.formats.quarantine import QuarantineEntry, QuarantineReference, QuarantineResource
from exporter.formats.resource_data import QuarantineContainer
from exporter.formats.resources import Resource
from exporter.records import Payload, Record, Source
from exporter.times import TICKS_PER_SECOND

START = 133_544_700_000_000_000
EICAR, EICAR_NAME = 2147519003, "Virus:DOS/EICAR_Test_File"
MIMIKATZ, MIMIKATZ_NAME = 2147705511, "HackTool:Win64/Mikatz!dha"
PATH = "C:\\Users\\analyst\\Downloads\\x.exe"
SHA1 = "3395856ce81f2b7382dee72602f798b642f14140"
SIG_SEQ = 0x0555DC2DDDB0
ZERO = "00000000-0000-0000-0000-000000000000"


def at(seconds: float) -> int:
    """Ticks of a time so many seconds after the start."""
    return START + round(seconds * TICKS_PER_SECOND)


def detection(number: int) -> str:
    """A Detection ID."""
    return f"{number:08X}-1111-4111-8111-111111111111"


def quarantine(number: int, threat_id: int = EICAR) -> str:
    """A quarantine id: its first 8 bytes are the threat id."""
    return f"{threat_id:08X}-0000-0000-0000-{number:012X}"


def container(number: int) -> str:
    """A resource id."""
    return f"{number + 0xABC:040X}"


def _event(cls: type[Any], seconds: float, number: int | None, **changes: Any) -> Any:
    path = changes.pop("path", PATH)
    values = {
        "event_id": 1116,
        "record_id": 1,
        "detection_id": detection(number) if number is not None else None,
        "channel": "c",
        "provider_name": "p",
        "created_at": at(seconds),
        "threat_id": EICAR,
        "threat_name": EICAR_NAME,
        "resources": (Resource("file", path),),
        "file_path": path,
    }
    return cls(**(values | changes))


def detected(seconds: float, number: int | None = 1, **changes: Any) -> Detection:
    """Event 1116."""
    return _event(Detection, seconds, number, **changes)


def acted(seconds: float, number: int | None = 1, action_id: int = 2, error_code: int = 0, **changes: Any) -> Action:
    """Event 1117."""
    return _event(Action, seconds, number, event_id=1117, action_id=action_id, error_code=error_code, **changes)


def failed(seconds: float, number: int | None = 1, action_id: int = 2, **changes: Any) -> ActionFailed:
    """Event 1119."""
    return _event(ActionFailed, seconds, number, event_id=1119, action_id=action_id, **changes)


def changed(seconds: float, event_id: int, **changes: Any) -> QuarantineChange:
    """Events 1009 to 1012, which have no Detection ID."""
    return _event(QuarantineChange, seconds, None, event_id=event_id, **changes)


def history(seconds: float, number: int = 1, **changes: Any) -> DetectionHistory:
    """A DetectionHistory file; remediated a second after."""
    path = changes.pop("path", PATH)
    values: dict[str, Any] = {
        "detection_id": detection(number),
        "file_name": detection(number),
        "threat_id": EICAR,
        "threat_name": EICAR_NAME,
        "status_id": 3,
        "action_ids": (2, 3, 6),
        "detected_at": at(seconds),
        "remediated_at": at(seconds + 1),
        "last_change_at": at(seconds + 1),
        "quarantine_id": ZERO,
        "resources": (Resource("file", path),),
        "file_path": path,
        "sha1": SHA1,
        "sig_seq": SIG_SEQ,
    }
    return DetectionHistory(**(values | changes))


def entry(seconds: float, number: int = 1, threat_id: int = EICAR, **changes: Any) -> QuarantineEntry:
    """An Entries file."""
    values: dict[str, Any] = {
        "quarantine_id": quarantine(number, threat_id),
        "file_name": "{" + quarantine(number, threat_id) + "}",
        "threat_id": threat_id,
        "threat_name": EICAR_NAME,
        "quarantined_at": at(seconds),
        "paths": (PATH,),
        "resource_ids": (container(number),),
    }
    return QuarantineEntry(**(values | changes))


def resource(seconds: float, number: int = 1, **changes: Any) -> QuarantineResource:
    """The file of an Entries file."""
    values: dict[str, Any] = {
        "quarantine_id": quarantine(number),
        "threat_id": EICAR,
        "threat_name": EICAR_NAME,
        "quarantined_at": at(seconds),
        "ordinal": 0,
        "resource_type": "file",
        "path": PATH,
        "raw_path": "\\\\?\\" + PATH,
        "resource_id": container(number),
        "sig_seq": SIG_SEQ,
    }
    return QuarantineResource(**(values | changes))


def reference(number: int = 1, *quarantines: int) -> QuarantineReference:
    """A Resources file."""
    named = tuple(quarantine(one) for one in quarantines or (number,))
    return QuarantineReference(resource_id=container(number), container_size=100, quarantine_ids=named)


def content(number: int = 1, **changes: Any) -> QuarantineContainer:
    """A ResourceData container."""
    values: dict[str, Any] = {
        "resource_id": container(number),
        "container_size": 100,
        "container_sha1": container(number).lower(),
        "name_matches": True,
        "sha1": SHA1,
        "sha256": "ab" * 32,
        "md5": "cd" * 16,
    }
    return QuarantineContainer(**(values | changes))


def line(seconds: float, cls: type[Any] = DetectionEvent, name: str = EICAR_NAME, path: str = PATH, **changes: Any) -> Any:
    """A detection line of MPLog, or of MPDetection."""
    values: dict[str, Any] = {"logged_at": at(seconds), "threat_name": name, "resources": (Resource("file", path),), "file_path": path}
    if cls not in (DetectionAdd, DetectionLine):
        values["source"] = "MPSOURCE_REALTIME"
    if cls is DetectionClean:
        values |= {"action": "MP_THREAT_ACTION_QUARANTINE", "result": 0}
    return cls(**(values | changes))


def block(seconds: float, *threats: tuple[int, str, str], **changes: Any) -> ThreatActions:
    """A threat-action block about these threat ids, names and paths."""
    actions = tuple(
        ThreatAction(threat_id=one, threat_name=name, action="quarantine", result=0, resources=(ActedResource("file", path),))
        for one, name, path in threats or ((EICAR, EICAR_NAME, PATH),)
    )
    values = {"started_at": at(seconds), "ended_at": at(seconds + 1), "actions": actions}
    return ThreatActions(**(values | changes))


def scan(seconds: float, *threats: tuple[int, str, str], **changes: Any) -> ResourceScan:
    """A resource scan that found these threat ids, names and paths."""
    results = tuple(
        ScanResult(threat_id=one, threat_name=name, resources=(Resource("file", path),))
        for one, name, path in threats or ((EICAR, EICAR_NAME, PATH),)
    )
    return ResourceScan(**({"started_at": at(seconds), "results": results} | changes))


def other(seconds: float) -> DefenderEvent:
    """An event that nothing joins."""
    return DefenderEvent(event_id=1150, record_id=9, channel="c", provider_name="p", created_at=at(seconds))


def record(payload: Payload, number: int = 0) -> Record:
    """A payload as a record; `number` tells equal ones apart."""
    key = (payload.kind, repr(payload), str(number))
    return Record(payload=payload, host="HOST", source=Source(f"C/{payload.kind}", "e"), collector="test", key=key, hash="0" * 64)


def joined(*payloads: Payload | Record, **options: Any) -> list[Record]:
    """Everything that the correlator gives for these records, in its order."""
    correlator = Correlator("case", **options)
    given = [out for one in payloads for out in correlator.offer(one if isinstance(one, Record) else record(one))]
    return given + list(correlator.finish())


def incidents(records: Iterable[Record]) -> list[Incident]:
    """The incidents among records."""
    return [one.payload for one in records if isinstance(one.payload, Incident)]


def incident(*payloads: Payload) -> Incident:
    """The only incident of these records."""
    (one,) = incidents(joined(*payloads))
    return one


def tiers(*payloads: Payload) -> dict[str, int]:
    """Tier by kind of the only incident's members."""
    one = incident(*payloads)
    return dict(zip(one.member_kinds, one.member_tiers, strict=True))


def kinds(*payloads: Payload) -> list[list[str]]:
    """The sorted member kinds of each incident, in the order of incidents."""
    return [sorted(one.member_kinds) for one in incidents(joined(*payloads))]

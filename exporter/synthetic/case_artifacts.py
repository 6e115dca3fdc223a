"""One incident of the synthetic case as each artifact wants it, and the moments and ids that tie them together."""

import hashlib
from typing import Any
from uuid import UUID

import msgspec

from exporter.formats.detection_history import TrackedResource
from exporter.synthetic.case_story import OUTCOMES, SYSTEM, Incident, Outcome, Threat
from exporter.synthetic.detection_history import file_resource
from exporter.synthetic.mplog import Story
from exporter.synthetic.quarantine import QuarantinedFile
from exporter.times import TICKS_PER_SECOND, from_iso

_SOURCE_WORDS = {1: "USER", 2: "SYSTEM", 3: "REALTIME", 4: "IOAV"}
_MILLISECOND = 10_000
_HASHED = ("file", "containerfile")


class Moment(msgspec.Struct, frozen=True):
    """When and under which ids one incident happened. MPLog lines lie within 15 ms of their events, as on real machines."""

    detection_id: str
    scan_id: str
    detected_at: int
    logged_at: int
    event_at: int
    cleaned_at: int
    quarantined_at: int
    changed_at: int
    action_at: int


class Dice:
    """Numbers that look thrown: each follows from the seed and a label alone."""

    def __init__(self, *label: object) -> None:
        self._label = label

    def _bytes(self, what: str) -> bytes:
        return hashlib.sha256("\0".join(map(str, (*self._label, what))).encode()).digest()

    def between(self, low: int, high: int, what: str) -> int:
        return low + int.from_bytes(self._bytes(what)[:8], "big") % (high - low + 1)

    def guid(self, what: str) -> str:
        return str(UUID(bytes=self._bytes(what)[:16], version=4)).upper()


def moment(incident: Incident, dice: Dice) -> Moment:
    detected_at = from_iso(incident.at)[0] + dice.between(0, TICKS_PER_SECOND - 1, "fraction")
    logged_at = detected_at + dice.between(5 * _MILLISECOND, 15 * _MILLISECOND, "logged")
    action_at = detected_at + incident.acted_after_seconds * TICKS_PER_SECOND + dice.between(0, TICKS_PER_SECOND, "action")
    changed_at = action_at - dice.between(3100, 5900, "changed")
    return Moment(
        detection_id=dice.guid("detection"),
        scan_id=dice.guid("scan"),
        detected_at=detected_at,
        logged_at=logged_at,
        event_at=logged_at + dice.between(1, 14 * _MILLISECOND, "event"),
        cleaned_at=action_at - dice.between(1, 14 * _MILLISECOND, "cleaned"),
        quarantined_at=changed_at - dice.between(1, 20 * _MILLISECOND, "quarantined"),
        changed_at=changed_at,
        action_at=action_at,
    )


def payload(threat: Threat, path: str) -> bytes:
    """What stands for a file's content: text. The same threat under the same file name has the same hashes everywhere."""
    return f"Harmless stand-in for {threat.name}: {path.replace('->', chr(92)).rsplit(chr(92), 1)[-1]}\r\n".encode()


def hashes(incident: Incident) -> list[dict[str, Any]]:
    """Path, size and hashes of each file that Defender hashed (not of a container around it)."""
    return [_hashes(incident.threat, value) for schema, value in incident.resources if schema == "file"]


def quarantine_id(threat: Threat, dice: Dice) -> str:
    """An id as Defender shapes it, for an entry that is gone: its first 8 bytes are the threat id."""
    return str(UUID(bytes_le=threat.threat_id.to_bytes(8, "little") + UUID(dice.guid("quarantine")).bytes[8:])).upper()


def quarantined_file(incident: Incident, path: str, times: Moment, owner_sid: str) -> QuarantinedFile:
    """A file as it is put into the quarantine."""
    created_at = times.detected_at - 12_345_678
    zone = incident.zone.encode() if incident.zone and path == incident.quarantined[0] else None
    return QuarantinedFile(
        path=path,
        payload=payload(incident.threat, path),
        created_at=created_at,
        accessed_at=times.detected_at - 7,
        modified_at=created_at + 2_000_001,
        alternate_streams=[("Zone.Identifier", zone)] if zone else [],
        owner_sid=owner_sid,
    )


def tracked(incident: Incident, schema: str, value: str, times: Moment) -> TrackedResource:
    """A resource of a DetectionHistory file: hashes for a file, an empty block for a container, the signature alone for the others."""
    if schema == "containerfile":
        return TrackedResource(type=schema, location=value, flags=0x1000_0002, tracking={}, tracking_layout="header20")
    found = _hashes(incident.threat, value) if schema == "file" else {}
    return file_resource(
        value,
        type=schema,
        threat_id=incident.threat.threat_id,
        threat_name=incident.threat.name,
        sig_seq=incident.threat.sig_seq,
        started_at=times.detected_at,
        sha256=found.get("sha256", ""),
        sha1=found.get("sha1", ""),
        md5=found.get("md5", ""),
        size=found.get("size"),
        scan_source=incident.source_id,
        flags=1 if schema == "file" else 2,
    )


def result(outcome: Outcome | None) -> dict[str, Any]:
    """What a DetectionHistory file says of the outcome; of its actions the first is the one taken."""
    if outcome is None:
        return {"status_id": 1, "state": 1, "action_ids": (2, 3, 6)}
    actions = (outcome.action_id, *(number for number in (2, 3, 6) if number != outcome.action_id))
    codes = {"status_id": outcome.status_id, "state": outcome.state, "error_code": outcome.error_code}
    return {**codes, "action_ids": actions, "remediation_user": SYSTEM}


def story(incident: Incident, times: Moment) -> Story:
    """The incident as MPLog tells it; the hash is that of what was acted on, a container where there is one."""
    outcome = OUTCOMES[incident.outcome]
    acted_on = next((value for schema, value in incident.resources if schema in _HASHED), None)
    return Story(
        threat_id=incident.threat.threat_id,
        threat_name=incident.threat.name,
        resources=incident.resources,
        detected_at=times.logged_at,
        cleaned_at=None if outcome is None else times.cleaned_at,
        action="quarantine" if outcome is None else outcome.word,
        result=0 if outcome is None else outcome.error_code,
        source=_SOURCE_WORDS[incident.source_id],
        sha1=None if acted_on is None else _hashes(incident.threat, acted_on)["sha1"],
        owner=incident.user,
        severity_id=incident.threat.severity_id,
        sig_seq=incident.threat.sig_seq,
        sig_sha=hashlib.sha1(incident.threat.name.encode()).hexdigest(),
        scan_id=times.scan_id,
    )


def told(incident: Incident, times: Moment) -> dict[str, Any]:
    """What the truth file says of an incident before its files are written."""
    acted = OUTCOMES[incident.outcome] is not None
    return {
        "name": incident.name,
        "outcome": incident.outcome,
        "threat_id": incident.threat.threat_id,
        "threat_name": incident.threat.name,
        "sig_seq": incident.threat.sig_seq,
        "user": incident.user,
        "process": incident.process,
        "resources": incident.resources,
        "hashes": hashes(incident),
        "detection_id": times.detection_id,
        "quarantine_id": None,
        "resource_ids": [],
        "detected_at": times.detected_at,
        "action_at": times.action_at if acted else None,
        "changed_at": times.changed_at if acted else times.detected_at,
        "quarantined_at": times.quarantined_at if incident.quarantined else None,
        "restored_at": None,
        "members": {"evtx": [], "mplog": [], "mpdetection": [], "detection_history": [], "quarantine": []},
    }


def _hashes(threat: Threat, path: str) -> dict[str, Any]:
    data = payload(threat, path)
    digests = {name: hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256")}
    return {"path": path, "size": len(data), **digests}

"""Writes DetectionHistory files from nothing: for the demo, the tests and the benchmarks.

Every value is u32 data length, u32 type, data, zero padding to 8 bytes; their order is that of `exporter.formats.detection_history`.
Nothing here is random: the same arguments give the same bytes.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from exporter.formats.detection_history import DetectionHistory, TrackedResource

MAGIC = "Magic.Version:1.2"
NO_QUARANTINE = "00000000-0000-0000-0000-000000000000"
_WIDE = 0x1000_0000
_TRACKING_KIND = {
    "ThreatTrackingSigSeq": 4,
    "ThreatTrackingStartTime": 4,
    "ThreatTrackingSize": 4,
    "ThreatTrackingParentCreationTime": 4,
    "ThreatTrackingResearchData": 7,
}
"""Types of the tracking keys where they are not those of their Python values (int 3, bool 5, str 6)."""


def file_resource(
    path: str,
    *,
    type: str = "file",  # noqa: A002
    threat_id: int,
    threat_name: str,
    sig_seq: int,
    started_at: int,
    sha256: str = "",
    sha1: str = "",
    md5: str = "",
    size: int | None = None,
    scan_source: int = 3,
    layout: str = "header20",
    flags: int = 1,
) -> TrackedResource:
    """A resource as Defender tracks it; hashes left empty are left out. `layout` is `header20` (bit 28 of the flags) or `size`."""
    pairs: dict[str, int | str | bool | None] = {
        "ThreatTrackingSha256": sha256,
        "ThreatTrackingSigSeq": sig_seq,
        "ThreatTrackingId": str(UUID(bytes=hashlib.sha1(f"{path}{started_at}".encode()).digest()[:16])).upper(),
        "ThreatTrackingStartTime": started_at,
        "ThreatTrackingThreatName": threat_name,
        "ThreatTrackingSha1": sha1,
        "ThreatTrackingSize": size,
        "ThreatTrackingMD5": md5,
        "ThreatTrackingScanFlags": 17,
        "ThreatTrackingIsEsuSig": False,
        "ThreatTrackingThreatId": threat_id & 0xFFFF_FFFF,
        "ThreatTrackingScanSource": scan_source,
    }
    tracking = {key: value for key, value in pairs.items() if value is not None and value != ""}
    wide = _WIDE if layout == "header20" else 0
    return TrackedResource(type=type, location=path, flags=flags | wide, tracking=tracking, tracking_layout=layout)


def write_detection_history(
    folder: Path,
    *,
    detection_id: str,
    threat_id: int,
    threat_name: str,
    resources: Sequence[TrackedResource],
    detected_at: int,
    changed_at: int,
    remediated_at: int = 0,
    severity_id: int = 5,
    category_id: int = 8,
    status_id: int = 3,
    action_ids: Sequence[int] = (2, 3, 6),
    quarantine_id: str | None = None,
    user: str | None = None,
    process_name: str = "Unknown",
    remediation_user: str | None = None,
    error_code: int = 0,
    execution_id: int = 1,
    state: int = 2,
    source_id: int = 3,
    origin_id: int = 1,
    magic: str | None = MAGIC,
) -> dict[str, Any]:
    """Write `<folder>/<NN>/<GUID>` and return its truth: the arguments, `file` (relative, slashes), `size` and `sha256`.

    `folder` is the DetectionHistory folder itself. Times are ticks, 0 where there is none; ids are GUIDs without braces.
    """
    identity = detection_id.strip("{}").upper()
    payload = DetectionHistory(
        detection_id=identity,
        file_name=identity,
        threat_id=threat_id,
        magic=magic,
        threat_name=threat_name,
        severity_id=severity_id,
        category_id=category_id,
        status_id=status_id,
        action_ids=tuple(action_ids),
        tracked=tuple(resources),
        last_change_at=changed_at,
        error_code=error_code,
        detection_type_id=0,
        quarantine_id=quarantine_id or NO_QUARANTINE,
        execution_id=execution_id,
        state=state,
        user=user,
        source_id=source_id,
        process_name=process_name,
        source_id_2=source_id,
        origin_id=origin_id,
        detected_at=detected_at,
        pre_execution_status=0,
        remediated_at=remediated_at,
        remediation_user=remediation_user,
        unknown={"unknown_b": 112, "unknown_c": 4 if remediated_at else 0},
        tail=(0, 0, 0, 0, 1 if remediated_at and not error_code else 0),
    )
    data = build_detection_history(payload)
    place = folder / f"{int(identity[:2], 16) % 21:02d}" / identity
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return {
        "file": f"{place.parent.name}/{place.name}",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "detection_id": identity,
        "threat_id": threat_id,
        "threat_name": threat_name,
        "severity_id": severity_id,
        "category_id": category_id,
        "status_id": status_id,
        "action_ids": list(action_ids),
        "detected_at": detected_at,
        "last_change_at": changed_at,
        "remediated_at": remediated_at,
        "quarantine_id": quarantine_id,
        "user": user,
        "process_name": process_name,
        "remediation_user": remediation_user,
        "error_code": error_code,
        "execution_id": execution_id,
        "state": state,
        "resources": [(resource.type, resource.location) for resource in resources],
    }


def build_detection_history(payload: DetectionHistory) -> bytes:
    """The bytes of a file that says what `payload` says; absent numbers and times are written as 0."""
    unknown = payload.unknown
    out = [_value(0x08, struct.pack("<Q", payload.threat_id)), _guid(payload.detection_id)]
    out += [_text(payload.magic)] if payload.magic else []
    out.append(_text(payload.threat_name))
    out += [_number(unknown, "unknown_a"), _u32(payload.severity_id), _u32(payload.category_id)]
    out += [_number(unknown, "unknown_b"), _number(unknown, "unknown_c"), _u32(payload.status_id)]
    out += [_u32(len(payload.action_ids)), *map(_u32, payload.action_ids), *_resources(payload.tracked)]
    out += [_time(payload.last_change_at), _u32(payload.error_code, 0x05), _u32(payload.detection_type_id)]
    out += [_guid(payload.quarantine_id or NO_QUARANTINE), _u32(payload.execution_id)]
    out += [_text(value) if isinstance(value, str) else _u32(value) for value in payload.extra]
    out += [_u32(payload.state), _text(payload.user), _u32(payload.source_id), _text(payload.process_name)]
    out += [_u32(payload.source_id_2), _u32(payload.origin_id), _number(unknown, "unknown_d"), _time(payload.detected_at)]
    out += [_u32(payload.pre_execution_status), _time(payload.remediated_at), _number(unknown, "unknown_e")]
    out += [_number(unknown, "unknown_f", 0x00), _number(unknown, "unknown_g"), _text(payload.remediation_user)]
    out += [_number(unknown, "unknown_h"), *_resources(payload.more_resources)]
    out += [_text(value) if isinstance(value, str) else _u32(value, 0x06 if index else 0x00) for index, value in enumerate(payload.tail)]
    return b"".join(out)


def _value(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", len(data), kind) + data + bytes(-len(data) % 8)


def _u32(number: int | None, kind: int = 0x06) -> bytes:
    return _value(kind, struct.pack("<I", number or 0))


def _number(unknown: Mapping[str, int | str], name: str, kind: int = 0x06) -> bytes:
    number = unknown.get(name, 0)
    assert isinstance(number, int)
    return _u32(number, kind)


def _time(ticks: int | None) -> bytes:
    return _value(0x0A, struct.pack("<Q", ticks or 0))


def _guid(text: str) -> bytes:
    return _value(0x1E, UUID(text).bytes_le)


def _text(text: str | None) -> bytes:
    return _value(0x15, b"" if text is None else _wide(text))


def _wide(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le", "surrogatepass")


def _resources(resources: Sequence[TrackedResource]) -> list[bytes]:
    out = [_u32(len(resources))]
    for resource in resources:
        block = _block(resource)
        out += [_text(MAGIC), _text(resource.type), _text(resource.location), _u32(resource.flags), _u32(len(block)), _value(0x28, block)]
    return out


def _block(resource: TrackedResource) -> bytes:
    pairs = b"".join(_pair(key, value) for key, value in resource.tracking.items())
    total = 4 + len(pairs)
    if resource.tracking_layout != "header20":
        return struct.pack("<I", total) + pairs
    if not pairs:
        return struct.pack("<5I", 1, 20, 0, 20, 0)
    return struct.pack("<6I", 1, 20, total, 20 + total, 0, total) + pairs


def _pair(key: str, value: int | str | bool) -> bytes:
    kind = _TRACKING_KIND.get(key, 5 if isinstance(value, bool) else 3 if isinstance(value, int) else 6)
    name = _wide(key)
    return struct.pack("<I", len(name)) + name + struct.pack("<I", kind) + _tracked(kind, value)


def _tracked(kind: int, value: int | str | bool) -> bytes:
    if isinstance(value, str):
        data = _wide(value) if kind == 6 else value.encode("latin-1") + b"\0"
        return struct.pack("<I", len(data)) + data
    return struct.pack({3: "<I", 4: "<Q", 5: "<B"}[kind], value)

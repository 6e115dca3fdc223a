"""The synthetic case's ETW traces."""

import hashlib
import struct

from exporter.formats.etl_layouts import AMSI, ENGINE, RTP, SERVICE
from exporter.synthetic import case_artifacts
from exporter.synthetic.case_artifacts import Moment
from exporter.synthetic.case_story import SYSTEM, Incident
from exporter.synthetic.etl import TraceEvent, TraceMessage, amsi_scan, build_etl, wide
from exporter.times import TICKS_PER_SECOND, iso

_SOURCE = "D5AE0D06-0E90-3D8C-6714-2015E82A98E1"
_SUPPORT = "C:\\ProgramData\\Microsoft\\Windows Defender\\Support\\"


def service_trace(started_at: int, utc_offset_minutes: int) -> tuple[str, bytes]:
    """Name and bytes of the trace that Defender's service writes: a message with a path, and some without texts."""
    local = iso(started_at + utc_offset_minutes * 60 * TICKS_PER_SECOND, 0)
    stamp = local.translate(str.maketrans("T", "-", "-:Z"))
    session = f"MpWppTracing-{stamp}-00000003-ffffffff"
    messages = [
        TraceMessage(source=_SOURCE, number=number, at=started_at + number, payload=struct.pack("<I", number)) for number in range(20, 40)
    ]
    path = wide("C:\\Windows\\system32\\drivers\\wd")
    messages.append(TraceMessage(source=_SOURCE, number=222, at=started_at + 500, payload=path))
    data = build_etl(
        messages,
        session=session,
        log_file=f"{_SUPPORT}{session}.bin",
        started_at=started_at,
        ended_at=None,
        bias=-utc_offset_minutes,
        buffer_bytes=1024,
    )
    return f"{session}.bin", data


def recorded_trace(incident: Incident, times: Moment, utc_offset_minutes: int) -> bytes:
    """A trace of Defender's providers over one incident: detection, remediation, a scan by AMSI; the trace is circular."""
    path = next(value for schema, value in incident.resources if schema == "file")
    content = case_artifacts.payload(incident.threat, path)
    records = [
        TraceEvent(provider=ENGINE, event_id=4, at=times.detected_at - 9, payload=wide("1.1.26010.1") + wide("1.443.1.0") * 2),
        TraceEvent(provider=RTP, event_id=14, at=times.detected_at, payload=wide(path)),
        TraceEvent(provider=SERVICE, event_id=48, at=times.action_at, payload=_remediation(incident, times, path)),
        TraceEvent(provider=SERVICE, event_id=18, at=times.action_at + 5, payload=wide("Idle")),
        TraceEvent(
            provider=AMSI,
            event_id=1101,
            at=times.detected_at - 4,
            process_id=6604,
            payload=amsi_scan("DotNet", path, content, hashlib.sha256(content).digest(), result=32768),
        ),
    ]
    return build_etl(
        records,
        session="defender",
        log_file="C:\\Users\\Public\\defender.etl",
        started_at=times.detected_at - TICKS_PER_SECOND,
        ended_at=times.action_at + TICKS_PER_SECOND,
        bias=-utc_offset_minutes,
        buffer_bytes=1024,
        rotated=1,
    )


def _remediation(incident: Incident, times: Moment, path: str) -> bytes:
    """Event 48 of the service, up to the resource's schema as older builds write it."""
    found = next(entry for entry in case_artifacts.hashes(incident) if entry["path"] == path)
    texts = [wide(found[name]) for name in ("sha1", "sha256", "md5")]
    data = b"".join(texts) + struct.pack("<IQ", 4711, times.detected_at - TICKS_PER_SECOND) + wide(incident.process)
    data += wide(incident.threat.name) + wide(path) + struct.pack("<IIIQ", 0, 2, 0, times.detected_at)
    return data + wide(incident.user or SYSTEM) + wide("S-1-5-18") + wide("file")

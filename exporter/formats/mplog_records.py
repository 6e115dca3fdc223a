"""MPLog payloads: sessions, detections, threat actions and resource scans.

`source` and `action` of the detection lines are the log's own words (`MPSOURCE_REALTIME`, `MP_THREAT_ACTION_QUARANTINE`); the actions
of a block are lower case there (`quarantine`). A threat id is never 0 or 0x80000000, the placeholder of verdicts without a threat.
"""

from typing import ClassVar

import msgspec

from exporter.formats.resources import Resource
from exporter.records import Payload


class LogRecord(Payload, frozen=True, kw_only=True):
    """Base: `logged_at` is the line's own stamp (UTC), or for unstamped records the nearest stamp before; `time_basis` says which.

    `time_basis`: `line`, `previous_line`, `block` (no stamp before: the block's own local time through the session's offset), or
    `none`. `utc_offset` is in minutes; `utc_offset_basis` says where it is from: `session` (the log's own header), and for blocks without
    one `trace` (the zone of a trace that ran then), `option` (the user's word), or `nearest_trace`.
    """

    logged_at: int | None = None
    time_basis: str = "line"
    utc_offset: int | None = None
    utc_offset_basis: str | None = None


class Session(LogRecord, frozen=True, kw_only=True):
    """A service start: product, and the two clocks that give the UTC offset."""

    kind: ClassVar[str] = "mplog_session"
    product: str | None = None
    product_guid: str | None = None
    started_local: str | None = None
    os_installed_at: int | None = None
    milliseconds_since_boot: int | None = None
    dirty_shutdown: bool | None = None


class DetectionEvent(LogRecord, frozen=True, kw_only=True):
    """`DETECTIONEVENT <source> <threat> <resources>`: the twin of event 1116. `threat_id` from internalCmdLine, if any."""

    kind: ClassVar[str] = "mplog_detection_event"
    source: str
    threat_name: str
    threat_id: int | None = None
    sig_seq: int | None = None
    resources: tuple[Resource, ...] = ()
    file_path: str | None = None


class DetectionAdd(LogRecord, frozen=True, kw_only=True):
    """`DETECTION_ADD#n <threat> <resource>`."""

    kind: ClassVar[str] = "mplog_detection_add"
    threat_name: str
    threat_id: int | None = None
    sig_seq: int | None = None
    number: int | None = None
    resources: tuple[Resource, ...] = ()
    file_path: str | None = None


class DetectionClean(LogRecord, frozen=True, kw_only=True):
    """`DETECTION_CLEANEVENT <source> <action> <result> <threat> <resources>`: the twin of event 1117."""

    kind: ClassVar[str] = "mplog_detection_clean"
    source: str
    action: str
    result: int | None = None
    threat_name: str
    threat_id: int | None = None
    sig_seq: int | None = None
    resources: tuple[Resource, ...] = ()
    file_path: str | None = None


class ActedResource(msgspec.Struct, frozen=True):
    """One resource of a threat-action block."""

    schema: str
    value: str
    action: str | None = None
    result: int | None = None


class ThreatAction(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to one threat in a block."""

    threat_id: int | None = None
    threat_name: str | None = None
    action: str | None = None
    result: int | None = None
    resources: tuple[ActedResource, ...] = ()
    sha1: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


class ThreatActions(LogRecord, frozen=True, kw_only=True):
    """`Beginning threat actions` … `Finished threat actions`; the flat fields repeat what `actions` says, for joining.

    `started_at` and `ended_at` are None while the offset is unknown; the local texts stay in `started_local`, `ended_local`.
    """

    kind: ClassVar[str] = "mplog_threat_actions"
    started_at: int | None = None
    ended_at: int | None = None
    started_local: str | None = None
    ended_local: str | None = None
    result: int | None = None
    actions: tuple[ThreatAction, ...] = ()
    threat_id: int | None = None
    threat_name: str | None = None
    threat_ids: tuple[int, ...] = ()
    threat_names: tuple[str, ...] = ()
    action: str | None = None
    sha1: str | None = None
    file_path: str | None = None


class ScanResult(msgspec.Struct, frozen=True, kw_only=True):
    """One result of a resource scan: a threat, or an `Unknown File` with its identifier.

    `sig_seqs` and `sig_shas` are distinct and without the fillers 0 and SHA-1 of nothing.
    """

    threat_id: int | None = None
    threat_name: str | None = None
    severity_id: int | None = None
    identifier: str | None = None
    resources: tuple[Resource, ...] = ()
    sig_seqs: tuple[int, ...] = ()
    sig_shas: tuple[str, ...] = ()


class ResourceScan(LogRecord, frozen=True, kw_only=True):
    """`Begin Resource Scan` … `End Scan` (also `Begin Quick Scan` and other scans that failed); times as in `ThreatActions`.

    `severity_id` is that of the first threat; `file_path` the first file found, else the first file asked for.
    """

    kind: ClassVar[str] = "mplog_resource_scan"
    scan_type: str = "Resource"
    scan_id: str | None = None
    scan_source: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    started_local: str | None = None
    ended_local: str | None = None
    return_code: int | None = None
    scanned: tuple[Resource, ...] = ()
    results: tuple[ScanResult, ...] = ()
    threat_id: int | None = None
    threat_name: str | None = None
    threat_ids: tuple[int, ...] = ()
    threat_names: tuple[str, ...] = ()
    severity_id: int | None = None
    file_path: str | None = None

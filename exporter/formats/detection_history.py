"""DetectionHistory files: one detection each, with its resources and their tracking values."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from exporter.formats.resources import Resource
from exporter.records import Payload


class TrackedResource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource with its ThreatTracking values, in the order of the file (unknown value types as hex)."""

    type: str
    location: str
    flags: int
    tracking: Mapping[str, int | str | bool] = {}
    tracking_layout: str


class DetectionHistory(Payload, frozen=True, kw_only=True):
    """One file; names as in formats-quarantine.md section 3. Hashes, size and SigSeq are those of the first `file` resource."""

    kind: ClassVar[str] = "detection_history"
    detection_id: str
    file_name: str
    name_matches: bool = True
    threat_id: int
    magic: str | None = None
    threat_name: str | None = None
    severity_id: int | None = None
    category_id: int | None = None
    status_id: int | None = None
    action_ids: tuple[int, ...] = ()
    tracked: tuple[TrackedResource, ...] = ()
    resources: tuple[Resource, ...] = ()
    file_path: str | None = None
    last_change_at: int | None = None
    error_code: int | None = None
    detection_type_id: int | None = None
    quarantine_id: str | None = None
    execution_id: int | None = None
    state: int | None = None
    user: str | None = None
    source_id: int | None = None
    process_name: str | None = None
    source_id_2: int | None = None
    origin_id: int | None = None
    detected_at: int | None = None
    pre_execution_status: int | None = None
    remediated_at: int | None = None
    remediation_user: str | None = None
    tracking_started_at: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    file_size: int | None = None
    sig_seq: int | None = None
    unknown: Mapping[str, int | str] = {}
    extra: tuple[int | str, ...] = ()
    more_resources: tuple[TrackedResource, ...] = ()
    tail: tuple[int | str, ...] = ()

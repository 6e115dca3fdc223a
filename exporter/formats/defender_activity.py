"""Payloads of the Defender events that name no threat, by family. Field names: provider manifest (formats-logs.md 2.2).

Numbers that stand for something keep their number (`…_id`); its text, as `%%nnn` or in words, stays in `data`.
"""

from typing import ClassVar

from exporter.formats.defender_events import WindowsEvent
from exporter.formats.resources import Resource


class HistoryChange(WindowsEvent, frozen=True):
    """1013 and 1014: detection history removed, or that failed; `removed_entry` is the removed entry's time, local text."""

    kind: ClassVar[str] = "evtx_history_change"
    removed_entry: str | None = None


class ThreatHashes(WindowsEvent, frozen=True):
    """1120: the hashes of a threat's resource, lower case."""

    kind: ClassVar[str] = "evtx_threat_hashes"
    path: str | None = None
    resources: tuple[Resource, ...] = ()
    file_path: str | None = None
    hashes: str | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None


class Scan(WindowsEvent, frozen=True):
    """1000 to 1005: a scan's life; 2030 and 2031: an offline scan set up, or that failed. `duration` is in seconds."""

    kind: ClassVar[str] = "evtx_scan"
    scan_id: str | None = None
    scan_type_id: int | None = None
    scan_scope_id: int | None = None
    scan_resources: str | None = None
    duration: int | None = None


class GuardedOperation(WindowsEvent, frozen=True):
    """Base of the Exploit Guard events: an operation of a process that was blocked or, in audit mode, would have been."""

    rule_id: str | None = None
    detected_at: int | None = None
    process_name: str | None = None
    path: str | None = None


class AttackSurfaceRule(GuardedOperation, frozen=True):
    """1121, 1122 and 1129: an attack surface reduction rule blocked, audited, or was overridden by the user."""

    kind: ClassVar[str] = "evtx_attack_surface_rule"
    target_command_line: str | None = None
    parent_command_line: str | None = None
    involved_file: str | None = None


class FolderAccess(GuardedOperation, frozen=True):
    """1123, 1124, 1127 and 1128: controlled folder access, or a write to sectors, blocked or audited."""

    kind: ClassVar[str] = "evtx_folder_access"


class NetworkProtection(GuardedOperation, frozen=True):
    """1125 and 1126: a connection audited or blocked; `destination` is a URL or a host."""

    kind: ClassVar[str] = "evtx_network_protection"
    destination: str | None = None


class DataLoss(WindowsEvent, frozen=True):
    """1131 to 1134: data loss prevention blocked or audited an operation."""

    kind: ClassVar[str] = "evtx_data_loss"
    rule_id: str | None = None
    operation: str | None = None
    enforcement: str | None = None
    process_name: str | None = None
    source_path: str | None = None
    target_path: str | None = None
    actor_sid: str | None = None


class Health(WindowsEvent, frozen=True):
    """101, 1150 and 1151: state and health. Ages are in days, None where it never happened; times of the event are local text in `data`."""

    kind: ClassVar[str] = "evtx_health"
    state_id: int | None = None
    product_status: int | None = None
    signature_age: int | None = None
    quick_scan_age: int | None = None
    full_scan_age: int | None = None


class Update(WindowsEvent, frozen=True):
    """2000 to 2009 and 2014: signatures, engine or platform updated, or that failed."""

    kind: ClassVar[str] = "evtx_update"
    previous_signature_version: str | None = None
    previous_engine_version: str | None = None
    new_platform_version: str | None = None
    signature_type_id: int | None = None
    update_type_id: int | None = None
    update_source_id: int | None = None
    update_state_id: int | None = None
    source_path: str | None = None


class CloudSignature(WindowsEvent, frozen=True):
    """2010 to 2013: signatures from the cloud received, discarded, failed, all discarded. Frequent, and of little weight."""

    kind: ClassVar[str] = "evtx_cloud_signature"
    persistence_path: str | None = None
    dynamic_version: str | None = None
    dynamic_type_id: int | None = None
    compiled: str | None = None
    removal_reason_id: int | None = None


class FileTransfer(WindowsEvent, frozen=True):
    """2050 and 2051: a sample uploaded, or that failed; 2020 and 2021: a clean file downloaded, or that failed."""

    kind: ClassVar[str] = "evtx_file_transfer"
    file_path: str | None = None
    sha256: str | None = None


class ProtectionFeature(WindowsEvent, frozen=True):
    """3002, 3007 and 5004: a feature of real-time protection failed, recovered, was configured. Names are raw: `%%886`."""

    kind: ClassVar[str] = "evtx_protection_feature"
    feature_id: int | None = None
    feature_name: str | None = None
    reason: str | None = None
    configuration: str | None = None


class ProtectionEnabled(WindowsEvent, frozen=True):
    """5000, 5009 and 5011: real-time, antispyware or antivirus protection switched on."""

    kind: ClassVar[str] = "evtx_protection_enabled"


class TamperProtection(WindowsEvent, frozen=True):
    """5013: tamper protection blocked (or ignored) a change; `setting` and `new_value` are told apart as for 5007."""

    kind: ClassVar[str] = "evtx_tamper_protection"
    changed_type: str | None = None
    setting: str | None = None
    new_value: str | None = None


class EngineFailure(WindowsEvent, frozen=True):
    """5008: the engine crashed or hung, on `resource`; `error_code` is the exception's."""

    kind: ClassVar[str] = "evtx_engine_failure"
    resource: str | None = None
    failure_type_id: int | None = None


class Expiry(WindowsEvent, frozen=True):
    """5100 and 5101: the platform expires soon, or has; 2040 to 2042: support of this Windows ends, has ended, protection has."""

    kind: ClassVar[str] = "evtx_expiry"
    reason: str | None = None
    expires: str | None = None

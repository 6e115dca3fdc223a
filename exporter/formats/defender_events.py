"""Windows events as payloads: typed for the ids that matter, generic with all their fields for the others."""

from collections.abc import Mapping
from typing import ClassVar

from exporter.formats.resources import Resource
from exporter.records import Payload


class WindowsEvent(Payload, frozen=True):
    """Any event. `data` holds every Data element, raw, under its own name (spaces kept), in order.

    `created_at` is System/TimeCreated; `created_digits` how many fraction digits of it are known (6 or 7, sink-contracts E2);
    `written_at` the record header's time, None where the header is known to lie. `provider_guid` is upper case without braces. `engine` is
    named only where the second one read what the first had refused; `origin` where the record was found, if not in its place: `remnant`,
    `stale_count` (both past the header's count of chunks, in a closed log and in one in use), `carved`.
    """

    kind: ClassVar[str] = "windows_event"
    event_id: int
    record_id: int
    channel: str
    provider_name: str
    provider_guid: str | None = None
    computer: str | None = None
    level: int | None = None
    opcode: int | None = None
    task: int | None = None
    version: int | None = None
    keywords: str | None = None
    activity_id: str | None = None
    process_id: int | None = None
    thread_id: int | None = None
    user_sid: str | None = None
    created_at: int | None = None
    created_digits: int = 7
    written_at: int | None = None
    data: Mapping[str, str] = {}
    product_version: str | None = None
    engine_version: str | None = None
    signature_version: str | None = None
    user: str | None = None
    error_code: int | None = None
    engine: str | None = None
    origin: str | None = None


class ThreatEvent(WindowsEvent, frozen=True):
    """Base of the events that name a threat (the 42-field block of 1116 and its kin, the 28-field one of 1006).

    `sig_seq` is told by an `internalCmdLine` resource only, and by it the threat id where the event has no other.
    """

    detection_id: str | None = None
    detected_at: int | None = None
    threat_id: int | None = None
    threat_name: str | None = None
    severity_id: int | None = None
    severity_name: str | None = None
    category_id: int | None = None
    category_name: str | None = None
    reference: str | None = None
    status_code: int | None = None
    state: int | None = None
    source_id: int | None = None
    source_name: str | None = None
    process_name: str | None = None
    detection_user: str | None = None
    remediation_user: str | None = None
    path: str | None = None
    resources: tuple[Resource, ...] = ()
    evidence_paths: tuple[str, ...] = ()
    file_path: str | None = None
    origin_id: int | None = None
    execution_id: int | None = None
    type_id: int | None = None
    pre_execution_status: int | None = None
    action_id: int | None = None
    action_name: str | None = None
    post_clean_status: int | None = None
    additional_actions_id: int | None = None
    sig_seq: int | None = None


class Detection(ThreatEvent, frozen=True):
    """1006 and 1116: malware detected."""

    kind: ClassVar[str] = "evtx_detection"


class Behavior(ThreatEvent, frozen=True):
    """1015: suspicious behavior detected."""

    kind: ClassVar[str] = "evtx_behavior"
    actor_pid: int | None = None
    fidelity: int | None = None
    image_hash: str | None = None
    target_file: str | None = None
    target_hash: str | None = None


class Action(ThreatEvent, frozen=True):
    """1007 and 1117: action taken; `action_id` says which."""

    kind: ClassVar[str] = "evtx_action"


class ActionFailed(ThreatEvent, frozen=True):
    """1008, 1118 and 1119: action failed."""

    kind: ClassVar[str] = "evtx_action_failed"


class QuarantineChange(ThreatEvent, frozen=True):
    """1009 to 1012: restored or deleted from quarantine, or that failed."""

    kind: ClassVar[str] = "evtx_quarantine_change"


class UnwantedApplication(ThreatEvent, frozen=True):
    """1160: potentially unwanted application detected."""

    kind: ClassVar[str] = "evtx_unwanted_application"


class ConfigurationChange(WindowsEvent, frozen=True):
    """5007: `setting` is the registry path or name before ` = `, without `Default\\` and `N/A\\`.

    `setting_kind` is what the change means (`defender_settings`), `setting_target` what it is about: the excluded path, the ThreatID, the
    rule. `threat_id` and `rule_id` stand there again where they are meant.
    """

    kind: ClassVar[str] = "evtx_configuration_change"
    setting: str | None = None
    old_value: str | None = None
    new_value: str | None = None
    setting_kind: str | None = None
    setting_target: str | None = None
    target_type: str | None = None
    new_number: int | None = None
    threat_id: int | None = None
    rule_id: str | None = None


class ProtectionDisabled(WindowsEvent, frozen=True):
    """5001, 5010 and 5012: real-time, antispyware or antivirus protection switched off."""

    kind: ClassVar[str] = "evtx_protection_disabled"


class DefenderEvent(WindowsEvent, frozen=True):
    """Every id of the Defender channels that has no kind of its own."""

    kind: ClassVar[str] = "evtx_event"

"""Which kind of record a line of an MPLog begins: one table of prefixes (after stamp and component tag; formats-logs.md 1.3).

Messages run into each other without a line end, so a kind is told by its beginning and never by the whole line.
"""

from collections import defaultdict

DETECTION_EVENT = "mplog_detection_event"
DETECTION_ADD = "mplog_detection_add"
DETECTION_CLEAN = "mplog_detection_clean"
SESSION = "mplog_session"
SCAN = "mplog_resource_scan"
ACTIONS = "mplog_threat_actions"
DETECTIONS = frozenset((DETECTION_EVENT, DETECTION_ADD, DETECTION_CLEAN))
BLOCKS = frozenset((SESSION, SCAN, ACTIONS))

OTHER = "other"
BLANK = "blank"
ROW = "row"
TAG = "component_tag"
SERVICE_START = "service_start"
UNEXPECTED_STOP = "unexpected_stop"
DETAIL = "block_detail"
SESSION_DETAIL = "session_detail"
DAMAGED = "zeros"

COUNTED_BLOCKS = {
    "bm_telemetry": "END BM telemetry",
    "rtp_perf": "END RTP Perf Log",
    "quarantine_recovery": "End time:",
}
"""Blocks whose lines are counted under the kind of their first line, and the text that their last line holds."""

TAGS = {
    "Engine:": OTHER,
    "Engine-HIPS:": OTHER,
    "SDN:": "sdn",
    "Database:": "database",
    "Exclusions:": "exclusion_list",
    "FP supression checks:": "fp_suppression",
    "Bm signature throttled:": "bm_throttled",
    "OriginalFileName Maintenance:": OTHER,
    "[RTP] ": "rtp",
}
"""Component tags, alone on a line or before the message, and the kind of their messages that are not in the table."""

PREFIXES = {
    "DETECTIONEVENT ": DETECTION_EVENT,
    "DETECTION_ADD#": DETECTION_ADD,
    "DETECTION_CLEANEVENT ": DETECTION_CLEAN,
    "DETECTION_MERGE#": "detection_merge",
    "DETECTION ": "detection",
    "Begin ": SCAN,
    "Beginning threat actions": ACTIONS,
    "Beginning quarantine recovery": "quarantine_recovery",
    "Started On ": SESSION,
    "OS install time": SESSION_DETAIL,
    "Current time:": SESSION_DETAIL,
    "ProductId: ": SERVICE_START,
    "WARNING: the previous service shutdown was not expected": UNEXPECTED_STOP,
    "Stopped On ": "service_stop",
    "Service stop requested": "service_stop_requested",
    "Signature updated on ": "signature_update",
    "Product Version:": "versions",
    "Service Version:": "versions",
    "Engine Version:": "versions",
    "AS Signature Version:": "versions",
    "AV Signature Version:": "versions",
    "UpdateEngine ": "engine_update",
    "Dynamic Signature ": "dynamic_signature",
    "Dynamic signature ": "dynamic_signature_change",
    "Signature Path:": "dynamic_signature",
    "Persistence Type:": "dynamic_signature",
    "Time remaining:": "dynamic_signature",
    "ProcessImageName: ": "estimated_impact",
    "Per-process counts:": "process_counts",
    "[Mini-filter] Blocked file": "minifilter_blocked",
    "[Mini-filter] Unsuccessful scan status": "minifilter_unsuccessful",
    "[Mini-filter] Denied access to registry": "registry_denied",
    "[Mini-filter] First scan on a volume": "volume_first_scan",
    "[Mini-filter] ": "minifilter",
    "[MpRtp] Engine VFZ block": "vfz_block",
    "[MpRtp] Engine VFZ lofi": "vfz_lofi",
    "FileName:": "file_hash",
    "SHA1:": "file_hash",
    "Issuing SDN query for ": "sdn_query",
    "SDN query completed": "sdn_completed",
    "command line reported as lowfi": "command_line_lowfi",
    "command line reported as threat": "command_line_threat",
    "EMS scan for process": "ems_scan",
    "EMS detection: ": "ems_detection",
    "Triggered ": "ems_trigger",
    "BEGIN BM telemetry": "bm_telemetry",
    "BmLoggingDisabled:": "bm_logging",
    "0x00": "bm_throttled",
    "Setting original file name ": "original_file_name",
    "Internal signature match:": "signature_match",
    "AMSI ": "amsi_result",
    "[ProcessExclusion]": "exclusion",
    "[Exclusion]": "exclusion",
    "[AutoExclusion]": "auto_exclusion",
    "Path exclusion changed": "exclusion_change",
    "Processing new exclusion list": "exclusion_list",
    "Finished processing new exclusion list": "exclusion_list",
    "[TP] ": "tamper_protection",
    "Loaded ASR ": "asr_rule",
    "[RoutineClean]": "routine_clean",
    "Filter caching disabled for ": "filter_caching_disabled",
    "[Cloud]": "cloud",
    "[PlatUpd]": "platform_update",
    "[EmergencySigManager]": "emergency_signatures",
    "[AutoPurge]": "auto_purge",
    "[WPP]": "trace",
    "Deleted file ": "file_deleted",
    "IWscA": "security_center",
    "CheckTrusted=": "fp_suppression",
    "Task(": "task",
    "OnMountDetection ": "mount",
    "UnknownTelemetryScan ": "telemetry_scan",
    "No. Of buckets": "cache_statistics",
    "Each Bucket ": "cache_statistics",
    "number of Entries": "cache_statistics",
    "Number of in": "cache_statistics",
    "Number of replaces": "cache_statistics",
    "Number of lookup": "cache_statistics",
    "Number of fast lookup": "cache_statistics",
    "Number of false fast": "cache_statistics",
    "Number of maintenance": "cache_statistics",
    "Current File Size ": "cache_statistics",
    "Journal ID ": "cache_statistics",
    "Trusted image state ": "cache_statistics",
    "Setup boot count ": "cache_statistics",
    "----": ROW,
    "****": ROW,
    "Scan ID:": DETAIL,
    "Scan Source:": DETAIL,
    "Start Time:": DETAIL,
    "Start time:": DETAIL,
    "End Time:": DETAIL,
    "End time:": DETAIL,
    "End Scan": DETAIL,
    "Unsuccessful Scan": DETAIL,
    "Return Code:": DETAIL,
    "Explicit resource to scan": DETAIL,
    "Resource Schema:": DETAIL,
    "Resource Path:": DETAIL,
    "Resource action complete:": DETAIL,
    "Resource refcount:": DETAIL,
    "Result Count:": DETAIL,
    "Result:": DETAIL,
    "Threat Name:": DETAIL,
    "Threat ID:": DETAIL,
    "Threat result:": DETAIL,
    "Threat status flags:": DETAIL,
    "Threat Effective RemovalPolicy:": DETAIL,
    "Severity:": DETAIL,
    "Number of Resources:": DETAIL,
    "Unknown File": DETAIL,
    "Identifier:": DETAIL,
    "Extended Info": DETAIL,
    "Action:": DETAIL,
    "Schema:": DETAIL,
    "Path:": DETAIL,
    "File to act on ": DETAIL,
    "Finished threat ": DETAIL,
}

_HEAD = 4


def _by_head() -> dict[str, tuple[tuple[str, str], ...]]:
    """The table by the first characters, the longest prefix first; a tag's kind is empty."""
    heads: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for prefix, kind in sorted({**PREFIXES, **dict.fromkeys(TAGS, "")}.items(), key=lambda entry: -len(entry[0])):
        heads[prefix[:_HEAD]].append((prefix, kind))
    heads.update({blank: [(blank, BLANK)] for blank in ("", "\r", " \r")})
    return {head: tuple(entries) for head, entries in heads.items()}


_BY_HEAD = _by_head()
_NONE: tuple[tuple[str, str], ...] = ()


def kind_of(text: str) -> str:
    """The kind of the record that this line (without its stamp) begins or belongs to; `other` when nothing is known about it."""
    for prefix, kind in _BY_HEAD.get(text[:_HEAD], _NONE):
        if text.startswith(prefix):
            return _row(text) if kind is ROW else kind or _tagged(text, prefix)
    return _unlisted(text)


def untagged(text: str) -> str:
    """The message without its component tags: `Engine:EMS scan…` is `EMS scan…`."""
    for _ in range(2):
        for prefix, kind in _BY_HEAD.get(text[:_HEAD], _NONE):
            if not kind and text.startswith(prefix):
                text = text[len(prefix) :]
                break
    return text


def is_session_title(text: str) -> bool:
    """True for `<product, localised> (<guid>) Service Log`."""
    return text[-20:].rstrip().endswith(") Service Log")


def _tagged(text: str, tag: str) -> str:
    message = untagged(text)
    if not message or message.isspace():
        return TAG
    for prefix, kind in _BY_HEAD.get(message[:_HEAD], _NONE):
        if kind and message.startswith(prefix):
            return _row(message) if kind is ROW else kind
    return TAGS[tag]


def _row(text: str) -> str:
    """Rows of stars and dashes; some carry the title of a block."""
    if "RTP Perf Log" in text:
        return "rtp_perf"
    return "cache_statistics" if "Cache stats" in text else ROW


def _unlisted(text: str) -> str:
    if not text or text.isspace():
        return BLANK
    if text[0] == "\0":
        return DAMAGED
    if is_session_title(text):
        return SESSION
    return "service_stop" if text[-12:].rstrip().endswith(") Log") else OTHER

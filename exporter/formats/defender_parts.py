"""What tables cannot say of an event: functions from some of its values to some of its fields."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from exporter.formats import defender_activity as activity
from exporter.formats.defender_events import ConfigurationChange, ThreatEvent, WindowsEvent
from exporter.formats.defender_paths import split_path
from exporter.formats.defender_settings import read_setting, rule_of, split_value, threat_of
from exporter.formats.evtx_normalize import NUMBERS, guid, number_of
from exporter.formats.evtx_times import iso_ticks
from exporter.formats.known import Known
from exporter.formats.mplog_lines import internal_command_line
from exporter.formats.resources import Resource, file_path

_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})(?![0-9A-Fa-f])")
_NEVER = 0xFFFFFFFF
_SHORT = 400
_COMMAND = "internalcmdline"


class Part(NamedTuple):
    """`make` gives the values of `fields` from those of `sources`.

    A source is a field that the tables fill, `=name` for one of the Data, or `~name` for one by its plain name (`defender_fields`).
    """

    make: Callable[..., tuple[Any, ...]]
    sources: tuple[str, ...]
    fields: tuple[str, ...]


def part_of(event_class: type[WindowsEvent]) -> Part | None:
    """What a class has besides the tables."""
    return _THREAT if issubclass(event_class, ThreatEvent) else _PARTS.get(event_class)


def _error_code(text: str) -> int | None:
    code = number_of(text)
    return None if code is None else code & 0xFFFFFFFF


ERROR_CODES = Known(_error_code, 1024)
"""HRESULTs as Windows writes them: unsigned, where a decimal text may be signed."""


def user_of(domain: str, user: str, alone: str | None) -> str | None:
    """An account of which the domain is told apart."""
    return f"{domain}\\{user}" if domain and user else alone


def _threat(path: str | None, threat_id: int | None, detection_id: str | None, detected: str | None) -> tuple[Any, ...]:
    short = path is not None and len(path) <= _SHORT
    resources, values, file, commanded = (_found_in if short else _found_in.__wrapped__)(path)
    signature = None
    if commanded:
        threat_id, signature = _command(resources, threat_id)
    return guid(detection_id), _time(detected), resources, values, file, threat_id, signature


@lru_cache(maxsize=512)  # a detection and what was done about it name the same places
def _found_in(path: str | None) -> tuple[tuple[Resource, ...], tuple[str, ...], str | None, bool]:
    resources = split_path(path)
    return resources, tuple(one.value for one in resources), file_path(resources), bool(path) and _COMMAND in path.lower()  # type: ignore[union-attr]


def _command(resources: tuple[Resource, ...], threat_id: int | None) -> tuple[int | None, int | None]:
    for resource in resources:
        if resource.schema.lower() == _COMMAND:
            told, signature = internal_command_line(resource.value)
            return threat_id or told, signature
    return threat_id, None


def _setting(old: str | None, new: str | None) -> tuple[Any, ...]:
    # a log repeats few settings; long values are not kept
    short = len(old or "") + len(new or "") <= _SHORT
    return (_known_setting if short else _known_setting.__wrapped__)(old, new)


@lru_cache(maxsize=1024)
def _known_setting(old: str | None, new: str | None) -> tuple[Any, ...]:
    setting = read_setting(old, new)
    number = number_of(setting.new) if setting.new else None
    about = (setting.kind, setting.target, setting.target_type, number, threat_of(setting), rule_of(setting))
    return (setting.name, setting.old, setting.new, *about)


def _duration(*parts: str | None) -> tuple[int | None]:
    hours, minutes, seconds = (NUMBERS[part or ""] for part in parts)
    return (None if hours is None or minutes is None or seconds is None else hours * 3600 + minutes * 60 + seconds,)


def _detection_time(text: str | None) -> tuple[int | None]:
    return (_time(text),)


def _hashes(path: str | None, hashes: str | None) -> tuple[Any, ...]:
    resources = split_path(path)
    digests: dict[int, str] = {}
    for digest in _HEX.findall(hashes or ""):
        digests.setdefault(len(digest), digest.lower())
    file = file_path(resources) or (path if path and path[1:3] == ":\\" else None)
    return resources, file, digests.get(32), digests.get(40), digests.get(64)


def _exception(text: str | None) -> tuple[int | None]:
    return (ERROR_CODES[text or ""],)


def _ages(*ages: int | None) -> tuple[int | None, ...]:
    return tuple(None if age == _NEVER else age for age in ages)


def _sha256(digest: str | None) -> tuple[str | None]:
    return (digest.lower() if digest and len(digest) == 64 and _HEX.fullmatch(digest) else None,)


@lru_cache(maxsize=64)
def _time(text: str | None) -> int | None:
    try:
        return iso_ticks(text)[0] if text else None
    except (ValueError, OverflowError):
        return None


_THREAT = Part(
    _threat,
    ("path", "threat_id", "=Detection ID", "=Detection Time"),
    ("detection_id", "detected_at", "resources", "evidence_paths", "file_path", "threat_id", "sig_seq"),
)
_GUARDED = Part(_detection_time, ("~detectiontime",), ("detected_at",))
_AGES = ("signature_age", "quick_scan_age", "full_scan_age")
_PARTS: Mapping[type[WindowsEvent], Part] = {
    ConfigurationChange: Part(
        _setting,
        ("old_value", "new_value"),
        ("setting", "old_value", "new_value", "setting_kind", "setting_target", "target_type", "new_number", "threat_id", "rule_id"),
    ),
    activity.TamperProtection: Part(split_value, ("setting",), ("setting", "new_value")),
    activity.Scan: Part(_duration, ("~scantimehours", "~scantimeminutes", "~scantimeseconds"), ("duration",)),
    activity.AttackSurfaceRule: _GUARDED,
    activity.FolderAccess: _GUARDED,
    activity.NetworkProtection: _GUARDED,
    activity.ThreatHashes: Part(_hashes, ("path", "hashes"), ("resources", "file_path", "md5", "sha1", "sha256")),
    activity.EngineFailure: Part(_exception, ("~exceptioncode",), ("error_code",)),
    activity.Health: Part(_ages, _AGES, _AGES),
    activity.FileTransfer: Part(_sha256, ("sha256",), ("sha256",)),
}

"""From the fields of a Windows event to its payload, by the tables of `defender_fields`.

A plan is made once for each class and set of Data names: which Data give texts, which numbers, and what is left to a function.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, get_type_hints

from exporter.formats import defender_activity as activity
from exporter.formats.defender_events import ConfigurationChange, DefenderEvent, ThreatEvent, WindowsEvent
from exporter.formats.defender_fields import CLASSES, COMMON, FIELDS, POSITIONS, THREAT
from exporter.formats.defender_paths import split_path
from exporter.formats.defender_settings import read_setting, rule_of, split_value, threat_of
from exporter.formats.evtx_normalize import guid, iso_ticks, number_of
from exporter.formats.mplog_lines import internal_command_line
from exporter.formats.resources import Resource, file_path

_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})(?![0-9A-Fa-f])")
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}
_GUIDS = frozenset(("scan_id", "rule_id"))
_NEVER = 0xFFFFFFFF
_SHORT = 400
_COMMAND = "internalcmdline"


class _Plan(NamedTuple):
    """How events of one class and with these Data are typed."""

    texts: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]
    guids: tuple[tuple[str, str], ...]
    error: str | None
    has_domain: bool
    special: Callable[[dict[str, Any], Mapping[str, str]], None] | None


def type_event(fields: dict[str, Any]) -> WindowsEvent:
    """The payload of a Defender event, from the fields that `evtx_normalize` gives; `fields` is filled further.

    `data` stays as it is: every Data element raw and in order under its own name, blanks included; a repeated name gets `_1`, `_2`, …,
    elements without a name are `Data`, `Data_1`, … Ids and codes that are no numbers, and empty texts, are None in the typed fields.
    """
    event_class = CLASSES.get(fields["event_id"], DefenderEvent)
    data: Mapping[str, str] = fields["data"]
    if "Data" in data:
        data = _named(fields["event_id"], data)
    plan = _plan(event_class, tuple(data))
    for field, name in plan.texts:
        if data[name]:
            fields[field] = data[name]
    for field, name in plan.numbers:
        fields[field] = number_of(data[name])
    for field, name in plan.guids:
        fields[field] = guid(data[name])
    if plan.error:
        fields["error_code"] = _error_code(data[plan.error])
    if plan.has_domain:
        _add_user(fields, data)
    if plan.special is not None:
        plan.special(fields, data)
    return event_class(**fields)


def _named(event_id: int, data: Mapping[str, str]) -> Mapping[str, str]:
    """The values of an older provider's event under the names of today's, if they are as many."""
    names = POSITIONS.get(event_id, ())
    return dict(zip(names, data.values(), strict=True)) if len(names) == len(data) else data


@lru_cache(maxsize=1024)
def _plan(event_class: type[WindowsEvent], names: tuple[str, ...]) -> _Plan:
    table = {**COMMON, **(THREAT if issubclass(event_class, ThreatEvent) else {}), **FIELDS.get(event_class, {})}
    found = _matches(table, names)
    hints = get_type_hints(event_class)
    numbers = tuple(pair for pair in found if hints[pair[0]] == int | None and pair[0] != "detected_at")
    guids = tuple(pair for pair in found if pair[0] in _GUIDS)
    texts = tuple(pair for pair in found if hints[pair[0]] == str | None and pair[0] not in _GUIDS)
    error = dict(_matches({"errorcode": "error_code"}, names)).get("error_code")
    special = _add_threat if issubclass(event_class, ThreatEvent) else _SPECIAL.get(event_class)
    return _Plan(texts, numbers, guids, error, "Domain" in names and "User" in names, special)


def _matches(table: Mapping[str, str], names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Field and Data name, one name for each field: the first in the table's order."""
    plain = {_plain(name): name for name in reversed(names)}
    found: dict[str, str] = {}
    for key, field in table.items():
        if key in plain:
            found.setdefault(field, plain[key])
    return tuple(found.items())


def _plain(name: str) -> str:
    return name.replace(" ", "").lower().replace("securityintelligence", "signature")


def _value(data: Mapping[str, str], plain: str) -> str | None:
    """One value by its plain name."""
    name = _name(tuple(data), plain)
    return None if name is None else data[name]


@lru_cache(maxsize=1024)
def _name(names: tuple[str, ...], plain: str) -> str | None:
    return next((name for name in names if _plain(name) == plain), None)


@lru_cache(maxsize=1024)
def _error_code(text: str) -> int | None:
    """An HRESULT as Windows writes it: unsigned, where a decimal text may be signed."""
    code = number_of(text)
    return None if code is None else code & 0xFFFFFFFF


def _add_user(fields: dict[str, Any], data: Mapping[str, str]) -> None:
    if data["Domain"] and data["User"]:
        fields["user"] = f"{data['Domain']}\\{data['User']}"


def _add_threat(fields: dict[str, Any], data: Mapping[str, str]) -> None:
    fields["detection_id"] = guid(data.get("Detection ID"))
    fields["detected_at"] = _time(data.get("Detection Time"))
    path = fields.get("path")
    resources = split_path(path)
    fields["resources"] = resources
    fields["evidence_paths"] = tuple(resource.value for resource in resources)
    fields["file_path"] = file_path(resources)
    if path and _COMMAND in path.lower():
        _add_command(fields, resources)


def _add_command(fields: dict[str, Any], resources: tuple[Resource, ...]) -> None:
    for resource in resources:
        if resource.schema.lower() == _COMMAND:
            threat_id, fields["sig_seq"] = internal_command_line(resource.value)
            fields["threat_id"] = fields.get("threat_id") or threat_id
            return


def _add_setting(fields: dict[str, Any], _: Mapping[str, str]) -> None:
    old, new = fields.get("old_value"), fields.get("new_value")
    # a log repeats few settings; long values are not kept
    short = len(old or "") + len(new or "") <= _SHORT
    fields.update((_setting if short else _setting.__wrapped__)(old, new))


@lru_cache(maxsize=1024)
def _setting(old: str | None, new: str | None) -> dict[str, Any]:
    setting = read_setting(old, new)
    return {
        "setting": setting.name,
        "old_value": setting.old,
        "new_value": setting.new,
        "setting_kind": setting.kind,
        "setting_target": setting.target,
        "target_type": setting.target_type,
        "new_number": number_of(setting.new) if setting.new else None,
        "threat_id": threat_of(setting),
        "rule_id": rule_of(setting),
    }


def _add_blocked_setting(fields: dict[str, Any], _: Mapping[str, str]) -> None:
    fields["setting"], fields["new_value"] = split_value(fields.get("setting"))


def _add_duration(fields: dict[str, Any], data: Mapping[str, str]) -> None:
    parts = [number_of(_value(data, f"scantime{unit}") or "") for unit in ("hours", "minutes", "seconds")]
    if None not in parts:
        hours, minutes, seconds = parts
        fields["duration"] = (hours or 0) * 3600 + (minutes or 0) * 60 + (seconds or 0)


def _add_detection_time(fields: dict[str, Any], data: Mapping[str, str]) -> None:
    fields["detected_at"] = _time(_value(data, "detectiontime"))


def _add_hashes(fields: dict[str, Any], _: Mapping[str, str]) -> None:
    fields["resources"] = split_path(fields.get("path"))
    path = fields.get("path") or ""
    fields["file_path"] = file_path(fields["resources"]) or (path if path[1:3] == ":\\" else None)
    for digest in _HEX.findall(fields.get("hashes") or ""):
        fields.setdefault(_HASHES[len(digest)], digest.lower())


def _add_exception(fields: dict[str, Any], data: Mapping[str, str]) -> None:
    fields["error_code"] = _error_code(_value(data, "exceptioncode") or "")


def _drop_never(fields: dict[str, Any], _: Mapping[str, str]) -> None:
    for name in ("signature_age", "quick_scan_age", "full_scan_age"):
        if fields.get(name) == _NEVER:
            fields[name] = None


def _lower_hash(fields: dict[str, Any], _: Mapping[str, str]) -> None:
    digest = fields.get("sha256")
    if digest is not None:
        fields["sha256"] = digest.lower() if len(digest) == 64 and _HEX.fullmatch(digest) else None


_SPECIAL: dict[type[WindowsEvent], Callable[[dict[str, Any], Mapping[str, str]], None]] = {
    ConfigurationChange: _add_setting,
    activity.TamperProtection: _add_blocked_setting,
    activity.Scan: _add_duration,
    activity.AttackSurfaceRule: _add_detection_time,
    activity.FolderAccess: _add_detection_time,
    activity.NetworkProtection: _add_detection_time,
    activity.ThreatHashes: _add_hashes,
    activity.EngineFailure: _add_exception,
    activity.Health: _drop_never,
    activity.FileTransfer: _lower_hash,
}
"""What tables cannot say; every `ThreatEvent` has `_add_threat`."""


def _time(text: str | None) -> int | None:
    try:
        return iso_ticks(text)[0] if text else None
    except (ValueError, OverflowError):
        return None

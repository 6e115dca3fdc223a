"""From the fields of a Windows event to its payload: a table from id to class, and one from Data name to field.

Names lose their blanks and case first, and "Security intelligence" is called "Signature" as in older platforms: so one row serves the
event manifests of all versions (names: manifest of Windows 10 17134 in repnz/etw-providers-docs, and the samples).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from exporter.formats.defender_events import (
    Action,
    ActionFailed,
    Behavior,
    ConfigurationChange,
    DefenderEvent,
    Detection,
    ProtectionDisabled,
    QuarantineChange,
    ThreatEvent,
    UnwantedApplication,
    WindowsEvent,
)
from exporter.formats.evtx_normalize import guid, iso_ticks, number_of
from exporter.formats.resources import Resource, file_path

CLASSES: dict[int, type[WindowsEvent]] = {
    1006: Detection,
    1007: Action,
    1008: ActionFailed,
    1009: QuarantineChange,
    1010: QuarantineChange,
    1011: QuarantineChange,
    1012: QuarantineChange,
    1015: Behavior,
    1116: Detection,
    1117: Action,
    1118: ActionFailed,
    1119: ActionFailed,
    1160: UnwantedApplication,
    5001: ProtectionDisabled,
    5007: ConfigurationChange,
    5010: ProtectionDisabled,
    5012: ProtectionDisabled,
}

_TEXTS = {
    "productversion": "product_version",
    "platformversion": "product_version",
    "engineversion": "engine_version",
    "currentengineversion": "engine_version",
    "signatureversion": "signature_version",
    "currentsignatureversion": "signature_version",
    "avsignatureversion": "signature_version",
    "user": "user",
}
_THREAT_TEXTS = _TEXTS | {
    "threatname": "threat_name",
    "severityname": "severity_name",
    "categoryname": "category_name",
    "fwlink": "reference",
    "sourcename": "source_name",
    "detectionsource": "source_name",
    "processname": "process_name",
    "detectionuser": "detection_user",
    "remediationuser": "remediation_user",
    "path": "path",
    "pathfound": "path",
    "actionname": "action_name",
    "cleaningaction": "action_name",
}
_THREAT_NUMBERS = {
    "threatid": "threat_id",
    "severityid": "severity_id",
    "categoryid": "category_id",
    "statuscode": "status_code",
    "state": "state",
    "sourceid": "source_id",
    "detectionsourceindex": "source_id",
    "originid": "origin_id",
    "detectionoriginindex": "origin_id",
    "executionid": "execution_id",
    "executionstatusindex": "execution_id",
    "typeid": "type_id",
    "detectiontypeindex": "type_id",
    "preexecutionstatus": "pre_execution_status",
    "actionid": "action_id",
    "cleaningactionindex": "action_id",
    "postcleanstatus": "post_clean_status",
    "additionalactionsid": "additional_actions_id",
}
_SCHEMES = (
    "file|containerfile|process|behavior|internalbehavior|webfile|webscript|regkey|regkeyvalue|runkey|service|driver|startup|folder"
    "|taskscheduler|amsi|amsiuac|wmi|cmdline|internalcmdline|queryfile|queryfilertsig|bho|clsid|typelib|uninstall|firewallbypass"
    "|shellopencmd|ieaddon|iemenuext|iesearchurl|rootcert|hostsfile|lsp|winlogon|appinitdll|boot|mbr|uefi"
)
"""Resource types of the EVTX, MPLog and DetectionHistory samples, and others that public resource lists name."""
_KNOWN = frozenset(_SCHEMES.split("|"))
_SCHEME = re.compile(rf"({_SCHEMES}):(_?)", re.IGNORECASE)
_NEXT = re.compile(rf"; ?(?=(?:{_SCHEMES}):_)", re.IGNORECASE)
_NEXT_BARE = re.compile(rf"; ?(?=(?:{_SCHEMES}):)", re.IGNORECASE)
_HEX_VALUE = re.compile(r"(.*) = (0x[0-9A-Fa-f]+)", re.DOTALL)


class _Plan(NamedTuple):
    """How events of one class and with these Data are typed."""

    texts: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]
    error: str | None
    has_domain: bool
    special: Callable[[dict[str, Any], dict[str, str]], None] | None


def type_event(fields: dict[str, Any]) -> WindowsEvent:
    """The payload of a Defender event, from the fields that `evtx_normalize` gives; `fields` is filled further.

    `data` stays as it is: every Data element raw and in order under its own name, blanks included; a repeated name gets `_1`, `_2`, …,
    elements without a name are `Data`, `Data_1`, … Ids and codes that are no numbers, and empty texts, are None in the typed fields.
    """
    event_class = CLASSES.get(fields["event_id"], DefenderEvent)
    data = fields["data"]
    plan = _plan(event_class, tuple(data))
    for field, name in plan.texts:
        if data[name]:
            fields[field] = data[name]
    for field, name in plan.numbers:
        fields[field] = number_of(data[name])
    if plan.error:
        fields["error_code"] = _error_code(data[plan.error])
    if plan.has_domain:
        _add_user(fields, data)
    if plan.special is not None:
        plan.special(fields, data)
    return event_class(**fields)


@lru_cache(maxsize=1024)
def _plan(event_class: type[WindowsEvent], names: tuple[str, ...]) -> _Plan:
    error = dict(_matches({"errorcode": "error_code"}, names)).get("error_code")
    has_domain = "Domain" in names and "User" in names
    if issubclass(event_class, ThreatEvent):
        return _Plan(_matches(_THREAT_TEXTS, names), _matches(_THREAT_NUMBERS, names), error, has_domain, _add_threat)
    return _Plan(_matches(_TEXTS, names), (), error, has_domain, _add_setting if event_class is ConfigurationChange else None)


def _matches(table: dict[str, str], names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Field and Data name, one name for each field: the first in the table's order."""
    plain = {name.replace(" ", "").lower().replace("securityintelligence", "signature"): name for name in reversed(names)}
    found: dict[str, str] = {}
    for key, field in table.items():
        if key in plain:
            found.setdefault(field, plain[key])
    return tuple(found.items())


@lru_cache(maxsize=1024)
def _error_code(text: str) -> int | None:
    """An HRESULT as Windows writes it: unsigned, where a decimal text may be signed."""
    code = number_of(text)
    return None if code is None else code & 0xFFFFFFFF


def _add_user(fields: dict[str, Any], data: dict[str, str]) -> None:
    if data["Domain"] and data["User"]:
        fields["user"] = f"{data['Domain']}\\{data['User']}"


def _add_setting(fields: dict[str, Any], data: dict[str, str]) -> None:
    fields["setting"], fields["old_value"], fields["new_value"] = split_setting(data.get("Old Value"), data.get("New Value"))


def _add_threat(fields: dict[str, Any], data: dict[str, str]) -> None:
    fields["detection_id"] = guid(data.get("Detection ID"))
    fields["detected_at"] = _time(data.get("Detection Time"))
    resources = split_path(fields.get("path"))
    fields["resources"] = resources
    fields["evidence_paths"] = tuple(resource.value for resource in resources)
    fields["file_path"] = file_path(resources)


def _time(text: str | None) -> int | None:
    try:
        return iso_ticks(text)[0] if text else None
    except (ValueError, OverflowError):
        return None


def split_path(path: str | None) -> tuple[Resource, ...]:
    """The resources of a `Path`: `<scheme>:_<value>`, joined by `; `. A value may hold `; ` itself, so only a known scheme begins the next.

    A text without a scheme is one resource with an empty scheme. Platforms before 4.x write `<scheme>:<value>;`.
    """
    if not path:
        return ()
    scheme, mark, value = path.partition(":_")
    if mark and ";" not in value and scheme.lower() in _KNOWN:
        return (Resource(scheme, value),)
    first = _SCHEME.match(path)
    if first is None:
        return (Resource("", path),)
    bare = not first[2]
    parts = (_NEXT_BARE if bare else _NEXT).split(path)
    return tuple(_resource(part.removesuffix(";") if bare else part) for part in parts)


def _resource(text: str) -> Resource:
    scheme = _SCHEME.match(text)
    assert scheme is not None
    return Resource(scheme[1], text[scheme.end() :])


def split_setting(old: str | None, new: str | None) -> tuple[str | None, str | None, str | None]:
    """Setting, old and new value of event 5007: `<registry path> = <value>`, empty where there was or is none."""
    old_name, old_value = _name_and_value(old)
    new_name, new_value = _name_and_value(new)
    return new_name or old_name, old_value, new_value


def _name_and_value(text: str | None) -> tuple[str | None, str | None]:
    if not text:
        return None, None
    # an excluded path may hold " = " itself; its value is always a number
    match = _HEX_VALUE.fullmatch(text)
    name, _, value = (match[1], "", match[2]) if match else text.partition(" = ")
    return name.removeprefix("Default\\").removeprefix("N/A\\") or None, value

"""Events of other providers that tell about Defender: its service, the older Microsoft Antimalware, IPsec policies of host isolation.

provider                              id     Data
Service Control Manager               7036   param1 display name, param2 state (both localized), Binary: UTF-16 `<service>/<number>`
                                      7040   param1 display name, param2 old and param3 new start type (localized), param4 service
                                      7045   ServiceName, ImagePath, ServiceType, StartType, AccountName
Microsoft-Windows-Security-Auditing   5460   Policy: the local registry IPsec policy that was applied (host isolation uses one)
Microsoft Antimalware                 as Defender's own, values without names (System Center Endpoint Protection, Security Essentials)
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from exporter.formats.defender_events import WindowsEvent
from exporter.formats.defender_typing import type_event
from exporter.formats.evtx_chunks import Walk

SERVICE = "WinDefend"
LEGACY = "Microsoft Antimalware"
_SERVICE_CODE = SERVICE.encode("utf-16-le").hex().upper()
_SUCCESS = "0x8020000000000000"
_TEMPLATES = slice(384, 512)


class ServiceEvent(WindowsEvent, frozen=True, kw_only=True):
    """7036, 7040 and 7045 of Defender's service; texts are as found, in the machine's language."""

    kind: ClassVar[str] = "evtx_service"
    service_name: str
    state: str | None = None
    start_type: str | None = None
    previous_start_type: str | None = None
    image_path: str | None = None
    account: str | None = None


class IpsecPolicy(WindowsEvent, frozen=True, kw_only=True):
    """5460: a local registry IPsec policy was applied."""

    kind: ClassVar[str] = "evtx_ipsec_policy"
    policy: str | None = None


def type_side_event(fields: dict[str, Any]) -> WindowsEvent | None:
    """The payload of an event of another provider, from the fields that `evtx_normalize` gives; None when it is none of the above."""
    make = _MAKERS.get(fields["provider_name"])
    return make(fields, fields["data"]) if make else None


def _service(fields: dict[str, Any], data: Mapping[str, str]) -> WindowsEvent | None:
    names = _SERVICE_FIELDS.get(fields["event_id"])
    if names is None or not _is_service(data.get(names[0], "")):
        return None
    found: dict[str, Any] = {field: data[name] for field, name in names[1].items() if data.get(name)}
    return ServiceEvent(**fields, service_name=SERVICE, **found)


def _is_service(value: str) -> bool:
    return value == SERVICE or value.startswith((_SERVICE_CODE, _SERVICE_CODE.lower()))


_SERVICE_FIELDS: Mapping[int, tuple[str, Mapping[str, str]]] = {
    7036: ("Binary", {"state": "param2"}),
    7040: ("param4", {"previous_start_type": "param2", "start_type": "param3"}),
    7045: ("ServiceName", {"image_path": "ImagePath", "start_type": "StartType", "account": "AccountName"}),
}
"""For each id, the Data that names the service, and those that are typed."""


def _security(fields: dict[str, Any], data: Mapping[str, str]) -> WindowsEvent | None:
    if fields["event_id"] != 5460 or fields["keywords"] != _SUCCESS:
        return None
    return IpsecPolicy(**fields, policy=next(iter(data.values()), None))


def _legacy(fields: dict[str, Any], _: Mapping[str, str]) -> WindowsEvent:
    return type_event(fields)


_MAKERS: Mapping[str, Callable[[dict[str, Any], Mapping[str, str]], WindowsEvent | None]] = {
    "Service Control Manager": _service,
    "Microsoft-Windows-Security-Auditing": _security,
    LEGACY: _legacy,
}


def _utf16(text: str) -> Callable[..., re.Match[bytes] | None]:
    # by `re`: bytes.find is several times slower on UTF-16
    return re.compile(re.escape(text.encode("utf-16-le"))).search


_NATIVE = (
    _utf16(SERVICE),
    _utf16(LEGACY),
    # values of System: EventID 5460, no Qualifiers, Keywords of an audit success
    re.compile(re.escape(bytes.fromhex("5415 0000 0000000000002080"))).search,
)
_TEXT = (_utf16(_SERVICE_CODE), _utf16(_SERVICE_CODE.lower()), _utf16("5460"))
"""Forwarded events have all values as text, and no templates."""


def may_hold_side_events(found: Walk, first: int) -> bool:
    """False for a chunk with no trace of them; `first` is the offset of its first record."""
    if any(search(found.data, first, found.end) for search in _NATIVE):
        return True
    if found.header_sound and any(found.data[_TEMPLATES]):
        return False
    return any(search(found.data, first, found.end) for search in _TEXT)

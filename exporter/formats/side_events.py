"""Events of other providers that tell about Defender: its service, the older Microsoft Antimalware, IPsec policies of host isolation.

provider                              id     Data
Service Control Manager               7036   param1 display name, param2 state (both localized), Binary: UTF-16 `<service>/<number>`
                                      7040   param1 display name, param2 old and param3 new start type (localized), param4 service
                                      7045   ServiceName, ImagePath, ServiceType, StartType, AccountName
Microsoft-Windows-Security-Auditing   5460   Policy: the local registry IPsec policy that was applied (host isolation uses one)
Microsoft Antimalware                 as Defender's own, values without names (System Center Endpoint Protection, Security Essentials)
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from exporter.formats.defender_events import WindowsEvent
from exporter.formats.defender_typing import type_event
from exporter.formats.evtx_form import LEGACY, SECURITY, SERVICES, SIDE_EVENTS

SERVICE = "WinDefend"
SERVICE_CODE = SERVICE.encode("utf-16-le").hex().upper()
"""As the Binary element of 7036 is rendered."""
_SUCCESS = "0x8020000000000000"


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
    return value == SERVICE or value.startswith((SERVICE_CODE, SERVICE_CODE.lower()))


_SERVICE_FIELDS: Mapping[int, tuple[str, Mapping[str, str]]] = {
    7036: ("Binary", {"state": "param2"}),
    7040: ("param4", {"previous_start_type": "param2", "start_type": "param3"}),
    7045: ("ServiceName", {"image_path": "ImagePath", "start_type": "StartType", "account": "AccountName"}),
}
"""For each id, the Data that names the service, and those that are typed."""


def _security(fields: dict[str, Any], data: Mapping[str, str]) -> WindowsEvent | None:
    if fields["event_id"] not in SIDE_EVENTS[SECURITY] or fields["keywords"] != _SUCCESS:
        return None
    return IpsecPolicy(**fields, policy=next(iter(data.values()), None))


def _legacy(fields: dict[str, Any], _: Mapping[str, str]) -> WindowsEvent:
    return type_event(fields)


_MAKERS: Mapping[str, Callable[[dict[str, Any], Mapping[str, str]], WindowsEvent | None]] = {
    SERVICES: _service,
    SECURITY: _security,
    LEGACY: _legacy,
}

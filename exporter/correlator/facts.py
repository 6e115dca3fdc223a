"""What single members say about an incident: its attributes and resources, of a block only the parts about its threat."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeAlias

from exporter.formats.mplog_records import ResourceScan, ThreatActions
from exporter.formats.quarantine import QuarantineResource
from exporter.formats.resources import Resource
from exporter.records import Payload
from exporter.times import usable

Threat: TypeAlias = tuple[int | None, frozenset[str]]
"""The id of an incident's threat and its lower-case names."""

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "threat_name": ("threat_name",),
    "severity_id": ("severity_id",),
    "category_id": ("category_id",),
    "user": ("detection_user", "user"),
    "process_name": ("process_name",),
    "file_path": ("file_path",),
    "detected_at": ("detected_at",),
    "md5": ("md5",),
    "sha1": ("sha1",),
    "sha256": ("sha256",),
}
"""Attributes of the incident ← of its members; the most believed member that has one gives it."""


def facts(payload: Payload, threat: Threat) -> Iterator[tuple[str, Any]]:
    """Attributes of the incident that this member has."""
    if isinstance(payload, ThreatActions | ResourceScan):
        yield from _block_facts(payload, threat)
        return
    for name, sources in _sources(type(payload)):
        for source in sources:
            value = getattr(payload, source)
            if value is not None and (name != "detected_at" or usable(value)):
                yield name, value
                break


@cache
def _sources(kind: type[Payload]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Those of `_ATTRIBUTES` that a class has."""
    found = ((name, tuple(source for source in sources if source in kind.__struct_fields__)) for name, sources in _ATTRIBUTES.items())
    return tuple((name, sources) for name, sources in found if sources)


def _block_facts(payload: ThreatActions | ResourceScan, threat: Threat) -> Iterator[tuple[str, Any]]:
    for part in own(payload.actions if isinstance(payload, ThreatActions) else payload.results, threat):
        for name, value in (("threat_name", part.threat_name), ("severity_id", getattr(part, "severity_id", None))):
            if value is not None:
                yield name, value
        for sha1 in getattr(part, "sha1", ()):
            yield "sha1", sha1
        return


def resources(payload: Any, threat: Threat) -> Iterator[Resource]:
    """The resources that a member names for the threat, those internal to Defender left out."""
    if isinstance(payload, QuarantineResource):
        found: Iterable[Resource] = (Resource(payload.resource_type, payload.path),)
    elif isinstance(payload, ThreatActions):
        found = (Resource(acted.schema, acted.value) for action in own(payload.actions, threat) for acted in action.resources)
    elif isinstance(payload, ResourceScan):
        found = (resource for result in own(payload.results, threat) for resource in result.resources)
    else:
        found = getattr(payload, "resources", ())
    return (_plain(one) for one in found if not one.schema.startswith("internal"))


def _plain(one: Resource) -> Resource:
    return Resource(one.schema, one.value[4:]) if one.value.startswith("\\\\?\\") else one


def own(parts: Iterable[Any], threat: Threat) -> Iterator[Any]:
    """The parts of a block that are about the threat: by id, and by name where one of the two has no id."""
    threat_id, names = threat
    for part in parts:
        if part.threat_id and threat_id:
            mine = part.threat_id == threat_id
        else:
            mine = part.threat_name is not None and part.threat_name.strip().lower() in names
        if mine:
            yield part

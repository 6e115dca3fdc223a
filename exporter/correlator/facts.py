"""What single members say about an incident: its attributes and resources, of a block only the parts about its threat."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

from exporter.formats.mplog_records import ResourceScan, ThreatActions
from exporter.formats.quarantine import QuarantineResource
from exporter.formats.resources import Resource
from exporter.records import Payload
from exporter.times import usable

Threat: TypeAlias = tuple[int | None, frozenset[str]]
"""The id of an incident's threat and its lower-case names."""

_ATTRIBUTES = {
    "threat_name": ("threat_name",),
    "severity_id": ("severity_id",),
    "category_id": ("category_id",),
    "user": ("detection_user", "user"),
    "process_name": ("process_name",),
    "file_path": ("file_path",),
    "md5": ("md5",),
    "sha1": ("sha1",),
    "sha256": ("sha256",),
    "detected_at": ("detected_at",),
}
"""Attributes of the incident ← of its members; the most believed member that has one gives it."""


def facts(payload: Payload, threat: Threat) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Attributes of the incident, and what this member says they are, None for nothing; a name that comes twice means its first value."""
    if isinstance(payload, ThreatActions | ResourceScan):
        found = tuple(_block_facts(payload, threat))
        return tuple(name for name, _ in found), tuple(value for _, value in found)
    names, values = _reader(type(payload))
    said = values(payload)
    if names[-1:] == ("detected_at",) and not usable(said[-1]):
        said = (*said[:-1], None)
    return names, said


@cache
def _reader(kind: type[Payload]) -> tuple[tuple[str, ...], Callable[[Payload], tuple[Any, ...]]]:
    """Those of `_ATTRIBUTES` that a class has, and what reads them."""
    found = [(name, source) for name, sources in _ATTRIBUTES.items() for source in sources if source in kind.__struct_fields__]
    sources = [source for _, source in found]
    read = attrgetter(*sources) if len(sources) > 1 else lambda payload: tuple(getattr(payload, source) for source in sources)
    return tuple(name for name, _ in found), read


def _block_facts(payload: ThreatActions | ResourceScan, threat: Threat) -> Iterator[tuple[str, Any]]:
    for part in own(payload.actions if isinstance(payload, ThreatActions) else payload.results, threat):
        yield "threat_name", part.threat_name
        yield "severity_id", getattr(part, "severity_id", None)
        yield "sha1", next(iter(getattr(part, "sha1", ())), None)
        return


def resources(payload: Any, threat: Threat) -> tuple[Resource, ...]:
    """The resources that a member names for the threat."""
    if isinstance(payload, QuarantineResource):
        return (Resource(payload.resource_type, payload.path),)
    if isinstance(payload, ThreatActions):
        return tuple(Resource(acted.schema, acted.value) for action in own(payload.actions, threat) for acted in action.resources)
    if isinstance(payload, ResourceScan):
        return tuple(resource for result in own(payload.results, threat) for resource in result.resources)
    return getattr(payload, "resources", ())


def told(found: Iterable[Resource]) -> Iterator[Resource]:
    """Resources as an incident tells them: those internal to Defender left out."""
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

"""What each kind of payload can be joined by: one table, payload class → keys.

Tier 1 are ids that Windows gave: Detection ID (event, DetectionHistory), quarantine id (DetectionHistory, Entries, Resources), resource
id (Entries, Resources, name of the container). Tier 2 are the payload's SHA-1, the signature (SigSeq and threat id) and the time and
threat name of an event and its line in MPLog. Tier 3 is threat and path. `joins` says how near in time each has to be.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from exporter.correlator.paths import digests
from exporter.formats.defender_events import (
    Action,
    ActionFailed,
    Behavior,
    Detection,
    QuarantineChange,
    ThreatEvent,
    UnwantedApplication,
)
from exporter.formats.detection_history import DetectionHistory
from exporter.formats.mpdetection import DetectionLine
from exporter.formats.mplog_records import DetectionAdd, DetectionClean, DetectionEvent, ResourceScan, ThreatActions
from exporter.formats.quarantine import QuarantineEntry, QuarantineReference, QuarantineResource
from exporter.formats.resource_data import QuarantineContainer
from exporter.formats.resources import Resource
from exporter.records import Payload
from exporter.times import UNIX_EPOCH, USABLE_END

Anchor: TypeAlias = tuple[str, str]
"""A kind of id and its value, such as (`detection`, GUID)."""
Threat: TypeAlias = tuple[int | None, str | None]
"""Threat id and lower-case name, as far as a payload says them; never a placeholder id."""

_PLACEHOLDER = 0x8000_0000
_EMPTY_SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
ONE, BLOCK, AFTERMATH, BROADEST = range(4)
"""What a record speaks of, in the order of joining: one detection, a block of one threat, what came later, a block of several threats."""
DETECTED = "detected"
ACTED = "acted"


class Keys(msgspec.Struct, frozen=True, gc=False):
    """What a held record can be joined by, but for its times; records that say the same are one object in memory.

    `anchor` is the id whose group the record belongs to by itself; `quarantines` and `resources` are the ids that it names besides.
    """

    anchor: Anchor | None = None
    quarantines: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    sha1s: tuple[str, ...] = ()
    signatures: tuple[int, ...] = ()
    threats: tuple[Threat, ...] = ()
    paths: tuple[int, ...] = ()
    breadth: int = ONE
    threat_id: int | None = None

    @property
    def joinable(self) -> bool:
        """False when no join can touch the record."""
        return bool(self.anchor or self.sha1s or self.threats)


def keys(payload: Payload) -> Keys | None:
    """The keys of a payload, None when no join can touch it."""
    make = JOINABLE.get(type(payload))
    if make is None:
        return None
    found = make(payload)
    return found if found.joinable else None


def times(payload: Payload) -> tuple[int, ...]:
    """The distinct usable times of a joinable payload, its own first."""
    for names in _TIMES[JOINABLE[type(payload)]]:
        found = [time for name in names if (time := getattr(payload, name)) is not None and UNIX_EPOCH <= time < USABLE_END]
        if found:
            return tuple(dict.fromkeys(found))
    return ()


def joins(threat_id: int | None) -> bool:
    """True for an id that names a signature family: not 0, not the placeholder 0x80000000, not one of the ids wider than 32 bits."""
    return threat_id is not None and 0 < threat_id < 1 << 32 and threat_id != _PLACEHOLDER


def threat_of_quarantine(quarantine_id: str) -> int | None:
    """The threat id in the first 8 bytes of a quarantine id, None for text that is no GUID.

    >>> threat_of_quarantine("800362A7-0000-0000-FB11-12639186E0D6")
    2147705511
    """
    try:
        low, middle, high = (int(part, 16) for part in quarantine_id.split("-")[:3])
    except ValueError:
        return None
    return low | middle << 32 | high << 48


def _ids(values: Iterable[str | None]) -> tuple[str, ...]:
    """Distinct ids in upper case, without those that are empty or all zeros."""
    return tuple(dict.fromkeys(value.upper() for value in values if value and value.strip("{}0-")))


def _anchor(kind: str, value: str | None) -> Anchor | None:
    return (kind, value.upper()) if value and value.strip("{}0-") else None


def _hashes(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(value.lower() for value in _ids(values) if value.lower() != _EMPTY_SHA1)


@lru_cache(64)
def _threat(threat_id: int | None, name: str | None) -> tuple[Threat, ...]:
    if threat_id and not joins(threat_id):
        return ()
    threat = (threat_id or None, name.strip().lower() or None if name else None)
    return (threat,) if any(threat) else ()


def _signatures(values: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _event(payload: ThreatEvent) -> Keys:
    return Keys(
        anchor=_anchor("detection", payload.detection_id),
        threats=_threat(payload.threat_id, payload.threat_name),
        paths=digests(payload.resources, (payload.file_path,)),
        breadth=AFTERMATH if isinstance(payload, QuarantineChange) else ONE,
        threat_id=payload.threat_id,
    )


def _history(payload: DetectionHistory) -> Keys:
    return Keys(
        anchor=_anchor("detection", payload.detection_id),
        quarantines=_ids((payload.quarantine_id,)),
        sha1s=_hashes((payload.sha1,)),
        signatures=_signatures((payload.sig_seq,)),
        threats=_threat(payload.threat_id, payload.threat_name),
        paths=digests(payload.resources, (payload.file_path,)),
        threat_id=payload.threat_id,
    )


def _entry(payload: QuarantineEntry) -> Keys:
    threat_id = payload.threat_id or threat_of_quarantine(payload.quarantine_id)
    return Keys(
        anchor=_anchor("quarantine", payload.quarantine_id),
        resources=_ids(payload.resource_ids),
        threats=_threat(threat_id, payload.threat_name),
        paths=digests((), payload.paths),
        threat_id=threat_id,
    )


def _resource(payload: QuarantineResource) -> Keys:
    return Keys(
        anchor=_anchor("quarantine", payload.quarantine_id),
        resources=_ids((payload.resource_id,)),
        signatures=_signatures((payload.sig_seq,)),
        threats=_threat(payload.threat_id, payload.threat_name),
        paths=digests((), (payload.path,)),
        threat_id=payload.threat_id,
    )


def _reference(payload: QuarantineReference) -> Keys:
    quarantines = _ids(payload.quarantine_ids)
    threat_id = threat_of_quarantine(min(quarantines)) if quarantines else None
    return Keys(
        anchor=_anchor("resource", payload.resource_id),
        quarantines=quarantines,
        threats=_threat(threat_id, None),
        threat_id=threat_id,
    )


def _container(payload: QuarantineContainer) -> Keys:
    return Keys(anchor=_anchor("resource", payload.resource_id), sha1s=_hashes((payload.sha1,)))


def _line(payload: DetectionEvent | DetectionAdd | DetectionClean | DetectionLine) -> Keys:
    return Keys(
        signatures=_signatures((payload.sig_seq,)),
        threats=_threat(payload.threat_id, payload.threat_name),
        paths=digests(payload.resources, (payload.file_path,)),
        threat_id=payload.threat_id,
    )


def _actions(payload: ThreatActions) -> Keys:
    resources = [Resource(acted.schema, acted.value) for action in payload.actions for acted in action.resources]
    pairs = [(action.threat_id, action.threat_name) for action in payload.actions] or [(payload.threat_id, payload.threat_name)]
    threats = _threats(pairs)
    return Keys(
        sha1s=_hashes((payload.sha1, *(sha1 for action in payload.actions for sha1 in action.sha1))),
        threats=threats,
        paths=digests(resources, (payload.file_path,)),
        breadth=BROADEST if len(threats) > 1 else BLOCK,
        threat_id=payload.threat_id if len(threats) < 2 else None,
    )


def _scan(payload: ResourceScan) -> Keys:
    found = [result for result in payload.results if result.threat_id or result.threat_name]
    pairs = [(result.threat_id, result.threat_name) for result in found] or [(payload.threat_id, payload.threat_name)]
    threats = _threats(pairs)
    return Keys(
        signatures=_signatures(number for result in found for number in result.sig_seqs),
        threats=threats,
        paths=digests([resource for result in found for resource in result.resources] or payload.scanned),
        breadth=BROADEST if len(threats) > 1 else BLOCK,
        threat_id=payload.threat_id if len(threats) < 2 else None,
    )


def _threats(pairs: Iterable[Threat]) -> tuple[Threat, ...]:
    return tuple(dict.fromkeys(threat for pair in pairs for threat in _threat(*pair)))


JOINABLE: dict[type[Payload], Callable[[Any], Keys]] = {
    Detection: _event,
    Action: _event,
    ActionFailed: _event,
    Behavior: _event,
    UnwantedApplication: _event,
    QuarantineChange: _event,
    DetectionHistory: _history,
    QuarantineEntry: _entry,
    QuarantineResource: _resource,
    QuarantineReference: _reference,
    QuarantineContainer: _container,
    DetectionEvent: _line,
    DetectionClean: _line,
    ThreatActions: _actions,
    ResourceScan: _scan,
    DetectionAdd: _line,
    DetectionLine: _line,
}
"""In the order in which an incident believes them; a new joinable kind is one line here."""
RANK = {payload: rank for rank, payload in enumerate(JOINABLE)}
_LOGGED = ("logged_at",)
_TIMES: dict[Callable[[Any], Keys], tuple[tuple[str, ...], ...]] = {
    _event: (("created_at", "detected_at"),),
    _history: (("last_change_at", "detected_at", "remediated_at", "tracking_started_at"),),
    _entry: (("quarantined_at",),),
    _resource: (("quarantined_at",),),
    _reference: (),
    _container: (),
    _line: (_LOGGED,),
    _actions: (("started_at", "ended_at"), _LOGGED),
    _scan: (("started_at", "ended_at"), _LOGGED),
}
"""Attributes with times: of the first row that has one. A block's line before it may be hours older: only where it has no time itself."""
_WORDS = {
    Detection: DETECTED,
    UnwantedApplication: DETECTED,
    DetectionEvent: DETECTED,
    DetectionAdd: DETECTED,
    DetectionLine: DETECTED,
    Action: ACTED,
    ActionFailed: ACTED,
    DetectionClean: ACTED,
}
TWINS = tuple(_WORDS.get(payload, "") for payload in JOINABLE)
"""By rank, of which event a record is or may be the copy."""

"""Assembles an incident from its members, in any order: every choice is by belief, time and id, never by what came first."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from exporter.correlator.facts import Threat, facts, resources
from exporter.correlator.groups import FAR, Group, Member
from exporter.correlator.incident import MOST_MEMBERS, MOST_PATHS, Incident
from exporter.correlator.keys import BROADEST, RANK, Keys
from exporter.correlator.story import DETECTED, State, outcome, states, story
from exporter.formats.defender_events import ThreatEvent
from exporter.formats.detection_history import DetectionHistory
from exporter.formats.quarantine import QuarantineEntry, QuarantineResource
from exporter.formats.resource_data import QuarantineContainer
from exporter.formats.resources import Resource
from exporter.records import Integrity, Payload, Record, Source, Verdict, event_id

_KINDS = tuple(payload.kind for payload in RANK)
_ENTRY_GONE = frozenset({"restored", "deleted"})
_FILES = frozenset({"file", "containerfile"})
_EVENTS = frozenset(payload.kind for payload in RANK if issubclass(payload, ThreatEvent))
_HISTORY = frozenset({DetectionHistory.kind})
_ENTRIES = frozenset({QuarantineEntry.kind, QuarantineResource.kind})
_CONTAINERS = frozenset({QuarantineContainer.kind})
_LOGS = frozenset(_KINDS) - _EVENTS - _HISTORY - _ENTRIES - _CONTAINERS - {"quarantine_reference"}


class Held(NamedTuple):
    """What is known of the held records without decoding them, by position."""

    keys: Sequence[Keys]
    identities: Sequence[str]
    ranks: bytearray
    entries: frozenset[str]
    """Ids of all quarantine entries of the host."""


class Content(NamedTuple):
    """What a container holds, and whether its name is its SHA-1."""

    verified: bool
    md5: str | None
    sha1: str | None
    sha256: str | None


class Assembly:
    """One incident in the making: its identity is known from the group, its content comes with `add`."""

    def __init__(self, case: str, host: str, group: Group, held: Held) -> None:
        self._anchor = group.anchor
        self._quarantines = group.quarantines
        self._held = held
        self._host = host
        self.members = _ordered(group, held)
        positions = [member.position for member in self.members]
        self._identities = [held.identities[position] for position in positions]
        self._kinds = [_KINDS[held.ranks[position]] for position in positions]
        self._times = [time for position in positions for time in held.keys[position].times]
        self._resource_ids = sorted(_resource_ids(held.keys[position] for position in positions))
        self.threat_id = self._threat_id(group.threats)
        self.first_at = min(self._times, default=None)
        self._threat: Threat = (self.threat_id, self._names(positions))
        self.key = ("incident", str(self.threat_id or ""), _digest(identity[:16] for identity in self._identities))
        self.id = event_id(case, self.record(Source("", ""), Integrity(Verdict.UNVERIFIABLE, "members"), Payload()))
        self._source: Source | None = None
        self._verdicts: set[Verdict] = set()
        self._best: dict[str, tuple[tuple[int, int, str], Any]] = {}
        self._states: set[State] = set()
        self._resources: dict[Resource, tuple[int, int, int, str]] = {}

    def add(self, record: Record, position: int) -> None:
        """Take what a member says."""
        order = (*self._order(position), self._held.identities[position])
        if order[2] == self._identities[0] and (self._source is None or _place(record.source) < _place(self._source)):
            self._source = record.source
        self._verdicts.add(record.integrity.verdict)
        for name, value in facts(record.payload, self._threat):
            if name not in self._best or order < self._best[name][0]:
                self._best[name] = (order, value)
        self._states.update(states(record.payload, self._threat))
        for place, resource in enumerate(resources(record.payload, self._threat)):
            rank = (*order[:2], place, order[2])
            self._resources[resource] = min(rank, self._resources.get(resource, rank))

    def finish(self, contents: Mapping[str, Content]) -> Record:
        """The incident; `contents` are all containers of the host by resource id."""
        verdict = Verdict.FAILED if Verdict.FAILED in self._verdicts else self._common_verdict()
        assert self._source is not None
        return self.record(self._source, Integrity(verdict, "members"), self._incident(contents))

    def record(self, source: Source, integrity: Integrity, payload: Payload) -> Record:
        """The incident as a record."""
        return Record(
            payload=payload,
            host=self._host,
            source=source,
            collector="correlator",
            key=self.key,
            hash=_digest(self._identities),
            integrity=integrity,
        )

    def _incident(self, contents: Mapping[str, Content]) -> Incident:
        best = {name: value for name, (_, value) in self._best.items()}
        found = [contents[value] for value in self._resource_ids if value in contents]
        if found:
            content = min(found, key=lambda item: (item.sha1 != best.get("sha1"), item.sha1 or "", item.sha256 or ""))
            best |= {name: value for name in ("md5", "sha1", "sha256") if (value := getattr(content, name)) is not None}
        told = story(self._states)
        listed = tuple(sorted(self._resources, key=lambda resource: self._resources[resource]))[:MOST_PATHS]
        anchor = self._anchor
        seen = [state.at for state in self._states if state.name == DETECTED and state.at < FAR]
        best.setdefault("detected_at", min(seen, default=None))
        paths = tuple(dict.fromkeys(resource.value for resource in listed if resource.schema in _FILES))
        best.setdefault("file_path", paths[0] if paths else None)
        return Incident(
            incident_id=self.id,
            host=self._host,
            threat_id=self.threat_id,
            detection_id=anchor[1] if anchor[0] == "detection" else None,
            quarantine_ids=tuple(sorted(self._quarantines | ({anchor[1]} if anchor[0] == "quarantine" else set()))),
            member_ids=tuple(self._identities[:MOST_MEMBERS]),
            member_kinds=tuple(self._kinds[:MOST_MEMBERS]),
            member_tiers=tuple(member.tier for member in self.members[:MOST_MEMBERS]),
            member_count=len(self.members),
            first_at=self.first_at,
            last_at=max(self._times, default=None),
            states=told,
            outcome=outcome(told),
            paths=paths,
            resources=listed,
            content_verified=all(content.verified for content in found) if found else None,
            gaps=tuple(self._gaps(told, contents)),
            **best,
        )

    def _gaps(self, told: tuple[str, ...], contents: Mapping[str, Content]) -> Iterable[str]:
        kinds = frozenset(self._kinds)
        if kinds.isdisjoint(_EVENTS):
            if not kinds.isdisjoint(_ENTRIES):
                yield "quarantine-entry-without-event"
            if not kinds.isdisjoint(_HISTORY):
                yield "history-without-event"
            if kinds <= _LOGS:
                yield "log-without-event"
        if kinds.isdisjoint(_ENTRIES):
            if not kinds.isdisjoint(_CONTAINERS):
                yield "container-without-entry"
            elif self._lacks_entry(told):
                yield "event-without-quarantine-entry"
        elif any(value not in contents for value in self._resource_ids):
            yield "container-missing"

    def _lacks_entry(self, told: tuple[str, ...]) -> bool:
        if not _ENTRY_GONE.isdisjoint(told):
            return False
        return not self._quarantines <= self._held.entries if self._quarantines else "quarantined" in told

    def _order(self, position: int) -> tuple[int, int]:
        return self._held.ranks[position], min(self._held.keys[position].times, default=FAR)

    def _common_verdict(self) -> Verdict:
        return Verdict.VERIFIED if self._verdicts == {Verdict.VERIFIED} else Verdict.UNVERIFIABLE

    def _threat_id(self, tokens: Iterable[int | str]) -> int | None:
        said = [
            (member.tier, self._held.ranks[member.position], identity, threat_id)
            for member, identity in zip(self.members, self._identities, strict=True)
            if (threat_id := self._held.keys[member.position].threat_id)
        ]
        numbers = [token for token in tokens if isinstance(token, int)]
        return min(said)[3] if said else min(numbers, default=None)

    def _names(self, positions: Sequence[int]) -> frozenset[str]:
        """The names by which a block's parts are recognized where they give no id."""
        keys = [self._held.keys[position] for position in positions]
        single = [one for one in keys if one.breadth != BROADEST] or keys
        return frozenset(name for one in single for threat_id, name in one.threats if name and threat_id in (None, self.threat_id))


def _place(source: Source) -> tuple[str, str]:
    return source.evidence, source.path


def _ordered(group: Group, held: Held) -> list[Member]:
    """Members in time order, each identity once, with its strongest tier."""
    best: dict[str, Member] = {}
    for member in group.members:
        identity = held.identities[member.position]
        best[identity] = min(member, best.get(identity, member), key=lambda one: (one.tier, one.position))
    return sorted(best.values(), key=lambda one: (min(held.keys[one.position].times, default=FAR), held.identities[one.position]))


def _resource_ids(members: Iterable[Keys]) -> Iterable[str]:
    for keys in members:
        yield from keys.resources
        if keys.anchor is not None and keys.anchor[0] == "resource":
            yield keys.anchor[1]


def _digest(identities: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(identities)).encode()).hexdigest()

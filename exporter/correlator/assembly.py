"""Assembles an incident from its members, in any order: every choice is by belief, time and id, never by what came first."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from exporter.correlator.facts import Threat
from exporter.correlator.groups import Group
from exporter.correlator.held import FAR, Held
from exporter.correlator.incident import MOST_MEMBERS, Incident
from exporter.correlator.keys import BROADEST, RANK, Keys
from exporter.correlator.keys import Threat as Named
from exporter.correlator.story import DETECTED, outcome, story
from exporter.correlator.telling import Telling
from exporter.formats.defender_events import ThreatEvent
from exporter.formats.detection_history import DetectionHistory
from exporter.formats.quarantine import QuarantineEntry, QuarantineResource
from exporter.formats.resource_data import QuarantineContainer
from exporter.records import Integrity, Record, identity

_KINDS = tuple(payload.kind for payload in RANK)
_ENTRY_GONE = frozenset({"restored", "deleted"})
_FILES = frozenset({"file", "containerfile"})
_EVENTS = frozenset(payload.kind for payload in RANK if issubclass(payload, ThreatEvent))
_HISTORY = frozenset({DetectionHistory.kind})
_ENTRIES = frozenset({QuarantineEntry.kind, QuarantineResource.kind})
_CONTAINERS = frozenset({QuarantineContainer.kind})
_LOGS = frozenset(_KINDS) - _EVENTS - _HISTORY - _ENTRIES - _CONTAINERS - {"quarantine_reference"}


class Content(NamedTuple):
    """What a container holds, and whether its name is its SHA-1."""

    verified: bool
    md5: str | None
    sha1: str | None
    sha256: str | None


_Member: TypeAlias = tuple[int, bytes, int, int, int]
"""Time, identity, tier, rank and position."""


class Assembly:
    """One incident in the making: its identity is known from the group, its content comes with what its records tell."""

    __slots__ = (
        *("_anchor", "_count", "_entries", "_hash", "_host", "_kinds", "_last_at", "_listed", "_quarantines", "_ranks", "_resource_ids"),
        *("_tiers", "first_at", "id", "key", "threat", "threat_id"),
    )

    def __init__(self, case: str, host: str, held: Held, entries: frozenset[str], group: Group) -> None:
        self._anchor = group.anchor
        self._quarantines = frozenset(group.quarantines)
        self._entries = entries
        self._host = host
        said = _said(group, held)
        members = _ordered(group, held)
        times, identities, tiers, ranks, positions = zip(*members, strict=True)
        self._count = len(members)
        self._listed = b"".join(identities[:MOST_MEMBERS])
        self._ranks = bytes(ranks[:MOST_MEMBERS])
        self._tiers = bytes(tiers[:MOST_MEMBERS])
        self._kinds = _kinds(frozenset(ranks))
        self._resource_ids = sorted(_resource_ids(said))
        found = [(tier, rank, one, said_id) for _, one, tier, rank, position in members if (said_id := held.keys(position).threat_id)]
        self.threat_id = min(found)[3] if found else min((one for one in group.threats if isinstance(one, int)), default=None)
        self.first_at = times[0] if times[0] < FAR else None
        self._last_at = max([time for position in positions for time in held.times(position)], default=None)
        single = [one for one in said if one.breadth != BROADEST] or said
        self.threat: Threat = (self.threat_id, _names(frozenset([one.threats for one in single]), self.threat_id))
        digest, self._hash = _digests(identities)
        self.key = ("incident", str(self.threat_id or ""), digest)
        self.id = identity(case, host, *self.key)

    def finish(self, contents: Mapping[str, Content], told: Telling) -> Record:
        """The incident; `contents` are all containers of the host by resource id, `told` is what all its records tell."""
        assert told.source is not None
        return Record(
            payload=self._incident(contents, told),
            host=self._host,
            source=told.source,
            collector="correlator",
            key=self.key,
            hash=self._hash,
            integrity=Integrity(told.verdict, "members"),
        )

    def _incident(self, contents: Mapping[str, Content], telling: Telling) -> Incident:
        best = telling.facts()
        found = [contents[value] for value in self._resource_ids if value in contents]
        if found:
            content = min(found, key=lambda item: (item.sha1 != best.get("sha1"), item.sha1 or "", item.sha256 or ""))
            best |= {name: value for name in ("md5", "sha1", "sha256") if (value := getattr(content, name)) is not None}
        states = telling.states()
        told = story(states)
        listed = telling.resources()
        anchor = self._anchor
        if "detected_at" not in best:
            best["detected_at"] = min((state.at for state in states if state.name == DETECTED and state.at < FAR), default=None)
        paths = tuple(dict.fromkeys(resource.value for resource in listed if resource.schema in _FILES))
        best.setdefault("file_path", paths[0] if paths else None)
        return Incident(
            incident_id=self.id,
            host=self._host,
            threat_id=self.threat_id,
            detection_id=anchor[1] if anchor[0] == "detection" else None,
            quarantine_ids=tuple(sorted(self._quarantines | ({anchor[1]} if anchor[0] == "quarantine" else set()))),
            member_ids=tuple(self._listed.hex(" ", 20).split()),
            member_kinds=tuple([_KINDS[rank] for rank in self._ranks]),
            member_tiers=tuple(self._tiers),
            member_count=self._count,
            first_at=self.first_at,
            last_at=self._last_at,
            states=told,
            outcome=outcome(told),
            paths=paths,
            resources=listed,
            content_verified=all(content.verified for content in found) if found else None,
            gaps=tuple(self._gaps(told, contents)),
            **best,
        )

    def _gaps(self, told: tuple[str, ...], contents: Mapping[str, Content]) -> Iterable[str]:
        kinds = self._kinds
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
        return not self._quarantines <= self._entries if self._quarantines else "quarantined" in told


@lru_cache(64)  # one object for all incidents of a threat
def _names(said: frozenset[tuple[Named, ...]], threat_id: int | None) -> frozenset[str]:
    """The names by which a block's parts are recognized where they give no id."""
    return frozenset(name for threats in said for one, name in threats if name and one in (None, threat_id))


@lru_cache(256)
def _kinds(ranks: frozenset[int]) -> frozenset[str]:
    return frozenset(_KINDS[rank] for rank in ranks)


def _said(group: Group, held: Held) -> list[Keys]:
    """What the members say, each thing once."""
    return [held.said(number) for number in {held.numbers[position] for some in group.members for position in some.positions}]


def _ordered(group: Group, held: Held) -> list[_Member]:
    """Members in time order, each identity once, with its strongest tier."""
    best: dict[bytes, _Member] = {}
    for positions, tier, *_ in group.members:
        for position in positions:
            rank, time, identity = held.parts(position)
            known = best.get(identity)
            if known is None or (tier, position) < (known[2], known[4]):
                best[identity] = time, identity, tier, rank, position
    return sorted(best.values())


def _resource_ids(members: Iterable[Keys]) -> Iterable[str]:
    for keys in members:
        yield from keys.resources
        if keys.anchor is not None and keys.anchor[0] == "resource":
            yield keys.anchor[1]


def _digests(identities: Iterable[bytes]) -> tuple[str, str]:
    """Of identities as texts with NUL between them: of the first 8 bytes of each in hex digits, and of all of it."""
    ordered = sorted(identities)
    texts = b"".join([one[:8] for one in ordered]).hex("\0", 8), b"".join(ordered).hex("\0", 20)
    return hashlib.sha256(texts[0].encode()).hexdigest(), hashlib.sha256(texts[1].encode()).hexdigest()

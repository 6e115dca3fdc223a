"""Groups of held records that exact ids put together, and what weaker joins may compare of them.

A Detection ID is an incident of its own: two of them never merge. A quarantine id named by several detections, and a container named by
several entries, go to one of them: the nearest in time, then the smallest id. So the outcome does not depend on the order of records.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.correlator.keys import BROADEST, Anchor, Keys, Threat

FAR = 1 << 63
"""Further than any two times."""


class Member(NamedTuple):
    """A held record in a group: its position among the held, tier and key that joined it; `further` where it belongs elsewhere first."""

    position: int
    tier: int
    key: str
    further: bool = False


class Group:
    """Members, and the sets that weaker joins compare. `threats` are tokens: a threat id, or a name where no id is known."""

    __slots__ = ("anchor", "broad", "members", "paths", "quarantines", "sha1s", "signatures", "threats", "times", "twins")

    def __init__(self, anchor: Anchor) -> None:
        self.anchor = anchor
        self.members: list[Member] = []
        self.times: set[int] = set()
        self.paths: set[int] = set()
        self.threats: set[int | str] = set()
        self.sha1s: set[str] = set()
        self.signatures: set[int] = set()
        self.twins: set[tuple[str, str, int]] = set()
        self.quarantines: set[str] = set()
        self.broad = False

    def add(self, member: Member, keys: Keys, names: "Names") -> None:
        """Take a record as a member, and what it says as the group's."""
        self.members.append(member)
        self.times.update(keys.times)
        self.paths.update(keys.paths)
        self.threats.update(names.tokens(keys.threats))
        self.sha1s.update(keys.sha1s)
        self.signatures.update(keys.signatures)
        self.broad = keys.breadth == BROADEST
        if keys.twin and keys.times:
            self.twins.update((keys.twin, name, keys.times[0]) for _, name in keys.threats if name)

    def about(self, threat: int | str) -> "Group":
        """What of a block speaks of one of its threats: its hashes may be those of another."""
        part = Group(self.anchor)
        part.threats, part.times, part.paths, part.signatures = {threat}, self.times, self.paths, self.signatures
        return part

    def absorb(self, other: "Group", tier: int, key: str) -> None:
        """Take another group's members; a member's tier is that of the weakest join on its way."""
        self.members += [member if member.tier > tier else member._replace(tier=tier, key=key) for member in other.members]
        self._learn(other)

    def attach(self, member: Member, single: "Group") -> None:
        """Take one record; what it says counts for later joins unless it speaks of several threats and others are here already."""
        learn = not (single.broad and self.members)
        self.members.append(member)
        if learn:
            self._learn(single)

    def _learn(self, other: "Group") -> None:
        self.times |= other.times
        self.paths |= other.paths
        self.threats |= other.threats
        self.sha1s |= other.sha1s
        self.signatures |= other.signatures


class Names:
    """Which threat id a name stands for, learned from every record that says both."""

    def __init__(self, held: Iterable[Keys]) -> None:
        self._ids: dict[str, set[int]] = {}
        for keys in held:
            for threat_id, name in keys.threats:
                if threat_id is not None and name is not None:
                    self._ids.setdefault(name, set()).add(threat_id)

    def tokens(self, threats: Iterable[Threat]) -> set[int | str]:
        """Ids, and names where they stand for no id or for several: two records of one threat share a token."""
        found: set[int | str] = set()
        for threat_id, name in threats:
            known = self._ids.get(name, set()) if name is not None else set()
            if threat_id is not None:
                found.add(threat_id)
            elif len(known) == 1:
                found |= known
            if name is not None and len(known) != 1:
                found.add(name)
        return found


def distance(times: Iterable[int], others: Sequence[int]) -> int:
    """The smallest difference between two sets of times, the second one sorted; FAR when one is empty."""
    nearest = FAR
    for time in times:
        place = bisect_left(others, time)
        for other in others[max(0, place - 1) : place + 1]:
            nearest = min(nearest, abs(time - other))
    return nearest


def exact(held: Sequence[Keys], names: Names) -> tuple[dict[Anchor, Group], list[int]]:
    """Tier 1: the groups by their anchors, and the positions of the records that have none."""
    groups: dict[Anchor, Group] = {}
    loose: list[int] = []
    for position, keys in enumerate(held):
        if keys.anchor is None:
            loose.append(position)
            continue
        group = groups.get(keys.anchor)
        if group is None:
            groups[keys.anchor] = group = Group(keys.anchor)
        group.add(Member(position, 1, ":".join(keys.anchor)), keys, names)
    claims = _named(held, "detection", "quarantine")
    namings = _named(held, "quarantine", "resource")
    for quarantine, detections in claims.items():
        for detection in detections:
            groups[detection].quarantines.add(quarantine[1])
    for anchor in {owner for owners in namings.values() for owner in owners}:
        groups.setdefault(anchor, Group(anchor))
    _settle(groups, namings)
    _settle(groups, claims)
    return {anchor: group for anchor, group in groups.items() if group.members}, loose


def _named(held: Sequence[Keys], owner: str, owned: str) -> dict[Anchor, set[Anchor]]:
    """For each id of the kind `owned`, the anchors of the kind `owner` that some record connects with it."""
    found: dict[Anchor, set[Anchor]] = {}
    for keys in held:
        if keys.anchor is None:
            continue
        ids = {"quarantine": keys.quarantines, "resource": keys.resources}
        if keys.anchor[0] == owner:
            for value in ids[owned]:
                found.setdefault((owned, value), set()).add(keys.anchor)
        elif keys.anchor[0] == owned and owner in ids:
            found.setdefault(keys.anchor, set()).update((owner, value) for value in ids[owner])
    return found


def _settle(groups: dict[Anchor, Group], owners: Mapping[Anchor, set[Anchor]]) -> None:
    """Each owned group into the nearest of its owners; all are chosen before the first one moves."""
    chosen = {owned: _nearest(groups, groups[owned], owners[owned]) for owned in owners if owned in groups and owners[owned]}
    for owned in sorted(chosen):
        groups[chosen[owned]].absorb(groups.pop(owned), 1, ":".join(owned))


def _nearest(groups: Mapping[Anchor, Group], owned: Group, owners: Iterable[Anchor]) -> Anchor:
    def rank(owner: Anchor) -> tuple[int, int, Anchor]:
        times = sorted(groups[owner].times)
        return distance(owned.times, times), times[0] if times else FAR, owner

    return min(owners, key=rank)

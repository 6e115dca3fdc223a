"""Groups of held records that exact ids put together, and what weaker joins may compare of them.

A Detection ID is an incident of its own: two of them never merge. A quarantine id named by several detections, and a container named by
several entries, go to one of them: the nearest in time, then the smallest id. So the outcome does not depend on the order of records.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import NamedTuple, TypeVar

from exporter.correlator.held import FAR, Held
from exporter.correlator.keys import BROADEST, TWINS, Anchor, Keys, Threat

_Item = TypeVar("_Item")
_LATEST = 256


class Members(NamedTuple):
    """Held records in a group: their positions, tier and key that joined them; `further` where they belong elsewhere first."""

    positions: Sequence[int]
    tier: int
    key: str
    further: bool = False


class Group:
    """Members, and the sets that weaker joins compare. `threats` are tokens: a threat id, or a name where no id is known."""

    __slots__ = ("_own", "anchor", "broad", "heard", "held", "members", "paths", "quarantines", "sha1s", "signatures", "threats")

    def __init__(self, anchor: Anchor, held: Held, own: Sequence[int] = ()) -> None:
        self.anchor = anchor
        self.held = held
        self._own = own
        self.members: list[Members] = []
        self.heard = [own]
        """Positions of the records whose times are the group's."""
        self.paths: Collection[int] = ()
        self.threats: Collection[int | str] = ()
        self.sha1s: Collection[str] = ()
        self.signatures: Collection[int] = ()
        self.quarantines: Collection[str] = ()
        self.broad = False

    def learn(self, keys: Keys, names: "Names") -> None:
        """Take what a record of its own says as the group's."""
        self._take(keys.paths, names.tokens(keys.threats), keys.sha1s, keys.signatures)
        self.broad = keys.breadth == BROADEST

    @property
    def times(self) -> set[int]:
        """Made when asked for: they are many, and few groups are asked."""
        return {time for own in self.heard for position in own for time in self.held.times(position)}

    @property
    def twins(self) -> Iterator[tuple[str, str, int]]:
        """Word, name and time of the events that are among its own records, or of which they may be copies."""
        for position in self._own:
            twin, times = TWINS[self.held.parts(position)[0]], self.held.times(position)
            if twin and times:
                yield from ((twin, name, times[0]) for _, name in self.held.keys(position).threats if name)

    def about(self, threat: int | str) -> "Group":
        """What of a block speaks of one of its threats: its hashes may be those of another."""
        part = Group(self.anchor, self.held)
        part.threats, part.heard, part.paths, part.signatures = {threat}, self.heard, self.paths, self.signatures
        return part

    def absorb(self, other: "Group", tier: int, key: str) -> None:
        """Take another group's members; a member's tier is that of the weakest join on its way."""
        self.members += [some if some.tier > tier else some._replace(tier=tier, key=key) for some in other.members]
        self._learn(other)

    def attach(self, members: Members, single: "Group") -> None:
        """Take one record; what it says counts for later joins unless it speaks of several threats and others are here already."""
        learn = not (single.broad and self.members)
        self.members.append(members)
        if learn:
            self._learn(single)

    def _learn(self, other: "Group") -> None:
        self.heard += other.heard
        self._take(other.paths, other.threats, other.sha1s, other.signatures)

    def _take(self, paths: Collection[int], threats: Collection[int | str], sha1s: Collection[str], signatures: Collection[int]) -> None:
        self.paths = joined(self.paths, paths)
        self.threats = joined(self.threats, threats)
        self.sha1s = joined(self.sha1s, sha1s)
        self.signatures = joined(self.signatures, signatures)


def joined(known: Collection[_Item], more: Collection[_Item]) -> Collection[_Item]:
    """Both: a set of its own, or a tuple as long as one record has said it all, which is so in most groups."""
    if not more:
        return known
    if not known and isinstance(more, tuple):
        return more
    found = known if isinstance(known, set) else set(known)
    found.update(more)
    return found


class Names:
    """Which threat id a name stands for, learned from every record that says both."""

    def __init__(self, said: Iterable[Sequence[Threat]]) -> None:
        self._ids: dict[str, set[int]] = {}
        for threats in said:
            for threat_id, name in threats:
                if threat_id is not None and name is not None:
                    self._ids.setdefault(name, set()).add(threat_id)

    def tokens(self, threats: Iterable[Threat]) -> tuple[int | str, ...]:
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
        return tuple(found)


def distance(times: Iterable[int], others: Sequence[int]) -> int:
    """The smallest difference between two sets of times, the second one sorted; FAR when one is empty."""
    nearest = FAR
    for time in times:
        place = bisect_left(others, time)
        for other in others[max(0, place - 1) : place + 1]:
            nearest = min(nearest, abs(time - other))
    return nearest


class Groups(MutableMapping[Anchor, Group]):
    """By anchor. A group that only the records of its own id have made is made of these whenever it is asked for: most are asked for once,
    and there are many. One that is to change is to be asked for by `changing`.
    """

    def __init__(self, held: Held, names: "Names") -> None:
        self._held = held
        self._names = names
        self._changed: dict[Anchor, Group | None] = {}
        """None for those that are gone."""
        self._latest: dict[Anchor, Group | None] = {}

    def __getitem__(self, anchor: Anchor) -> Group:
        group = self._changed[anchor] if anchor in self._changed else self._found(anchor)
        if group is None:
            raise KeyError(anchor)
        return group

    def _found(self, anchor: Anchor) -> Group | None:
        if anchor not in self._latest:
            if len(self._latest) >= _LATEST:
                self._latest.clear()
            self._latest[anchor] = self._made(anchor)
        return self._latest[anchor]

    def _made(self, anchor: Anchor) -> Group | None:
        numbers = self._held.numbers_of(anchor)
        if not numbers:
            return None
        group = self._of_numbers(anchor, numbers)
        for number in numbers:
            group.learn(self._held.said(number), self._names)
        return group

    def _of_numbers(self, anchor: Anchor, numbers: Sequence[int]) -> Group:
        group = Group(anchor, self._held, self._held.positions(numbers))
        group.members.append(Members(group.heard[0], 1, ":".join(anchor)))
        return group

    def changing(self, anchor: Anchor) -> Group:
        """A group that is kept from now on; one without members where there was none."""
        group = self._changed.get(anchor) or self._changed.setdefault(anchor, self._made(anchor) or Group(anchor, self._held))
        assert group is not None
        return group

    def __setitem__(self, anchor: Anchor, group: Group) -> None:
        self._changed[anchor] = group

    def __delitem__(self, anchor: Anchor) -> None:
        self._changed[anchor] = None

    def __iter__(self) -> Iterator[Anchor]:
        yield from (anchor for anchor in self._held.anchors() if anchor not in self._changed)
        yield from [anchor for anchor, group in self._changed.items() if group is not None]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def changed(self) -> list[Group]:
        """Those that are kept."""
        return [group for group in self._changed.values() if group is not None]

    def given(self) -> Iterator[Group]:
        """The same, each forgotten here once it was given."""
        while self._changed:
            if (group := self._changed.popitem()[1]) is not None:
                yield group

    def of(self, position: int) -> Group:
        """The group of a record of one that has not changed, without what only joins need of it."""
        numbers = self._held.numbers_beside(self._held.numbers[position])
        group = self._of_numbers(self._held.anchor(position), numbers)
        for keys in map(self._held.said, numbers):
            if not keys.threat_id:
                group.learn(keys, self._names)
        return group

    def of_kind(self, kind: str) -> list[Anchor]:
        """The anchors of this kind."""
        kept = [anchor for anchor, group in self._changed.items() if anchor[0] == kind and group is not None]
        return [anchor for anchor in self._held.anchors(kind) if anchor not in self._changed] + kept


def exact(held: Held, names: Names) -> tuple[Groups, Sequence[int]]:
    """Tier 1: the groups by their anchors, and the positions of the records that have none."""
    groups = Groups(held, names)
    naming = [held.said(number) for number in held.naming]
    claims = _named(naming, "detection", "quarantine")
    namings = _named(naming, "quarantine", "resource")
    for quarantine, detections in claims.items():
        for detection in detections:
            group = groups.changing(detection)
            group.quarantines = joined(group.quarantines, quarantine[1:])
    for anchor in {owner for owners in namings.values() for owner in owners}:
        groups.changing(anchor)
    _settle(groups, namings)
    _settle(groups, claims)
    for group in groups.changed():
        if not group.members:
            del groups[group.anchor]
    return groups, held.positions(held.numbers_of(None))


def _named(said: Iterable[Keys], owner: str, owned: str) -> dict[Anchor, set[Anchor]]:
    """For each id of the kind `owned`, the anchors of the kind `owner` that some record connects with it."""
    found: dict[Anchor, set[Anchor]] = {}
    for keys in said:
        if keys.anchor is None:
            continue
        ids = {"quarantine": keys.quarantines, "resource": keys.resources}
        if keys.anchor[0] == owner:
            for value in ids[owned]:
                found.setdefault((owned, value), set()).add(keys.anchor)
        elif keys.anchor[0] == owned and owner in ids:
            found.setdefault(keys.anchor, set()).update((owner, value) for value in ids[owner])
    return found


def _settle(groups: Groups, owners: Mapping[Anchor, set[Anchor]]) -> None:
    """Each owned group into the nearest of its owners; all are chosen before the first one moves."""
    chosen = {owned: _nearest(groups, groups[owned], owners[owned]) for owned in owners if owned in groups and owners[owned]}
    for owned in sorted(chosen):
        groups.changing(chosen[owned]).absorb(groups.pop(owned), 1, ":".join(owned))


def _nearest(groups: Mapping[Anchor, Group], owned: Group, owners: Iterable[Anchor]) -> Anchor:
    def rank(owner: Anchor) -> tuple[int, int, Anchor]:
        times = sorted(groups[owner].times)
        return distance(owned.times, times), times[0] if times else FAR, owner

    return min(owners, key=rank)

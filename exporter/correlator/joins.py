"""The weaker joins: which incident a record or a lone quarantine entry belongs to when no exact id says so.

Rungs, tried in this order; the first one that finds a candidate decides:

    tier 2  event-time   event and MPLog line of one kind and threat name, within 100 ms
    tier 2  sha1         the payload's SHA-1, within an hour (a container has no time: only where a single incident has its hash)
    tier 2  sigseq       signature and threat, within 10 minutes: every detection by one signature has it, so it needs the time
    tier 3  threat-path  threat and normalized path, within 10 minutes; restored and deleted: any time after

A block of several threats belongs to the incident of each that is found so, and first of all to that of the block as a whole.

Among candidates a common path wins, then the nearest in time, then the smallest anchor. Candidates whose files are others are refused on
every rung: the same hash or signature at another place is another detection. Nothing here merges two groups that have a Detection ID.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Any, NamedTuple, TypeAlias

from exporter.correlator.groups import Group, Groups, Members, Names, joined
from exporter.correlator.held import FAR, Held
from exporter.correlator.keys import AFTERMATH, BROADEST, ONE, Anchor
from exporter.correlator.paths import is_place
from exporter.times import TICKS_PER_SECOND

EVENT_WINDOW = TICKS_PER_SECOND // 10
HASH_WINDOW = 3600 * TICKS_PER_SECOND
WINDOW = 600 * TICKS_PER_SECOND
_NEIGHBORS = 64
"""Candidates looked at on each side of a time: bounds the work where hostile evidence repeats one key."""
_Key: TypeAlias = tuple[Any, ...]


class Candidate(NamedTuple):
    """A possible join; the smallest one is the best."""

    stranger: bool
    distance: int
    anchor: Anchor
    tier: int
    key: str


class Rung(NamedTuple):
    """A kind of weak join: the keys that a group answers to, within which time, and how the first part of a key is shown."""

    name: str
    tier: int
    window: int
    keys: Callable[[Group], Iterable[_Key]]
    form: str = "{}"


SHA1 = Rung("sha1", 2, HASH_WINDOW, lambda group: zip(group.sha1s, strict=True))
SIGNATURE = Rung("sigseq", 2, WINDOW, lambda group: product(group.signatures, group.threats), "{:x}")
THREAT_PATH = Rung("threat-path", 3, WINDOW, lambda group: product(group.threats, group.paths))
RUNGS = (SHA1, SIGNATURE, THREAT_PATH)


class Index:
    """Keys with times → anchors; finds the nearest ones within a window."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._places: dict[_Key, list[tuple[int, Anchor]]] = {}

    def add(self, key: _Key, time: int, anchor: Anchor) -> None:
        self._places.setdefault(key, []).append((time, anchor))

    def sort(self) -> None:
        """To be called between the last `add` and the first look."""
        for places in self._places.values():
            places.sort()

    def near(self, key: _Key, time: int) -> Iterator[tuple[int, Anchor]]:
        """Distance and anchor of the places around a time."""
        places, middle = self._find(key, time)
        for other, anchor in places[max(0, middle - _NEIGHBORS) : middle + _NEIGHBORS]:
            if abs(other - time) <= self._window:
                yield abs(other - time), anchor

    def before(self, key: _Key, time: int) -> Iterator[tuple[int, Anchor]]:
        """Distance and anchor of the last places before a time, however long before."""
        places, middle = self._find(key, time)
        return ((time - other, anchor) for other, anchor in places[max(0, middle - _NEIGHBORS) : middle])

    def _find(self, key: _Key, time: int) -> tuple[list[tuple[int, Anchor]], int]:
        found = self._places.get(key, [])
        return found, bisect_left(found, (time,))


class Finder:
    """The groups as the weak joins see them; of their keys only those that some probe asks for, as groups have many more."""

    def __init__(self, groups: Mapping[Anchor, Group], probes: Iterable[Group], wanted: Callable[[Group], bool] = lambda _: True) -> None:
        self._groups = groups
        self._twins = Index(EVENT_WINDOW)
        self._rungs = [(rung, Index(rung.window)) for rung in RUNGS]
        asked: tuple[set[_Key], ...] = tuple(set() for _ in range(len(RUNGS) + 1))
        for probe in probes:
            asked[-1].update((twin, name) for twin, name, _ in probe.twins)
            for rung, keys in zip(RUNGS, asked, strict=False):
                keys.update(rung.keys(probe))
        for group in groups.values() if any(asked) else ():
            if wanted(group):
                self._add(group, asked)
        for index in (self._twins, *(index for _, index in self._rungs)):
            index.sort()

    def _add(self, group: Group, asked: Sequence[set[_Key]]) -> None:
        for twin, name, time in set(group.twins) if asked[-1] else ():
            if (twin, name) in asked[-1]:
                self._twins.add((twin, name), time, group.anchor)
        for (rung, index), keys in zip(self._rungs, asked, strict=False):
            for key, time in product(found, group.times) if (found := [key for key in rung.keys(group) if key in keys]) else ():
                index.add(key, time, group.anchor)

    def twin(self, probe: Group) -> Candidate | None:
        """The event of which this line of the other log is the copy."""
        near = ((found, 2, f"event-time:{name}") for twin, name, time in probe.twins for found in self._twins.near((twin, name), time))
        return self._best(probe, near)

    def weak(self, probe: Group) -> Candidate | None:
        """The best candidate of the first rung that has one."""
        return next((best for rung, index in self._rungs if (best := self._climb(probe, rung, index.near)) is not None), None)

    def after(self, probe: Group) -> Candidate | None:
        """The last detection of this threat and path before this record."""
        rung, index = self._rungs[-1]
        return self._climb(probe, rung, index.before)

    def _climb(self, probe: Group, rung: Rung, look: Callable[[_Key, int], Iterable[tuple[int, Anchor]]]) -> Candidate | None:
        near = (
            (found, rung.tier, f"{rung.name}:{rung.form.format(key[0])}")
            for key, time in product(rung.keys(probe), probe.times)
            for found in look(key, time)
        )
        return self._best(probe, near)

    def _best(self, probe: Group, near: Iterable[tuple[tuple[int, Anchor], int, str]]) -> Candidate | None:
        best: Candidate | None = None
        paths = set(probe.paths)
        for (distance, anchor), tier, key in near:
            group = self._groups[anchor]
            candidate = Candidate(paths.isdisjoint(group.paths), distance, anchor, tier, key)
            if (best is None or candidate < best) and not (candidate.stranger and _elsewhere(probe, group)):
                best = candidate
        return best


def _elsewhere(one: Group, other: Group) -> bool:
    """True when both name files."""
    return any(map(is_place, one.paths)) and any(map(is_place, other.paths))


def join_entries(groups: Groups) -> None:
    """Lone quarantine groups into detections without one, nearest pairs first: a detection takes one entry at most."""
    # in the order of time, neighbors look at the same detections, which are made once then
    lone = sorted((groups[anchor] for anchor in groups.of_kind("quarantine")), key=lambda group: min(group.times, default=FAR))
    finder = Finder(groups, lone, lambda group: group.anchor[0] == "detection" and not group.quarantines)
    found = [(candidate, group.anchor) for group in lone if (candidate := finder.weak(group)) is not None]
    for candidate, anchor in sorted(found, key=lambda pair: (pair[0].tier, pair[0], pair[1])):
        target = groups.changing(candidate.anchor)
        if not target.quarantines:
            target.quarantines = joined(target.quarantines, anchor[1:])
            target.absorb(groups.pop(anchor), candidate.tier, candidate.key)


def join_loose(groups: Groups, held: Held, loose: Iterable[int], names: Names) -> None:
    """Records without exact id into groups, and what finds none into groups of its own.

    Records of one detection come first and blocks of many threats last, so that a block never makes one incident of two: it finds
    both there. Lines beside their events come before the others, whom their paths help.
    """
    singles = _Singles(held, names)
    waiting: dict[int, list[int]] = {}
    for position in loose:
        waiting.setdefault(held.keys(position).breadth, []).append(position)
    for breadth in sorted(waiting):
        rest = _round(groups, waiting[breadth], singles, Finder.twin) if breadth == ONE else waiting[breadth]
        rest = _round(groups, rest, singles, Finder.after if breadth == AFTERMATH else Finder.weak)
        for group in _cluster([position for position in rest if held.keys(position).threats], singles, linked=breadth < BROADEST):
            groups[group.anchor] = group


class _Singles:
    """Held records as groups of one, made when asked for: they are many, and large."""

    def __init__(self, held: Held, names: Names) -> None:
        self.held = held
        self._names = names

    def __getitem__(self, position: int) -> Group:
        group = Group(("record", str(position)), self.held, (position,))
        group.learn(self.held.keys(position), self._names)
        return group


def _round(groups: Groups, waiting: Sequence[int], singles: _Singles, find: Callable[[Finder, Group], Candidate | None]) -> list[int]:
    """Every record into the group found for it; all are found before the first one moves. Returns those without."""
    finder = Finder(groups, (singles[position] for position in waiting))
    found = [(position, find(finder, singles[position])) for position in waiting]
    further = [(position, list(_further(finder, singles[position], candidate))) for position, candidate in found if candidate is not None]
    for position, candidate in found:
        if candidate is not None:
            groups.changing(candidate.anchor).attach(Members((position,), candidate.tier, candidate.key), singles[position])
    for position, others in further:
        for candidate in others:
            groups.changing(candidate.anchor).attach(Members((position,), candidate.tier, candidate.key, further=True), singles[position])
    return [position for position, candidate in found if candidate is None]


def _further(finder: Finder, single: Group, first: Candidate) -> Iterator[Candidate]:
    """The incidents of a block's other threats."""
    known = {first.anchor}
    for threat in sorted(single.threats, key=str) if single.broad else ():
        candidate = finder.weak(single.about(threat))
        if candidate is not None and candidate.anchor not in known:
            known.add(candidate.anchor)
            yield candidate


def _cluster(waiting: Sequence[int], singles: _Singles, *, linked: bool) -> list[Group]:
    """Groups of records with one identity or, when `linked`, of one threat and path with less than 10 minutes between neighbors."""
    parents = {position: position for position in waiting}
    rows: dict[_Key, list[tuple[int, int]]] = {}
    for position in waiting:
        rows.setdefault((singles.held.identity(position),), []).append((0, position))
        single = singles[position]
        for key, time in product(THREAT_PATH.keys(single), single.times) if linked else ():
            rows.setdefault(key, []).append((time, position))
    for row in rows.values():
        for (earlier, one), (later, other) in pairwise(sorted(row)):
            if later - earlier <= WINDOW:
                parents[_root(parents, one)] = _root(parents, other)
    merged: dict[int, list[int]] = {}
    for position in waiting:
        merged.setdefault(_root(parents, position), []).append(position)
    return [_merge(members, singles) for members in merged.values()]


def _root(parents: dict[int, int], position: int) -> int:
    while parents[position] != position:
        parents[position] = position = parents[parents[position]]
    return position


def _merge(positions: Sequence[int], singles: _Singles) -> Group:
    group = Group(("cluster", min(singles.held.identity(position) for position in positions).hex()), singles.held)
    tier, key = (1, "alone") if len(positions) == 1 else (THREAT_PATH.tier, THREAT_PATH.name)
    for position in positions:
        group.attach(Members((position,), tier, key), singles[position])
    return group


def join_containers(groups: Groups, orphans: Mapping[Anchor, Group]) -> None:
    """Containers without entry into the only incident that has their hash; the others become incidents of their own."""
    owners: dict[str, set[Anchor]] = {}
    for anchor, group in groups.items() if orphans else ():
        for sha1 in group.sha1s:
            owners.setdefault(sha1, set()).add(anchor)
    for anchor, orphan in orphans.items():
        found = {owner for sha1 in orphan.sha1s for owner in owners.get(sha1, ())}
        if len(found) == 1:
            groups.changing(found.pop()).absorb(orphan, 2, f"sha1:{min(orphan.sha1s)}")
        else:
            groups[anchor] = orphan

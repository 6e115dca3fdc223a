"""What members tell of an incident: every choice is by belief, time and identity, never by what came first."""

from struct import Struct
from typing import Any

from exporter.correlator.facts import Threat, facts, resources, told
from exporter.correlator.incident import MOST_PATHS
from exporter.correlator.story import NAMES, State, state, states
from exporter.formats.resources import Resource
from exporter.records import Record, Source, Verdict

_VERDICTS = (Verdict.VERIFIED, Verdict.UNVERIFIABLE, Verdict.FAILED)
_WORSE = {verdict: place for place, verdict in enumerate(_VERDICTS)}
_CODES = {name: code for code, name in enumerate(NAMES)}
_STATE = Struct("<QBB")
_KEYS: dict[tuple[Any, ...], tuple[Any, ...]] = {}
"""Names with what of them is said, one object for all incidents: there are few."""
_RANK = 1
"""Bytes of an order before what follows the rank."""


class Telling:
    """Taken in any order, and together with other tellings; an `order` is that of `Held`."""

    __slots__ = ("_facts", "_first", "_resources", "_states", "_verdict", "source")

    def __init__(self) -> None:
        self.source: Source | None = None
        self._first = b""
        self._verdict = 0
        self._facts: dict[tuple[Any, ...], tuple[bytes, tuple[Any, ...]]] = {}
        """Of the members that say something of the same attributes, what the most believed one says."""
        self._resources: dict[tuple[Resource, ...], bytes] = {}
        self._states = bytearray()

    def add(self, record: Record, order: bytes, threat: Threat) -> None:
        """Take what a member says."""
        payload = record.payload
        first = order[_RANK:]
        if self.source is None or first <= self._first:
            self._take_source(record.source, first)
        if (worse := _WORSE[record.integrity.verdict]) > self._verdict:
            self._verdict = worse
        names, said = facts(payload, threat)
        self._take_fact((names, *[value is None for value in said]), order, said)
        if found := resources(payload, threat):
            self._take_resources(found, order)
        for at, name, teller in states(payload, threat):
            self._states += _STATE.pack(at, _CODES[name], teller)

    def merge(self, other: "Telling") -> None:
        """Take all that other members said."""
        if other.source is not None:
            self._take_source(other.source, other._first)
        self._verdict = max(self._verdict, other._verdict)
        for key, (order, said) in other._facts.items():
            self._take_fact(key, order, said)
        for found, order in other._resources.items():
            self._take_resources(found, order)
        self._states += other._states

    def _take_source(self, source: Source, first: bytes) -> None:
        mine = self.source
        if mine is None or first < self._first or (first == self._first and _place(source) < _place(mine)):
            self.source, self._first = source, first

    def _take_fact(self, key: tuple[Any, ...], order: bytes, said: tuple[Any, ...]) -> None:
        known = self._facts.get(key)
        if known is None or order < known[0]:
            self._facts[_KEYS.setdefault(key, key)] = order, said

    def _take_resources(self, found: tuple[Resource, ...], order: bytes) -> None:
        known = self._resources.get(found)
        if known is None or order < known:
            self._resources[found] = order

    @property
    def verdict(self) -> Verdict:
        """The worst one."""
        return _VERDICTS[self._verdict]

    def facts(self) -> dict[str, Any]:
        """Attributes of the incident, each from the most believed member that has one."""
        best: dict[str, Any] = {}
        for (names, *_), (_, said) in sorted(self._facts.items(), key=lambda fact: fact[1][0]):
            for name, value in zip(names, said, strict=True):
                if value is not None:
                    best.setdefault(name, value)
        return best

    def resources(self) -> tuple[Resource, ...]:
        """The most believed ones."""
        best: dict[Resource, tuple[bytes, int, bytes]] = {}
        for found, order in self._resources.items():
            for place, resource in enumerate(told(found)):
                rank = (order[:-20], place, order)
                best[resource] = min(rank, best.get(resource, rank))
        return tuple(sorted(best, key=lambda resource: best[resource]))[:MOST_PATHS]

    def states(self) -> list[State]:
        """All of them, in time order."""
        return sorted({state(at, NAMES[code], teller) for at, code, teller in _STATE.iter_unpack(self._states)})


def _place(source: Source) -> tuple[str, str]:
    return source.evidence, source.path

"""What members tell of an incident: every choice is by belief, time and identity, never by what came first."""

from collections.abc import Sequence
from struct import Struct
from typing import Any

from exporter.correlator.encoding import pack, unpacker
from exporter.correlator.facts import Threat, facts, resources, told
from exporter.correlator.incident import MOST_PATHS
from exporter.correlator.store import Store
from exporter.correlator.story import NAMES, State, state, states
from exporter.formats.resources import Resource
from exporter.records import Record, Source, Verdict

_VERDICTS = (Verdict.VERIFIED, Verdict.UNVERIFIABLE, Verdict.FAILED)
_WORSE = {verdict: place for place, verdict in enumerate(_VERDICTS)}
_CODES = {name: code for code, name in enumerate(NAMES)}
_STATE = Struct("<QBB")
_KEYS: dict[tuple[Any, ...], int] = {}
"""Names with what of them is said, numbered: there are few."""
_unpack = unpacker(tuple[int, bytes, int, list[tuple[int, bytes, tuple[Any, ...]]], list[tuple[list[tuple[str, str]], bytes]], bytes])
ANY: Threat = (None, frozenset())
_LIVE = 1024
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

    def packed(self, sources: dict[Source, int]) -> bytes:
        """All of it; `sources` gets the numbers of sources."""
        assert self.source is not None
        source = sources.setdefault(self.source, len(sources))
        facts = [(_KEYS.setdefault(key, len(_KEYS)), order, said) for key, (order, said) in self._facts.items()]
        found = [([(one.schema, one.value) for one in some], order) for some, order in self._resources.items()]
        return pack((source, self._first, self._verdict, facts, found, bytes(self._states)))

    @classmethod
    def unpacked(cls, data: bytes, sources: Sequence[Source]) -> "Telling":
        """What `packed` gave."""
        made, keys = cls(), list(_KEYS)
        source, made._first, made._verdict, facts, found, states = _unpack(data)
        made.source = sources[source]
        made._facts = {keys[key]: (order, said) for key, order, said in facts}
        made._resources = {tuple([Resource(*one) for one in some]): order for some, order in found}
        made._states = bytearray(states)
        return made

    def _take_source(self, source: Source, first: bytes) -> None:
        mine = self.source
        if mine is None or first < self._first or (first == self._first and _place(source) < _place(mine)):
            self.source, self._first = source, first

    def _take_fact(self, key: tuple[Any, ...], order: bytes, said: tuple[Any, ...]) -> None:
        known = self._facts.get(key)
        if known is None or order < known[0]:
            self._facts[key] = order, said

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
        for key, (_, said) in sorted(self._facts.items(), key=_by_order) if len(self._facts) > 1 else self._facts.items():
            for name, value in zip(key[0], said, strict=True):
                if value is not None and name not in best:
                    best[name] = value
        return best

    def resources(self) -> tuple[Resource, ...]:
        """The most believed ones."""
        if len(self._resources) == 1:
            return tuple(dict.fromkeys(told(next(iter(self._resources)))))[:MOST_PATHS]
        best: dict[Resource, tuple[bytes, int, bytes]] = {}
        for found, order in self._resources.items():
            for place, resource in enumerate(told(found)):
                rank = (order[:-20], place, order)
                best[resource] = min(rank, best.get(resource, rank))
        return tuple(sorted(best, key=lambda resource: best[resource]))[:MOST_PATHS]

    def states(self) -> list[State]:
        """All of them, in time order."""
        return sorted({state(at, NAMES[code], teller) for at, code, teller in _STATE.iter_unpack(self._states)})


class Tellings:
    """What records tell of their incidents: of those that were told last as objects, of all others packed in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, Telling] = {}
        self._sources: dict[Source, int] = {}
        self._places: dict[str, list[int]] = {}

    def add(self, incident: str, record: Record, order: bytes, threat: Threat) -> None:
        """Take what a record tells of an incident. Raises SinkUnavailable when the disk is full."""
        telling = self._live.get(incident)
        if telling is None:
            if len(self._live) >= _LIVE:
                self._pack()
            telling = self._live[incident] = Telling()
        telling.add(record, order, threat)

    def _pack(self) -> None:
        for incident, telling in self._live.items():
            self._places.setdefault(incident, []).append(self._store.add(telling.packed(self._sources)))
        self._live.clear()

    def take(self, incident: str) -> Telling:
        """All that was told of an incident."""
        last = self._live.pop(incident, None) or Telling()
        if incident not in self._places:
            return last
        sources, found = list(self._sources), Telling()
        for place in self._places.pop(incident):
            found.merge(Telling.unpacked(self._store.get(place), sources))
        found.merge(last)
        return found


def _by_order(fact: tuple[Any, tuple[bytes, Any]]) -> bytes:
    return fact[1][0]


def _place(source: Source) -> tuple[str, str]:
    return source.evidence, source.path

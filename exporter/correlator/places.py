"""Which incidents each held record belongs to, what it tells them, and when each of them was told all."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from exporter.correlator.assembly import Assembly
from exporter.correlator.groups import Group, Groups, Members
from exporter.correlator.held import Held
from exporter.correlator.telling import ANY, Telling, Tellings
from exporter.records import Correlation, Record

_OPEN = 2048
_SMALL = 8
"""Records of an incident that may be put together once more."""


class _Place(NamedTuple):
    """An incident, what its records of one exact id are told of it, and the position of the last of all its records."""

    assembly: Assembly
    correlation: Correlation
    last: int


class Places:
    """Records of one exact id have a place together; the others, which may belong to several incidents, each its own.

    An incident that only records of its own id make is put together when the first of them comes out, and ready for `done` with the last:
    most are of few records that follow each other. So a few of them are in memory at a time.
    """

    def __init__(
        self, held: Held, tellings: Tellings, groups: Groups, make: Callable[[Group], Assembly], done: Callable[[Assembly, Telling], None]
    ) -> None:
        self._held = held
        self._tellings = tellings
        self._groups = groups
        self._make = make
        self._done = done
        self._kept: dict[bytes, _Place] = {}
        self._open: dict[int, _Place] = {}
        self._loose: dict[int, list[tuple[_Place, Members]]] = {}
        for group in groups.given():
            self._keep(group)

    def _keep(self, group: Group) -> None:
        assembly = self._make(group)
        last = max(some.positions[-1] for some in group.members)
        for members in group.members:
            place = _Place(assembly, Correlation(assembly.id, members.tier, members.key), last)
            head = self._held.head(members.positions[0])
            if head:
                self._kept[head] = place
            else:
                self._loose.setdefault(members.positions[0], []).append((place, members))

    def correlation(self, position: int, record: Record) -> Correlation | None:
        """That of the next record, which tells its incidents what it knows. Raises SinkUnavailable when the disk is full."""
        number = self._held.numbers[position]
        place = self._open.get(number) or self._found(number, position)
        if place is None:
            return self._of_loose(position, record)
        self._tellings.add(place.correlation.incident_id, record, self._held.order(position), ANY)
        if position == place.last:
            self._finish([place])
            del self._open[number]
            if self._kept:
                self._kept.pop(self._held.head(position), None)
        return place.correlation

    def _found(self, number: int, position: int) -> _Place | None:
        """The place of a record with an exact id, open from now on for those that say the same."""
        head = self._held.head(position)
        if not head:
            return None
        if len(self._open) >= _OPEN:
            self._open.clear()
        self._open[number] = place = self._kept.get(head) or self._made(head, position)
        return place

    def _of_loose(self, position: int, record: Record) -> Correlation | None:
        if position not in self._loose:
            return None
        found = sorted(self._loose.pop(position), key=lambda found: (found[1].further, found[0].assembly.id))
        for place, _ in found:
            self._tellings.add(place.assembly.id, record, self._held.order(position), place.assembly.threat)
        self._finish(place for place, _ in found if place.last == position)
        first, *others = (place for place, _ in found)
        return msgspec.structs.replace(first.correlation, others=tuple(other.assembly.id for other in others))

    def _made(self, head: bytes, position: int) -> _Place:
        group = self._groups.of(position)
        positions, tier, key, _ = group.members[0]
        assembly = self._make(group)
        place = _Place(assembly, Correlation(assembly.id, tier, key), positions[-1])
        if len(positions) > _SMALL:
            self._kept[head] = place
        return place

    def _finish(self, places: Iterable[_Place]) -> None:
        for place in places:
            self._done(place.assembly, self._tellings.take(place.assembly.id))

"""Which incidents each held record belongs to, and what it tells them."""

from array import array
from collections.abc import MutableMapping

from exporter.correlator.assembly import Assembly
from exporter.correlator.groups import Members
from exporter.correlator.held import Held
from exporter.correlator.keys import Anchor
from exporter.correlator.telling import Telling
from exporter.records import Correlation, Record


class Places:
    """Records of one exact id have a place together; the others, which may belong to several incidents, each its own.

    A telling goes from `tellings` to its incident.
    """

    def __init__(self, held: Held, tellings: MutableMapping[Anchor, Telling]) -> None:
        self._held = held
        self._tellings = tellings
        self._correlations: list[Correlation | None] = [None]
        self._numbers = array("I", bytes(array("I").itemsize * len(held)))
        self._loose: dict[int, list[tuple[Assembly, Members]]] = {}

    def add(self, assembly: Assembly, members: Members) -> None:
        """Place some members of an incident; what records of an exact id tell is told at once."""
        anchor = self._held.keys(members.positions[0]).anchor
        if anchor is None:
            self._loose.setdefault(members.positions[0], []).append((assembly, members))
            return
        assembly.told.merge(self._tellings.pop(anchor))
        self._correlations.append(Correlation(assembly.id, members.tier, members.key))
        for position in members.positions:
            self._numbers[position] = len(self._correlations) - 1

    def correlation(self, position: int, record: Record) -> Correlation | None:
        """That of a record; one without exact id tells its incidents what it knows."""
        if position not in self._loose:
            return self._correlations[self._numbers[position]]
        (assembly, members), *others = sorted(self._loose[position], key=lambda place: (place[1].further, place[0].id))
        for one in (assembly, *(other for other, _ in others)):
            one.told.add(record, self._held.order(position), one.threat)
        return Correlation(assembly.id, members.tier, members.key, tuple(other.id for other, _ in others))

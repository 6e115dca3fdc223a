"""Incidents that wait for the records of their host."""

from collections.abc import Iterator, Mapping
from struct import Struct

from exporter.correlator.assembly import Assembly, Content
from exporter.correlator.held import FAR
from exporter.correlator.spool import packed, unpacked
from exporter.correlator.store import Store
from exporter.correlator.telling import Telling
from exporter.records import Record

_TIME = Struct(">Q")
_PLACE = Struct(">Q")


class Incidents:
    """In any order in, in time order out; in memory some 100 bytes of each."""

    def __init__(self, store: Store, contents: Mapping[str, Content]) -> None:
        self._store = store
        self._contents = contents
        self._orders: list[bytes] = []

    def add(self, assembly: Assembly, told: Telling) -> None:
        """Take an incident that was told all. Raises SinkUnavailable when the disk is full."""
        place = self._store.add(packed(assembly.finish(self._contents, told)))
        time = _TIME.pack(FAR if assembly.first_at is None else assembly.first_at)
        self._orders.append(time + "\0".join(assembly.key).encode() + _PLACE.pack(place))

    def records(self) -> Iterator[Record]:
        """By time, then by key."""
        for order in sorted(self._orders):
            [place] = _PLACE.unpack(order[-_PLACE.size :])
            yield unpacked(self._store.get(place))

"""Incidents that wait for the records of their host."""

from collections.abc import Iterator, Mapping
from struct import Struct

from exporter.correlator.assembly import Assembly, Content
from exporter.correlator.encoding import pack, unpacker
from exporter.correlator.held import FAR
from exporter.correlator.incident import Incident
from exporter.correlator.store import Store
from exporter.correlator.telling import Telling
from exporter.records import Integrity, Record, Source

_TIME = Struct(">Q")
_PLACE = 12
"""Bytes."""
_unpack = unpacker(tuple[int, int, str, Incident])


class Incidents:
    """In any order in, in time order out; in memory some 100 bytes of each."""

    def __init__(self, host: str, store: Store, contents: Mapping[str, Content]) -> None:
        self._host = host
        self._store = store
        self._contents = contents
        self._orders: list[bytes] = []
        self._sources: dict[Source, int] = {}
        self._integrities: dict[Integrity, int] = {}

    def add(self, assembly: Assembly, told: Telling) -> None:
        """Take an incident that was told all. Raises SinkUnavailable when the disk is full."""
        record = assembly.finish(self._contents, told)
        source = self._sources.setdefault(record.source, len(self._sources))
        integrity = self._integrities.setdefault(record.integrity, len(self._integrities))
        place = self._store.add(pack((source, integrity, record.hash, record.payload)))
        time = FAR if assembly.first_at is None else assembly.first_at
        self._orders.append(_TIME.pack(time) + "\0".join(record.key).encode() + place.to_bytes(_PLACE, "big"))

    def records(self) -> Iterator[Record]:
        """By time, then by key."""
        sources, integrities = list(self._sources), list(self._integrities)
        for order in sorted(self._orders):
            place = int.from_bytes(order[-_PLACE:], "big")
            source, integrity, digest, payload = _unpack(self._store.get(place))
            yield Record(
                payload=payload,
                host=self._host,
                source=sources[source],
                collector="correlator",
                key=tuple(order[_TIME.size : -_PLACE].decode().split("\0")),
                hash=digest,
                integrity=integrities[integrity],
                identity=payload.incident_id,
            )

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
_DIGEST, _PLACE = 32, 12
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
        _, threat_id, digest = record.key
        self._orders.append(_TIME.pack(time) + f"{threat_id}\0".encode() + bytes.fromhex(digest) + place.to_bytes(_PLACE, "big"))

    def records(self) -> Iterator[Record]:
        """By time, then by key."""
        sources, integrities = list(self._sources), list(self._integrities)
        for order in sorted(self._orders):
            threat_id, digest = order[_TIME.size : -_PLACE - _DIGEST - 1].decode(), order[-_PLACE - _DIGEST : -_PLACE].hex()
            source, integrity, hash_, payload = _unpack(self._store.get(int.from_bytes(order[-_PLACE:], "big")))
            yield Record(
                payload=payload,
                host=self._host,
                source=sources[source],
                collector="correlator",
                key=("incident", threat_id, digest),
                hash=hash_,
                integrity=integrities[integrity],
                identity=payload.incident_id,
            )

"""Records that tell of one detection leave with its incident, followed by the incident itself.

`keys` says what joins, `groups` joins by exact ids, `joins` by weaker ones; `story` and `assembly` make the incident.
"""

from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from exporter.correlator.assembly import Assembly, Content
from exporter.correlator.groups import Groups, Names, exact
from exporter.correlator.held import Held
from exporter.correlator.incidents import Incidents
from exporter.correlator.joins import join_containers, join_entries, join_loose
from exporter.correlator.keys import RANK, Keys, keys, times
from exporter.correlator.places import Places
from exporter.correlator.spool import MEMORY_BYTES, Spool
from exporter.correlator.store import Store
from exporter.correlator.telling import Tellings
from exporter.formats.resource_data import QuarantineContainer
from exporter.records import Record, event_id


class Correlator:
    """Joins records of each host, never those of different ones; two runs with the same records, in any order, give the same incidents.

    A record that no join can touch comes straight back; the others are held until their hosts are complete, encoded, in memory up to
    `memory_bytes` and beyond it in a temporary file in `spool_dir`. So do incidents wait for the last of the records.
    """

    def __init__(self, case: str, spool_dir: Path | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._case = case
        self._spool = Spool(spool_dir, memory_bytes)
        self._store = Store(spool_dir)
        self._hosts: dict[str, _Joining] = {}
        self._owners = array("I")
        """Of each held record, which host's it is."""

    def offer(self, record: Record) -> Sequence[Record]:
        """Take one record; what can be passed on at once is returned."""
        found = keys(record.payload)
        if found is None:
            return (record,)
        self._spool.add(record)
        joining = self._hosts.get(record.host)
        if joining is None:
            self._hosts[record.host] = joining = _Joining(self._case, record.host, len(self._hosts), self._store)
        self._owners.append(joining.number)
        joining.hold(record, found)
        return ()

    def finish(self) -> Iterator[Record]:
        """The held records in the order offered, each with its correlation, then the incidents in time order of each host. Call once."""
        hosts = list(self._hosts.values())
        for joining in hosts:
            joining.join()
        for owner, record in zip(self._owners, self._spool.records(), strict=True):
            yield hosts[owner].placed(record)
        for joining in hosts:
            yield from joining.incidents.records()
        self.close()

    def close(self) -> None:
        """Drop what is held, for a run that ends early."""
        self._spool.close()
        self._store.close()


class _Joining:
    """The records of one host. What stays in memory is `Held`, and what the records tell of incidents that are told a part."""

    def __init__(self, case: str, host: str, number: int, store: Store) -> None:
        self.number = number
        self._case = case
        self._host = host
        self._held = Held()
        self._store = store
        self._contents: dict[str, Content] = {}
        self.incidents = Incidents(host, store, self._contents)
        self._given = 0
        self._places: Places

    def hold(self, record: Record, found: Keys) -> None:
        """Note what is needed of a record that is spooled."""
        payload = record.payload
        self._held.add(found, times(payload), RANK[type(payload)], event_id(self._case, record))
        if isinstance(payload, QuarantineContainer):
            self._note_content(payload)

    def _note_content(self, payload: QuarantineContainer) -> None:
        found = Content(payload.name_matches, payload.md5, payload.sha1, payload.sha256)
        known = self._contents.get(payload.resource_id.upper(), found)
        self._contents[payload.resource_id.upper()] = max(found, known, key=lambda content: (content.verified, content.sha256 or ""))

    def join(self) -> None:
        """Find out which records belong together, now that every one is known."""
        self._held.complete()
        make = partial(Assembly, self._case, self._host, self._held, frozenset(self._held.entries))
        self._places = Places(self._held, Tellings(self._store), self._groups(), make, self.incidents.add)

    def placed(self, record: Record) -> Record:
        """The next of the host's records, in the order they were held, with its correlation."""
        position = self._given
        self._given += 1
        correlation, identity = self._places.correlation(position, record), self._held.identity(position)
        return msgspec.structs.replace(record, correlation=correlation, identity=identity.hex())

    def _groups(self) -> Groups:
        names = Names(self._held.threats)
        groups, loose = exact(self._held, names)
        orphans = {anchor: groups.pop(anchor) for anchor in groups.of_kind("resource")}
        join_entries(groups)
        join_loose(groups, self._held, loose, names)
        join_containers(groups, orphans)
        return groups

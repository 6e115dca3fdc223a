"""Records that tell of one detection leave with its incident, followed by the incident itself.

`keys` says what joins, `groups` joins by exact ids, `joins` by weaker ones; `story` and `assembly` make the incident.
"""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from exporter.correlator.assembly import Assembly, Content
from exporter.correlator.facts import Threat
from exporter.correlator.groups import Group, Names, exact
from exporter.correlator.held import FAR, Held
from exporter.correlator.joins import join_containers, join_entries, join_loose
from exporter.correlator.keys import RANK, Anchor, Keys, keys, times
from exporter.correlator.places import Places
from exporter.correlator.spool import MEMORY_BYTES, Spool
from exporter.correlator.telling import Telling
from exporter.formats.resource_data import QuarantineContainer
from exporter.records import Record, event_id

_ANY: Threat = (None, frozenset())


class Correlator:
    """Joins records of each host, never those of different ones; two runs with the same records, in any order, give the same incidents.

    A record that no join can touch comes straight back; the others are held until their hosts are complete, encoded, in memory up to
    `memory_bytes` and beyond it in a temporary file in `spool_dir`.
    """

    def __init__(self, case: str, spool_dir: Path | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._case = case
        self._spool = Spool(spool_dir, memory_bytes)
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
            self._hosts[record.host] = joining = _Joining(self._case, record.host, len(self._hosts))
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
            yield from joining.incidents()

    def close(self) -> None:
        """Drop what is held, for a run that ends early."""
        self._spool.close()


class _Joining:
    """The records of one host. What stays in memory is `Held`, and what the records of each exact id tell of their incident."""

    def __init__(self, case: str, host: str, number: int) -> None:
        self.number = number
        self._case = case
        self._host = host
        self._held = Held()
        self._tellings: dict[Anchor, Telling] = {}
        self._contents: dict[str, Content] = {}
        self._assemblies: list[Assembly] = []
        self._given = 0
        self._places: Places

    def hold(self, record: Record, found: Keys) -> None:
        """Note what is needed of a record that is spooled."""
        payload = record.payload
        order = self._held.add(found, times(payload), RANK[type(payload)], event_id(self._case, record))
        if found.anchor is not None:
            telling = self._tellings.get(found.anchor)
            if telling is None:
                self._tellings[found.anchor] = telling = Telling()
            telling.add(record, order, _ANY)
        if isinstance(payload, QuarantineContainer):
            self._note_content(payload)

    def _note_content(self, payload: QuarantineContainer) -> None:
        found = Content(payload.name_matches, payload.md5, payload.sha1, payload.sha256)
        known = self._contents.get(payload.resource_id.upper(), found)
        self._contents[payload.resource_id.upper()] = max(found, known, key=lambda content: (content.verified, content.sha256 or ""))

    def join(self) -> None:
        """Make the incidents, now that every record is known."""
        entries = frozenset(one.anchor[1] for one in self._held.said if one.anchor is not None and one.anchor[0] == "quarantine")
        self._places = Places(self._held, self._tellings)
        for group in self._groups():
            self._assemblies.append(Assembly(self._case, self._host, group, self._held, entries))
            for members in group.members:
                self._places.add(self._assemblies[-1], members)

    def placed(self, record: Record) -> Record:
        """The next of the host's records, in the order they were held, with its correlation."""
        correlation = self._places.correlation(self._given, record)
        self._given += 1
        return record if correlation is None else msgspec.structs.replace(record, correlation=correlation)

    def incidents(self) -> Iterator[Record]:
        """In time order; after the last record was placed, as each tells of its incidents."""
        for assembly in sorted(self._assemblies, key=lambda one: (FAR if one.first_at is None else one.first_at, one.key)):
            yield assembly.finish(self._contents)

    def _groups(self) -> Iterator[Group]:
        """The groups, each forgotten here once it was given."""
        names = Names(self._held.said)
        groups, loose = exact(self._held, names)
        orphans = {anchor: groups.pop(anchor) for anchor in list(groups) if anchor[0] == "resource"}
        join_entries(groups)
        join_loose(groups, self._held, loose, names)
        join_containers(groups, orphans)
        while groups:
            yield groups.popitem()[1]

"""Records that tell of one detection leave with its incident, followed by the incident itself.

`keys` says what joins, `groups` joins by exact ids, `joins` by weaker ones; `story` and `assembly` make the incident.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from exporter.correlator.assembly import Assembly, Content, Held
from exporter.correlator.groups import FAR, Group, Member, Names, exact
from exporter.correlator.joins import join_containers, join_entries, join_loose
from exporter.correlator.keys import RANK, Keys, keys
from exporter.correlator.spool import MEMORY_BYTES, Spool
from exporter.formats.resource_data import QuarantineContainer
from exporter.records import Correlation, Record, event_id


class Correlator:
    """Joins the records of one host; two runs with the same records, in any order, give the same incidents.

    A record that no join can touch comes straight back; the others are held until the host is complete, encoded, in memory up to
    `memory_bytes` and beyond it in a temporary file in `spool_dir`. Of each held record its id and keys stay in memory (about 0.8 KB, 2 KB
    while they are joined).
    """

    def __init__(self, case: str, host: str, spool_dir: Path | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._case = case
        self._host = host
        self._spool = Spool(spool_dir, memory_bytes)
        self._keys: list[Keys] = []
        self._identities: list[str] = []
        self._ranks = bytearray()

    def offer(self, record: Record) -> Sequence[Record]:
        """Take one record; what can be passed on at once is returned."""
        found = keys(record.payload)
        if found is None:
            return (record,)
        self._spool.add(record)
        self._keys.append(found)
        self._identities.append(event_id(self._case, record))
        self._ranks.append(RANK[type(record.payload)])
        return ()

    def finish(self) -> Iterator[Record]:
        """The held records in the order offered, each with its correlation, then the incidents in time order. Call once."""
        entries = frozenset(one.anchor[1] for one in self._keys if one.anchor is not None and one.anchor[0] == "quarantine")
        held = Held(self._keys, self._identities, self._ranks, entries)
        assemblies: list[Assembly] = []
        places: dict[int, list[tuple[Assembly, Member]]] = {}
        for group in _groups(held):
            assembly = Assembly(self._case, self._host, group, held)
            assemblies.append(assembly)
            for member in group.members:
                places.setdefault(member.position, []).append((assembly, member))
        contents: dict[str, Content] = {}
        for position, record in enumerate(self._spool.records()):
            _note_content(contents, record)
            if position not in places:
                yield record
                continue
            (assembly, member), *others = sorted(places[position], key=lambda place: (place[1].further, place[0].id))
            for one in (assembly, *(other for other, _ in others)):
                one.add(record, position)
            further = tuple(other.id for other, _ in others)
            yield msgspec.structs.replace(record, correlation=Correlation(assembly.id, member.tier, member.key, further))
        for assembly in sorted(assemblies, key=lambda one: (FAR if one.first_at is None else one.first_at, one.key)):
            yield assembly.finish(contents)

    def close(self) -> None:
        """Drop what is held, for a run that ends early."""
        self._spool.close()


def _groups(held: Held) -> Iterator[Group]:
    """The groups, each forgotten here once it was given."""
    names = Names(held.keys)
    groups, loose = exact(held.keys, names)
    orphans = {anchor: groups.pop(anchor) for anchor in list(groups) if anchor[0] == "resource"}
    join_entries(groups)
    join_loose(groups, held.keys, loose, names, held.identities)
    join_containers(groups, orphans)
    while groups:
        yield groups.popitem()[1]


def _note_content(contents: dict[str, Content], record: Record) -> None:
    payload = record.payload
    if isinstance(payload, QuarantineContainer):
        found = Content(payload.name_matches, payload.md5, payload.sha1, payload.sha256)
        known = contents.get(payload.resource_id.upper(), found)
        contents[payload.resource_id.upper()] = max(found, known, key=lambda content: (content.verified, content.sha256 or ""))

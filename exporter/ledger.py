"""What the pipeline asks a state: is this event new, what does an incident need of earlier nights, what may count as delivered."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from exporter.correlator.incident import Incident
from exporter.correlator.spool import packed, unpacked
from exporter.evidence import EvidenceFile
from exporter.evidence.hosts import Host
from exporter.file_history import FILE_ENDS, GROWING
from exporter.pipeline import NoLedger
from exporter.records import Diagnostic, Record, event_id
from exporter.state.checkpoint import State
from exporter.state.ids import key
from exporter.times import from_unix_ns, iso


class NightLedger:
    """The ledger of one delivery of `ingest`; everything it notes belongs to the transaction of that delivery.

    A record of an earlier night that can be part of an incident is offered to the correlator again, from the state, but not written again.
    That is done for each host that a log has records of: a collector's has those of many, and its own name may change from night to night.
    `done` is told a host whose files were read to the end. While `growing` is set, what a log lacks at its end is not written: the paths of
    such logs are in `cut`.
    """

    def __init__(self, state: State, case: str, done: Callable[[Host, Callable[[], bool]], None]) -> None:
        self._state, self._case, self._done = state, case, done
        self._held: dict[bytes, str | None] = {}
        self._fresh: dict[bytes, tuple[str, str]] = {}
        """What was held for the first time: identity and host."""
        self._superseded: dict[str, set[str]] = {}
        self._known_hosts: set[str] = set()
        self.growing = False
        self.cut: set[str] = set()
        self.new = 0
        self.known = 0
        self.by_source: Counter[str] = Counter()

    def earlier(self, host: Host) -> Iterator[Record]:
        """The host's held records."""
        self._known_hosts.clear()
        self._held.clear()
        self._fresh.clear()
        self._superseded.clear()
        return self._earlier(host.name)

    def _earlier(self, host: str) -> Iterator[Record]:
        self._known_hosts.add(host)
        rows = self._state.execute("SELECT id, incident, data FROM held WHERE case_id = ? AND host = ?", (self._case, host))
        for identity, incident, data in rows:
            self._held[identity] = incident
            yield unpacked(data)

    def admit(self, record: Record, offer: Callable[[Record], Iterable[Record]]) -> Iterable[Record]:
        """New events; what the correlator holds is remembered, whether it was written before or not."""
        if self._is_cut(record, record.incomplete):
            return ()
        if record.host not in self._known_hosts:
            for held in self._earlier(record.host):
                offer(held)
        identity = event_id(self._case, record)
        short = key(identity)
        new = self._state.ids.add(identity)
        if not new and short in self._held:
            self.known += 1
            return ()
        at_once = list(offer(record))
        if not at_once:
            self._hold(short, record)
            if new:
                self._fresh[short] = identity, record.host
        if not new:
            self.known += 1
            return ()
        return self._counted(at_once)

    def _is_cut(self, record: Record, reason: str | None) -> bool:
        cut = self.growing and reason is not None and record.collector in GROWING and FILE_ENDS in reason
        if cut:
            self.cut.add(record.source.path)
        return cut

    def _hold(self, short: bytes, record: Record) -> None:
        self._held[short] = None
        values = (self._case, record.host, short, packed(record))
        self._state.execute("INSERT OR REPLACE INTO held (case_id, host, id, data) VALUES (?, ?, ?, ?)", values)

    def release(self, records: Iterable[Record]) -> Iterator[Record]:
        """Held records that are new, and incidents that were not told before: a grown one is new, and names the ids that it replaces."""
        for record in records:
            if isinstance(record.payload, Incident):
                yield from self._counted(self._incident(record, record.payload))
                continue
            identity = event_id(self._case, record)
            self._join(key(identity), record)
            if key(identity) in self._fresh:
                yield from self._counted([record])

    def _join(self, short: bytes, record: Record) -> None:
        before = self._held.get(short)
        now = record.correlation.incident_id if record.correlation else None
        if now == before:
            return
        if before is not None and now is not None:
            self._superseded.setdefault(now, set()).add(before)
        self._state.execute("UPDATE held SET incident = ? WHERE case_id = ? AND host = ? AND id = ?", (now, self._case, record.host, short))

    def _incident(self, record: Record, incident: Incident) -> list[Record]:
        identity = event_id(self._case, record)
        if not self._state.ids.add(identity):
            return []
        before = tuple(sorted(self._superseded.get(identity, ())))
        return [msgspec.structs.replace(record, payload=msgspec.structs.replace(incident, supersedes=before))]

    def _counted(self, records: list[Record]) -> list[Record]:
        for record in records:
            self.new += 1
            self.by_source[record.collector] += 1
        return records

    def is_new(self, record: Record) -> bool:
        """A loss is told once, not every night."""
        if isinstance(record.payload, Diagnostic) and self._is_cut(record, record.payload.reason):
            return False
        new = self._state.ids.add(event_id(self._case, record))
        self.known += not new
        if new:
            self._counted([record])
        return new

    def leave(self, host: Host, flush: Callable[[], bool]) -> None:
        """The host is complete."""
        self._fresh.clear()
        self._done(host, flush)

    def abandon(self) -> None:
        """The host was not read to its end: what the correlator held of it was not written, and is read again another time."""
        for short, (identity, host) in self._fresh.items():
            self._state.ids.remove(identity)
            self._state.execute("DELETE FROM held WHERE case_id = ? AND host = ? AND id = ?", (self._case, host, short))
        self._fresh.clear()


class ExportLedger(NoLedger):
    """The ledger of `export --state`, to which every record is new: servers know what they have by its id, files are written anew.

    Hosts whose documents servers have acknowledged are not read again by `--resume`.

    `begun`: an earlier run began and did not end; what it left behind is its own and may be replaced. `finished` is when one ended well,
    `damaged` whether with losses.
    """

    def __init__(self, state: State, job: Mapping[str, Any], *, resume: bool, streaming: bool) -> None:
        self._state, self._streaming = state, streaming
        self._arguments = json.dumps(job, sort_keys=True)
        self._job = hashlib.sha256(self._arguments.encode()).hexdigest()
        state.bind({"for": "export"})
        row = state.execute("SELECT finished, damaged FROM exports WHERE job = ?", (self._job,)).fetchone() if resume else None
        self.begun = row is not None and row[0] is None
        self.finished = iso(from_unix_ns(int(row[0] * 1e9)), 0) if row is not None and row[0] is not None else None
        self.damaged = row is not None and bool(row[1])

    def start(self) -> None:
        """Note that the sinks are open: from here on what lies at their places is this job's."""
        with self._state.transaction():
            if not self.begun:
                self._state.execute("DELETE FROM export_hosts WHERE job = ?", (self._job,))
            values = (self._job, self._arguments, time.time())
            self._state.execute("INSERT OR REPLACE INTO exports (job, arguments, started) VALUES (?, ?, ?)", values)

    def finish(self, *, damaged: bool) -> None:
        """Note that everything has arrived."""
        self._state.execute("UPDATE exports SET finished = ?, damaged = ? WHERE job = ?", (time.time(), damaged, self._job))

    def rest(self, hosts: Iterable[Host]) -> tuple[Host, ...]:
        """The hosts that are not done, as they look now."""
        return tuple(host for host in hosts if not (self.begun and self._is_done(host)))

    def _is_done(self, host: Host) -> bool:
        row = self._state.execute("SELECT signature FROM export_hosts WHERE job = ? AND host = ?", (self._job, host.name)).fetchone()
        return row is not None and row[0] == _signature(host.files)

    def leave(self, host: Host, flush: Callable[[], bool]) -> None:
        """Note the host, if all of it is acknowledged: not with a file among the sinks, which is there as a whole or not at all."""
        if self._streaming and flush():
            self._state.execute("INSERT OR REPLACE INTO export_hosts VALUES (?, ?, ?)", (self._job, host.name, _signature(host.files)))


def _signature(files: Iterable[tuple[str, EvidenceFile]]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for collector, file in files:
        parts = (collector, file.evidence, file.path, file.size, file.modified_at, file.volume, file.snapshot)
        digest.update(("\0".join(map(str, parts)) + "\n").encode("utf-8", "surrogatepass"))
    return digest.digest()

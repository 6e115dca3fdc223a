"""The main job: collectors → correlator → mapping → sinks, one host after the other, every loss counted."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Protocol, cast

import msgspec

from exporter.collectors import Collector, MadeBy, Settings
from exporter.collectors.guard import Collected, FileCounts, collect, load, source_of
from exporter.collectors.host_settings import settings_of
from exporter.correlator import Correlator
from exporter.correlator.incident import Incident
from exporter.evidence import EvidenceFile
from exporter.evidence.hosts import Discovery, Host
from exporter.evidence.observed import ObservedFile
from exporter.mapping.mapper import MappedRecord, Mapper
from exporter.records import UNVERIFIABLE, DeadLetter, Diagnostic, Made, Record, Source
from exporter.report.run import FileReport, HostReport, IncidentLine, RunReport, SinkReport
from exporter.sinks import Outcome, Result, Sink
from exporter.sinks.made import TakesMade
from exporter.state.dead_letters import DeadLetters
from exporter.states import Tell, told_once
from exporter.times import iso, usable

_SHOWN_INCIDENTS = 200
_SHOWN_REASONS = 50
_MOST_SENDERS = 10_000
_FURTHER = "further computers"
_DEAD = Outcome.DEAD
"""A name of its own: on Python 3.11 to look a member of an Enum up costs as much as a call."""


class Progress(Protocol):
    """Who is told how far the run is."""

    def start(self, files: int, size: int) -> None: ...
    def file(self, host: str, path: str) -> None: ...
    def advance(self, size: int) -> None: ...
    def close(self) -> None: ...


class Ledger(Protocol):
    """What earlier runs delivered, and what of this one may count as delivered."""

    def earlier(self, host: Host) -> Iterable[Record]:
        """Records of the host that earlier runs read and its incidents need."""
        ...

    def admit(self, record: Record, offer: Callable[[Record], Iterable[Record]]) -> Iterable[Record]:
        """What is to be written now that a record was read; `offer` gives it to the correlator."""
        ...

    def release(self, records: Iterable[Record]) -> Iterable[Record]:
        """What is to be written of what the correlator held."""
        ...

    def is_new(self, record: Record) -> bool:
        """Whether a loss is told for the first time."""
        ...

    def leave(self, host: Host, flush: Callable[[], bool]) -> None:
        """The host is complete. `flush` is the pipeline's, for sinks that bear it more than once."""
        ...


class NoLedger:
    """Everything is new, nothing is remembered."""

    def earlier(self, host: Host) -> Iterable[Record]:
        return ()

    def admit(self, record: Record, offer: Callable[[Record], Iterable[Record]]) -> Iterable[Record]:
        return offer(record)

    def release(self, records: Iterable[Record]) -> Iterable[Record]:
        return records

    def is_new(self, record: Record) -> bool:
        return True

    def leave(self, host: Host, flush: Callable[[], bool]) -> None:
        pass


class Pipeline:
    """One run. `hashed` computes the SHA-256 of every evidence file for the manifest.

    `made_by` says for a host's name how those who read its logs may map what no incident needs; a ledger has to see every record.
    """

    def __init__(
        self,
        *,
        mapper: Mapper,
        sinks: Iterable[tuple[Sink, SinkReport]],
        dead_letters: DeadLetters,
        settings: Settings,
        progress: Progress,
        report: RunReport,
        hashed: bool,
        ledger: Ledger | None = None,
        made_by: Callable[[str], MadeBy] | None = None,
    ) -> None:
        self._mapper = mapper
        self._sinks = list(sinks)
        self._dead_letters = dead_letters
        self._settings = settings
        self._progress = progress
        self._hashed = hashed
        self._ledger = ledger or NoLedger()
        self._made_by = made_by if ledger is None else None
        self._position = 0
        self._collectors: dict[str, Collector] = {}
        self._reasons: dict[tuple[str, str], str] = {}
        self._hosts: dict[str, HostReport] = {}
        self.report = report

    def run(self, discovery: Discovery) -> RunReport:
        """Export everything that was found; raises SinkError when a sink gives up. The report is complete up to there."""
        self.read(discovery)
        self.flush()
        return self.report

    def read(self, discovery: Discovery) -> None:
        """The same without the `flush` at the end, which some sinks bear only once."""
        files = [file for host in discovery.hosts for _, file in host.files]
        self._progress.start(len(files), sum(file.size or 0 for file in files))
        for rejected in discovery.rejected:
            self._lose(DeadLetter(stage="evidence", reason=rejected.reason, source=rejected.excerpt), None)
        for host in discovery.hosts:
            self._host(host)

    def flush(self) -> bool:
        """Send what the sinks buffer, and say whether they have acknowledged everything."""
        for sink, report in self._sinks:
            self._count(report, sink.flush())
        return all(sink.acknowledged >= self._position for sink, _ in self._sinks)

    def _host(self, host: Host) -> None:
        report = HostReport(name=host.name, name_basis=host.name_basis, missing=tuple(host.missing), unread=host.unread)
        self.report.hosts.append(report)
        self._hosts[host.name] = report
        settings = settings_of(self._settings, host)
        if self._made_by is not None and not any(file.snapshot for _, file in host.files):
            settings = msgspec.structs.replace(settings, made_by=self._made_by(host.name))
        with closing(Correlator(self._mapper.run.case)) as correlator:
            for record in self._ledger.earlier(host):
                correlator.offer(record)
            for name, file, tell in told_once(host, self._mapper.run.case, partial(self._silently, host, settings)):
                for found in self._file(name, file, tell, report, settings):
                    if isinstance(found, Made):
                        self._emit_made(found)
                        for sender, count in found.senders.items():
                            self._sender(sender).forwarded += count
                    else:
                        self._emit_all(self._ledger.admit(found, correlator.offer), report)
            self._emit_all(self._ledger.release(correlator.finish()), report)
        self._ledger.leave(host, self.flush)

    def _silently(self, host: Host, settings: Settings, name: str, file: EvidenceFile) -> Iterator[Collected]:
        return collect(self._collector(name), file, host.name, settings)

    def _collector(self, name: str) -> Collector:
        return self._collectors.setdefault(name, load(name))

    def _file(self, name: str, file: EvidenceFile, tell: Tell, host: HostReport, settings: Settings) -> Iterator[Record | Made]:
        """The records of one file; its losses go their own way."""
        self._progress.file(host.name, file.path)
        observed = ObservedFile(file, self._progress.advance, hashed=self._hashed)
        repeated = 0
        for item in collect(self._collector(name), observed, host.name, settings):
            if isinstance(item, Record):
                if (record := tell(item)) is None:
                    repeated += 1
                    continue
                if record.host != host.name:
                    self._sender(record.host).forwarded += 1
                yield record
            elif isinstance(item, Made):
                yield item
            elif isinstance(item, DeadLetter):
                self._lose(item, file)
            else:
                self._file_done(name, observed, item, host, repeated)

    def _sender(self, name: str) -> HostReport:
        """The report of a computer whose records another host's logs hold; what follows very many of them is told together."""
        if name not in self._hosts and len(self._hosts) >= _MOST_SENDERS:
            name = _FURTHER
        if name not in self._hosts:
            self._hosts[name] = HostReport(name=name, name_basis="forwarded")
            self.report.hosts.append(self._hosts[name])
        return self._hosts[name]

    def _file_done(self, name: str, file: ObservedFile, counts: FileCounts, host: HostReport, repeated: int) -> None:
        host.repeated += repeated
        host.collectors.setdefault(name, FileCounts()).add(counts)
        host.file_count[name] = host.file_count.get(name, 0) + 1
        modified = iso(file.modified_at) if file.modified_at is not None and usable(file.modified_at) else None
        self.report.files.append(
            FileReport(
                path=file.path,
                evidence=file.evidence,
                collector=name,
                size=file.size,
                modified=modified,
                sha256=file.sha256(),
                counts=counts,
                volume=file.volume,
                snapshot=file.snapshot,
                repeated=repeated,
                ntfs=file.ntfs,
            )
        )
        if not counts.balanced:
            self.report.unbalanced.append(f"{file.path}: {counts.seen} seen, but {counts.emitted} + {counts.rejected} + unparsed")

    def _emit_all(self, records: Iterable[Record], host: HostReport) -> None:
        for record in records:
            if record.payload.__class__ is Incident:
                self._note_incident(record, host)
            self._emit(record)

    def _emit(self, record: Record) -> None:
        self._position += 1
        mapped = self._mapper.map(record)
        for sink, report in self._sinks:
            report.counts.incoming += 1
            self._count(report, self._written(sink, mapped))

    def _emit_made(self, made: Made) -> None:
        self._position += made.count
        for outputs, (sink, report) in zip(made.outputs, self._sinks, strict=True):
            report.counts.incoming += made.count
            self._count(report, cast(TakesMade, sink).take(outputs, self._position))

    def _written(self, sink: Sink, mapped: MappedRecord) -> Iterable[Result]:
        try:
            return sink.write(mapped, self._position)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            reason = f"cannot be mapped: {type(error).__name__}: {error}"
            return [Result(position=self._position, id=mapped.id, outcome=Outcome.DEAD, reason=reason)]

    def _count(self, report: SinkReport, results: Iterable[Result]) -> None:
        for result in results:
            report.counts.add(result)
            if result.outcome is _DEAD:
                self._refused(report.name, result)

    def _lose(self, letter: DeadLetter, file: EvidenceFile | None) -> None:
        """A loss before the sinks: into the dead letters, and to the sinks as a diagnostic document."""
        letter = msgspec.structs.replace(letter, snapshot=state) if (state := file and file.snapshot) else letter
        source = source_of(file) if file else Source(letter.source, "")
        record = Record(
            payload=Diagnostic(stage=letter.stage, reason=letter.reason, excerpt=letter.excerpt or None),
            host=letter.host or "unknown",
            source=source,
            collector=letter.collector or "evidence",
            key=("diagnostic", letter.source, str(letter.offset), letter.reason, *filter(None, [letter.snapshot])),
            hash="",
            offset=letter.offset,
            integrity=UNVERIFIABLE,
        )
        if self._ledger.is_new(record):
            self._write_letter(letter)
            self._emit(record)

    def _refused(self, sink: str, result: Result) -> None:
        """A document that a sink would not take."""
        self._note(write_refused(self._dead_letters, sink, result))

    def _write_letter(self, letter: DeadLetter) -> None:
        self._dead_letters.write(letter)
        self._note(letter)

    def _note(self, letter: DeadLetter) -> None:
        self.report.dead_letters += 1
        if letter.stage == "cross-check":
            self.report.engine_differences = (self.report.engine_differences or 0) + 1
        known = (letter.source, letter.reason)
        if known not in self._reasons and len(self._reasons) < _SHOWN_REASONS:
            place = letter.source if letter.offset is None else f"{letter.source}@{letter.offset}"
            self._reasons[known] = f"{place}: {letter.reason}"
        if where := self._reasons.get(known):
            self.report.reasons[where] = self.report.reasons.get(where, 0) + 1

    def _note_incident(self, record: Record, host: HostReport) -> None:
        (host if record.host == host.name else self._sender(record.host)).incidents += 1
        if len(self.report.incidents) < _SHOWN_INCIDENTS:
            self.report.incidents.append(_line(record, self._mapper.map(record).id))


def write_refused(letters: DeadLetters, sink: str, result: Result) -> DeadLetter:
    """Write the dead letter of a document that `sink` refused."""
    document = msgspec.Raw(result.document) if result.document else None
    letter = DeadLetter(stage="sink", reason=result.reason, source=result.id, document=document)
    letters.write(letter, sink=sink, index=result.index, document_id=result.id, status=result.status, error_type=result.error_type)
    return letter


def _line(record: Record, identity: str) -> IncidentLine:
    incident = record.payload
    assert isinstance(incident, Incident)
    first = iso(incident.first_at) if usable(incident.first_at) and incident.first_at is not None else None
    return IncidentLine(
        host=record.host,
        id=identity,
        threat=incident.threat_name,
        first=first,
        path=incident.file_path,
        outcome=incident.outcome,
        members=incident.member_count,
    )

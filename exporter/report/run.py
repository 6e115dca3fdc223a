"""What a run did, as values: for the summary that a person reads, and for the manifest that a program or a court reads."""

import msgspec

from exporter.collectors.guard import FileCounts
from exporter.evidence.files import NtfsFacts
from exporter.evidence.images import Image
from exporter.evidence.unread import Unread
from exporter.records import Verdict
from exporter.sinks import Counts


class FileReport(msgspec.Struct, kw_only=True):
    """One evidence file: what it is, and what became of what is in it.

    `snapshot` is the shadow copy that it was read from, `repeated` the number of its records that a newer state had told.
    `ntfs` is what the file system of a disk image tells of it besides.
    """

    path: str
    evidence: str
    collector: str
    size: int | None
    modified: str | None
    sha256: str | None
    counts: FileCounts
    volume: str | None = None
    snapshot: str | None = None
    repeated: int = 0
    ntfs: NtfsFacts | None = None


class IncidentLine(msgspec.Struct, kw_only=True):
    """One incident for the summary."""

    host: str
    id: str
    threat: str | None
    first: str | None
    path: str | None
    outcome: str | None
    members: int


class HostReport(msgspec.Struct, kw_only=True):
    """One host. `unread` are files of Defender that were found and are not read.

    One with the basis `forwarded` has no files here: `forwarded` counts its records in logs of other hosts.
    """

    name: str
    name_basis: str
    collectors: dict[str, FileCounts] = {}
    file_count: dict[str, int] = {}
    incidents: int = 0
    repeated: int = 0
    forwarded: int = 0
    missing: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()


class SinkReport(msgspec.Struct, kw_only=True):
    """One sink: documents by outcome, and the files it wrote; a `server` keeps what it got, whatever becomes of the run."""

    name: str
    target: str
    server: bool = False
    counts: Counts = msgspec.field(default_factory=Counts)
    written: list[str] = []


class RunReport(msgspec.Struct, kw_only=True):
    """A whole run. `incidents` holds the first ones only; hosts count them all.

    `reasons` are losses as `file@offset: reason` with their number; the offset is that of the first one. `stopped` is why the run ended
    early: a sink was not available, or `refused` to take more. `delivered_before` are hosts that an interrupted run had brought to servers;
    `finished_before` is when a run was found to have been complete already, perhaps with losses (`finished_damaged`).
    """

    case: str
    evidence: list[str]
    hosts: list[HostReport] = []
    images: list[Image] = []
    files: list[FileReport] = []
    incidents: list[IncidentLine] = []
    sinks: list[SinkReport] = []
    dead_letters: int = 0
    engine_differences: int | None = None
    dead_letter_file: str | None = None
    reasons: dict[str, int] = {}
    untimed: int = 0
    unbalanced: list[str] = []
    stopped: str | None = None
    refused: bool = False
    delivered_before: list[str] = []
    finished_before: str | None = None
    finished_damaged: bool = False

    def stop(self, reason: str, *, refused: bool) -> None:
        """The run ended early: what has no outcome was not sent, and files that did not get their names hold nothing."""
        self.stopped = reason
        self.refused = refused
        for sink in self.sinks:
            if not sink.server and not sink.written and sink.target != "-":
                sink.counts = Counts(incoming=sink.counts.incoming)
            sink.counts.unsent = sink.counts.open

    @property
    def damaged(self) -> bool:
        """True when something was lost, refused, altered (a failed integrity check) or could not be accounted for."""
        altered = any(file.counts.verdicts.get(Verdict.FAILED) for file in self.files)
        return bool(self.dead_letters or self.unbalanced or altered)

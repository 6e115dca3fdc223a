"""Sinks: each takes mapped records and tells what became of every one."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from exporter.records import Mapped


class Outcome(StrEnum):
    """What became of a document; the sum over all outcomes is what went in (C11)."""

    WRITTEN = "written"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    DEAD = "dead"


_WRITTEN = Outcome.WRITTEN


class Result(msgspec.Struct, frozen=True, gc=False):
    """The fate of one record at one sink, or of several that share it; timeline sinks may write `rows` lines for it.

    A server's refusal brings what the dead letter needs (E23): `status`, `error_type`, `index`, and the `document` that was sent.
    """

    position: int
    id: str
    outcome: Outcome
    reason: str = ""
    rows: int = 1
    document: bytes | None = None
    status: int | None = None
    error_type: str = ""
    index: str = ""
    records: int = 1


class Counts(msgspec.Struct):
    """Documents by outcome (C11) and lines written. `unsent` is what a run that stopped early did not bring to its end; else 0."""

    incoming: int = 0
    written: int = 0
    duplicate: int = 0
    skipped: int = 0
    dead: int = 0
    rows: int = 0
    unsent: int = 0

    def add(self, result: Result) -> None:
        """Count one result."""
        if result.outcome is _WRITTEN:
            self.written += result.records
            self.rows += result.rows
        else:
            setattr(self, result.outcome.value, getattr(self, result.outcome.value) + result.records)

    @property
    def open(self) -> int:
        """Documents that came in and have no outcome yet."""
        return self.incoming - self.written - self.duplicate - self.skipped - self.dead - self.unsent

    @property
    def balanced(self) -> bool:
        """True when everything that came in has an outcome."""
        return self.open == 0


class Sink(Protocol):
    """A target of documents or timeline rows.

    `write` and `flush` return the results known by then, for this document or for earlier ones; each document gets exactly one, at the
    latest from a `flush` after it. So: `check`, `write`..., `flush`, and then either `close` or `abort`. A sink that gives up while it has
    results to tell returns them and raises SinkUnavailable or SinkRefused at the next call, at the latest from `close`.
    """

    name: str
    target: str

    def check(self) -> None:
        """Health check that resembles writing; raises SinkUnavailable, SinkRefused or ConfigurationError."""
        ...

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take one mapped record; `position` counts the records of the run from 1."""
        ...

    def flush(self) -> Iterable[Result]:
        """Send what is buffered."""
        ...

    @property
    def acknowledged(self) -> int:
        """Every position up to this one is safe: a checkpoint may pass it."""
        ...

    def close(self) -> list[str]:
        """Make final names appear and return the paths written. Call once, after the last `flush`; everything is acknowledged then."""
        ...

    def abort(self) -> None:
        """Leave no file under a final name; after `close` there is nothing left to do."""
        ...


SINKS: dict[str, str] = {
    "ecs": "exporter.sinks.ecs:EcsSink",
    "timesketch": "exporter.sinks.timesketch:TimesketchSink",
    "l2tcsv": "exporter.sinks.l2tcsv:L2tcsvSink",
    "elasticsearch": "exporter.sinks.elasticsearch:ElasticsearchSink",
    "opensearch": "exporter.sinks.elasticsearch:OpensearchSink",
}
"""Name to `module:class`, imported when used; a new sink is one line here; the class takes what `targets.open_sink` gives."""
SERVERS = frozenset(("elasticsearch", "opensearch"))
"""The sinks whose target is an address, not a file."""
ADDRESSES: dict[str, str] = {"timesketch": "exporter.sinks.timesketch_upload:TimesketchUpload"}
"""The sinks that write files and have a class of their own for an address: `timesketch:https://...` uploads."""
STREAMING = frozenset(("elasticsearch", "opensearch"))
"""The sinks that acknowledge as they go, at every `flush`; the others do at the end, all or nothing."""

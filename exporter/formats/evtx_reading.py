"""How a log is read, its chunks, and the count of what is in it."""

from collections import Counter

import msgspec

OTHER_PROVIDERS = "other providers"
_KINDS = 200


class Reading(msgspec.Struct, frozen=True):
    """How a log is read.

    `prefilter` spares chunks without a trace of the provider the rendering; it changes nothing but the names under `unparsed`.
    `all_events` makes every record a payload, those of other providers as WindowsEvent. `cross_check` has each record read by both engines
    and tells where they differ. `forwarded` says whether records are of the computers that they name, rather than of the log's: with None
    those are that have no template, as a collector of events (Windows Event Forwarding) writes them.
    """

    engine: str = "evtx"
    prefilter: bool = True
    all_events: bool = False
    cross_check: bool = False
    forwarded: bool | None = None


DEFAULT = Reading()


class Chunk(msgspec.Struct, frozen=True):
    """One chunk of a log as read: its number, its byte offset in the file, its bytes (fewer than 64 KiB where the file is cut off).

    `origin` is what the payloads say about where it was found.
    """

    number: int
    offset: int
    data: bytes
    origin: str | None = None


class Counts(msgspec.Struct):
    """Units of one log: seen, and by kind those that were left alone."""

    seen: int = 0
    unparsed: Counter[str] = msgspec.field(default_factory=Counter)

    def leave(self, kind: str, units: int = 1) -> None:
        """Count units as known and left alone; a log with endless kinds gets no endless table."""
        if not units:
            return
        self.unparsed[kind if kind in self.unparsed or len(self.unparsed) < _KINDS else OTHER_PROVIDERS] += units

    def add(self, other: "Counts") -> None:
        """Count another piece of the same log in."""
        self.seen += other.seen
        for kind, units in other.unparsed.items():
            self.leave(kind, units)

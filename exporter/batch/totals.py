"""What a batch did, as sums over its hosts: nothing grows with their number but a few lines that are shown."""

from collections import Counter

import msgspec

from exporter.batch.task import Outcome, Sums
from exporter.report.run import SinkReport
from exporter.sinks import Counts

_SHOWN = 50


class BatchReport(msgspec.Struct, kw_only=True):
    """All hosts by state, and the sums over them. `explained` are the first of those that are not complete, with their reasons.

    `scattered` are host names that more than one entry held: their records were joined within each entry only.
    `done_before` were read by an earlier run. `stopped` is why the batch ended early. `finished_before`: nothing was left to do.
    """

    case: str
    sinks: list[SinkReport]
    states: Counter[str] = msgspec.field(default_factory=Counter)
    done_before: int = 0
    sums: Sums = msgspec.field(default_factory=Sums)
    verdicts: Counter[str] = msgspec.field(default_factory=Counter)
    files: int = 0
    incidents: int = 0
    dead_letters: int = 0
    dead_letter_file: str | None = None
    explained: list[tuple[str, str, str]] = []
    names: set[str] = set()
    scattered: set[str] = set()
    unbalanced: list[str] = []
    stopped: str | None = None
    refused: bool = False
    finished_before: bool = False
    merged: bool = True

    def add(self, outcome: Outcome) -> None:
        """Count a host in."""
        self.states[outcome.state] += 1
        self.sums.add(outcome.sums)
        self.verdicts.update(outcome.verdicts)
        self.files += outcome.files
        self.incidents += outcome.incidents
        self.dead_letters += outcome.dead_letters
        found = {name.casefold() for name in outcome.hosts}
        self.scattered |= found & self.names
        self.names |= found
        for report, counts in zip(self.sinks, outcome.sinks, strict=False):
            add_counts(report.counts, counts)
        if outcome.state != "complete" and len(self.explained) < _SHOWN:
            self.explained.append((outcome.host, outcome.state, outcome.reasons[0] if outcome.reasons else ""))

    def check(self) -> None:
        """Say which sums do not hold."""
        if not self.sums.balanced:
            self.unbalanced.append(f"evidence: {self.sums}")
        self.unbalanced += [f"sink {sink.name}: {sink.counts}" for sink in self.sinks if not sink.counts.balanced]

    @property
    def whole(self) -> bool:
        """True when every host is complete and every sum holds."""
        return not self.unbalanced and self.states.total() == self.states["complete"]


def add_counts(total: Counts, more: Counts) -> None:
    """Count another host's documents in."""
    for name in Counts.__struct_fields__:
        setattr(total, name, getattr(total, name) + getattr(more, name))

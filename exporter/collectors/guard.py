"""Runs a collector over one file: whatever goes wrong costs that file at most, and is counted.

This is the only broad catch in the package: foreign parsers raise what they like (python-evtx an AttributeError on real logs).
"""

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import TypeAlias

import msgspec

from exporter.collectors import COLLECTORS, Collector, Settings
from exporter.errors import EvidenceError, FormatError, SourceGone
from exporter.evidence import EvidenceFile
from exporter.records import DeadLetter, Made, Parsed, Record, Rejected, Source, Tally, host_of

_EXCERPT = 400


class FileCounts(msgspec.Struct):
    """What one file held, in its units (lines of a text log, else records): seen = emitted + rejected + unparsed."""

    seen: int = 0
    emitted: int = 0
    rejected: int = 0
    unparsed: dict[str, int] = {}
    kinds: dict[str, int] = {}
    verdicts: dict[str, int] = {}

    @property
    def balanced(self) -> bool:
        """True when nothing was lost silently (promise P1)."""
        return self.seen == self.emitted + self.rejected + sum(self.unparsed.values())

    def add(self, other: "FileCounts") -> None:
        """Count another file's counts in."""
        self.seen += other.seen
        self.emitted += other.emitted
        self.rejected += other.rejected
        for name in ("unparsed", "kinds", "verdicts"):
            setattr(self, name, dict(Counter(getattr(self, name)) + Counter(getattr(other, name))))


Collected: TypeAlias = Record | Made | DeadLetter | FileCounts


def load(name: str) -> Collector:
    """The collector of this name in `COLLECTORS`."""
    module, _, attribute = COLLECTORS[name].partition(":")
    collector: Collector = getattr(import_module(module), attribute)()
    return collector


def collect(collector: Collector, file: EvidenceFile, host: str, settings: Settings) -> Iterator[Collected]:
    """Records and losses of one file, and at the end its counts. Raises nothing that the file could cause; SourceGone passes.

    An incomplete record is emitted, and what it lacks is a loss of no unit.
    """
    counts = FileCounts()
    source = source_of(file)
    name, key_of, kinds, verdicts = collector.name, collector.key, counts.kinds, counts.verdicts
    try:
        for item in collector.read(file, settings):
            if isinstance(item, Parsed):
                payload, integrity = item.payload, item.integrity
                kind, verdict = payload.kind, integrity.verdict
                counts.emitted += item.units
                kinds[kind] = kinds.get(kind, 0) + 1
                verdicts[verdict] = verdicts.get(verdict, 0) + 1
                key, of = key_of(item, file), host_of(item.host, host)
                yield Record(payload, of, source, name, key, item.raw_hash, item.offset, item.number, integrity, item.incomplete)
                if item.incomplete is not None:
                    yield _letter(collector, Rejected(item.offset, item.incomplete, units=0, number=item.number), source, host)
            elif isinstance(item, Made):
                _made(counts, item)
                yield item
            elif isinstance(item, Rejected):
                counts.rejected += item.units
                yield _letter(collector, item, source, host)
            else:
                _tally(counts, item)
    except SourceGone:
        raise
    except (EvidenceError, FormatError, OSError) as error:
        yield _broken(collector, source, host, counts, error)
    except Exception as error:  # noqa: BLE001 (see the module docstring)
        yield _broken(collector, source, host, counts, error)
    yield from (_letter(collector, doubt, source, host) for doubt in file.doubts)
    yield counts


def source_of(file: EvidenceFile) -> Source:
    """Where the records of this file come from."""
    states = (file.snapshot,) if file.snapshot else None
    return Source(file.path, file.evidence, file.size, file.modified_at, file.volume, states)


def _made(counts: FileCounts, made: Made) -> None:
    counts.emitted += made.count
    for name, found in made.kinds.items():
        counts.kinds[name] = counts.kinds.get(name, 0) + found
    for verdict, found in made.verdicts.items():
        counts.verdicts[verdict] = counts.verdicts.get(verdict, 0) + found


def _tally(counts: FileCounts, tally: Tally) -> None:
    counts.seen += tally.seen
    counts.unparsed = dict(tally.unparsed)


def _letter(collector: Collector, item: Rejected, source: Source, host: str) -> DeadLetter:
    return DeadLetter(
        stage=item.stage,
        reason=item.reason,
        source=source.path,
        host=host,
        collector=collector.name,
        offset=item.offset,
        number=item.number,
        excerpt=item.excerpt[:_EXCERPT],
        units=item.units,
    )


def _broken(collector: Collector, source: Source, host: str, counts: FileCounts, error: Exception) -> DeadLetter:
    """The file ends here: what was read before stays, and the rest is one loss."""
    counts.rejected += 1
    counts.seen = counts.emitted + counts.rejected + sum(counts.unparsed.values())
    reason = getattr(error, "reason", None) or f"{type(error).__name__}: {error}"
    return DeadLetter(
        stage="collect", reason=reason, source=source.path, host=host, collector=collector.name, offset=getattr(error, "offset", None)
    )

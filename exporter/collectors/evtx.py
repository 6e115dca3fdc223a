"""The EVTX collector: Defender's records from any log; `evtx` and python-evtx are imported when the first chunk is rendered."""

import io
import re
from collections.abc import Iterable, Iterator

import msgspec

from exporter.collectors import Settings
from exporter.collectors.guard import source_of
from exporter.errors import EvidenceError
from exporter.evidence import EvidenceFile
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.evtx import ReadChunks, log_chunks, parse
from exporter.formats.evtx_chunks import FILE_MAGIC
from exporter.formats.evtx_reading import Reading
from exporter.records import Item, Parsed, Rejected, Tally
from exporter.times import unix_microseconds

_MOST_LOST = 5000
_FORWARDED = re.compile(r"(?:^|[/-])ForwardedEvents\b[^/]*$", re.IGNORECASE)
"""`ForwardedEvents.evtx`, `Archive-ForwardedEvents-<time>.evtx`."""


class EvtxCollector:
    """Any log: other channels hold Defender records where events are forwarded, and are walked at little cost where they do not."""

    name = "evtx"
    tails: tuple[str, ...] = ("*.evtx",)

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        """The Defender records of one log; records of other providers are counted by provider and channel, or emitted with `all_events`.

        With `carve` a file without the header of a log is searched for chunks.
        """
        forwarded = False if settings.one_host else _holds_forwarded(file)
        reading = Reading(settings.evtx_engine, all_events=settings.all_events, cross_check=settings.cross_check, forwarded=forwarded)
        parallel = _with_jobs(settings, file)
        maker = settings.made_by.here(source_of(file)) if settings.made_by is not None and not settings.cross_check else None
        with file.open() as stream:
            if not settings.carve:
                yield from _salvaged(parse(stream, reading, parallel, maker), file, reading)
                return
            from exporter.formats.evtx_carve import carve

            # streams of evidence go forward only: the magic is looked at and stays
            buffered = io.BufferedReader(stream)  # type: ignore[type-var]
            is_log = buffered.peek(len(FILE_MAGIC)).startswith(FILE_MAGIC)
            yield from parse(buffered, reading, parallel, maker) if is_log else carve(buffered, reading)

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """`evtx`, channel, EventRecordID, SystemTime in microseconds, EventID: the same whichever engine rendered the record."""
        return event_key(_event(parsed))


def _event(parsed: Parsed) -> WindowsEvent:
    assert isinstance(parsed.payload, WindowsEvent)
    return parsed.payload


def event_key(event: WindowsEvent) -> tuple[str, ...]:
    """The natural key of an event; see `EvtxCollector.key`."""
    at = "" if event.created_at is None else str(unix_microseconds(event.created_at))
    return ("evtx", event.channel.lower(), str(event.record_id), at, str(event.event_id))


def _holds_forwarded(file: EvidenceFile) -> bool | None:
    """True for a collector's log by its name; else its records tell."""
    return True if _FORWARDED.search(file.path) else None


def _salvaged(items: Iterable[Item], file: EvidenceFile, reading: Reading) -> Iterator[Item]:
    """The items of a log, those records last that could not be read: once more, with templates of other chunks."""
    lost: list[Rejected] = []
    for item in items:
        if isinstance(item, Rejected) and item.number is not None and item.units and len(lost) < _MOST_LOST:
            lost.append(item)
            continue
        if isinstance(item, Tally) and lost:
            from exporter.formats.evtx_salvage import salvage

            try:
                with file.open() as stream:
                    yield from [_of_computer(item) if reading.forwarded else item for item in salvage(log_chunks(stream), lost)]
            except (EvidenceError, OSError):  # it could be read a moment ago: what was lost stays so
                yield from lost
        yield item


def _of_computer(item: Item) -> Item:
    return msgspec.structs.replace(item, host=_event(item).computer) if isinstance(item, Parsed) else item


def _with_jobs(settings: Settings, file: EvidenceFile) -> ReadChunks | None:
    """Processes have their price: a run with one does not even import what starts them."""
    if settings.jobs == 1:
        return None
    from exporter.collectors.evtx_workers import with_jobs

    return with_jobs(settings.jobs, file.size, settings.made_by, source_of(file))

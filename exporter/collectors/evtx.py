"""The EVTX collector: Defender's records from any log; `evtx` and python-evtx are imported when the first chunk is rendered."""

import io
from collections.abc import Iterator

from exporter.collectors import Settings
from exporter.collectors.guard import source_of
from exporter.evidence import EvidenceFile
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.evtx import ReadChunks, Reading, parse
from exporter.formats.evtx_chunks import FILE_MAGIC
from exporter.records import Item, Parsed
from exporter.times import unix_microseconds


class EvtxCollector:
    """Any log: other channels hold Defender records where events are forwarded, and are walked at little cost where they do not."""

    name = "evtx"
    tails: tuple[str, ...] = ("*.evtx",)

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        """The Defender records of one log; records of other providers are counted by provider and channel, or emitted with `all_events`.

        With `carve` a file without the header of a log is searched for chunks.
        """
        reading = Reading(settings.evtx_engine, all_events=settings.all_events, cross_check=settings.cross_check)
        parallel = _with_jobs(settings, file)
        with file.open() as stream:
            if not settings.carve:
                yield from parse(stream, reading, parallel)
                return
            from exporter.formats.evtx_carve import carve

            # streams of evidence go forward only: the magic is looked at and stays
            buffered = io.BufferedReader(stream)  # type: ignore[type-var]
            is_log = buffered.peek(len(FILE_MAGIC)).startswith(FILE_MAGIC)
            yield from parse(buffered, reading, parallel) if is_log else carve(buffered, reading)

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """`evtx`, channel, EventRecordID, SystemTime in microseconds, EventID: the same whichever engine rendered the record."""
        event = parsed.payload
        assert isinstance(event, WindowsEvent)
        at = "" if event.created_at is None else str(unix_microseconds(event.created_at))
        return ("evtx", event.channel.lower(), str(event.record_id), at, str(event.event_id))


def _with_jobs(settings: Settings, file: EvidenceFile) -> ReadChunks | None:
    """Processes have their price: a run with one does not even import what starts them."""
    if settings.jobs == 1:
        return None
    from exporter.collectors.evtx_workers import with_jobs

    return with_jobs(settings.jobs, file.size, settings.made_by, source_of(file))

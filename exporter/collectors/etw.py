"""The ETW collector: Defender's own traces, and any other trace in which Defender wrote."""

from collections.abc import Iterator

from exporter.collectors import Settings
from exporter.evidence import EvidenceFile
from exporter.formats.etl_records import EtwAmsi, EtwEvent, EtwMessage, EtwTrace
from exporter.records import Item, Parsed, Tally

_OURS = "mpwpp"
_FOREIGN = {"trace of other programs": 1}


class EtwCollector:
    """`Windows Defender\\Support\\MpWpp*.bin` always; an .etl file, wherever it lies, where a provider of Defender's is named in it.

    Windows has hundreds of traces: one of others is searched, not taken apart, and counted as left alone.
    """

    name = "etw"
    tails: tuple[str, ...] = ("windows defender/support/mpwpp*.bin", "mpwpp*.bin", "*.etl")

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        """The records of one trace, its summary last; of a trace of others only that it was seen."""
        from exporter.formats.etl import defender_in, parse_etl

        if not file.path.rpartition("/")[2].lower().startswith(_OURS):
            with file.open() as stream:
                ours = defender_in(stream)
            if not ours:
                yield Tally(1, _FOREIGN)
                return
        with file.open() as stream:
            yield from parse_etl(stream, strings=settings.etl_strings)

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """`etwtrace`, session, start; or `etw`, provider, number, time, counter, thread; each with the SHA-256 of the record's bytes."""
        payload = parsed.payload
        if isinstance(payload, EtwTrace):
            return ("etwtrace", (payload.session or "").lower(), str(payload.started_at or ""), parsed.raw_hash)
        assert isinstance(payload, EtwEvent | EtwAmsi | EtwMessage)
        number = payload.number if isinstance(payload, EtwMessage) else payload.event_id
        at = "" if payload.at is None else str(payload.at)
        return ("etw", payload.provider_guid or "", str(number), at, str(payload.counter), str(payload.thread_id or ""), parsed.raw_hash)

"""Collectors: each finds one artifact's files and drives its format."""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from exporter.evidence import EvidenceFile
from exporter.records import Item, Parsed


class Settings(msgspec.Struct, frozen=True):
    """What a user may say about reading."""

    evtx_engine: str = "evtx"
    etl_strings: bool = False
    all_events: bool = False
    cross_check: bool = False
    carve: bool = False
    jobs: int = 1


class Collector(Protocol):
    """One kind of artifact. `tails` are the path patterns of its files (see `exporter.evidence.places`)."""

    name: str
    tails: tuple[str, ...]

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        """What is in one file: payloads, losses, and at the end the tally."""
        ...

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """The natural key of a payload: sink-contracts C5 without version, case and host."""
        ...


COLLECTORS: dict[str, str] = {
    "quarantine": "exporter.collectors.quarantine:QuarantineCollector",
    "resource_data": "exporter.collectors.quarantine:ResourceDataCollector",
    "evtx": "exporter.collectors.evtx:EvtxCollector",
    "mplog": "exporter.collectors.mplog:MplogCollector",
    "detection_history": "exporter.collectors.detection_history:DetectionHistoryCollector",
    "etw": "exporter.collectors.etw:EtwCollector",
}
"""Name to `module:class`, imported when used; a new collector is one line here."""

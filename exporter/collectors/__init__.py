"""Collectors: each finds one artifact's files and drives its format."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from exporter.evidence import EvidenceFile
from exporter.formats.time_zone import TracedZone
from exporter.records import Item, Maker, Parsed, Source


class ReadingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may say about reading.

    `utc_offset` is what local times mean where the evidence does not say it, in minutes east of UTC. `vss` says which shadow copies are
    read beside the live volume: `none`, `all`, `latest`; `verify_image` compares the hash that an image holds. `keys` is where keys of
    BitLocker volumes come from, never a key: a file, or `command:` and a program.
    """

    evtx_engine: str = "evtx"
    etl_strings: bool = False
    all_events: bool = False
    cross_check: bool = False
    carve: bool = False
    jobs: int = 1
    utc_offset: int | None = None
    vss: str = "none"
    verify_image: bool = False
    keys: str | None = None

    @property
    def reading(self) -> dict[str, Any]:
        """These options by name, of whatever else is said with them."""
        return {name: getattr(self, name) for name in ReadingOptions.__struct_fields__}


class MadeBy(msgspec.Struct, frozen=True):
    """What who reads a log maps its payloads by: for the source of its records, `here` gives the Maker of this process.

    For another process `start` names a function (`module:function`) that gives one from `arguments` and the source.
    """

    start: str
    arguments: bytes
    here: Callable[[Source], Maker]


class Settings(ReadingOptions, frozen=True, kw_only=True):
    """How the files of one host are read: the user's options, and what the host's traces and MPLogs say of its local times.

    `sessions` are as in `ClockHints`. With `made_by` a collector may give Made in place of Parsed. `one_host`: whatever records say, they
    are of this host.
    """

    zones: tuple[TracedZone, ...] = ()
    sessions: tuple[tuple[int, int], ...] = ()
    made_by: MadeBy | None = None
    one_host: bool = False


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
    "mpcmdrun": "exporter.collectors.mpcmdrun:MpcmdrunCollector",
    "mpdetection": "exporter.collectors.mpdetection:MpdetectionCollector",
    "detection_history": "exporter.collectors.detection_history:DetectionHistoryCollector",
    "etw": "exporter.collectors.etw:EtwCollector",
}
"""Name to `module:class`, imported when used; a new collector is one line here."""

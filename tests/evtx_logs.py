"""EVTX logs for tests: parsed into parts, built from nothing, and damaged on purpose."""

import struct
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from exporter.formats.evtx import parse
from exporter.formats.evtx_reading import Reading
from exporter.records import Item, Parsed, Rejected, Tally
from exporter.synthetic.evtx import Event, build_evtx

CHUNK = 65_536
HEADER = 4096
START = 133_420_707_954_415_784

SAMPLES = {
    "server2022-aptsimulator/Microsoft-Windows-Windows Defender%4Operational.evtx": {1116: 5, 1117: 5, 5001: 1, 5007: 15},
    "win10-rathbun/Microsoft-Windows-Windows Defender%4Operational.evtx": {
        1000: 6,
        1001: 3,
        1002: 3,
        1150: 13,
        1151: 13,
        2000: 10,
        2002: 2,
        2010: 6,
        2011: 2,
        2014: 2,
        5004: 2,
        5007: 36,
    },
    "exported/ID1116-1117-Defender threat detected.evtx": {1116: 5, 1117: 1},
    "exported/ID5007-Defender threat exclusion (native).evtx": {5007: 4},
    "exported/ID1119-RedSun-EICAR.evtx": {1119: 1},
}
"""Records by event id, from the PROVENANCE file of the samples."""


class Log(NamedTuple):
    """What `parse` gave for one log."""

    parsed: list[Parsed]
    rejected: list[Rejected]
    tally: Tally

    @property
    def event_ids(self) -> dict[int, int]:
        return dict(Counter(item.payload.event_id for item in self.parsed))

    @property
    def verdicts(self) -> dict[str, int]:
        return dict(Counter(str(item.integrity.verdict) for item in self.parsed))

    @property
    def record_ids(self) -> list[int]:
        return [item.payload.record_id for item in self.parsed]


def read(data: bytes | Path, engine: str = "evtx", **options: bool) -> Log:
    """Everything in a log; checks the sum rule."""
    items: list[Item] = list(parse(BytesIO(data.read_bytes() if isinstance(data, Path) else data), Reading(engine, **options)))
    *others, tally = items
    assert isinstance(tally, Tally)
    parsed = [item for item in others if isinstance(item, Parsed)]
    rejected = [item for item in others if isinstance(item, Rejected)]
    assert len(parsed) + len(rejected) == len(others)
    assert tally.seen == sum(item.units for item in others) + sum(tally.unparsed.values())
    return Log(parsed, rejected, tally)


def events(count: int, **fields: object) -> list[Event]:
    """Different Defender events with ids from 1."""
    data = {"Product Name": "Microsoft Defender Antivirus", "Old Value": "", "New Value": "HKLM\\SOFTWARE\\X = 0x1" + "x" * 400}
    return [
        Event(**{"event_id": 5007, "record_id": n, "created_at": START + n * 10_000_001, "data": {**data, "N": str(n)}, **fields})
        for n in range(1, count + 1)
    ]


def log_of(count: int, **fields: object) -> bytearray:
    """A log of that many Defender records, about 60 in a chunk."""
    return bytearray(build_evtx(events(count, **fields)))


def chunks_of(data: bytes) -> int:
    return (len(data) - HEADER) // CHUNK


def record_offsets(data: bytes, chunk: int = 0) -> list[int]:
    """File offsets of the records of a sound chunk."""
    base = HEADER + chunk * CHUNK
    position, free = 512, struct.unpack_from("<I", data, base + 48)[0]
    offsets = []
    while position < free:
        offsets.append(base + position)
        position += struct.unpack_from("<I", data, base + position + 4)[0]
    return offsets


def seal(data: bytearray, chunk: int = 0) -> bytearray:
    """Make both CRCs of a chunk right again."""
    base = HEADER + chunk * CHUNK
    free = struct.unpack_from("<I", data, base + 48)[0]
    struct.pack_into("<I", data, base + 52, zlib.crc32(data[base + 512 : base + free]))
    struct.pack_into("<I", data, base + 124, zlib.crc32(data[base : base + 120] + data[base + 128 : base + 512]))
    return data

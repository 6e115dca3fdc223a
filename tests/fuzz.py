"""`make fuzz`: bytes of the fuzzer's choice as a chunk, as a log and as unallocated space; runs in the environment of atheris.

A chunk's record sum is made right for half of the inputs, so that the engines get to see them as sound ones.
"""

import struct
import sys
import zlib
from io import BytesIO

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["exporter"]):
    from exporter.formats.evtx import Reading, parse
    from exporter.formats.evtx_carve import carve
    from exporter.formats.evtx_chunks import CHUNK, CHUNK_MAGIC, FILE_HEADER, FILE_MAGIC, FIRST_RECORD
    from exporter.records import Tally

_HEADER = FILE_MAGIC.ljust(FILE_HEADER, b"\0")


def chunk_of(data: bytes) -> bytes:
    """A chunk whose records are `data`, with right sums."""
    data = data[: CHUNK - FIRST_RECORD]
    chunk = bytearray(CHUNK_MAGIC.ljust(FIRST_RECORD, b"\0") + data).ljust(CHUNK, b"\0")
    struct.pack_into("<III", chunk, 40, 128, 0, FIRST_RECORD + len(data))
    struct.pack_into("<I", chunk, 52, zlib.crc32(data))
    struct.pack_into("<I", chunk, 124, zlib.crc32(chunk[:120] + chunk[128:FIRST_RECORD]))
    return bytes(chunk)


def one_input(data: bytes) -> None:
    """Fails on any exception, and where the counts do not add up."""
    reading = Reading(all_events=True, cross_check=bool(data[:1] and data[0] & 2))
    body = chunk_of(data[1:]) if data[:1] and data[0] & 1 else data[1:]
    for items in (parse(BytesIO(_HEADER + body), reading), carve(BytesIO(body), reading)):
        *others, tally = items
        assert isinstance(tally, Tally)
        assert tally.seen == sum(item.units for item in others) + sum(tally.unparsed.values())


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()

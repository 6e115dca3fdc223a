"""Whole EVTX chunks in a stream that is no log, such as unallocated space.

A chunk is looked for at every multiple of 512 bytes from the start of the stream: `ElfChnk` and then a right CRC of the chunk's header or
a record at byte 512. It has 64 KiB, or less where the next one begins within it or the stream ends. Layout: `evtx_chunks`.
"""

from collections.abc import Iterator
from typing import BinaryIO

from exporter.formats.evtx import parse_chunk
from exporter.formats.evtx_chunks import CHUNK, CHUNK_MAGIC, FIRST_RECORD, RECORD_MAGIC, walk
from exporter.formats.evtx_computer import newest_computer
from exporter.formats.evtx_reading import DEFAULT, Chunk, Counts, Reading
from exporter.records import Item, Tally
from exporter.times import usable

SECTOR = 512
CARVED = "carved"
_BLOCK = 1 << 20
_NEWEST = 4


def carve(stream: BinaryIO, reading: Reading = DEFAULT) -> Iterator[Item]:
    """The records of every chunk in the stream and their losses, then the tally; bytes that are no chunk are no loss."""
    counts = Counts()
    for chunk in find_chunks(stream):
        yield from parse_chunk(chunk, reading, counts)
    yield Tally(counts.seen, dict(counts.unparsed))


def carved_computer_name(stream: BinaryIO, engine: str = "evtx") -> str | None:
    """The Computer of the chunk that was written last, by its records' headers; None where none can be read. Reads the whole stream."""
    newest: list[tuple[int, int, bytes]] = []
    for chunk in find_chunks(stream):
        written = max((record.written_at for record in walk(chunk.data).records if usable(record.written_at)), default=None)
        if written is not None:
            newest = sorted([*newest, (written, chunk.number, chunk.data)], reverse=True)[:_NEWEST]
    return next((name for _, _, data in newest if (name := newest_computer(walk(data), engine))), None)


def find_chunks(stream: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a stream in order, numbered from 0; at most a block and a chunk are held."""
    data, base, number, more = b"", 0, 0, b"\0"
    while more:
        more = stream.read(_BLOCK)
        data += more
        place = 0
        while (found := _next(data, place)) >= 0 and (found + CHUNK <= len(data) or not more):
            piece = _piece(data[found : found + CHUNK])
            place = found + (len(piece) or SECTOR)
            if piece:
                yield Chunk(number, base + found, piece, CARVED)
                number += 1
        place = found if found >= 0 else max(place, (len(data) - 1) // SECTOR * SECTOR)
        data, base = data[place:], base + place


def _next(data: bytes, place: int) -> int:
    while (place := data.find(CHUNK_MAGIC, place)) >= 0 and place % SECTOR:
        place += 1
    return place


def _piece(data: bytes) -> bytes:
    """The bytes that belong to the chunk at the start of `data`; none where it is none."""
    found = walk(data)
    if found.header_sound and found.sound:
        return data
    if not found.header_sound and data[FIRST_RECORD : FIRST_RECORD + len(RECORD_MAGIC)] != RECORD_MAGIC:
        return b""
    following = _next(data, SECTOR)
    return data[:following] if following > 0 else data

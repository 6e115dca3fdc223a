"""EVTX logs as a stream of chunks: Defender records and side events typed, with a verdict of our own CRC check, and every loss named.

The stream is read once, from its start, and never sought. Layout: `evtx_chunks`. What `Tally.seen` counts: the records of our own walk,
and each stretch of bytes that should hold records and could not be walked, as one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, TypeAlias

import msgspec

from exporter.formats.evtx_chunks import (
    CHUNK,
    FILE_HEADER,
    FILE_MAGIC,
    FIRST_RECORD,
    Walk,
    chunk_count,
    is_chunk,
    is_dirty,
    unwalked,
    walk,
)
from exporter.formats.evtx_filter import may_hold_defender
from exporter.formats.evtx_pairs import paired
from exporter.formats.evtx_reading import DEFAULT, OTHER_PROVIDERS, Chunk, Counts, Reading
from exporter.formats.evtx_records import CHECK, RecordReader
from exporter.formats.evtx_repair import corrected, wrong_bit
from exporter.formats.evtx_second import CROSS_CHECK, differences, fields_by_offset, fields_or_error, is_defender, other_engine
from exporter.records import Integrity, Item, Made, Maker, Parsed, Rejected, Tally, Verdict

REMNANT, STALE_COUNT = "remnant", "stale_count"
"""Origins of chunks past the file header's count: of a log that was closed, and of one that was in use, whose count is known to be old."""
ZEROS = bytes(CHUNK)
_CORRECTED = Integrity(Verdict.FAILED, f"{CHECK}-one-bit-corrected")


ReadChunks: TypeAlias = Callable[[Iterable[Chunk | Rejected], Reading, Counts, Maker | None], Iterator[Item]]


def parse(stream: BinaryIO, reading: Reading = DEFAULT, read: ReadChunks | None = None, maker: Maker | None = None) -> Iterator[Item]:
    """The Defender records of a log and what of it could not be read, then the tally; `read` replaces `read_in_order`.

    What `maker` takes comes as Made.
    """
    counts = Counts()
    header = read_bytes(stream, FILE_HEADER)
    first = read_bytes(stream, CHUNK)
    reason = _header_damage(header, first)
    if reason:
        counts.seen += 1
        yield Rejected(0, reason, header[:16].hex())
    if len(header) == FILE_HEADER and (header[:8] == FILE_MAGIC or is_chunk(first)):
        yield from (read or read_in_order)(_units(stream, header, first, counts), reading, counts, maker)
    yield Tally(counts.seen, dict(counts.unparsed))


def _header_damage(header: bytes, first: bytes) -> str | None:
    if len(header) < FILE_HEADER:
        return f"the file header is cut off after {len(header)} bytes" if header[:8] == FILE_MAGIC else "not an EVTX file"
    if header[:8] == FILE_MAGIC:
        return None
    return "the file header is damaged: wrong magic" if is_chunk(first) else "not an EVTX file"


def read_in_order(units: Iterable[Chunk | Rejected], reading: Reading, counts: Counts, maker: Maker | None = None) -> Iterator[Item]:
    """What is in these chunks, one after the other; losses among them are passed on."""
    for unit in units:
        if isinstance(unit, Rejected):
            yield unit
        else:
            yield from parse_chunk(unit, reading, counts, maker)


def _units(stream: BinaryIO, header: bytes, first: bytes, counts: Counts) -> Iterator[Chunk | Rejected]:
    chunks, zeros, told = 0, [], chunk_count(header)
    beyond = STALE_COUNT if is_dirty(header) else REMNANT
    for chunk in read_chunks(stream, first):
        chunks = chunk.number + 1
        if told is not None and chunks > told:
            chunk = msgspec.structs.replace(chunk, origin=beyond)
        if ZEROS.startswith(chunk.data):
            zeros.append((chunk.number, chunk.offset))
            continue
        yield from _empty(zeros, counts)
        zeros = []
        yield chunk
    if told is not None and told > chunks:
        counts.seen += 1
        yield Rejected(FILE_HEADER + chunks * CHUNK, f"the file is cut off: {chunks} of {told} chunks are left")


def _empty(zeros: list[tuple[int, int]], counts: Counts) -> Iterator[Rejected]:
    """Empty chunks at the end are unused; those before a used one have lost what they held."""
    for number, offset in zeros:
        counts.seen += 1
        yield Rejected(offset, f"chunk {number} is filled with zeros")


def read_chunks(stream: BinaryIO, first: bytes = b"") -> Iterator[Chunk]:
    """The chunks of a stream that stands behind `first`, the bytes already read of the first chunk; nothing after a short one."""
    number, data = 0, first or read_bytes(stream, CHUNK)
    while data:
        yield Chunk(number, FILE_HEADER + number * CHUNK, data)
        number, data = number + 1, read_bytes(stream, CHUNK) if len(data) == CHUNK else b""


def read_bytes(stream: BinaryIO, size: int) -> bytes:
    """That many bytes, fewer at the end of the stream."""
    data = stream.read(size)
    while 0 < len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def parse_chunk(chunk: Chunk, reading: Reading, counts: Counts, maker: Maker | None = None) -> Iterator[Item]:
    """The Defender records of one chunk and its losses, in the order of the file; adds to `counts`."""
    if not is_chunk(chunk.data):
        counts.seen += 1
        reason = "wrong magic" if len(chunk.data) >= FIRST_RECORD else f"cut off after {len(chunk.data)} bytes"
        yield Rejected(chunk.offset, f"chunk {chunk.number}: {reason}", chunk.data[:16].hex())
        return
    if reading.prefilter and not reading.all_events and (held := unwalked(chunk.data)) is not None and not may_hold_defender(held[1]):
        counts.seen += held[0]
        counts.leave(OTHER_PROVIDERS, held[0])
        return
    found = walk(chunk.data)
    if found.sound is not False:
        yield from _records(chunk, found, reading, counts, maker)
        return
    own = Counts()
    items = list(_records(chunk, found, reading, own))
    if _loses(items):
        own, items = _corrected(chunk, found, reading) or (own, items)
    counts.add(own)
    yield from items


def _loses(items: Iterable[Item]) -> bool:
    return any(isinstance(item, Rejected) and item.units for item in items)


def _corrected(chunk: Chunk, found: Walk, reading: Reading) -> tuple[Counts, list[Item]] | None:
    """What a chunk with losses holds when the one bit that its sum says is wrong is turned over; None where that does not read it all.

    The hashes stay those of the bytes in the file, and the bit is told.
    """
    wrong = wrong_bit(found)
    if wrong is None:
        return None
    own, place = Counts(), wrong[0]
    items = list(_records(chunk, walk(corrected(chunk.data, *wrong)), reading, own))
    if _loses(items):
        return None
    reason = f"chunk {chunk.number}: one bit is wrong here, by the chunk's sum; its records were read with it corrected"
    told = Rejected(chunk.offset + place, reason, chunk.data[place : place + 1].hex(), units=0)
    return own, [told, *(msgspec.structs.replace(item, integrity=_CORRECTED) if isinstance(item, Parsed) else item for item in items)]


def _records(chunk: Chunk, found: Walk, reading: Reading, counts: Counts, maker: Maker | None = None) -> Iterator[Item]:
    counts.seen += len(found.records) + len(found.gaps)
    for gap in found.gaps:
        reason = f"chunk {chunk.number}: {gap.size} bytes are not a record"
        yield Rejected(chunk.offset + gap.offset, reason, chunk.data[gap.offset : gap.offset + 32].hex())
    if reading.prefilter and not reading.all_events and not may_hold_defender(found):
        counts.leave(OTHER_PROVIDERS, len(found.records))
        return
    one = RecordReader(chunk, found, reading, counts, maker)
    others = dict(fields_by_offset(found, other_engine(reading.engine))) if reading.cross_check else None
    try:
        for record, rendering in paired(found, reading.engine):
            item = one.item(record, rendering)
            if item is not None:
                yield from _made(maker)
                yield item
            if others is None:
                continue
            mine = fields_or_error(record, rendering, one.normalizer)
            for difference in differences(mine, others[record.offset], reading.engine):
                if item is not None or is_defender(others[record.offset]):
                    yield Rejected(chunk.offset + record.offset, difference, units=0, number=record.id, stage=CROSS_CHECK)
    except Exception:
        # what was taken before is not lost with the rest of the file
        yield from _made(maker)
        raise
    yield from _made(maker)


def _made(maker: Maker | None) -> Iterator[Made]:
    made = maker and maker.made()
    if made:
        yield made


def log_chunks(stream: BinaryIO) -> Iterator[Chunk | Rejected]:
    """The chunks of a log as `parse` meets them, and what is missing of them."""
    header, first = read_bytes(stream, FILE_HEADER), read_bytes(stream, CHUNK)
    yield from _units(stream, header, first, Counts())

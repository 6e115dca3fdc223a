"""EVTX chunks: which records are where, read without any engine and without trusting any count.

File (little-endian; layout: libyal/libevtx documentation, checked against every sample):

    0     8  `ElfFile\\0`
    42    2  number of chunks; stale in logs of running machines
    120   4  flags: 1 dirty (in use when it was copied), 2 full
    124   4  CRC-32 of bytes 0..120
    4096     chunks of 65,536 bytes

Chunk:

    0     8  `ElfChnk\\0`
    8     8  first record number    16  8  last record number
    24    8  first record id          32  8  last record id
    40    4  header size, 128         44  4  offset of the last record
    48    4  offset of the free space 52  4  CRC-32 of bytes 512..free space
    124   4  CRC-32 of bytes 0..120 and 128..512
    128 256  offsets of names         384 128  offsets of templates
    512      records

Record: `2A 2A 00 00`, size u32, id u64, written FILETIME u64, binary XML, size again u32.
"""

import struct
import zlib

import msgspec

FILE_HEADER = 4096
CHUNK = 65_536
FILE_MAGIC = b"ElfFile\0"
CHUNK_MAGIC = b"ElfChnk\0"
RECORD_MAGIC = b"\x2a\x2a\0\0"
FIRST_RECORD = 512
_SMALLEST = 28
_RECORD = struct.Struct("<4xIQQ").unpack_from
_FRAME = struct.Struct("<4sIQQ").unpack_from
_U32 = struct.Struct("<I").unpack_from
_NO_ID = 2**64 - 1
_GAP_ID = 2**64 - 2


class Walked(msgspec.Struct, frozen=True, gc=False):
    """One record of a chunk: `offset` and `size` in bytes from the chunk's start, its id and written time (ticks) as in its header."""

    offset: int
    size: int
    id: int
    written_at: int


class Gap(msgspec.Struct, frozen=True):
    """Bytes of a chunk that should hold records and do not."""

    offset: int
    size: int


class Walk(msgspec.Struct, frozen=True):
    """What the walk found.

    `end` is where the last record ends, `regular` is False where a frame had to be guessed. The CRC of the records speaks of the bytes
    up to `covered`; `sound` says whether it is right, None where it cannot be computed because the chunk is cut off.
    """

    data: bytes
    records: list[Walked] = []
    gaps: list[Gap] = []
    end: int = FIRST_RECORD
    regular: bool = True
    header_sound: bool = False
    sound: bool | None = None
    covered: int = 0


def chunk_count(header: bytes) -> int | None:
    """What the file header says about the number of chunks; None where its CRC is wrong."""
    return struct.unpack_from("<H", header, 42)[0] if zlib.crc32(header[:120]) == _U32(header, 124)[0] else None


def is_dirty(header: bytes) -> bool:
    """True for a log that was not closed: its header may be older than its chunks."""
    return bool(_U32(header, 120)[0] & 1)


def is_chunk(data: bytes) -> bool:
    """True where a walk makes sense: the magic is right, or a damaged header is followed by a record."""
    return data[:8] == CHUNK_MAGIC or data[FIRST_RECORD : FIRST_RECORD + 4] == RECORD_MAGIC


def walk(data: bytes) -> Walk:
    """Every record of a chunk of at most 64 KiB, found by following sizes and, where those are broken, by the next intact record.

    Behind the free-space offset lie old records of the chunk's former life: there only those are taken that go on counting.
    """
    if len(data) < FIRST_RECORD:
        return Walk(data)
    view = memoryview(data)
    header_sound = data[:8] == CHUNK_MAGIC and zlib.crc32(view[128:512], zlib.crc32(view[:120])) == _U32(data, 124)[0]
    free = _U32(data, 48)[0]
    known = FIRST_RECORD <= free <= CHUNK
    limit = min(free, len(data)) if known else len(data)
    sound = None if known else False
    if known and free <= len(data):
        sound = zlib.crc32(view[FIRST_RECORD:free]) == _U32(data, 52)[0]
    records: list[Walked] = []
    gaps: list[Gap] = []
    regular = _follow(data, limit, records, gaps)
    if not known and gaps and not any(view[gaps[-1].offset :]):
        del gaps[-1]
    _beyond(data, records)
    ends = [record.offset + record.size for record in records[-1:]] + [gap.offset + gap.size for gap in gaps[-1:]]
    return Walk(data, records, gaps, max(ends, default=FIRST_RECORD), regular, header_sound, sound, limit)


def last_record_id(data: bytes) -> int | None:
    """The highest record id of a chunk: what a sound header says, else what a walk finds; None where there is no record."""
    if _is_sealed(data):
        last: int = struct.unpack_from("<Q", data, 32)[0]
        if last < _GAP_ID:
            return last
    return max((record.id for record in walk(data).records), default=None)


def newest_alone(found: Walk) -> Walk:
    """The chunk as if its first record reached to the newest one, which an engine then comes to without decoding what lies between.

    The same walk where the frames of the records are not all sound.
    """
    if not found.regular or found.gaps or not found.records:
        return found
    first, newest = found.records[0], max(found.records, key=lambda record: record.id)
    records = [newest]
    data = bytearray(found.data)
    if newest.offset > first.offset:
        size = newest.offset - first.offset
        for position in (first.offset + 4, newest.offset - 4):
            struct.pack_into("<I", data, position, size)
        records.insert(0, Walked(first.offset, size, first.id, first.written_at))
    return msgspec.structs.replace(found, data=bytes(data), records=records, end=newest.offset + newest.size)


def newest_by_header(data: bytes) -> Walk | None:
    """`newest_alone` without a walk, by what a sound header says of the last record; None where that does not stand there."""
    if not _is_sealed(data):
        return None
    first, newest = _intact(data, FIRST_RECORD), _intact(data, _U32(data, 44)[0])
    if first is None or newest is None or newest.id != struct.unpack_from("<Q", data, 32)[0]:
        return None
    records = [first, newest] if newest.offset > first.offset else [newest]
    return newest_alone(Walk(data, records, [], newest.offset + newest.size, header_sound=True))


def unwalked(data: bytes) -> tuple[int, Walk] | None:
    """How many records a whole and sound chunk holds, by its header, and a Walk without them; None where only a walk can tell."""
    if not _is_sealed(data):
        return None
    first, last = struct.unpack_from("<QQ", data, 8)
    free = _U32(data, 48)[0]
    count = last - first + 1
    if not FIRST_RECORD < free <= CHUNK or not 0 < count <= free // _SMALLEST or data[free : free + 4] == RECORD_MAGIC:
        return None
    if zlib.crc32(memoryview(data)[FIRST_RECORD:free]) != _U32(data, 52)[0]:
        return None
    return count, Walk(data, [], [], free, header_sound=True, sound=True, covered=free)


def _is_sealed(data: bytes) -> bool:
    """True for a whole chunk whose header has the right sum."""
    view = memoryview(data)
    return len(data) == CHUNK and data[:8] == CHUNK_MAGIC and zlib.crc32(view[128:512], zlib.crc32(view[:120])) == _U32(data, 124)[0]


def _intact(data: bytes, position: int) -> Walked | None:
    """The record at `position`, if magic, size and the copy of the size agree."""
    if data[position : position + 4] != RECORD_MAGIC or position + _SMALLEST > len(data):
        return None
    size, number, written_at = _RECORD(data, position)
    end = position + size
    if size < _SMALLEST or end > len(data) or _U32(data, end - 4)[0] != size:
        return None
    return Walked(position, size, number, written_at)


def _follow(data: bytes, limit: int, records: list[Walked], gaps: list[Gap]) -> bool:
    position, ahead, regular, room = FIRST_RECORD, 0, True, len(data) - _SMALLEST
    while position < limit:
        if position <= room:
            # the same as `_intact`, in line: this is every sound record's way
            magic, size, number, written_at = _FRAME(data, position)
            end = position + size
            if magic == RECORD_MAGIC and size >= _SMALLEST and data[end - 4 : end] == data[position + 4 : position + 8]:
                records.append(Walked(position, size, number, written_at))
                position = end
                continue
        regular = False
        if ahead <= position:
            ahead = _next_intact(data, position + 1, limit)
        record = _damaged(data, position, ahead)
        if record is None:
            gaps.append(Gap(position, ahead - position))
            position = ahead
        else:
            records.append(record)
            position += record.size
    return regular


def _next_intact(data: bytes, position: int, limit: int) -> int:
    while (position := data.find(RECORD_MAGIC, position, limit)) >= 0:
        if _intact(data, position):
            return position
        position += 1
    return limit


def _damaged(data: bytes, position: int, ahead: int) -> Walked | None:
    """The record at `position` when enough of its frame is left: two of magic, size and copy, or a magic and a size that fits."""
    room = ahead - position
    if room < _SMALLEST:
        return None
    size, number, written_at = _RECORD(data, position)
    magic = data[position : position + 4] == RECORD_MAGIC
    if magic + (size == room) + (_U32(data, ahead - 4)[0] == room) >= 2:
        return Walked(position, room, number, written_at)
    return Walked(position, size, number, written_at) if magic and _SMALLEST <= size <= room else None


def _beyond(data: bytes, records: list[Walked]) -> None:
    while records and (record := _intact(data, records[-1].offset + records[-1].size)) and record.id == records[-1].id + 1:
        records.append(record)


def engine_file(found: Walk) -> bytes:
    """The chunk as a log of its own, its header and record frames patched so that an engine sees exactly the records of the walk."""
    data = found.data
    # `evtx` stops at the last id of the header, wherever that id stands; this one ends no sound log
    last, end = _NO_ID.to_bytes(8, "little"), found.end.to_bytes(4, "little")
    if found.header_sound and found.regular:
        return b"".join((_ENGINE_HEADER, data[:32], last, data[40:48], end, data[52:], bytes(CHUNK - len(data))))
    out = bytearray(_ENGINE_HEADER + data.ljust(CHUNK, b"\0"))
    out[FILE_HEADER + 32 : FILE_HEADER + 40], out[FILE_HEADER + 48 : FILE_HEADER + 52] = last, end
    if not found.header_sound:
        struct.pack_into("<8s", out, FILE_HEADER, CHUNK_MAGIC)
        struct.pack_into("<I", out, FILE_HEADER + 40, 128)
        out[FILE_HEADER + 128 : FILE_HEADER + FIRST_RECORD] = bytes(FIRST_RECORD - 128)
    if not found.regular:
        _repair_frames(out, found)
    return bytes(out)


def _engine_header() -> bytes:
    """The header of a log of one chunk."""
    header = bytearray(FILE_HEADER)
    struct.pack_into("<8sQQQIHHHH", header, 0, FILE_MAGIC, 0, 0, 1, 128, 1, 3, FILE_HEADER, 1)
    struct.pack_into("<I", header, 124, zlib.crc32(header[:120]))
    return bytes(header)


_ENGINE_HEADER = _engine_header()


def _repair_frames(out: bytearray, found: Walk) -> None:
    """Make every record and every gap a frame that can be followed; a small gap belongs to the record before it."""
    small = {gap.offset: gap.size for gap in found.gaps if gap.size < _SMALLEST}
    for record in found.records:
        size = record.size + small.get(record.offset + record.size, 0)
        struct.pack_into("<4sI", out, FILE_HEADER + record.offset, RECORD_MAGIC, size)
    for gap in found.gaps:
        if gap.size >= _SMALLEST:
            struct.pack_into("<4sIQ", out, FILE_HEADER + gap.offset, RECORD_MAGIC, gap.size, _GAP_ID)

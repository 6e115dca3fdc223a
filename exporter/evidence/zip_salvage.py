"""Members of a zip that was cut off before its directory, found by their own headers (offsets: see `zip_members`).

An interrupted upload leaves such zips. Velociraptor and others write sizes only behind a member (flag bit 3), so its end is found by
decompressing it, or for a stored member by its descriptor: `PK\\7\\8`, CRC, compressed size, size.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from exporter.evidence.streams import PIECE_BYTES, Limits
from exporter.evidence.zip_members import LOCAL, ZipMember, extras, member_name, modified, refusal, search
from exporter.records import Rejected

_SIZES_FOLLOW = 8
_ALL_ONES = 0xFFFFFFFF


def salvaged_members(stream: BinaryIO, length: int, limits: Limits) -> Iterator[ZipMember | Rejected]:
    """Every member with a header; the bytes of the one that the cut goes through end in an EvidenceError when they are read."""
    seen = 0
    position = search(stream, b"PK\3\4", 0, length)
    while position + LOCAL.size <= length and seen < limits.members:
        member, end = _member(stream, position, length, limits)
        if member is None:
            end = position + 4
        elif member.size or not member.name.endswith(("/", "\\")):
            seen += 1
            yield member
        position = search(stream, b"PK\3\4", end, length)
    if seen >= limits.members:
        yield Rejected(position, f"more than {limits.members} members: the rest is not read")


def _member(stream: BinaryIO, position: int, length: int, limits: Limits) -> tuple[ZipMember | None, int]:
    """The member whose header stands here, and where the next one may; None if the header cannot be one."""
    stream.seek(position)
    _, _, flags, method, _, _, crc, compressed, size, name_size, extra_size = LOCAL.unpack(stream.read(LOCAL.size))
    name, known = stream.read(name_size), dict(extras(stream.read(extra_size)))
    start = position + LOCAL.size + name_size + extra_size
    if start > length or b"PK\3\4" in name:
        return None, position
    wide = known.get(0x0001, b"")
    if compressed == _ALL_ONES and len(wide) >= 16:
        size, compressed = struct.unpack_from("<QQ", wide)
    if flags & _SIZES_FOLLOW and not compressed:
        compressed, size, crc = _measured(stream, start, length, method, limits)
    member = ZipMember(member_name(name, flags), size, compressed, crc, method, position, modified(known), refusal(flags, method, False))
    return member, min(start + compressed, length)


def _measured(stream: BinaryIO, start: int, length: int, method: int, limits: Limits) -> tuple[int, int, int]:
    """Compressed size, size and CRC of a member that does not say them; what there is of it when it is cut off."""
    if method != 8:
        return _described(stream, start, length)
    stream.seek(start)
    engine, taken, given, crc = zlib.decompressobj(-15), 0, 0, 0
    rest = b""
    while not engine.eof and (rest or start + taken < length):
        if not rest:
            rest = stream.read(min(PIECE_BYTES, length - start - taken))
            taken += len(rest)
        try:
            piece = engine.decompress(rest, PIECE_BYTES)
        except zlib.error:
            break
        rest, given, crc = engine.unconsumed_tail, given + len(piece), zlib.crc32(piece, crc)
        if given > limits.ratio_floor_bytes and given > limits.ratio * taken:
            break
    return taken - len(engine.unused_data), given, crc


def _described(stream: BinaryIO, start: int, length: int) -> tuple[int, int, int]:
    position = search(stream, b"PK\7\x08", start, length)
    while position + 16 <= length:
        stream.seek(position)
        _, crc, compressed, size = struct.unpack("<4I", stream.read(16))
        if compressed == position - start:
            return compressed, size, crc
        position = search(stream, b"PK\7\x08", position + 1, length)
    return length - start, length - start, 0

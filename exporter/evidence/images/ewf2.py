"""The sector tables of an Ex01 image (EWF version 2), which say where each chunk lies and how it can be checked.

Sections are chained backwards: behind each section's data stands its descriptor, the last one at the segment's end. Layout: Expert Witness
Compression Format 2, libewf's documentation; measured against images that libewf 20260924 wrote.
"""

import bz2
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from exporter.evidence.images.media import Media

SIGNATURE = b"EVF2\r\n\x81\x00"
_DESCRIPTOR_BYTES, _HEADER_BYTES, _ENTRY_BYTES = 64, 32, 16
_SECTOR_TABLE = 4
_COMPRESSED, _WITH_CHECKSUM, _PATTERN = 1, 2, 4
_METHOD = 10
_UNPACK: dict[int, Callable[[bytes], bytes]] = {1: zlib.decompress, 2: bz2.decompress}
_MOST_SECTIONS = 1 << 20


class SectorTable(NamedTuple):
    """A table of `chunks` chunks from chunk `first` on, compressed by `method`."""

    first: int
    chunks: int
    part: Media
    entries: int
    method: int

    def holds(self, within: int, size: int) -> bool | None:
        """Whether the checksum of one of its chunks holds, which has `size` bytes; None when it has none, or a method not known."""
        entry = self.part.read_at(self.entries + _ENTRY_BYTES * within, _ENTRY_BYTES)
        offset, length, flags = struct.unpack("<QII", entry.ljust(_ENTRY_BYTES, b"\0"))
        if flags & _PATTERN:
            return True
        if not 0 < length <= 2 * size:
            return False
        data = self.part.read_at(offset, length)
        if flags & _COMPRESSED:
            return unpacks(data, _UNPACK[self.method]) if self.method in _UNPACK else None
        return whole(data) if flags & _WITH_CHECKSUM else None


def whole(data: bytes) -> bool:
    """Whether the Adler-32 at the end of a chunk holds."""
    return len(data) > 4 and zlib.adler32(data[:-4]) == int.from_bytes(data[-4:], "little")


def unpacks(data: bytes, method: Callable[[bytes], bytes]) -> bool:
    """Whether a compressed chunk is whole; both methods have a checksum."""
    try:
        method(data)
    except (zlib.error, OSError, ValueError, EOFError):
        return False
    return True


def sector_tables(segment: Media) -> Iterator[SectorTable]:
    """The tables of one segment, the first one first; those in front of a damaged descriptor are not found."""
    method = int.from_bytes(segment.read_at(_METHOD, 2), "little")
    found, at = list[SectorTable](), segment.size - _DESCRIPTOR_BYTES
    for _ in range(_MOST_SECTIONS):
        descriptor = segment.read_at(at, _DESCRIPTOR_BYTES) if at > 0 else b""
        if len(descriptor) < _DESCRIPTOR_BYTES or zlib.adler32(descriptor[:60]) != int.from_bytes(descriptor[60:], "little"):
            break
        kind, previous, length = struct.unpack_from("<I4xQQ", descriptor)
        if kind == _SECTOR_TABLE and _HEADER_BYTES <= length <= at:
            first, count = struct.unpack("<QI", segment.read_at(at - length, 12).ljust(12, b"\0"))
            found.append(SectorTable(first, count, segment, at - length + _HEADER_BYTES, method))
        if previous >= at:
            break
        at = previous
    return reversed(found)

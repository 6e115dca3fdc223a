"""The checksums of an E01 image's chunks: libewf reads a damaged chunk as zeros and says nothing.

So a chunk that reads as zeros is looked up in the image's own tables, and its checksum decides. Layout: Expert Witness Compression
Format (EWF) version 1, libewf's documentation; version 2 (Ex01) is another one.
"""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from exporter.evidence.images.ewf2 import SIGNATURE, SectorTable, sector_tables, unpacks, whole
from exporter.evidence.images.media import Media

_HEADER_BYTES, _SECTION_BYTES, _TABLE_BYTES = 13, 76, 24
_MOST_SECTIONS = 1 << 20
_COMPRESSED = 1 << 31


class _Table(NamedTuple):
    """A table of `chunks` chunks from chunk `first` on; the last of them ends at `end` of the segment."""

    first: int
    chunks: int
    part: Media
    entries: int
    base: int
    end: int

    def holds(self, within: int, size: int) -> bool:
        """Whether the checksum of one of its chunks holds, which has `size` bytes."""
        raw = self.part.read_at(self.entries + 4 * within, 8)
        entry, following = struct.unpack("<II", raw.ljust(8, b"\0"))
        start = self.base + (entry & ~_COMPRESSED)
        end = self.base + (following & ~_COMPRESSED) if within + 1 < self.chunks else self.end
        if not 0 < end - start <= 2 * size:
            return False
        data = self.part.read_at(start, end - start)
        return unpacks(data, zlib.decompress) if entry & _COMPRESSED else whole(data)


class Chunks:
    """The chunks of an image of these segments, `size` bytes each."""

    def __init__(self, segments: Sequence[Media], size: int) -> None:
        self.size = size
        self._tables: dict[bytes, list[_Table | SectorTable]] = {b"table": [], b"table2": []}
        for segment in segments:
            if segment.read_at(0, len(SIGNATURE)) == SIGNATURE:
                self._tables[b"table"] += sector_tables(segment)
                continue
            for kind, table in _tables(segment):
                tables = self._tables[kind]
                first = tables[-1].first + tables[-1].chunks if tables else 0
                tables.append(table._replace(first=first))
        self.is_damaged = lru_cache(maxsize=4096)(self._is_damaged)

    @property
    def listed(self) -> int:
        """How many bytes of the disk its tables tell of; 0 when there are none that are known here."""
        tables = self._tables[b"table"] or self._tables[b"table2"]
        return (tables[-1].first + tables[-1].chunks) * self.size if tables else 0

    def _is_damaged(self, chunk: int) -> bool:
        """Whether a chunk is known, and its checksum holds by none of the two copies of the table."""
        verdicts = [self._holds(tables, chunk) for tables in self._tables.values()]
        return False in verdicts and True not in verdicts

    def _holds(self, tables: Sequence[_Table | SectorTable], chunk: int) -> bool | None:
        index = bisect_right(tables, chunk, key=lambda table: table.first) - 1
        if index < 0 or chunk >= tables[index].first + tables[index].chunks:
            return None
        return tables[index].holds(chunk - tables[index].first, self.size)


def _tables(segment: Media) -> Iterator[tuple[bytes, _Table]]:
    """The tables of one segment, which follow the section of the chunks that they list."""
    at, end = _HEADER_BYTES, 0
    for _ in range(_MOST_SECTIONS):
        section = segment.read_at(at, _SECTION_BYTES)
        if len(section) < _SECTION_BYTES or zlib.adler32(section[:72]) != int.from_bytes(section[72:], "little"):
            return
        kind = section[:16].rstrip(b"\0")
        following, length = struct.unpack_from("<QQ", section, 16)
        if kind == b"sectors":
            end = at + length
        elif kind in (b"table", b"table2"):
            count, base = struct.unpack("<I4xQ", segment.read_at(at + _SECTION_BYTES, 16).ljust(16, b"\0"))
            yield kind, _Table(0, count, segment, at + _SECTION_BYTES + _TABLE_BYTES, base, end)
        if following <= at:
            return
        at = following


class Damage:
    """Where reading met damage since it was last asked: byte offsets on the disk, of chunks that were read as zeros."""

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self._met: dict[int, None] = {}

    def note(self, offset: int) -> None:
        """Damage at this offset."""
        self._met[offset] = None

    def met(self) -> list[int]:
        """What there was, which is then forgotten."""
        found, self._met = list(self._met), {}
        return found


def watched(media: Media, chunks: Chunks, damage: Damage) -> Media:
    """The disk, with damage noted wherever it is read."""

    def read_at(offset: int, size: int) -> bytes:
        data = media.read_at(offset, size)
        for chunk in range(offset // chunks.size, (offset + len(data) - 1) // chunks.size + 1):
            start = chunk * chunks.size
            piece = data[max(0, start - offset) : start + chunks.size - offset]
            if not (piece[0] or piece[-1]) and not piece.strip(b"\0") and chunks.is_damaged(chunk):
                damage.note(start)
        return data

    return Media(read_at, media.size)

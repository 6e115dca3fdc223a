"""The EVTX container: a file header and chunks of 64 KiB that each hold their own records, names and templates.

    file header, 4096 bytes        chunk header, 512 bytes               record
    00 ElfFile NUL                 00 ElfChnk NUL                        00 2A 2A 00 00
    08 u64 first, last chunk       08 u64 first, last record number      04 u32 size, a multiple of 8
    18 u64 next record id          18 u64 first, last record id          08 u64 record id
    20 u32 128                     28 u32 128                            10 FILETIME written
    24 u16 minor 1, u16 major 3    2C u32 offset of the last record      18 binary XML, 00, padding
    28 u16 4096, u16 chunks        30 u32 offset of the free space       -4 u32 size again
    78 u32 flags (1 dirty)         34 u32 CRC-32 of the records
    7C u32 CRC-32 of 00 to 77      7C u32 CRC-32 of 00 to 77 and 80 to 1FF
                                   80 64 u32: newest name of each bucket, 180 32 u32: newest template of each bucket

Version 3.1: the one that all readers verify (a version 3.2 log chooses its template buckets by a hash that we could not identify).
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeAlias

from exporter.synthetic.evtx_binxml import NAME_BUCKETS, TEMPLATE_BUCKETS, Known, Writer

FILE_HEADER_SIZE = 4096
CHUNK_SIZE = 65_536
CHUNK_HEADER_SIZE = 512
_RECORD_HEADER_SIZE = 24
_NONE = 0xFFFF_FFFF_FFFF_FFFF

Body: TypeAlias = Callable[[Writer], None]
"""Writes the binary XML of one record."""


class Chunk:
    """Records until 64 KiB are full."""

    def __init__(self, number: int) -> None:
        self.first_number = number
        self.ids: list[int] = []
        self.records = bytearray()
        self.known = Known()
        self._last_offset = 0

    def add(self, record_id: int, written_at: int, body: Body) -> bool:
        """False, and nothing changed, where the record does not fit any more."""
        offset = CHUNK_HEADER_SIZE + len(self.records)
        known = self.known.copy()
        writer = Writer(offset + _RECORD_HEADER_SIZE, known)
        body(writer)
        size = _RECORD_HEADER_SIZE + len(writer.out) + 4
        size += -size % 8
        if offset + size > CHUNK_SIZE:
            return False
        self.records += struct.pack("<4sIQQ", b"**\0\0", size, record_id, written_at)
        self.records += writer.out.ljust(size - _RECORD_HEADER_SIZE - 4, b"\0")
        self.records += struct.pack("<I", size)
        self.ids.append(record_id)
        self.known = known
        self._last_offset = offset
        return True

    def to_bytes(self) -> bytes:
        """The finished 64 KiB."""
        numbers = (self.first_number, self.first_number + len(self.ids) - 1) if self.ids else (1, _NONE)
        ids = (self.ids[0], self.ids[-1]) if self.ids else (_NONE, _NONE)
        free = CHUNK_HEADER_SIZE + len(self.records)
        head = struct.pack("<8s4Q", b"ElfChnk\0", *numbers, *ids)
        head += struct.pack("<4I", 128, self._last_offset, free, zlib.crc32(self.records)) + bytes(64)
        tables = _table(self.known.name_heads, NAME_BUCKETS) + _table(self.known.template_heads, TEMPLATE_BUCKETS)
        head += struct.pack("<II", 0, zlib.crc32(tables, zlib.crc32(head)))
        return (head + tables + bytes(self.records)).ljust(CHUNK_SIZE, b"\0")


def write_file(stream: BinaryIO, records: Iterable[tuple[int, int, Body]]) -> int:
    """Write a whole log to a seekable stream from (record id, time written in ticks, body); returns the number of records.

    Memory is one chunk. Raises ValueError for a record that no chunk can hold, and for ids that do not increase: readers take a
    chunk's last id for its end.
    """
    start = stream.tell()
    stream.write(bytes(FILE_HEADER_SIZE))
    chunk, chunks, count, last_id = Chunk(1), 1, 0, -1
    for record_id, written_at, body in records:
        if record_id <= last_id:
            raise ValueError(f"record {record_id} follows record {last_id}: ids must increase")
        if not chunk.add(record_id, written_at, body):
            if chunk.ids:
                stream.write(chunk.to_bytes())
                chunk = Chunk(count + 1)
                chunks += 1
            if not chunk.ids and not chunk.add(record_id, written_at, body):
                raise ValueError(f"record {record_id} is too large for a chunk of {CHUNK_SIZE} bytes")
        count, last_id = count + 1, record_id
    stream.write(chunk.to_bytes())
    end = stream.tell()
    stream.seek(start)
    stream.write(_file_header(chunks, last_id + 1))
    stream.seek(end)
    return count


def _file_header(chunks: int, next_record_id: int) -> bytes:
    head = struct.pack("<8sQQQ", b"ElfFile\0", 0, chunks - 1, next_record_id)
    head += struct.pack("<I4H", 128, 1, 3, FILE_HEADER_SIZE, chunks) + bytes(76)
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(FILE_HEADER_SIZE, b"\0")


def _table(heads: dict[int, int], buckets: int) -> bytes:
    return struct.pack(f"<{buckets}I", *(heads.get(bucket, 0) for bucket in range(buckets)))

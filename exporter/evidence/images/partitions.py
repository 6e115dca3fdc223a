"""Partition tables: MBR with its extended partitions, and GPT from whichever of its two copies is whole.

Layouts: UEFI specification 2.10, chapter 5.
"""

import struct
import uuid
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from exporter.errors import EvidenceError
from exporter.evidence.images.media import Media

_SECTORS = (512, 4096)
_EXTENDED = {0x05, 0x0F, 0x85}
_PROTECTIVE = 0xEE
_MOST_LOGICAL = 128
_LARGEST_TABLE_BYTES = 1 << 20
GPT_KINDS = {
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "basic data",
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "Windows recovery",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "LDM metadata",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "LDM data",
    "e75caf8f-f680-4cee-afa3-b001e56efc2d": "storage spaces",
}
MBR_KINDS = {0x07: "basic data", 0x27: "Windows recovery", 0x42: "LDM data", 0xEF: "EFI system"}


class Partition(NamedTuple):
    """A partition: first byte, size in bytes, what its table says that it is."""

    start: int
    size: int
    kind: str


class Table(NamedTuple):
    """A partition table: `gpt` or `mbr`, the size of the sectors it counts in, and what is wrong with it that could be made good."""

    kind: str
    sector: int
    partitions: list[Partition]
    damage: str | None = None


def read_table(media: Media, sector: int) -> Table | None:
    """The table of a disk, with its partitions in their order; None where there is none. Raises EvidenceError when it cannot be read."""
    head = media.read_at(0, max(_SECTORS) + 512)
    signed = _is_signed(head[:512])
    entries = list(_entries(head)) if signed else []
    sizes = list(dict.fromkeys((sector, *_SECTORS)))
    if any(kind == _PROTECTIVE for kind, _, _ in entries) or any(head[size:].startswith(b"EFI PART") for size in sizes) or not signed:
        table = _gpt(media, sizes)
        if table is not None or not entries:
            return table
        raise EvidenceError("both copies of the partition table (GPT) are damaged")
    return _mbr(media, entries, _counted_in(media, entries, sizes)) if entries else None


def _is_signed(sector: bytes) -> bool:
    """Whether it ends like a boot sector, which a table or a volume of Windows begins with."""
    return sector[510:] == b"\x55\xaa"


def _counted_in(media: Media, entries: list[tuple[int, int, int]], sizes: list[int]) -> int:
    """The size of sectors by which a partition begins with a boot sector: the table does not say what it counts in."""
    starts = ((size, start * size) for size in sizes for _, start, _ in entries if start * size < media.size)
    return next((size for size, at in starts if _is_signed(media.read_at(at, 512))), sizes[0])


def _entries(sector: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, first sector and sectors of the used ones of the four entries."""
    for at in range(446, 510, 16):
        flag, kind, start, length = struct.unpack_from("<B3xB3xII", sector, at)
        if kind and length and flag in (0, 0x80):
            yield kind, start, length


def _mbr(media: Media, entries: list[tuple[int, int, int]], sector: int) -> Table:
    table = Table("mbr", sector, [_partition(kind, start, length, sector) for kind, start, length in entries if kind not in _EXTENDED])
    for kind, start, _ in entries:
        if kind in _EXTENDED:
            broken = _logical(media, start, sector, table.partitions)
            if broken is not None:
                table = table._replace(damage=f"the chain of logical partitions is damaged at sector {broken}")
    return table


def _partition(kind: int, start: int, length: int, sector: int) -> Partition:
    return Partition(start * sector, length * sector, MBR_KINDS.get(kind, f"type {kind:02x}"))


def _logical(media: Media, extended: int, sector: int, found: list[Partition]) -> int | None:
    """The chain of an extended partition: each link has a partition, relative to the link, and the next link, relative to the first.

    Returns the sector of the link that is none.
    """
    link, seen = extended, set[int]()
    while link not in seen and len(seen) < _MOST_LOGICAL:
        seen.add(link)
        block = media.read_at(link * sector, 512) if link * sector < media.size else b""
        if not _is_signed(block):
            return link
        following = link
        for kind, start, length in _entries(block):
            if kind in _EXTENDED:
                following = extended + start
            else:
                found.append(_partition(kind, link + start, length, sector))
        link = following
    return None


def _gpt(media: Media, sectors: list[int]) -> Table | None:
    for sector in sectors:
        found = _gpt_at(media, sector, sector)
        if found is not None:
            return Table("gpt", sector, found)
    for sector in sectors:
        found = _gpt_at(media, media.size // sector * sector - sector, sector)
        if found is not None:
            return Table("gpt", sector, found, "the first copy of the partition table (GPT) is damaged; the second one was used")
    return None


def _gpt_at(media: Media, at: int, sector: int) -> list[Partition] | None:
    """The partitions of the table whose header stands at a byte; None when its checksums do not hold."""
    head = media.read_at(at, 512) if 0 < at < media.size else b""
    if len(head) < 92 or not head.startswith(b"EFI PART"):
        return None
    size, checksum = struct.unpack_from("<II", head, 12)
    if not 92 <= size <= 512 or zlib.crc32(head[:16] + bytes(4) + head[20:size]) != checksum:
        return None
    first, count, length, entries_checksum = struct.unpack_from("<QIII", head, 72)
    if length < 128 or count * length > _LARGEST_TABLE_BYTES or first * sector >= media.size:
        return None
    entries = media.read_at(first * sector, count * length)
    if zlib.crc32(entries) != entries_checksum:
        return None
    return list(_gpt_entries(entries, length, sector))


def _gpt_entries(entries: bytes, length: int, sector: int) -> Iterator[Partition]:
    for at in range(0, len(entries) - length + 1, length):
        kind, start, end = uuid.UUID(bytes_le=entries[at : at + 16]), *struct.unpack_from("<QQ", entries, at + 32)
        if kind.int and end >= start:
            yield Partition(start * sector, (end - start + 1) * sector, GPT_KINDS.get(str(kind), str(kind)))

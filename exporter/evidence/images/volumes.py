"""The volumes of a disk, each with what it holds, BitLocker removed where a key opens it."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from exporter.errors import EvidenceError
from exporter.evidence.images import Volume, bitlocker, boot
from exporter.evidence.images.media import Media
from exporter.evidence.images.partitions import Partition, Table, read_table
from exporter.records import Rejected

_SIGNATURES = (
    (3, b"NTFS    ", "ntfs"),
    (3, b"ReFS\0\0\0\0", "refs"),
    (3, b"EXFAT   ", "exfat"),
    (82, b"FAT32   ", "fat32"),
    (54, b"FAT1", "fat"),
    (1080, b"\x53\xef", "ext"),
    (0, b"XFSB", "xfs"),
    (1024, b"H+\0\x04", "hfs+"),
    (0, b"LUKS\xba\xbe", "luks"),
    (32, b"NXSB", "apfs"),
)
_MENDABLE = ("ntfs", "unknown", "empty")
_DYNAMIC = {"LDM data", "LDM metadata", "storage spaces"}
_FOR_PEOPLE = {"basic data", ""}
"""Partitions that Windows keeps files in; what is unknown in others is not missed."""


class Opened(NamedTuple):
    """A volume and its plain bytes; None when it stays closed."""

    volume: Volume
    media: Media | None


def file_system(media: Media) -> str:
    """What a volume holds, by its first sectors: `ntfs`, others by name, `empty` for zeros, else `unknown`."""
    head = media.read_at(0, min(4096, media.size))
    found = next((name for at, magic, name in _SIGNATURES if head[at : at + len(magic)] == magic), None)
    return found or ("unknown" if head.strip(b"\0") else "empty")


def volumes(media: Media, sector: int, keys: Any) -> Iterator[Table | Opened | Rejected]:
    """The table first where there is one, then the volumes of a disk; what is wrong with them, by the volume's name, as Rejected."""
    if file_system(media) not in ("unknown", "empty") or bitlocker.is_bitlocker(cast("Any", media)) or boot.mended(media):
        yield from _opened(media, Volume(name="volume", start=0, size=media.size), keys)
        return
    table = read_table(media, sector)
    if table is None:
        yield Rejected(None, "neither a partition table nor a known file system is in it")
        return
    yield table
    if table.damage:
        yield Rejected(None, table.damage)
    for number, partition in enumerate(table.partitions, 1):
        yield from _partition(media, partition, f"p{number}", keys)


def _partition(media: Media, partition: Partition, name: str, keys: Any) -> Iterator[Opened | Rejected]:
    volume = Volume(name=name, start=partition.start, size=partition.size, kind=partition.kind)
    if partition.start >= media.size:
        yield Rejected(None, f"begins at byte {partition.start}, but the image ends at {media.size}", name)
        return
    missing = partition.start + partition.size - media.size
    if missing > 0:
        yield Rejected(None, f"the image ends {missing} bytes before this volume does", name)
    yield from _opened(media.window(partition.start, partition.size), volume, keys)


def _opened(media: Media, volume: Volume, keys: Any) -> Iterator[Opened | Rejected]:
    plain: Media | None = media
    try:
        if bitlocker.is_bitlocker(cast("Any", media)):
            found = _unlocked(media, volume, keys)
            plain = found.stream
            if found.reason is not None:
                yield Rejected(None, found.reason, volume.name)
        if plain is not None:
            volume.file_system = file_system(plain)
            mended = boot.mended(plain) if volume.file_system in _MENDABLE else None
            if mended is not None:
                plain, volume.file_system = mended, "ntfs"
                yield Rejected(None, "its first sector is damaged; the copy in its last sector was used", volume.name, units=0)
        refusal = _refusal(volume)
        if refusal:
            yield Rejected(None, refusal, volume.name)
    except EvidenceError as error:
        yield Rejected(None, error.reason, volume.name)
        plain = None
    yield Opened(volume, plain)


def _refusal(volume: Volume) -> str | None:
    if volume.kind in _DYNAMIC and volume.kind != "LDM metadata":
        return f"part of a dynamic disk or storage pool ({volume.kind}): not read"
    if volume.file_system == "refs":
        return "a ReFS volume: not read"
    if volume.file_system == "unknown" and volume.kind in _FOR_PEOPLE:
        return "no known file system, or its first sector is damaged"
    return None


def _unlocked(media: Media, volume: Volume, keys: Any) -> bitlocker.Unlocked:
    """A BitLocker volume, and what it is in the volume's words."""
    found = bitlocker.unlock(cast("Any", media), keys, volume.name)
    volume.file_system = "bitlocker"
    volume.encryption, volume.partial, volume.protectors = found.state, found.partial, list(found.protectors)
    return found

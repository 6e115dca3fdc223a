"""What holds a disk: a raw copy, E01, VMDK, VHD, VHDX, QCOW2; told by content, E01, VMDK and VHD opened by the libyal libraries."""

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from exporter.errors import EvidenceError
from exporter.evidence import layouts
from exporter.evidence.images.boot import is_boot_sector
from exporter.evidence.images.ewf import Chunks, Damage, watched
from exporter.evidence.images.ewf2 import SIGNATURE
from exporter.evidence.images.libyal import library, reading
from exporter.evidence.images.media import Media, joined, media_of
from exporter.evidence.images.qcow import Qcow
from exporter.evidence.images.segments import Siblings, base_name, segments

_SECTOR, _LARGE_SECTOR = 512, 4096
_HEAD_BYTES = _LARGE_SECTOR + _SECTOR
_DEEPEST = 8
"""How many disks may lie behind each other as differences."""
_MAGICS = {
    b"EVF\x09\x0d\x0a\xff\x00": "e01",
    SIGNATURE: "ex01",
    b"KDMV": "vmdk",
    b"COWD": "vmdk",
    b"# Disk DescriptorFile": "vmdk",
    b"vhdxfile": "vhdx",
    b"conectix": "vhd",
    b"QFI\xfb": "qcow2",
}
_REFUSED = {
    b"LVF\x09\x0d\x0a\xff\x00": "a logical evidence file (L01), which holds files and no disk",
    b"LEF2\r\n\x81\x00": "a logical evidence file (Lx01), which holds files and no disk",
    b"AFF10\r\n\x00": "an AFF image",
    b"LUKS\xba\xbe": "a LUKS volume",
}
_VDI = (0x40, b"\x7f\x10\xda\xbe")
_BOOT_SECTORS = (b"NTFS    ", b"-FVE-FS-", b"MSWIN4.1", b"EXFAT   ")


class Container(msgspec.Struct, kw_only=True):
    """An opened container: its disk, how many files it is made of, and for E01 the hash of the disk as stored (kind and hex digits).

    `losses` are what is known to be missing, `damage` is where reading it met chunks whose checksum does not hold.
    """

    kind: str
    media: Media
    files: Siblings
    segments: int = 1
    sectors: int = _SECTOR
    stored_hash: tuple[str, str] | None = None
    handles: list[Any] = []
    losses: list[str] = []
    damage: Damage = msgspec.field(default_factory=Damage)

    def close(self) -> None:
        """Closes the library's objects and the files below them."""
        for handle in reversed(self.handles):
            with reading("closing"):
                handle.close()
        self.handles.clear()
        self.files.close()


def container_kind(media: Media) -> str | None:
    """`raw`, `e01`, `ex01`, `vmdk`, `vhd`, `vhdx`, `qcow2` or None, by content; raises EvidenceError for those known and not read."""
    head = media.read_at(0, _HEAD_BYTES)
    for magic, words in _REFUSED.items():
        if head.startswith(magic):
            raise EvidenceError(f"it is {words}: not read")
    if head[_VDI[0] :].startswith(_VDI[1]):
        raise EvidenceError("it is a VirtualBox disk (VDI): not read; `qemu-img convert -O raw` makes a raw image of it")
    kind = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)
    last = media.read_at(media.size - _SECTOR, _SECTOR) if kind is None and media.size > _SECTOR else b""
    if last.startswith(b"conectix"):
        return "vhd"
    return kind or ("raw" if _looks_raw(head, media.size) or is_boot_sector(last) else None)


def _looks_raw(head: bytes, size: int) -> bool:
    """The start of a disk with a plausible partition table, or of a volume."""
    if any(head[at:].startswith(b"EFI PART") for at in (0, _SECTOR, _LARGE_SECTOR)) or head[3:11] in _BOOT_SECTORS:
        return True
    if head[510:512] != b"\x55\xaa":
        return False
    entries = [struct.unpack_from("<B3xB3xII", head, at) for at in range(446, 510, 16)]
    used = [(start, length) for _, kind, start, length in entries if kind and length]
    return bool(used) and all(flag in (0, 0x80) for flag, *_ in entries) and any(start * _SECTOR < size for start, _ in used)


def open_container(files: Siblings) -> Container:
    """The disk in an image file; raises EvidenceError with the reason when it cannot be read."""
    kind = container_kind(files.media(files.name))
    if kind is None and not layouts.is_image(files.name):
        raise EvidenceError("it is no image of a known format")
    return _OPENERS[kind or "raw"](files, files.name, 0)


def _open_raw(files: Siblings, name: str, _depth: int) -> Container:
    parts = [files.media(one) for one in segments(files, name)]
    return Container(kind="raw", media=parts[0] if len(parts) == 1 else joined(parts), files=files, segments=len(parts))


def _open_ewf(files: Siblings, name: str, _depth: int) -> Container:
    head = files.media(name).read_at(0, 16)
    second = head.startswith(SIGNATURE)
    number = struct.unpack_from("<I", head, 12)[0] if second else struct.unpack_from("<H", head, 9)[0]
    if number != 1:
        raise EvidenceError(f"it is segment {number} of an image: give the first one")
    parts = [files.media(one) for one in segments(files, name)]
    handle = library("pyewf").handle()
    with reading("the E01 image cannot be opened"):
        handle.open_file_objects(parts)
        stored = handle.get_hash_values()
        sectors, size, chunk = handle.get_bytes_per_sector(), handle.get_media_size(), handle.get_chunk_size()
    kinds = [kind for kind in ("SHA1", "MD5") if stored.get(kind)]
    damage, chunks, media = Damage(chunk), Chunks(parts, chunk), media_of(handle, size, "the E01 image")
    cut = 0 < chunks.listed < size
    return Container(
        kind="ex01" if second else "e01",
        media=watched(media, chunks, damage) if chunk else media,
        files=files,
        segments=len(parts),
        sectors=sectors or _SECTOR,
        stored_hash=(kinds[0], stored[kinds[0]].lower()) if kinds else None,
        handles=[handle],
        damage=damage,
        losses=[f"its segments end with byte {chunks.listed} of {size} of the disk: the last ones are missing"] if cut else [],
    )


def _open_vmdk(files: Siblings, name: str, depth: int) -> Container:
    media, handle = files.media(name), library("pyvmdk").handle()
    with reading("the VMDK cannot be opened"):
        handle.open_file_object(media)
        named = [extent.filename for extent in handle.extent_descriptors if extent.filename]
        parent = handle.get_parent_filename()
    embedded = media.read_at(0, 4) in (b"KDMV", b"COWD")
    extents = [name] if embedded and len(named) <= 1 else [_beside(files, one, "the data file of the VMDK") for one in named]
    with reading("the data files of the VMDK cannot be opened"):
        handle.open_extent_data_files_as_file_objects([files.media(one) for one in extents])
        handles = [*_parents(files, parent, "vmdk", handle, depth), handle]
        size = handle.get_media_size()
    return Container(kind="vmdk", media=media_of(handle, size, "the VMDK"), files=files, segments=len(extents), handles=handles)


def _open_vhd(files: Siblings, name: str, depth: int) -> Container:
    media, handle = files.media(name), library("pyvhdi").file()
    with reading("the virtual hard disk cannot be opened"):
        handle.open_file_object(media)
        parent = handle.get_parent_filename() or (handle.get_parent_identifier() and "its parent")
        handles = [*_parents(files, parent, "vhd", handle, depth), handle]
        size, sectors = handle.get_media_size(), handle.get_bytes_per_sector()
    kind = "vhdx" if media.read_at(0, 8) == b"vhdxfile" else "vhd"
    return Container(kind=kind, media=media_of(handle, size, "the virtual hard disk"), files=files, sectors=sectors, handles=handles)


def _open_qcow(files: Siblings, name: str, depth: int) -> Container:
    disk = Qcow(files.media(name))
    handles: list[Any] = []
    if disk.backing:
        behind = _behind(files, disk.backing, depth)
        container = _OPENERS[container_kind(files.media(behind)) or "raw"](files, behind, depth + 1)
        disk.parent, handles = container.media, container.handles
    return Container(kind="qcow2", media=Media(disk.read_at, disk.size), files=files, handles=handles)


_OPENERS: dict[str, Callable[[Siblings, str, int], Container]] = {
    "raw": _open_raw,
    "e01": _open_ewf,
    "ex01": _open_ewf,
    "vmdk": _open_vmdk,
    "vhd": _open_vhd,
    "vhdx": _open_vhd,
    "qcow2": _open_qcow,
}


def _parents(files: Siblings, name: str | None, kind: str, handle: Any, depth: int) -> list[Any]:
    """Opens the disk that this one holds the differences to, and those behind it; what has to be closed with it."""
    if not name:
        return []
    found = _behind(files, name, depth)
    if _OPENERS.get(container_kind(files.media(found)) or "") is not _OPENERS[kind]:
        raise EvidenceError(f"it holds differences only, and `{found}`, which they apply to, is of another format")
    above = _OPENERS[kind](files, found, depth + 1)
    handle.set_parent(above.handles[-1])
    return above.handles


def _behind(files: Siblings, name: str, depth: int) -> str:
    if depth >= _DEEPEST:
        raise EvidenceError(f"more than {_DEEPEST} differencing disks behind each other")
    return _beside(files, name, "it holds differences only, and the disk that they apply to")


def _beside(files: Siblings, name: str, what: str) -> str:
    found = files.find(name)
    if found is None:
        raise EvidenceError(f"{what}, `{base_name(name)}`, is not beside it")
    return found

"""QCOW2 images, versions 2 and 3: read here, because libqcow reads compressed clusters as zeros and says nothing.

Layout: QEMU's docs/interop/qcow2.rst. What a program would have to understand and this one does not is refused by its feature bits.
"""

import struct
import zlib
from functools import lru_cache

from exporter.errors import EvidenceError
from exporter.evidence.images.media import Media

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_MAGIC = b"QFI\xfb"
_OFFSET = (1 << 56) - 512
_COMPRESSED, _ZEROS = 1 << 62, 1
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION_TYPE, _EXTENDED_L2 = 1, 2, 4, 8, 16
_LARGEST_L1_BYTES = 32 << 20
_TABLES_KEPT = 64


class Qcow:
    """The disk in an image; `parent` is the one behind it, for what this one does not hold. Raises EvidenceError."""

    def __init__(self, source: Media) -> None:
        head = source.read_at(0, 104).ljust(104, b"\0")
        magic, version, self._name_at, self._name_size, bits, size, cipher, entries, at, *_ = _HEADER.unpack_from(head)
        if magic != _MAGIC or version not in (2, 3):
            raise EvidenceError(f"it is a QCOW image of version {version}: not read" if magic == _MAGIC else "it is no QCOW2 image")
        if cipher:
            raise EvidenceError("the QCOW2 image is encrypted: not read")
        if not 9 <= bits <= 21 or entries * 8 > _LARGEST_L1_BYTES:
            raise EvidenceError("the header of the QCOW2 image is damaged")
        _refuse(struct.unpack_from(">Q", head, 72)[0] if version == 3 else 0)
        self.parent: Media | None = None
        self.size = size
        self._source, self._bits = source, bits
        self._l1 = self._table(at, entries)
        self._l2 = lru_cache(maxsize=_TABLES_KEPT)(lambda offset: self._table(offset, 1 << (self._bits - 3)))
        self._inflated = lru_cache(maxsize=16)(self._inflate)
        if size > len(self._l1) << (2 * bits - 3):
            raise EvidenceError("the header of the QCOW2 image is damaged: its table does not reach to the end of the disk")

    @property
    def backing(self) -> str | None:
        """The name of the image behind this one, as it is written here."""
        return self._source.read_at(self._name_at, min(self._name_size, 1023)).decode("utf-8", "replace") if self._name_at else None

    def _table(self, at: int, entries: int) -> tuple[int, ...]:
        data = self._source.read_at(at, 8 * entries)
        if len(data) < 8 * entries:
            raise EvidenceError(f"the QCOW2 image ends within a table, before byte {at + 8 * entries}")
        return struct.unpack(f">{entries}Q", data)

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes of the disk."""
        found = bytearray()
        while len(found) < size and offset + len(found) < self.size:
            at = offset + len(found)
            within = at & ((1 << self._bits) - 1)
            found += self._cluster(at, within, min(size - len(found), (1 << self._bits) - within, self.size - at))
        return bytes(found)

    def _cluster(self, at: int, within: int, size: int) -> bytes:
        number = at >> self._bits
        table = self._l1[number >> (self._bits - 3)] & _OFFSET
        entry = self._l2(table)[number & ((1 << (self._bits - 3)) - 1)] if table else 0
        if entry & _COMPRESSED:
            return self._inflated(entry & (_COMPRESSED - 1))[within : within + size]
        place = entry & _OFFSET
        if entry & _ZEROS or not (place or self.parent):
            return bytes(size)
        if not place and self.parent is not None:
            return self.parent.window(at, size).read().ljust(size, b"\0")
        data = self._source.read_at(place + within, size)
        if len(data) < size:
            raise EvidenceError(f"the QCOW2 image ends before byte {place + within + size}")
        return data

    def _inflate(self, entry: int) -> bytes:
        shift = 62 - (self._bits - 8)
        place, sectors = entry & ((1 << shift) - 1), (entry >> shift) + 1
        data = self._source.read_at(place, sectors * 512 - place % 512)
        try:
            plain = zlib.decompressobj(-15).decompress(data, 1 << self._bits)
        except zlib.error as error:
            raise EvidenceError(f"a compressed part of the QCOW2 image, at byte {place}, is damaged: {error}") from error
        if len(plain) < 1 << self._bits:
            raise EvidenceError(f"a compressed part of the QCOW2 image, at byte {place}, is cut off")
        return plain


def _refuse(features: int) -> None:
    known = {_DATA_FILE: "data in another file", _COMPRESSION_TYPE: "compression by zstd", _EXTENDED_L2: "clusters in parts"}
    for bit, what in known.items():
        if features & bit:
            raise EvidenceError(f"the QCOW2 image has {what}: not read; `qemu-img convert -O raw` makes a raw image of it")
    if features & ~(_DIRTY | _CORRUPT | sum(known)):
        raise EvidenceError(f"the QCOW2 image needs what is not known here (features {features:#x}): not read")

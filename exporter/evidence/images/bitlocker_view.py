"""A BitLocker volume as libbde is to see it, and the plain volume as libbde shows it."""

import io
from collections.abc import Sequence
from typing import BinaryIO

from exporter.errors import EvidenceError
from exporter.evidence.images.libyal import library, reading
from exporter.evidence.images.media import Media, media_of
from exporter.evidence.streams import PIECE_BYTES
from exporter.formats.bitlocker import SECTOR, Block, Boot, repaired


def open_plain(stream: BinaryIO, boot: Boot, block: Block, metadata: bytes | None) -> Media:
    """The plain volume; raises EvidenceError when libbde does not open it.

    With `metadata`, that block stands at all places of `block`.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    patches = [(0, repaired(stream.read(SECTOR), boot, block))]
    if metadata is not None:
        patches += [(place, metadata) for place in block.offsets]
    volume = library("pybde").volume()
    with reading("libbde cannot open it"):
        volume.open_file_object(patched(stream, size, patches))
        locked, plain_size = volume.is_locked(), volume.get_size()
    if locked:
        raise EvidenceError("libbde does not open it with the right key")
    return media_of(volume, plain_size, "the BitLocker volume")


def patched(stream: BinaryIO, size: int, patches: Sequence[tuple[int, bytes]]) -> Media:
    """A stream of `size` bytes with other bytes at some places, which may lie behind its end.

    It reads ahead: libbde asks for one sector at a time.
    """
    whole = max([size, *(place + len(data) for place, data in patches)])
    kept, kept_at = b"", 0

    def read_at(start: int, length: int) -> bytes:
        nonlocal kept, kept_at
        within = start - kept_at
        if 0 <= within <= len(kept) - length:
            return kept[within : within + length]
        try:
            kept, kept_at = _piece(stream, size, patches, start, min(max(length, PIECE_BYTES), whole - start)), start
        except EvidenceError:  # perhaps only what lies ahead
            return _piece(stream, size, patches, start, length)
        return kept[:length]

    return Media(read_at, whole)


def _piece(stream: BinaryIO, size: int, patches: Sequence[tuple[int, bytes]], start: int, length: int) -> bytes:
    stream.seek(start)
    piece = stream.read(length) if start < size else b""
    for place, data in patches:
        low, high = max(start, place), min(start + length, place + len(data))
        if low < high:
            piece = piece[: low - start].ljust(low - start, b"\0") + data[low - place : high - place] + piece[high - start :]
    return piece

"""BackupRead records out of one encrypted piece, read as a stream (formats-quarantine.md 2.6, MS-BKUP 2.1).

Offset  Size  WIN32_STREAM_ID
0x00    4     stream id
0x04    4     attributes
0x08    8     size of the content
0x10    4     size of the name in bytes
0x14          name, UTF-16LE; content; the next record follows without padding
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from exporter.errors import FormatError
from exporter.formats.rc4 import BLOCK_SIZE, Decryptor

DATA, SECURITY_DATA, SPARSE_BLOCK = 1, 3, 9
_KINDS = {
    1: "DATA",
    2: "EA_DATA",
    3: "SECURITY_DATA",
    4: "ALTERNATE_DATA",
    5: "LINK",
    6: "PROPERTY_DATA",
    7: "OBJECT_ID",
    8: "REPARSE_DATA",
    9: "SPARSE_BLOCK",
    10: "TXFS_DATA",
    11: "GHOSTED_FILE_EXTENTS",
}
_HEADER = struct.Struct("<IIQI")
_LONGEST_NAME = 1 << 12
"""Bytes; NTFS allows 255 characters and a type such as `:$DATA`."""
_ALL_ATTRIBUTES = 0x1F


class StreamHeader(msgspec.Struct, frozen=True):
    """One record's header; `offset` is where its content begins."""

    id: int
    attributes: int
    size: int
    name: str
    offset: int

    @property
    def kind(self) -> str:
        """The name of WIN32_STREAM_ID, or `UNKNOWN_<id>`."""
        return _KINDS.get(self.id, f"UNKNOWN_{self.id}")


class Digests:
    """MD5, SHA-1 and SHA-256 of the same bytes."""

    def __init__(self) -> None:
        self._md5, self._sha1, self._sha256 = hashlib.md5(), hashlib.sha1(), hashlib.sha256()

    def update(self, piece: memoryview | bytes) -> None:
        self._md5.update(piece)
        self._sha1.update(piece)
        self._sha256.update(piece)

    def texts(self) -> tuple[str, str, str]:
        """In hex, in the order of the class's name."""
        return self._md5.hexdigest(), self._sha1.hexdigest(), self._sha256.hexdigest()


class PlainContainer:
    """A container decrypted as it is read: one block in memory, SHA-1 and SHA-256 of everything that came by."""

    def __init__(self, stream: BinaryIO) -> None:
        self.position = 0
        self.sha1, self.sha256 = hashlib.sha1(), hashlib.sha256()
        self._stream = stream
        self._decryptor = Decryptor()
        self._block = memoryview(b"")

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes, piece by piece; fewer where the file ends."""
        while size > 0 and (self._block or self._fill()):
            piece = self._block[:size]
            self._block = self._block[len(piece) :]
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        """The next `size` bytes at once; fewer where the file ends."""
        return b"".join(self.pieces(size))

    def drain(self) -> None:
        """Read to the end, for the sake of the digests."""
        while self._block or self._fill():
            self.position += len(self._block)
            self._block = memoryview(b"")

    def _fill(self) -> bool:
        block = self._decryptor.update(self._stream.read(BLOCK_SIZE))
        self.sha1.update(block)
        self.sha256.update(block)
        self._block = memoryview(block)
        return bool(block)


def next_header(container: PlainContainer) -> StreamHeader | None:
    """The header at the container's position, or None at its end; raises FormatError for a cut one and for other bytes."""
    offset = container.position
    raw = container.take(_HEADER.size)
    if not raw:
        return None
    if len(raw) < _HEADER.size:
        raise FormatError(f"cut in a stream header: {len(raw)} of {_HEADER.size} bytes", offset)
    stream_id, attributes, size, name_size = _HEADER.unpack(raw)
    if name_size > _LONGEST_NAME or (stream_id not in _KINDS and attributes > _ALL_ATTRIBUTES):
        raise FormatError("not a stream header", offset)
    name = container.take(name_size)
    if len(name) < name_size:
        raise FormatError(f"cut in a stream name: {len(name)} of {name_size} bytes", offset)
    return StreamHeader(stream_id, attributes, size, name[: name_size & ~1].decode("utf-16-le", "surrogatepass"), container.position)

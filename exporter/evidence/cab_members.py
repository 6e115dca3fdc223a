"""Files in a Microsoft cabinet, uncompressed or MSZIP: what `MpCmdRun -GetFiles` packs. Facts: Microsoft's MS-CAB and MS-MCI.

Header   0 `MSCF`   8 size   16 offset of the files   26 folders   28 files   30 flags (1, 2: two strings follow; 4: reserved areas)
         [36 size of the header's reserved area   38 of each folder's   39 of each data block's]
Folder   0 offset of its data   4 number of blocks   6 compression (0 none, 1 MSZIP, 2 Quantum, 3 LZX)
File     0 size   4 offset in its folder   8 folder (from 0xFFFD on: shared with another cabinet)
         14 attributes (0x80: the name is UTF-8)   16 name
Block    0 checksum   4 bytes here   6 bytes uncompressed   [reserved] …

A folder is compressed as a whole, in blocks of at most 32 KiB: with MSZIP each is `CK` and a deflate stream that refers to what came
before. The time of a file is local, without a zone, and not used.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from exporter.errors import EvidenceError
from exporter.evidence.streams import Limits, Reader
from exporter.records import Rejected

MAGIC = b"MSCF"
_HEADER = struct.Struct("<4s4xI4xI4x2xHHH4x")
_RESERVED = struct.Struct("<HBB")
_FOLDER = struct.Struct("<IHH")
_FILE = struct.Struct("<IIH4xH")
_BLOCK = struct.Struct("<IHH")
_BLOCK_BYTES = 1 << 15
_LONGEST_NAME = 1024
_CONTINUED = 0xFFFD
_UTF8 = 0x80
_METHODS = {0: "none", 1: "MSZIP"}
_FOLDED_BYTES = 1 << 17
"""Room for the most that a block says it has, so that its words can be folded in halves."""


class CabMember(msgspec.Struct, frozen=True):
    """A file in a cabinet: `start` is its offset in what its folder decompresses to; `refusal` says why it cannot be read."""

    name: str
    size: int
    start: int
    folder: int
    refusal: str | None


class Cabinet:
    """A cabinet's tables. Raises EvidenceError where its header is none. `left_bytes` is what may still be read of it: twice its size."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self.stream, self.limits = stream, limits
        self.left_bytes = 2 * stream.seek(0, io.SEEK_END)
        stream.seek(0)
        magic, _, self._files_at, folders, self.files, flags = _HEADER.unpack(_exactly(stream, _HEADER.size))
        if magic != MAGIC:
            raise EvidenceError("not a cabinet")
        header, folder, self.reserved = _RESERVED.unpack(_exactly(stream, _RESERVED.size)) if flags & 4 else (0, 0, 0)
        _exactly(stream, header)
        for _ in range(2 * ((flags & 1) + (flags >> 1 & 1))):
            _text(stream)
        entries = (_exactly(stream, _FOLDER.size + folder) for _ in range(folders))
        self.folders: list[tuple[int, int, int]] = [_FOLDER.unpack_from(entry) for entry in entries]

    def members(self) -> Iterator[CabMember | Rejected]:
        """Every file in the order of the cabinet's list."""
        self.stream.seek(self._files_at)
        for number in range(self.files):
            at = self.stream.tell()
            try:
                size, start, folder, attributes = _FILE.unpack(_exactly(self.stream, _FILE.size))
                name = _text(self.stream)
            except EvidenceError:
                yield Rejected(at, f"the cabinet's list ends after {number} of {self.files} files")
                return
            text = name.decode("utf-8", "surrogateescape") if attributes & _UTF8 else name.decode("cp1252", "replace")
            yield CabMember(text, size, start, folder, self._refusal(folder))

    def _refusal(self, folder: int) -> str | None:
        if folder >= _CONTINUED:
            return "continued in another cabinet: unpack the set"
        if folder >= len(self.folders):
            return f"the cabinet has no folder {folder}: damaged"
        method = self.folders[folder][2] & 0xF
        return None if method in _METHODS else f"compression method {method} is not supported: unpack the cabinet"


class FolderData(Reader):
    """What a folder decompresses to, read forward only.

    EvidenceError for damage and beyond the limits; what lies behind damage cannot be decompressed.
    """

    def __init__(self, cabinet: Cabinet, folder: int) -> None:
        self._cabinet = cabinet
        self._at, self._blocks, method = cabinet.folders[folder]
        self._packed = method & 0xF == 1
        self._history = self._rest = b""
        self._failure: EvidenceError | None = None
        self._taken = self._given = 0

    def _next(self, size: int) -> bytes:
        if self._failure is not None:
            raise self._failure
        while not self._rest:
            if not self._blocks:
                return b""
            self._blocks -= 1
            try:
                self._rest = self._block()
            except EvidenceError as error:
                self._failure = error
                raise
            self._history = (self._history + self._rest)[-_BLOCK_BYTES:]
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _block(self) -> bytes:
        cabinet, at = self._cabinet, self._at
        cabinet.stream.seek(at)
        head = _exactly(cabinet.stream, _BLOCK.size + cabinet.reserved)
        checksum, stored, plain = _BLOCK.unpack_from(head)
        data = _exactly(cabinet.stream, stored)
        self._at += len(head) + stored
        cabinet.left_bytes -= len(head) + stored
        if cabinet.left_bytes < 0:
            raise EvidenceError("its bytes are those of other members too: a bomb, not read")
        if checksum and checksum != checksum_of(data, stored, plain):
            raise EvidenceError(f"damaged cabinet: the block at offset {at} has another checksum")
        content = self._inflated(data, at) if self._packed else data
        if len(content) != plain or plain > _BLOCK_BYTES:
            raise EvidenceError(f"damaged cabinet: the block at offset {at} has {len(content)} bytes, declared are {plain}")
        self._taken += stored
        self._given += plain
        limits = cabinet.limits
        if self._given > limits.ratio_floor_bytes and self._given > limits.ratio * self._taken:
            raise EvidenceError(f"decompresses to more than {limits.ratio} times its size: not read further than {self._given} bytes")
        return content

    def _inflated(self, data: bytes, at: int) -> bytes:
        if not data.startswith(b"CK"):
            raise EvidenceError(f"damaged cabinet: the block at offset {at} is not one of MSZIP")
        engine = zlib.decompressobj(-15, zdict=self._history)
        try:
            return engine.decompress(data[2:], _BLOCK_BYTES + 1)
        except zlib.error as error:
            raise EvidenceError(f"damaged cabinet: the block at offset {at}: {error}") from error


def checksum_of(data: bytes, stored: int, plain: int) -> int:
    """The checksum of a block: all its words of 32 bits, with that of its two lengths, XORed; a last incomplete one counts backward.

    >>> hex(checksum_of(bytes([1, 2, 3, 4, 5, 6]), 6, 6))
    '0x4050701'
    """
    whole = len(data) & ~3
    folded = int.from_bytes(data[:whole], "little") ^ int.from_bytes(data[whole:], "big")
    width = _FOLDED_BYTES * 8
    while width > 32:
        width //= 2
        folded = (folded >> width) ^ (folded & ((1 << width) - 1))
    return folded ^ (stored | plain << 16)


def _text(stream: BinaryIO) -> bytes:
    """A text up to its NUL."""
    at = stream.tell()
    data = stream.read(_LONGEST_NAME)
    text, end, _ = data.partition(b"\0")
    if not end:
        raise EvidenceError("the cabinet ends in the middle of a name")
    stream.seek(at + len(text) + 1)
    return text


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EvidenceError("the cabinet is cut off")
    return data

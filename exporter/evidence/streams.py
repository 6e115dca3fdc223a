"""Read-only streams made of others: a window, a decompressor with limits, a check of size and CRC, a temporary copy."""

import bz2
import io
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import msgspec

from exporter.errors import EvidenceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE_BYTES = 1 << 16
_LZMA_MEMORY_BYTES = 128 << 20
"""Enough for `xz -9` (65 MB); a header may ask for 4 GB."""


class Limits(msgspec.Struct, frozen=True):
    """What a hostile archive may cost (promises.md section 2).

    `ratio` counts only beyond `ratio_floor_bytes`: an empty event log of 1 MB honestly shrinks a thousandfold. `total_bytes` is the sum
    of what is read as evidence out of one given archive or folder of archives.
    """

    ratio: int = 200
    ratio_floor_bytes: int = 64 << 20
    total_bytes: int = 20 << 30
    members: int = 1_000_000
    depth: int = 2


class Reader(io.RawIOBase):
    """A raw stream for which a subclass says only what comes next."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        piece = self._next(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._next(PIECE_BYTES), b""))

    def _next(self, size: int) -> bytes:
        """At most `size` bytes; none only at the end."""
        raise NotImplementedError


class Window(Reader):
    """`size` bytes of another seekable stream from `start` on; closing it closes that stream only when it `owns` it."""

    def __init__(self, source: BinaryIO, start: int, size: int, owns: bool = True) -> None:
        self._source, self._start, self._size, self._owns = source, start, size, owns
        self._position = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def _next(self, size: int) -> bytes:
        wanted = max(0, min(size, self._size - self._position))
        if not wanted:
            return b""
        self._source.seek(self._start + self._position)
        piece = self._source.read(wanted)
        if not piece:
            raise EvidenceError(f"ends after {self._position} of {self._size} bytes")
        self._position += len(piece)
        return piece

    def close(self) -> None:
        if self._owns:
            self._source.close()
        super().close()


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the manners of those of bz2 and lzma."""

    def __init__(self, window_bits: int) -> None:
        self._engine = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


_ENGINES: dict[str, Callable[[], _Engine]] = {
    "deflate": lambda: _Zlib(-15),
    "gzip": lambda: _Zlib(31),
    "bzip2": lambda: cast("_Engine", bz2.BZ2Decompressor()),
    "xz": lambda: cast("_Engine", lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY_BYTES)),
}
_REPEATED = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ"}
"""Formats of which several may follow each other in one file, and how each begins."""


class Decompressed(Reader):
    """What a stream decompresses to, in bounded pieces; EvidenceError for damage, an early end and beyond the limits' ratio."""

    def __init__(self, source: BinaryIO, kind: str, limits: Limits) -> None:
        self._source, self._kind, self._limits = source, kind, limits
        self._engine = _ENGINES[kind]()
        self._pending = b""
        self._failure: EvidenceError | None = None
        self._taken = self._given = 0
        self._finished = False

    def _next(self, size: int) -> bytes:
        while not self._finished:
            fresh = b""
            if self._engine.needs_input:
                fresh, self._pending = self._pending or self._source.read(PIECE_BYTES), b""
                self._taken += len(fresh)
            piece = self._decompress(fresh, size)
            if self._engine.eof:
                self._finish_member()
            if piece:
                return self._within_ratio(piece)
            if not fresh and self._engine.needs_input and not self._engine.eof and not self._finished:
                raise EvidenceError(f"{self._kind} data end in the middle, after {self._given} bytes")
        return b""

    def _decompress(self, fresh: bytes, size: int) -> bytes:
        if self._failure is not None:
            raise self._failure
        try:
            return self._engine.decompress(fresh, size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
            self._failure = EvidenceError(f"damaged {self._kind} data after {self._given} bytes: {error}")
            raise self._failure from error

    def _finish_member(self) -> None:
        """Goes on with a further compressed stream in the same file; anything else behind the end is padding or foreign."""
        rest = self._engine.unused_data
        if self._kind in _REPEATED:
            rest = (rest or self._source.read(PIECE_BYTES)).lstrip(b"\0")
            if rest.startswith(_REPEATED[self._kind]):
                self._taken -= len(rest)
                self._engine, self._pending = _ENGINES[self._kind](), rest
                return
        self._finished = True

    def _within_ratio(self, piece: bytes) -> bytes:
        self._given += len(piece)
        if self._given > self._limits.ratio_floor_bytes and self._given > self._limits.ratio * self._taken:
            raise EvidenceError(f"decompresses to more than {self._limits.ratio} times its size: not read further than {self._given} bytes")
        return piece

    def close(self) -> None:
        self._source.close()
        super().close()


class Checked(Reader):
    """A stream that must have this size and CRC-32; EvidenceError after its last byte otherwise, at once when it is longer."""

    def __init__(self, source: BinaryIO, size: int, crc: int) -> None:
        self._source, self._size, self._expected = source, size, crc
        self._position = self._crc = 0

    def _next(self, size: int) -> bytes:
        piece = self._source.read(min(size, PIECE_BYTES))
        self._crc = zlib.crc32(piece, self._crc)
        self._position += len(piece)
        if self._position > self._size:
            raise EvidenceError(f"longer than its declared {self._size} bytes")
        if not piece and self._position < self._size:
            raise EvidenceError(f"ends after {self._position} of {self._size} bytes")
        if not piece and self._crc != self._expected:
            raise EvidenceError(f"CRC-32 is {self._crc:08x}, declared is {self._expected:08x}: the data are damaged")
        return piece

    def close(self) -> None:
        self._source.close()
        super().close()


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Spool:
    """Copies of members that cannot be read in place, one behind the other in one nameless temporary file.

    The first `memory_bytes` stay in memory. Raises EvidenceError rather than write below `evidence`.
    """

    def __init__(self, evidence: Path, memory_bytes: int = 32 << 20) -> None:
        self._evidence, self._memory_bytes = evidence, memory_bytes
        self._file: BinaryIO | None = None
        self._end = 0

    def add(self, source: _Readable, size: int) -> Callable[[], BinaryIO]:
        """Copies at most `size` bytes; what is returned opens the copy as often as wanted. EvidenceError if there are fewer."""
        file = self._opened()
        start, copied = self._end, 0
        try:
            while copied < size and (piece := source.read(min(PIECE_BYTES, size - copied))):
                file.seek(start + copied)
                file.write(piece)
                copied += len(piece)
        except OSError as error:
            raise EvidenceError(f"cannot be copied to a temporary file: {error.strerror}") from error
        if copied < size:
            raise EvidenceError(f"ends after {copied} of {size} bytes")
        self._end += copied
        return lambda: io.BufferedReader(Window(file, start, size, owns=False), PIECE_BYTES)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            # The variables first, because `gettempdir` tries out by writing whether they are any good.
            for name in filter(None, (*map(os.environ.get, ("TMPDIR", "TEMP", "TMP")), tempfile.tempdir)):
                self._keep_out(Path(name))
            self._keep_out(Path(tempfile.gettempdir()))
            self._file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=self._memory_bytes))  # noqa: SIM115
        return self._file

    def _keep_out(self, folder: Path) -> None:
        if folder.resolve().is_relative_to(self._evidence):
            raise EvidenceError(f"the folder for temporary files lies inside the evidence: `{folder}`; set TMPDIR")

    def close(self) -> None:
        """Forgets all copies."""
        if self._file is not None:
            self._file.close()
            self._file, self._end = None, 0

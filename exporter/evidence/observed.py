"""An evidence file that is hashed and counted while a collector reads it, so that the manifest costs no second pass."""

import hashlib
import io
from collections.abc import Callable
from typing import Any, BinaryIO

from exporter.errors import EvidenceError
from exporter.evidence import EvidenceFile

_BLOCK = 1 << 17


class ObservedFile:
    """Stands in for `file`. `sha256()` is known when the collector is done; `advance` is told the bytes read."""

    def __init__(self, file: EvidenceFile, advance: Callable[[int], None], *, hashed: bool) -> None:
        self._file = file
        self._advance = advance
        self._hashed = hashed
        self._stream: _ObservedStream | None = None
        self.path, self.evidence, self.size = file.path, file.evidence, file.size
        self.modified_at, self.volume, self.snapshot = file.modified_at, file.volume, file.snapshot
        self.doubts, self.ntfs = file.doubts, file.ntfs

    def open(self) -> BinaryIO:
        """A stream that counts, and hashes if asked to."""
        self._stream = _ObservedStream(self._file.open(), self._advance, hashed=self._hashed)
        return io.BufferedReader(self._stream, _BLOCK)

    def sha256(self) -> str | None:
        """Of the whole file, what the collector left unread included; None when it cannot be read."""
        if not self._hashed:
            return None
        if self._stream is not None and self._stream.digest is not None:
            return self._stream.digest
        return sha256_of(self._file)


class _ObservedStream(io.RawIOBase):
    """Forward only: the collectors read that way, and only so the hash is that of the file."""

    def __init__(self, stream: BinaryIO, advance: Callable[[int], None], *, hashed: bool) -> None:
        self._stream = stream
        self._advance = advance
        self._hash = hashlib.sha256() if hashed else None
        self.digest: str | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        if self._hash is not None:
            self._hash.update(data)
        self._advance(len(data))
        return len(data)

    def close(self) -> None:
        if not self.closed:
            try:
                self._finish()
            finally:
                self._stream.close()
                super().close()

    def _finish(self) -> None:
        if self._hash is None:
            return
        try:
            while block := self._stream.read(_BLOCK):
                self._hash.update(block)
        except (OSError, EvidenceError):
            return
        self.digest = self._hash.hexdigest()


def sha256_of(file: EvidenceFile) -> str | None:
    """Of the whole file, in hex; None when it cannot be read to its end."""
    digest = hashlib.sha256()
    try:
        with file.open() as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except (OSError, EvidenceError):
        return None
    return digest.hexdigest()

"""Files that are not forced to the disk, and read only when they hold what was written: a checksum takes less time than a disk.

After a power cut a file may have its size and not its contents; whoever wrote it has told the checksum to somebody who compares.
"""

import os
import zlib
from pathlib import Path
from typing import BinaryIO

from exporter.errors import SinkRefused, SinkUnavailable

_BUFFER_SIZE = 1 << 16


class CheckedFile:
    """An output in a new file (mode 0600); `checksum` is the CRC-32 of what was written. Raises SinkRefused and SinkUnavailable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checksum = 0
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Create the file, once."""
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            try:
                self._file = os.fdopen(os.open(self.path, flags, 0o600), "wb", buffering=_BUFFER_SIZE)
            except OSError as error:
                raise SinkRefused(f"`{self.path}` cannot be created: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """Append to it."""
        self.open()
        assert self._file is not None
        self.checksum = zlib.crc32(data, self.checksum)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def flush(self) -> None:
        """Nothing: it is read when it is whole."""

    def commit(self) -> list[str]:
        """Complete the file."""
        self.open()
        assert self._file is not None
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error
        return [str(self.path)]

    def abort(self) -> None:
        """Close it; whoever made its folder removes it."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # what a full disk did not take is tried again here
                return

    def _failed(self, error: OSError) -> SinkUnavailable:
        return SinkUnavailable(f"`{self.path}` cannot be written: {error.strerror}")


def checksum_of(path: Path) -> int:
    """The CRC-32 of a file. Raises OSError."""
    checksum = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_BUFFER_SIZE):
            checksum = zlib.crc32(piece, checksum)
    return checksum

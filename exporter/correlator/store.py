"""Pieces that wait for the end of a host: in memory up to a budget, beyond it in a temporary file that is gone when it is closed."""

import contextlib
import tempfile
from pathlib import Path

from exporter.errors import SinkUnavailable

_MEMORY_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 16
_SIZE_BITS = 32
_SIZE = (1 << _SIZE_BITS) - 1


class Store:
    """Pieces in, the same pieces out by their places, in any order.

    A place says where a piece begins, and in its lower bits how long it is.
    """

    def __init__(self, folder: Path | None = None, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115
        self._written = 0
        self._block = bytearray()

    def add(self, piece: bytes) -> int:
        """Keep a piece; its place is returned. Raises SinkUnavailable when the disk is full."""
        place = self._written + len(self._block) << _SIZE_BITS | len(piece)
        self._block += piece
        if len(self._block) >= _BLOCK_BYTES:
            self._write()
        return place

    def get(self, place: int) -> bytes:
        """The piece that `add` gave this place. Raises SinkUnavailable when the disk is full."""
        start, size = place >> _SIZE_BITS, place & _SIZE
        if start >= self._written:
            start -= self._written
            return bytes(self._block[start : start + size])
        try:
            self._file.seek(start)
            return self._file.read(size)
        except OSError as error:
            raise no_room(error) from error

    def _write(self) -> None:
        try:
            self._file.seek(self._written)
            self._file.write(self._block)
        except OSError as error:
            raise no_room(error) from error
        self._written += len(self._block)
        self._block.clear()

    def close(self) -> None:
        """Drop what is held."""
        with contextlib.suppress(OSError):
            self._file.close()


def no_room(error: OSError) -> SinkUnavailable:
    """What a full disk means."""
    return SinkUnavailable(f"no room for temporary files: {error.strerror}")

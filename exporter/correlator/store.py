"""Pieces that wait for the end of a host: in memory up to a budget, beyond it in a temporary file that is gone when it is closed."""

import contextlib
import tempfile
from pathlib import Path

from exporter.errors import SinkUnavailable

_MEMORY_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 16
_SIZE = 4
"""Bytes before each piece."""


class Store:
    """Pieces in, the same pieces out by their places, in any order."""

    def __init__(self, folder: Path | None = None, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115
        self._written = 0
        self._block = bytearray()

    def add(self, piece: bytes) -> int:
        """Keep a piece; its place is returned. Raises SinkUnavailable when the disk is full."""
        place = self._written + len(self._block)
        self._block += len(piece).to_bytes(_SIZE, "little")
        self._block += piece
        if len(self._block) >= _BLOCK_BYTES:
            self._write()
        return place

    def get(self, place: int) -> bytes:
        """The piece that `add` gave this place. Raises SinkUnavailable when the disk is full."""
        if place >= self._written:
            start = place - self._written
            size = int.from_bytes(self._block[start : start + _SIZE], "little")
            return bytes(self._block[start + _SIZE : start + _SIZE + size])
        self._file.seek(place)
        return self._file.read(int.from_bytes(self._file.read(_SIZE), "little"))

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

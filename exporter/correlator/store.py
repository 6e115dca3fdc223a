"""Pieces that wait for the end of a host: in memory up to a budget, beyond it in a temporary file that is gone when it is closed."""

import contextlib
import tempfile
from array import array
from bisect import bisect_right
from pathlib import Path

from exporter.errors import SinkUnavailable

_MEMORY_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 15
_SIZE = 4
"""Bytes before each piece."""


class Store:
    """Pieces in, the same pieces out by their places, in any order."""

    def __init__(self, folder: Path | None = None, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115
        self._written = 0
        self._block = bytearray()
        self._starts = array("Q")
        self._read: tuple[int, bytes] = (0, b"")

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
            return _piece(self._block, place - self._written)
        start, block = self._read
        if not start <= place < start + len(block):
            start, block = self._read = self._read_block(place)
        return _piece(block, place - start)

    def _read_block(self, place: int) -> tuple[int, bytes]:
        number = bisect_right(self._starts, place) - 1
        start, *following = self._starts[number : number + 2]
        self._file.seek(start)
        return start, self._file.read((following[0] if following else self._written) - start)

    def _write(self) -> None:
        try:
            self._file.seek(self._written)
            self._file.write(self._block)
        except OSError as error:
            raise no_room(error) from error
        self._starts.append(self._written)
        self._written += len(self._block)
        self._block.clear()

    def close(self) -> None:
        """Drop what is held."""
        with contextlib.suppress(OSError):
            self._file.close()


def _piece(block: bytes | bytearray, start: int) -> bytes:
    end = start + _SIZE + int.from_bytes(block[start : start + _SIZE], "little")
    return bytes(block[start + _SIZE : end])


def no_room(error: OSError) -> SinkUnavailable:
    """What a full disk means."""
    return SinkUnavailable(f"no room for temporary files: {error.strerror}")

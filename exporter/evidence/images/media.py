"""Random access to a part of something: a container's disk, a partition, an unlocked volume, a shadow copy."""

import hashlib
import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from exporter.errors import EvidenceError
from exporter.evidence.images.libyal import reading, remember

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 1 << 20
ReadAt: TypeAlias = Callable[[int, int], bytes]
"""`(offset, size)` to bytes: fewer than `size` only where the source ends, which then has been cut off."""


class Media(io.RawIOBase):
    """A read-only stream of `size` bytes, each read independent of any other. Raises EvidenceError while it is read."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self.read_at, self.size = read_at, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def get_size(self) -> int:
        """Its size in bytes, under the name that the libyal libraries ask for."""
        return self.size

    def read(self, size: int | None = -1, /) -> bytes:
        """All of the bytes asked for that lie before the end."""
        rest = max(0, self.size - self._position)
        wanted = rest if size is None or size < 0 else min(size, rest)
        try:
            data = self.read_at(self._position, wanted) if wanted else b""
            if wanted and not data:
                raise EvidenceError(f"ends before byte {self._position} of {self.size}")
        except EvidenceError as error:
            remember(error)
            raise
        self._position += len(data)
        return data

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def window(self, start: int, size: int) -> "Media":
        """A part of it; never longer than what is there."""
        return Media(lambda offset, length: self.read_at(start + offset, length), max(0, min(size, self.size - start)))


def media_of(handle: Any, size: int, what: str) -> Media:
    """The stream of a libyal object that has `read_buffer_at_offset`."""

    def read_at(offset: int, length: int) -> bytes:
        with reading(f"{what} cannot be read at byte {offset}"):
            data: bytes = handle.read_buffer_at_offset(length, offset)
        return data

    return Media(read_at, size)


def joined(parts: Sequence[Media]) -> Media:
    """Streams one behind the other."""
    starts = [0, *accumulate(part.size for part in parts)]

    def read_at(offset: int, size: int) -> bytes:
        found = bytearray()
        for index in range(bisect_right(starts, offset) - 1, len(parts)):
            within = offset + len(found) - starts[index]
            found += parts[index].read_at(within, min(size - len(found), parts[index].size - within))
            if len(found) == size or offset + len(found) < starts[index + 1]:
                break
        return bytes(found)

    return Media(read_at, starts[-1])


def digest(media: Media, kind: str) -> str:
    """The MD5 or SHA-1 of a whole stream, in hex digits."""
    found = hashlib.new(kind)
    for offset in range(0, media.size, _PIECE):
        found.update(media.window(offset, _PIECE).read())
    return found.hexdigest()

"""The buffers of an ETW trace, one at a time from a sequential stream.

| offset | size | buffer header (72 bytes) |
|---|---|---|
| 0x00 | 4 | size of the buffer; the same for all buffers of a file |
| 0x04 | 4 | bytes used, as saved |
| 0x10 | 8 | time of the write, in the trace's clock |
| 0x18 | 8 | sequence number: the order of a circular file |
| 0x28 | 1 | processor |
| 0x30 | 4 | bytes filled, with this header |
| 0x34 | 2 | flags: 0x01 flushed, 0x02 events lost, 0x04 buffers lost, 0x40 compressed |
| 0x36 | 2 | type: 4 in a file's first buffer |

A file is walked by its buffer size, never by the number of buffers that its header states: a trace copied while it runs says 0.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

import msgspec

from exporter.records import Rejected

HEADER_BYTES = 72
SMALLEST_BYTES, LARGEST_BYTES = 1024, 16 << 20
"""Windows has buffers of 1 KiB to 16 MiB, in whole KiB."""
COMPRESSED = 0x40
COMPRESSED_REASON = "compressed buffers are not supported"
VARIABLE = "compressed buffers are not supported: the trace is not read from here on"
_STATED_AGAIN = 0x68
_PIECE = 1 << 20


class Buffer(msgspec.Struct, frozen=True):
    """One buffer: its bytes from its header to the end of what is filled (or of the file), and where it lies."""

    offset: int
    data: bytes
    filled: int
    whole_bytes: int


class Empty(msgspec.Struct, frozen=True):
    """A buffer of zeros: its space was reserved and never written."""

    offset: int


Walked: TypeAlias = Buffer | Empty | Rejected


def walk(stream: BinaryIO) -> Iterator[Walked]:
    """Every buffer in the order of the file, damaged ones as Rejected. Holds one buffer at a time (16 MiB at most)."""
    data = _read(stream, _STATED_AGAIN + 4)
    size = _size(data)
    if size is None:
        yield Rejected(0, "not an ETW trace: no buffer of 1 KiB to 16 MiB begins here", data[:32].hex())
        return
    data += _read(stream, size - len(data))
    offset = 0
    while data:
        found = _buffer(data, offset, size)
        yield found
        if isinstance(found, Rejected) and found.reason is VARIABLE:
            return
        if isinstance(found, Buffer) and found.filled <= len(data) < size:
            yield Rejected(offset + len(data), f"the file ends {len(data)} bytes into a buffer of {size}", units=0)
        offset += size
        data = _read(stream, size)


def _size(head: bytes) -> int | None:
    """The first buffer's size; where that is damaged, the size that the log file header repeats."""
    for place in (0, _STATED_AGAIN):
        if len(head) >= place + 4:
            size = int.from_bytes(head[place : place + 4], "little")
            if SMALLEST_BYTES <= size <= LARGEST_BYTES and size % 1024 == 0:
                return size
    return None


def _buffer(data: bytes, offset: int, size: int) -> Walked:
    if len(data) < HEADER_BYTES:
        return Rejected(offset, f"cut off: {len(data)} bytes of a buffer of {size}", data[:32].hex())
    if not any(data[:HEADER_BYTES]):
        return Empty(offset)
    stated, saved = struct.unpack_from("<II", data)
    filled, flags = struct.unpack_from("<IH", data, 0x30)
    if flags & COMPRESSED:
        return Rejected(offset, COMPRESSED_REASON if stated == size else VARIABLE, data[:32].hex())
    if offset and stated != size:
        return Rejected(offset, f"buffer says that it has {stated} bytes, not {size}", data[:32].hex())
    filled = filled or saved
    if not HEADER_BYTES <= filled <= size:
        return Rejected(offset, f"buffer says that {filled} of its {size} bytes are filled", data[:64].hex())
    return Buffer(offset, data[:filled], filled, len(data))


def _read(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer at the end. In pieces: a damaged size must not cost memory that the file does not have."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(min(size - len(data), _PIECE))):
        data += piece
    return bytes(data)

"""Files that the system has compressed by LZX: libfwnt takes back one step too much at the end of each unit.

LZX makes the relative addresses of the x86 instruction E8 absolute, but not where it begins in the last 10 bytes of a unit of 32 KiB;
libfwnt 20260827 takes it back up to the last 6. A unit that is stored as it is was never changed. Sources: wimlib's description of LZX in
WIM files, which is what the Windows Overlay Filter stores; both measured against streams that wimlib made.
"""

import struct
from itertools import pairwise

from exporter.errors import EvidenceError
from exporter.evidence.images.media import Media

METHOD = 1
_UNIT = 32_768
_TAIL, _LAST = 10, 6
_FILE_SIZE = 12_000_000
"""Addresses are those of a file of this size."""
_LARGEST = 1 << 36


def mended(plain: Media, packed: Media) -> Media:
    """The file of which libfsntfs reads `plain`, unpacked from the stream `packed`. Raises EvidenceError when the stream cannot be read."""
    stored = _stored(plain.size, packed)

    def read_at(offset: int, size: int) -> bytes:
        start, end = offset // _UNIT * _UNIT, min(plain.size, -(-(offset + size) // _UNIT) * _UNIT)
        data = bytearray(plain.read_at(start, end - start))
        for at in range(0, len(data), _UNIT):
            if (start + at) // _UNIT not in stored:
                data[at : at + _UNIT] = _restored(data[at : at + _UNIT])
        return bytes(data[offset - start : offset - start + size])

    return Media(read_at, plain.size)


def _stored(size: int, packed: Media) -> set[int]:
    """The units that are not compressed: before the units stands where each of them ends, but for the last one."""
    if size > _LARGEST:
        raise EvidenceError("it is larger than any file that the system compresses: damaged, or not read")
    ends, width = -(-size // _UNIT) - 1, "I" if size < 1 << 32 else "Q"
    length = struct.calcsize(f"<{ends}{width}")
    table = packed.read_at(0, length)
    places = (0, *struct.unpack(f"<{ends}{width}", table.ljust(length, b"\0")), packed.size - length)
    return {unit for unit, (start, end) in enumerate(pairwise(places)) if end - start == min(_UNIT, size - unit * _UNIT)}


def _restored(unit: bytearray) -> bytearray:
    """A unit with the addresses at its end as they were."""
    at = unit.find(0xE8)
    while 0 <= at < len(unit) - _LAST:
        if at >= len(unit) - _TAIL:
            (relative,) = struct.unpack_from("<i", unit, at + 1)
            if -at <= relative < _FILE_SIZE:
                absolute = relative + at if relative < _FILE_SIZE - at else relative - _FILE_SIZE
                struct.pack_into("<i", unit, at + 1, absolute)
        at = unit.find(0xE8, at + 5)
    return unit

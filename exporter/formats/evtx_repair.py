"""The one wrong bit of a chunk, found by the chunk's own sum.

A CRC is linear: what the sum is wrong by depends on nothing but the place of a single wrong bit, and no two places within a chunk give the
same. Damage of another kind looks like one wrong bit in 1 case of 8,000 (524,288 places of 2^32 sums); so a correction is only worth
believing where records that could not be read can be read with it.
"""

import zlib

from exporter.formats.evtx_chunks import FIRST_RECORD, Walk

_POLYNOMIAL = 0xEDB88320
"""CRC-32 of IEEE 802.3, lowest bit first."""


def wrong_bit(found: Walk) -> tuple[int, int] | None:
    """The offset in the chunk and the bit (0: lowest) that the sum of the records says is wrong; None where no single one is.

    Only with a sound chunk header is there a sum to ask.
    """
    if not found.header_sound or found.sound is not False:
        return None
    records = memoryview(found.data)[FIRST_RECORD : found.covered]
    wanted = zlib.crc32(records) ^ int.from_bytes(found.data[52:56], "little")
    register = _POLYNOMIAL
    for after in range(8 * len(records)):
        if register == wanted:
            return found.covered - 1 - after // 8, 7 - after % 8
        register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return None


def corrected(data: bytes, place: int, bit: int) -> bytes:
    """The chunk with that bit turned over."""
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]

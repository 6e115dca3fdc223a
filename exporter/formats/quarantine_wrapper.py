"""The wrapper of Entries and Resources files: a header and two sections, each encrypted anew (formats-quarantine.md 2.3).

Offset  Size  Header, decrypted
0x00    40    DB E8 C5 01, 01 00 01 00, zeros: constant
0x28    4     size of section 1
0x2C    4     size of section 2
0x30    4     CRC-32 of the decrypted section 1 without the final inversion ("JAMCRC")
0x34    4     the same of section 2
0x38    4     DB E8 C5 02
0x3C          section 1, section 2, end of file
"""

import struct
import zlib

import msgspec

from exporter.errors import FormatError
from exporter.formats.rc4 import decrypt
from exporter.records import Integrity, Verdict

HEADER_SIZE = 0x3C
_BEGIN = b"\xdb\xe8\xc5\x01\x01\x00\x01\x00" + bytes(32)
_END = b"\xdb\xe8\xc5\x02"
_NUMBERS = struct.Struct("<4I")
_VERIFIED = Integrity(Verdict.VERIFIED, "section-crc32")
_FAILED = Integrity(Verdict.FAILED, "section-crc32")
_UNKNOWN_HEADER = Integrity(Verdict.UNVERIFIABLE, "wrapper-header")


class Sections(msgspec.Struct, frozen=True):
    """Both sections, decrypted, as far as the file has them; `second_offset` is where the second begins in the file.

    `second_size` is what the header declares. `incomplete` says what is missing or too much.
    """

    first: bytes
    second: bytes
    second_offset: int
    second_size: int
    integrity: Integrity
    incomplete: str | None


def looks_like_wrapper(head: bytes) -> bool:
    """True for a file that begins as such files do; its first 8 bytes are enough."""
    return decrypt(head[:8]) == _BEGIN[:8]


def read_wrapper(data: bytes) -> Sections:
    """The sections of a file; raises FormatError for an empty or foreign file and for one cut inside the header."""
    if not data:
        raise FormatError("empty file", 0)
    header = decrypt(data[:HEADER_SIZE])
    if not _BEGIN.startswith(header[:4]) and header[0x38:] != _END:
        raise FormatError("not a quarantine file: neither signature is there", 0)
    if len(data) < HEADER_SIZE:
        raise FormatError(f"cut in the header: {len(data)} of {HEADER_SIZE} bytes", len(data))
    first_size, second_size, first_crc, second_crc = _NUMBERS.unpack_from(header, 0x28)
    second_offset = HEADER_SIZE + first_size
    first = decrypt(data[HEADER_SIZE:second_offset])
    second = decrypt(data[second_offset : second_offset + second_size])
    found = (len(first), len(second), _checksum(first), _checksum(second))
    if found != (first_size, second_size, first_crc, second_crc):
        integrity = _FAILED
    else:  # the checksums do not cover the header
        integrity = _VERIFIED if header[:0x28] == _BEGIN and header[0x38:] == _END else _UNKNOWN_HEADER
    return Sections(first, second, second_offset, second_size, integrity, _difference(len(data), first_size, second_size))


def _checksum(section: bytes) -> int:
    return zlib.crc32(section) ^ 0xFFFFFFFF


def _difference(size: int, first_size: int, second_size: int) -> str | None:
    expected = HEADER_SIZE + first_size + second_size
    if size == expected:
        return None
    if size > expected:
        return f"{size - expected} unknown bytes after the sections, from offset {expected}"
    section = 1 if size < HEADER_SIZE + first_size else 2
    return f"cut in section {section} at offset {size}: {expected - size} bytes are missing"

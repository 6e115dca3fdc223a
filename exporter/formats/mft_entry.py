"""What libfsntfs does not tell of an entry of NTFS's MFT. Layout: libfsntfs's documentation, MFT entry header and fix-up values."""

import struct

_STRIDE = 512
_PACKED_BY = struct.pack("<IHHIII", 0x80000017, 16, 0, 1, 2, 1)
"""The reparse point of a file that the system has compressed, up to the method: [MS-FSCC] 2.1.2.2, WOF_EXTERNAL_INFO,
FILE_PROVIDER_EXTERNAL_INFO_V1."""


def packing_method(entry: bytes) -> int | None:
    """How Windows' Overlay Filter has compressed the file; None when the entry, as it lies on the disk, does not hold that."""
    _, found, method = fixed(entry).partition(_PACKED_BY)
    return int.from_bytes(method[:4], "little") if found else None


def fixed(entry: bytes) -> bytes:
    """An entry, or a block of an index, with the last two bytes of each 512, which were set aside, back in their places."""
    found = bytearray(entry)
    at = int.from_bytes(entry[4:6], "little") + 2
    for end in range(_STRIDE, len(entry) + 1, _STRIDE):
        found[end - 2 : end] = entry[at : at + 2].ljust(2, b"\0")
        at += 2
    return bytes(found)

"""Cabinets made for tests: one folder or several, uncompressed or MSZIP."""

import struct
import zlib
from collections.abc import Mapping, Sequence

BLOCK = 1 << 15


def cabinet(
    *folders: Mapping[str, bytes], method: int = 1, names: Sequence[str] = (), reserved: tuple[int, int, int] | None = None, flags: int = 0
) -> bytes:
    """A cabinet of folders of files by name; `reserved` are the sizes of the reserved areas of header, folders and blocks."""
    of_header, of_folder, of_block = reserved or (0, 0, 0)
    extra = b"" if reserved is None else struct.pack("<HBB", *reserved) + bytes(of_header)
    extra += b"".join(name.encode() + b"\0" for name in names)
    listed, data, places = b"", b"", []
    for number, files in enumerate(folders):
        blocks = _blocks(b"".join(files.values()), method, of_block)
        places.append((len(data), len(blocks)))
        data += b"".join(blocks)
        start = 0
        for name, content in files.items():
            plain = name.isascii()
            listed += struct.pack("<IIHHHH", len(content), start, number, 0, 0, 0 if plain else 0x80) + name.encode() + b"\0"
            start += len(content)
    files_at = 36 + len(extra) + len(folders) * (8 + of_folder)
    data_at = files_at + len(listed)
    table = b"".join(struct.pack("<IHH", data_at + at, count, method) + bytes(of_folder) for at, count in places)
    count = sum(map(len, folders))
    flags |= 4 if reserved is not None else 0
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, data_at + len(data), 0, files_at, 0, 3, 1, len(folders), count, flags, 1, 0)
    return head + extra + table + listed + data


def _blocks(content: bytes, method: int, reserved: int) -> list[bytes]:
    blocks = []
    for at in range(0, len(content), BLOCK):
        piece = content[at : at + BLOCK]
        stored = piece
        if method:
            engine = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=content[max(0, at - BLOCK) : at])
            stored = b"CK" + engine.compress(piece) + engine.flush()
        lengths = struct.pack("<HH", len(stored), len(piece))
        blocks.append(struct.pack("<I", _checksum(stored, lengths)) + lengths + bytes(reserved) + stored)
    return blocks


def _checksum(data: bytes, lengths: bytes) -> int:
    """Word by word, as Microsoft's document has it."""
    total = 0
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        total ^= int.from_bytes(data[at : at + 4], "little")
    return total ^ int.from_bytes(data[whole:], "big") ^ int.from_bytes(lengths, "little")

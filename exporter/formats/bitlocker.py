"""BitLocker's metadata: what a volume tells of itself without any key.

Sources: libbde's format documentation; what stands behind the block, and that encrypt-on-write shows in the boot sector alone (the state
in the block says "encrypted" all the same): real volumes of dissect.fve's and cryptsetup's tests.

| boot sector | | block, three copies | |
|---|---|---|---|
| 0 | jump; `EB 52 90` is Windows Vista | 0 | `-FVE-FS-` |
| 3 | `-FVE-FS-`, on removable drives `MSWIN4.1` | 8 | size; from Windows 7 on in units of 16 bytes |
| 11, 13 | bytes per sector, sectors per cluster | 10 | version: 1 Vista, 2 later |
| 56 | Vista: cluster of the first block | 12, 14 | state: 1 decrypted, 4 encrypted, others on the way; the next state |
| 160 | identifier (424 on removable drives) | 28 | how many sectors were moved from the volume's start |
| 176 | offsets of the blocks (440) | 32 | offsets of the three copies |
| | | 64 | size of header and entries; 80 volume identifier; 100 method |
| | | 112 | entries: size, role, type, version (u16 each), data |

Behind the block stand u16, u16, its CRC-32, and its SHA-256 in a value sealed with the volume master key.
"""

import struct
import uuid
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from exporter.errors import FormatError

SECTOR, LARGEST_BLOCK = 512, 1 << 16
_SIGNATURE, _REMOVABLE, _VISTA_JUMP = b"-FVE-FS-", b"MSWIN4.1", b"\xeb\x52\x90"
_IDENTIFIERS = {
    uuid.UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001"): "bitlocker",
    uuid.UUID("92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8"): "encrypt-on-write",
}
_TABLE, _HEADER, _ENTRIES = 176, 64, 112
_TEXT_ROLE, _VMK_ROLE, _FVEK_ROLE = 7, 2, 3
_KEY, _TEXT, _STRETCH, _SEALED, _PROTECTOR, _EXTENT = 1, 2, 3, 5, 8, 15
_SECTOR_SIZES = (512, 1024, 2048, 4096)
CLEAR_KEY, STARTUP_KEY, RECOVERY_PASSWORD, PASSWORD = 0x0000, 0x0200, 0x0800, 0x2000
KINDS = {
    CLEAR_KEY: "clear key",
    0x0100: "TPM",
    STARTUP_KEY: "startup key",
    0x0500: "TPM and PIN",
    RECOVERY_PASSWORD: "recovery password",
    0x1000: "smart card",
    PASSWORD: "password",
}
DECRYPTED, ENCRYPTED = 1, 4
_FURTHEST = 1 << 50
"""A petabyte: an offset beyond it is damage."""


class Boot(msgspec.Struct, frozen=True):
    """Where the blocks are. `layout` is `bitlocker`, `encrypt-on-write`, `vista`, or `unknown` for an identifier that is none of ours."""

    layout: str
    offsets: tuple[int, ...]
    table_at: int | None


class Protector(msgspec.Struct, frozen=True):
    """One way to the volume master key: its sealed copy, with what is needed beside the key. A clear key lies open, and is not shown."""

    guid: str
    kind: int
    sealed: bytes | None
    salt: bytes | None
    clear_key: bytes | None

    @property
    def kind_name(self) -> str:
        """In words."""
        return KINDS.get(self.kind, f"unknown kind {self.kind:#x}")

    def __str__(self) -> str:
        return f"{self.kind_name} {{{self.guid}}}"

    def __repr__(self) -> str:
        return f"Protector({self})"


class Block(msgspec.Struct, frozen=True):
    """One copy of the metadata. `sound`: its CRC-32 holds. `digest` is the sealed SHA-256, `fvek` the sealed key of the sectors."""

    raw: bytes
    sound: bool
    version: int
    state: int
    next_state: int
    offsets: tuple[int, ...]
    identifier: str
    method: int
    size: int
    sector_size: int | None
    description: str | None
    protectors: tuple[Protector, ...]
    fvek: bytes | None
    digest: bytes | None

    def __repr__(self) -> str:
        return f"Block({self.identifier}, {self.protectors})"


class Entry(NamedTuple):
    """One of the values that everything is made of, with the bytes from `start` to `end` that it takes; `data` is without its head."""

    role: int
    kind: int
    data: bytes
    start: int
    end: int


def read_boot(sector: bytes) -> Boot | None:
    """What the first sector says; None when it is not BitLocker's."""
    if len(sector) < SECTOR:
        return None
    if sector.startswith(_VISTA_JUMP + _SIGNATURE):
        (cluster,) = struct.unpack_from("<Q", sector, 56)
        return Boot("vista", _near((cluster * int.from_bytes(sector[11:13], "little") * sector[13],)), None)
    at = {_SIGNATURE: _TABLE - 16, _REMOVABLE: 424}.get(sector[3:11])
    if at is None:
        return None
    layout = _IDENTIFIERS.get(uuid.UUID(bytes_le=sector[at : at + 16]))
    if layout is None and at == 424:
        return None
    return Boot(layout or "unknown", _near(struct.unpack_from("<3Q", sector, at + 16)), at + 16)


def _near(offsets: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(offset for offset in offsets if SECTOR <= offset <= _FURTHEST)


def read_block(data: bytes) -> Block:
    """One copy, from the up to 64 KiB at its offset. Raises FormatError for what is no block at all."""
    if not data.startswith(_SIGNATURE) or len(data) < _ENTRIES:
        raise FormatError("not a block of BitLocker's metadata", 0)
    size, version, state, next_state = struct.unpack_from("<4H", data, 8)
    size *= 16 if version > 1 else 1
    (length,) = struct.unpack_from("<I", data, _HEADER)
    if not _ENTRIES <= _HEADER + length <= size or size + 8 > len(data):
        raise FormatError(f"a block of {size} bytes, with {length} in its header and entries", 8)
    raw = data[:size]
    told = list(entries(raw, _ENTRIES, _HEADER + length))
    descriptions = (entry.data for entry in told if entry.role == _TEXT_ROLE and entry.kind == _TEXT)
    return Block(
        raw=raw,
        sound=struct.unpack_from("<I", data, size + 4)[0] == zlib.crc32(raw),
        version=version,
        state=state,
        next_state=next_state,
        offsets=_near(struct.unpack_from("<3Q", data, 32)),
        identifier=guid(data[80:96]),
        method=struct.unpack_from("<H", data, 100)[0],
        size=struct.unpack_from("<Q", data, 16)[0],
        sector_size=_sector_size(raw, first(told, _EXTENT)),
        description=next((text.decode("utf-16-le", "replace").rstrip("\0") for text in descriptions), None),
        protectors=tuple(protector for entry in told if (protector := _protector(entry)) is not None),
        fvek=first(told, _SEALED, _FVEK_ROLE),
        digest=first(entries(data, size + 8, len(data)), _SEALED),
    )


def _sector_size(raw: bytes, moved: bytes | None) -> int | None:
    """In bytes: what was moved from the volume's start is told in sectors and in bytes."""
    (sectors,) = struct.unpack_from("<I", raw, 28)
    size = int.from_bytes(moved[8:16], "little") if moved is not None else 0
    return size // sectors if sectors and size // sectors in _SECTOR_SIZES else None


def entries(data: bytes, start: int, end: int) -> Iterator[Entry]:
    """Entries up to the first that is none."""
    while start + 8 <= end:
        size, role, kind, _ = struct.unpack_from("<4H", data, start)
        if size < 8 or start + size > end:
            return
        yield Entry(role, kind, data[start + 8 : start + size], start, start + size)
        start += size


def first(among: Iterable[Entry], kind: int, role: int | None = None) -> bytes | None:
    """The data of the first entry of a kind, and of a role where one is given."""
    return next((one.data for one in among if one.kind == kind and role in (None, one.role)), None)


def _protector(entry: Entry) -> Protector | None:
    if entry.role != _VMK_ROLE or entry.kind != _PROTECTOR or len(entry.data) < 28:
        return None
    properties = list(entries(entry.data, 28, len(entry.data)))
    stretched, clear = first(properties, _STRETCH), first(properties, _KEY)
    return Protector(
        guid=guid(entry.data[:16]),
        kind=struct.unpack_from("<H", entry.data, 26)[0],
        sealed=first(properties, _SEALED),
        salt=stretched[4:20] if stretched is not None and len(stretched) >= 20 else None,
        clear_key=clear[4:36] if clear is not None and len(clear) >= 36 else None,
    )


def guid(data: bytes) -> str:
    """A GUID in lower case, without braces."""
    return str(uuid.UUID(bytes_le=data))


def entry(role: int, kind: int, data: bytes, version: int = 1) -> bytes:
    """The bytes of an entry."""
    return struct.pack("<4H", 8 + len(data), role, kind, version) + data


def with_only(block: Block, protector: bytes) -> bytes:
    """The block as a reader that knows one protector of each kind understands it: with this entry in place of all protectors.

    Its check is left out: no reader that we give it to looks at it. Raises FormatError when it grows beyond 64 KiB.
    """
    (length,) = struct.unpack_from("<I", block.raw, _HEADER)
    kept = (one for one in entries(block.raw, _ENTRIES, _HEADER + length) if one.kind != _PROTECTOR)
    told = protector + b"".join(block.raw[one.start : one.end] for one in kept)
    length = _ENTRIES - _HEADER + len(told)
    size = -(-(_HEADER + length) // 16) * 16
    if size > LARGEST_BLOCK:
        raise FormatError(f"a block of {size} bytes", 8)
    header = struct.pack("<4I", length, 1, _ENTRIES - _HEADER, length)
    raw = block.raw[:8] + struct.pack("<H", size // 16) + block.raw[10:_HEADER] + header + block.raw[80:_ENTRIES] + told
    return raw.ljust(LARGEST_BLOCK, b"\0")


def repaired(sector: bytes, boot: Boot, block: Block) -> bytes:
    """The first sector with what the block knows better: offsets, sector size, and the count of sectors (0 on fixed drives)."""
    if boot.table_at is None or len(block.offsets) != 3:
        return sector
    found = bytearray(sector)
    struct.pack_into("<3Q", found, boot.table_at, *block.offsets)
    if block.sector_size and block.size:
        removable = boot.table_at != _TABLE
        count = block.size // block.sector_size if removable else 0
        struct.pack_into("<H", found, 11, block.sector_size)
        struct.pack_into("<H", found, 19, 0)
        struct.pack_into("<I", found, 32, count & 0xFFFFFFFF)
        found[40:48] = sector[40:48] if removable else bytes(8)
    return bytes(found)

"""Evidence inside disk images, read in place: container, partitions, volumes, shadow copies, NTFS.

The libyal libraries (extra `images`) read containers and NTFS; they are imported when the first image is opened. Partition tables are
read here, because libvsgpt refuses a disk whose second table is cut off and there is none for MBR.
"""

from typing import Any

import msgspec


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How images are opened.

    `vss` says which shadow copies are read beside the live volume: `none`, `all` or `latest`. `keys` is the store that BitLocker volumes
    are unlocked with; it has no text form here, so that no key can be printed. `verify` compares the hash that an E01 holds.
    """

    vss: str = "none"
    keys: Any = None
    verify: bool = False

    def __repr__(self) -> str:
        return f"ImageOptions(vss={self.vss!r}, keys={'given' if self.keys else 'none'}, verify={self.verify!r})"


DEFAULT = ImageOptions()


class Snapshot(msgspec.Struct, kw_only=True):
    """A shadow copy: `name` is vss1, vss2 …, the oldest first; when it was made in ticks and as text; whether it was read."""

    name: str
    created_at: int
    created: str
    identifier: str = ""
    read: bool = False
    files: int = 0

    @property
    def label(self) -> str:
        """Name and time, as documents tell it."""
        return f"{self.name} {self.created}".rstrip()


class Volume(msgspec.Struct, kw_only=True):
    """What is told of a volume: `name` is p1, p2 … in the order of the table, or `volume` without one; `start` and `size` in bytes.

    `file_system` is `ntfs`, another known one, `bitlocker` (still locked), `empty` or `unknown`. `encryption` is the state that BitLocker's
    metadata tell, `protectors` their GUID and kind. `searched` tells how evidence was looked for: `windows` (in the places where Windows
    puts it) or `folders` (every folder, up to a limit; `cut` when that was met); `files` is what was found.
    """

    name: str
    start: int
    size: int
    kind: str = ""
    file_system: str = "unknown"
    label: str = ""
    encryption: str | None = None
    partial: bool = False
    protectors: list[tuple[str, str]] = []
    snapshots: list[Snapshot] = []
    searched: str | None = None
    cut: bool = False
    files: int = 0


class Image(msgspec.Struct, kw_only=True):
    """What is told of an image.

    `stored_hash` is what its container says (kind and hex digits), `verification` whether the disk was compared with it.
    """

    name: str
    container: str = "unknown"
    size: int = 0
    sectors: int = 512
    table: str | None = None
    volumes: list[Volume] = []
    segments: int = 1
    stored_hash: str | None = None
    verification: str = "not asked for"

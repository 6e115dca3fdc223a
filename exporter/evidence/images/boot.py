"""The boot sector of an NTFS volume, and its copy in the volume's last sector. Layout: libfsntfs's documentation, Volume header."""

from typing import Any, cast

from exporter.errors import EvidenceError
from exporter.evidence.images.bitlocker_view import patched
from exporter.evidence.images.media import Media
from exporter.evidence.images.ntfs import Ntfs

_BYTES = 512
_SECTORS = (512, 4096)


def is_boot_sector(data: bytes) -> bool:
    """Whether it says that it is NTFS's."""
    return data[3:11] == b"NTFS    "


def mended(media: Media) -> Media | None:
    """The volume with the copy of its boot sector in the place of the first sector.

    None unless it does not open with the first one, and does with the copy.
    """
    try:
        first = media.read_at(0, _BYTES)
        if is_boot_sector(first) and _opens(media):
            return None
        ends = (media.size // sector * sector - sector for sector in _SECTORS)
        copies = [copy for at in ends if at > 0 and is_boot_sector(copy := media.read_at(at, _BYTES)) and copy != first]
    except EvidenceError:
        return None
    views = (patched(cast("Any", media), media.size, [(0, copy)]) for copy in copies)
    return next((view for view in views if _opens(view)), None)


def _opens(media: Media) -> bool:
    try:
        Ntfs(media).close()
    except EvidenceError:
        return False
    return True

"""The one class of found files, whatever kind of tree they come from."""

from collections.abc import Callable
from typing import BinaryIO

import msgspec

from exporter.records import Rejected


class NtfsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What NTFS says of a file beside the time of its content: other times as text, None for what is no time; its alternate streams.

    `streams` are their names, which are all that is looked at; None when they cannot be listed.
    """

    created: str | None
    changed: str | None
    accessed: str | None
    streams: tuple[str, ...] | None


class File(msgspec.Struct, kw_only=True, eq=False):
    """A file that some tail matches (an `EvidenceFile`).

    `path` is for reading, `modified_at` in ticks. `tails` are those that matched, `root` is what of `path` lies before the longest of
    them. `opener` alone knows where the bytes are. `drive` is which component of `path` and `root` is the volume of an image, None in
    other evidence, as is `ntfs`. `doubts` is what was met while it was read that its container cannot vouch for.
    """

    path: str
    evidence: str
    root: str
    tails: tuple[str, ...]
    opener: Callable[[], BinaryIO]
    size: int | None = None
    modified_at: int | None = None
    volume: str | None = None
    snapshot: str | None = None
    doubts: list[Rejected] = []
    drive: int | None = None
    ntfs: NtfsFacts | None = None

    def open(self) -> BinaryIO:
        """A read-only stream from the file's start; raises EvidenceError, also while it is read."""
        return self.opener()

"""Where files come from, read-only: folders, archives, and later disk images, behind one seam."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol, TypeAlias

from exporter.evidence.files import File, NtfsFacts
from exporter.evidence.images import Image
from exporter.records import Rejected


class EvidenceFile(Protocol):
    """A file of a tree. `path` is unescaped and has slashes; it is what a user reads, never what is opened.

    `doubts` grows while it is read: places that its container cannot vouch for.
    """

    path: str
    evidence: str
    size: int | None
    modified_at: int | None
    volume: str | None
    snapshot: str | None
    ntfs: NtfsFacts | None
    doubts: list[Rejected]

    def open(self) -> BinaryIO:
        """A read-only stream from the file's start; raises EvidenceError."""
        ...


Found: TypeAlias = File | Rejected


class Tree(Protocol):
    """A read-only tree of files: a folder, an archive, a volume of an image.

    `name` is the evidence's base name, `above` the names of the folders that lead to it, with its own where it is more than one file: a
    host's name may have to come from there.
    """

    name: str
    above: tuple[str, ...]

    @property
    def images(self) -> Sequence[Image]:
        """What is told of the disk images in it, once it has been walked."""
        ...

    def walk(self, tails: Sequence[str]) -> Iterator[Found]:
        """Every file whose path ends in one of `tails` (see `places`); what cannot be listed as Rejected, with its path as excerpt.

        A tree that can look paths up need not visit the others.
        """
        ...

    def close(self) -> None: ...

"""A disk image as a tree of evidence: its volumes, their shadow copies, and in each what collectors ask for."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from exporter.errors import EvidenceError
from exporter.evidence.files import File
from exporter.evidence.images import Image, ImageOptions, Volume
from exporter.evidence.images.containers import Container, container_kind, has_suffix, open_container
from exporter.evidence.images.media import Media
from exporter.evidence.images.ntfs import Ntfs
from exporter.evidence.images.partitions import Table
from exporter.evidence.images.search import Match, Search
from exporter.evidence.images.segments import Siblings
from exporter.evidence.images.volumes import Opened, volumes
from exporter.evidence.places import Matcher
from exporter.records import Rejected


def image_kind(root: Path, below: tuple[str, ...]) -> str | None:
    """What kind of disk image a file is, by its content, `unknown` when only its name says that it is one; None for any other file."""
    files = Siblings(root, below)
    try:
        kind = container_kind(files.media(below[-1]))
    except EvidenceError:
        kind = "unknown"
    finally:
        files.close()
    return kind or ("unknown" if has_suffix(below[-1]) else None)


class ImageTree:
    """An image given as evidence, or found in a folder of evidence.

    `image` says what is in it, once it has been walked. Its libraries are C libraries: one that crashes takes the process with it.
    """

    def __init__(self, root: Path, below: tuple[str, ...], options: ImageOptions, evidence: str | None = None) -> None:
        self._files = Siblings(root, below)
        self._options = options
        self._closers: list[Callable[[], None]] = []
        self.name = below[-1]
        self.above = (*root.parts[1:], *below)
        self._evidence = evidence or self.name
        self.image = Image(name=self.name)

    def walk(self, tails: Sequence[str]) -> Iterator[File | Rejected]:
        """Files, volume by volume; what cannot be opened or listed as Rejected, with volume and path as excerpt."""
        self.close()
        self.image = Image(name=self.name)
        try:
            container = open_container(self._files)
        except EvidenceError as error:
            self._files.close()
            yield Rejected(None, error.reason)
            return
        self._closers.append(container.close)
        yield from self._walk(container, Matcher(tails))

    def _walk(self, container: Container, matcher: Matcher) -> Iterator[File | Rejected]:
        self._note(container)
        try:
            for found in volumes(container.media, container.sectors, self._options.keys):
                if isinstance(found, Table):
                    self.image.table, self.image.sectors = found.kind, found.sector
                elif isinstance(found, Opened):
                    self.image.volumes.append(found.volume)
                    if found.media is not None and found.volume.file_system == "ntfs":
                        yield from self._volume(found.volume, found.media, matcher)
                else:
                    yield found
        except EvidenceError as error:
            yield Rejected(None, error.reason)

    def _note(self, container: Container) -> None:
        self.image.container, self.image.size = container.kind, container.media.size
        self.image.segments, self.image.sectors = container.segments, container.sectors
        if container.stored_hash:
            self.image.stored_hash = ":".join(container.stored_hash)

    def _volume(self, volume: Volume, media: Media, matcher: Matcher) -> Iterator[File | Rejected]:
        try:
            ntfs = Ntfs(media)
        except EvidenceError as error:
            yield Rejected(None, error.reason, volume.name)
            return
        self._closers.append(ntfs.close)
        volume.label = ntfs.label
        search = Search(ntfs, matcher)
        for found in search.run():
            if isinstance(found, Match):
                volume.files += 1
                yield self._file(found, ntfs, volume.name)
            else:
                yield msgspec.structs.replace(found, excerpt="/".join(filter(None, (volume.name, found.excerpt))))
        volume.searched, volume.cut = search.how, search.cut

    def _file(self, match: Match, ntfs: Ntfs, volume: str) -> File:
        return File(
            path="/".join((volume, *match.path)),
            evidence=self._evidence,
            root="/".join((volume, *match.path[: match.hit.before])),
            tails=match.hit.tails,
            opener=partial(ntfs.open, match.entry),
            size=match.entry.size,
            modified_at=match.entry.modified_at,
            volume=volume,
            volume_root=volume,
        )

    def close(self) -> None:
        """Closes volumes and files; what `walk` yielded cannot be read any more."""
        while self._closers:
            self._closers.pop()()
        self._files.close()

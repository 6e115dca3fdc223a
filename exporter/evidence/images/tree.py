"""A disk image as a tree of evidence: its volumes, their shadow copies, and in each what collectors ask for."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from exporter.errors import EvidenceError
from exporter.evidence import layouts
from exporter.evidence.files import File, NtfsFacts
from exporter.evidence.images import Image, ImageOptions, Snapshot, Volume
from exporter.evidence.images.containers import Container, container_kind, open_container
from exporter.evidence.images.ewf import Damage
from exporter.evidence.images.media import Media, digest
from exporter.evidence.images.ntfs import Entry, Ntfs
from exporter.evidence.images.partitions import Table
from exporter.evidence.images.search import Match, Search
from exporter.evidence.images.segments import Siblings
from exporter.evidence.images.snapshots import Snapshots, State, chosen, has_snapshots
from exporter.evidence.images.volumes import Opened, volumes
from exporter.evidence.places import Matcher
from exporter.evidence.streams import PIECE_BYTES
from exporter.records import Rejected
from exporter.times import iso, usable


def image_kind(root: Path, below: tuple[str, ...]) -> str | None:
    """What kind of disk image a file is, by its content, `unknown` when only its name says that it is one; None for any other file."""
    files = Siblings(root, below)
    try:
        kind = container_kind(files.media(below[-1]))
    except EvidenceError:
        kind = "unknown"
    finally:
        files.close()
    return kind or ("unknown" if layouts.is_image(below[-1]) else None)


def doubts(damage: Damage, place: str = "") -> Iterator[Rejected]:
    """What reading has met that the image cannot vouch for, each as a loss of no unit."""
    for offset in damage.met():
        reason = f"{damage.size} bytes of the image, from byte {offset} of the disk on, fail their checksum and were read as zeros"
        yield Rejected(None, reason, place, units=0)


def opened(ntfs: Ntfs, entry: Entry, damage: Damage, met: list[Rejected]) -> BinaryIO:
    """A file; the damage met while it is read goes into `met`, each place once."""
    media = ntfs.data(entry)
    damage.met()

    def read_at(offset: int, size: int) -> bytes:
        data = media.read_at(offset, size)
        met.extend(doubt for doubt in doubts(damage) if doubt not in met)
        return data

    # typeshed wants another kind of raw stream
    return cast("BinaryIO", io.BufferedReader(Media(read_at, media.size), PIECE_BYTES))


def facts(ntfs: Ntfs, entry: Entry) -> NtfsFacts:
    """What is reported of a file."""
    created, changed, accessed = (iso(at) if usable(at) else None for at in (entry.created_at, entry.changed_at, entry.accessed_at))
    try:
        streams = tuple(name for name, _ in ntfs.streams(entry))
    except EvidenceError:
        streams = None
    return NtfsFacts(created=created, changed=changed, accessed=accessed, streams=streams)


def below(place: str, loss: Rejected) -> Rejected:
    """A loss in a volume or snapshot, which then begins its path."""
    return msgspec.structs.replace(loss, excerpt="/".join(filter(None, (place, loss.excerpt))))


class ImageTree:
    """An image given as evidence, or found in a folder of evidence.

    `images` says what is in it, once it has been walked. Its libraries are C libraries: one that crashes takes the process with it.
    """

    def __init__(self, root: Path, below: tuple[str, ...], options: ImageOptions, evidence: str = "", shown: tuple[str, ...] = ()) -> None:
        """`evidence` and `shown` are the name of the evidence and the path in it where the image is not given by itself."""
        self._files = Siblings(root, below)
        self._options = options
        self._closers: list[Callable[[], None]] = []
        self._damage = Damage()
        self.name = below[-1]
        self.above = (*root.parts[1:], *below)
        self._evidence, self._shown = evidence or self.name, shown
        self.image = Image(name="/".join(shown) or self.name)

    @property
    def images(self) -> tuple[Image, ...]:
        """What is told of it."""
        return (self.image,)

    def walk(self, tails: Sequence[str]) -> Iterator[File | Rejected]:
        """Files, volume by volume; what cannot be opened or listed as Rejected, with volume and path as excerpt."""
        self.close()
        self.image = Image(name=self.image.name)
        for found in self._walk(Matcher(tails)):
            yield found if isinstance(found, File) else below("/".join(self._shown), found)

    def _walk(self, matcher: Matcher) -> Iterator[File | Rejected]:
        try:
            container = open_container(self._files)
            self._closers.append(container.close)
            self._damage = container.damage
            self._note(container)
            yield from (Rejected(None, loss) for loss in container.losses)
            if self._options.verify:
                yield from self._verified(container)
            for found in volumes(container.media, container.sectors, self._options.keys):
                if isinstance(found, Table):
                    self.image.table, self.image.sectors = found.kind, found.sector
                elif isinstance(found, Opened):
                    self.image.volumes.append(found.volume)
                    if found.media is not None and found.volume.file_system == "ntfs":
                        yield from self._volume(found.volume, found.media, matcher)
                        yield from doubts(container.damage, found.volume.name)
                else:
                    yield found
        except EvidenceError as error:
            yield Rejected(None, error.reason)

    def _note(self, container: Container) -> None:
        self.image.container, self.image.size = container.kind, container.media.size
        self.image.segments, self.image.sectors = container.segments, container.sectors
        if container.stored_hash:
            self.image.stored_hash = ":".join(container.stored_hash)

    def _verified(self, container: Container) -> Iterator[Rejected]:
        """Reads the disk once and compares the hash that the container holds."""
        if container.stored_hash is None:
            self.image.verification = "no hash is stored"
            return
        kind, expected = container.stored_hash
        try:
            same = digest(container.media, kind) == expected
        except EvidenceError as error:
            self.image.verification = "cannot be read to its end"
            yield Rejected(None, f"its stored {kind} cannot be compared: {error.reason}")
            return
        self.image.verification = "matches" if same else "differs"
        if not same:
            yield Rejected(None, f"the disk in it has another {kind} than the one stored with it: damaged or altered")

    def _volume(self, volume: Volume, media: Media, matcher: Matcher) -> Iterator[File | Rejected]:
        """The live volume, then the shadow copies that were asked for."""
        yield from self._state(volume, None, media, matcher)
        try:
            states = list(self._snapshots(media)) if has_snapshots(media) else []
        except EvidenceError as error:
            yield Rejected(None, error.reason, volume.name)
            return
        yield from (below(volume.name, state) for state in states if isinstance(state, Rejected))
        opened = [state for state in states if isinstance(state, State)]
        volume.snapshots = [state.snapshot for state in opened]
        for state in chosen(opened, self._options.vss):
            state.snapshot.read = True
            yield from self._state(volume, state.snapshot, state.media, matcher)

    def _snapshots(self, media: Media) -> Iterator[State | Rejected]:
        snapshots = Snapshots(media)
        self._closers.append(snapshots.close)
        yield from snapshots.states()

    def _state(self, volume: Volume, snapshot: Snapshot | None, media: Media, matcher: Matcher) -> Iterator[File | Rejected]:
        """One state of a volume: as it is, or as a shadow copy keeps it."""
        root = volume.name if snapshot is None else f"{volume.name}/{snapshot.name}"
        try:
            ntfs = Ntfs(media)
        except EvidenceError as error:
            yield Rejected(None, error.reason, root)
            return
        self._closers.append(ntfs.close)
        search = Search(ntfs, matcher)
        for found in search.run():
            if isinstance(found, Match):
                (snapshot or volume).files += 1
                yield self._file(found, ntfs, volume.name, snapshot)
            else:
                yield below(root, found)
        if snapshot is None:
            volume.label, volume.searched, volume.cut = ntfs.label, search.how, search.cut

    def _file(self, match: Match, ntfs: Ntfs, volume: str, snapshot: Snapshot | None) -> File:
        """The path is the same in every state of a volume, so that its contents can be compared."""
        place = (*self._shown, volume)
        met: list[Rejected] = []
        return File(
            path="/".join((*place, *match.path)),
            evidence=self._evidence,
            root="/".join((*place, *match.path[: match.hit.before])),
            tails=match.hit.tails,
            opener=partial(opened, ntfs, match.entry, self._damage, met),
            doubts=met,
            size=match.entry.size,
            modified_at=match.entry.modified_at,
            volume=volume,
            snapshot=snapshot.label if snapshot else None,
            drive=len(self._shown),
            ntfs=facts(ntfs, match.entry),
        )

    def close(self) -> None:
        """Closes volumes and files; what `walk` yielded cannot be read any more."""
        while self._closers:
            self._closers.pop()()
        self._files.close()

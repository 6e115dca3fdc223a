"""Evidence in a folder, or one file given by itself: walked without leaving the root, read-only."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from exporter import times
from exporter.errors import EvidenceError
from exporter.evidence import layouts
from exporter.evidence.archive import Parts, Reading, read_archive, rejected
from exporter.evidence.files import File
from exporter.evidence.handles import Folder, is_link, kind, open_file, open_folder, reason
from exporter.evidence.images import DEFAULT, Image, ImageOptions
from exporter.evidence.links import LeadsOutError, resolve
from exporter.evidence.places import Hit, Matcher, components
from exporter.evidence.streams import Limits, Spool
from exporter.records import Rejected

if TYPE_CHECKING:
    from exporter.evidence.images.tree import ImageTree

DEEPEST_FOLDER = 100
"""One descriptor is open per level."""


class FolderTree:
    """A folder of evidence: a mounted drive, unpacked collections, a folder of archives. Also one file given by itself.

    Links that stay inside are followed (once, and only where the link's name makes a file match); those that lead out are not.
    Archives and disk images in it are evidence too, unless `archives` is False.
    Raises EvidenceError when the path is neither folder nor regular file.
    """

    def __init__(self, path: Path, limits: Limits | None = None, *, archives: bool = True, images: ImageOptions = DEFAULT) -> None:
        real = Path(os.path.realpath(path))
        try:
            status = real.stat()
        except OSError as error:
            raise EvidenceError(reason(error), str(path)) from error
        if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
            raise EvidenceError(f"neither a folder nor a file but {kind(status)}", str(path))
        self.only = None if stat.S_ISDIR(status.st_mode) else real.name
        self.root = real if self.only is None else real.parent
        self.name = real.name or str(real)
        self.above = self.root.parts[1:]
        self._limits = limits or Limits()
        self._archives = archives
        self._spool = Spool(self.root)
        self._options = images
        self._opened: list[ImageTree] = []

    def walk(self, tails: Sequence[str]) -> Iterator[File | Rejected]:
        """Files in the order of their paths (names casefolded), then those that only a link's name makes match."""
        reading = Reading(
            evidence=self.name,
            matcher=Matcher(tails, self.above),
            spool=self._spool,
            limits=self._limits,
            left_bytes=self._limits.total_bytes,
        )
        self._close_images()
        yield from _Walk(self.root, self.only, reading, partial(self._image, tails) if self._archives else None).run()

    def _image(self, tails: Sequence[str], place: "_Place") -> Iterator[File | Rejected]:
        """What a disk image in the folder holds; nothing for a file that only has the name of one."""
        from exporter.evidence.images.tree import ImageTree, image_kind

        if image_kind(self.root, place.real) is not None:
            tree = ImageTree(self.root, place.real, self._options, self.name, place.shown)
            self._opened.append(tree)
            yield from tree.walk(tails)

    @property
    def images(self) -> Sequence[Image]:
        """What is told of the disk images in it."""
        return tuple(image for tree in self._opened for image in tree.images)

    def close(self) -> None:
        """Closes images and drops the temporary copies of nested archives."""
        self._close_images()
        self._spool.close()

    def _close_images(self) -> None:
        while self._opened:
            self._opened.pop().close()


class _Place(NamedTuple):
    """A file or folder: its names as the system knows them and as they are shown.

    `own`: on a host's own drive. `linked`: below a link that is followed.
    """

    real: Parts
    shown: Parts
    own: bool = False
    linked: bool = False


class _Entry(NamedTuple):
    order: tuple[str, str]
    kind: str
    name: str
    hit: Hit | None

    def below(self, place: _Place, own: bool = False) -> _Place:
        return _Place((*place.real, self.name), place.shown + _shown(self.name), own, place.linked)


_Images: TypeAlias = Callable[[_Place], Iterator[File | Rejected]]


class _Walk:
    """One walk: what has been found on it, and the links met."""

    def __init__(self, root: Path, only: str | None, reading: Reading, images: _Images | None) -> None:
        """`images` opens a disk image; None when neither archives nor images are to be opened."""
        self._root, self._only, self._reading, self._images = root, only, reading, images
        self._found: set[Parts] = set()
        self._links: list[_Place] = []

    def run(self) -> Iterator[File | Rejected]:
        yield from self._enter(partial(open_folder, self._root), _Place((), ()))
        for place in self._links:
            yield from self._follow(place)

    def _enter(self, opener: Callable[[], Folder], place: _Place) -> Iterator[File | Rejected]:
        if len(place.real) > DEEPEST_FOLDER:
            yield rejected(place.shown, f"nested deeper than {DEEPEST_FOLDER} folders: not read")
            return
        try:
            folder = opener()
        except OSError as error:
            yield rejected(place.shown, f"folder cannot be opened: {reason(error)}")
            return
        try:
            yield from self._visit(folder, place)
        finally:
            folder.close()

    def _visit(self, folder: Folder, place: _Place) -> Iterator[File | Rejected]:
        entries: list[_Entry] = []
        try:
            self._list(folder, place, entries)
        except OSError as error:
            yield rejected(place.shown, f"folder cannot be listed to its end: {reason(error)}")
        own = place.own or layouts.drive(place.shown) is not None or layouts.looks_like_drive(e.name for e in entries if e.kind == "folder")
        for entry in sorted(entries):
            below = entry.below(place, own)
            if entry.hit and entry.kind == "file":
                yield from self._file(folder, entry, below)
            elif entry.kind == "folder" and (not place.linked or self._reading.matcher.leads_on(below.shown)):
                yield from self._enter(partial(folder.enter, entry.name), below)
            elif entry.kind == "link" and not place.linked:
                self._links.append(below)
            elif self._images is not None and not (own or place.linked):
                yield from self._packed(entry.kind, below, self._images)

    def _packed(self, what: str, place: _Place, images: _Images) -> Iterator[File | Rejected]:
        if what == "archive":
            yield from read_archive(partial(open_file, self._root, place.real), place.shown, self._reading, 1)
        elif what == "image":
            yield from images(place)

    def _list(self, folder: Folder, place: _Place, entries: list[_Entry]) -> None:
        """Folders, links, archives, images and files that match; of all other files nothing is kept."""
        names = self._reading.matcher.directory(place.shown)
        for entry in folder.entries():
            if self._only is not None and entry.name != self._only:
                continue
            shown = _shown(entry.name)
            what = _kind(entry)
            hit = None
            if what == "file":
                hit = names.match(shown[0]) if len(shown) == 1 else self._reading.matcher.find(place.shown + shown)
                packed = "archive" if layouts.is_archive(entry.name) else "image" if layouts.is_image(entry.name) else ""
                if not (hit or packed):
                    continue
                what = "file" if hit else packed
            entries.append(_Entry(("/".join(shown).casefold(), entry.name), what, entry.name, hit))

    def _file(self, folder: Folder, entry: _Entry, place: _Place) -> Iterator[File | Rejected]:
        assert entry.hit is not None
        try:
            status = folder.status(entry.name)
        except OSError as error:
            yield rejected(place.shown, f"cannot be examined: {reason(error)}")
            return
        yield from self._found_file(status, place, entry.hit)

    def _found_file(self, status: os.stat_result, place: _Place, hit: Hit) -> Iterator[File | Rejected]:
        if not stat.S_ISREG(status.st_mode) or is_link(status):
            yield rejected(place.shown, f"not a regular file but {kind(status)}: not opened")
        elif place.real not in self._found:
            self._found.add(place.real)
            modified_at = times.from_unix_ns(status.st_mtime_ns)
            yield self._reading.file(place.shown, hit, 0, partial(open_file, self._root, place.real), status.st_size, modified_at)

    def _follow(self, link: _Place) -> Iterator[File | Rejected]:
        """What a link adds: files below it that match by its name and have not been found under their own."""
        hit, leads_on = self._reading.matcher.find(link.shown), self._reading.matcher.leads_on(link.shown)
        try:
            real = resolve(self._root, link.real)
            status = self._status(real)
        except LeadsOutError as error:
            yield rejected(link.shown, f"link leads out of the evidence: `{error}`")
        except OSError as error:
            if hit or leads_on:
                yield rejected(link.shown, f"link cannot be followed: {reason(error)}")
        else:
            place = _Place(real, link.shown, own=True, linked=True)
            if stat.S_ISDIR(status.st_mode) and leads_on:
                yield from self._enter(partial(open_folder, self._root, real), place)
            elif hit and not stat.S_ISDIR(status.st_mode):
                yield from self._found_file(status, place, hit)

    def _status(self, real: Parts) -> os.stat_result:
        folder = open_folder(self._root, real[:-1])
        try:
            return folder.status(real[-1] if real else ".")
        finally:
            folder.close()


def _shown(name: str) -> Parts:
    """A name as shown; more than one component where a zip with backslashes was unpacked by a tool that does not know them."""
    return (name,) if "%" not in name and "\\" not in name else components(name) or (name.replace("\\", "%5C"),)


def _kind(entry: "os.DirEntry[str]") -> str:
    """`folder`, `link` or `file` (which a FIFO or device also is until it is examined)."""
    try:
        if entry.is_symlink() or (os.name == "nt" and is_link(entry.stat(follow_symlinks=False))):
            return "link"
        return "folder" if entry.is_dir(follow_symlinks=False) else "file"
    except OSError:
        return "file"

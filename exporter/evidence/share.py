"""The collections on a share, by names, sizes and times alone: no file is opened.

A collection is an archive or disk image, wherever it lies, or what a folder of the share holds besides those. Archives and images on a
host's own drive are evidence of that host at most, and never opened. Links are not followed here.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from exporter.errors import EvidenceError, SourceGone
from exporter.evidence import layouts
from exporter.evidence.hosts import CLIENT_INFO
from exporter.evidence.patience import Patience
from exporter.evidence.places import Matcher, Names, components

DONE_SUFFIX = ".done"
_DEEPEST = 100


class Collection(NamedTuple):
    """A collection: its path below the share with slashes, what it looks like, and whether somebody says that it is complete."""

    name: str
    path: Path
    folder: bool
    signature: bytes
    size: int
    files: int
    done: bool


class Unlisted(NamedTuple):
    """A place of the share that cannot be listed; `gone` when it did not answer."""

    name: str
    reason: str
    gone: bool


class _Entry(NamedTuple):
    name: str
    kind: str
    size: int = 0
    modified: int = 0


class _Listing:
    """What a folder of the share holds, in the making."""

    def __init__(self, share: Path, matcher: Matcher, patience: Patience) -> None:
        self._share, self._matcher, self._patience = share, matcher, patience
        self.archives: list[Collection] = []
        self.problems: list[Unlisted] = []
        self.files = self.size = 0
        self.complete = False
        self.digest = hashlib.blake2b(digest_size=16)

    def walk(self, shown: tuple[str, ...], place: Path, *, own: bool = False) -> None:
        """Raises SourceGone when the share does not answer."""
        try:
            entries = self._patience.call(_list, place, self._matcher.directory(shown))
        except OSError as error:
            self.problems.append(Unlisted("/".join(shown), error.strerror or "", gone=False))
            return
        own = own or layouts.drive(shown) is not None or layouts.looks_like_drive(e.name for e in entries if e.kind == "folder")
        done = {entry.name for entry in entries if entry.kind == "mark"}
        self.complete = self.complete or (len(shown) == 1 and DONE_SUFFIX in done)
        for entry in entries:
            if entry.kind == "file":
                self.add("/".join((*shown, entry.name)), entry)
            elif entry.kind in ("archive", "image") and not own:
                self.archives.append(_alone(self._share, place / entry.name, entry, done, entries))
            elif entry.kind == "folder" and len(shown) < _DEEPEST:
                self.walk((*shown, *(components(entry.name) or (entry.name,))), place / entry.name, own=own)

    def add(self, name: str, entry: _Entry) -> None:
        """Count one file in."""
        self.files += 1
        self.size += entry.size
        self.digest.update(f"{name}\0{entry.size}\0{entry.modified}\n".encode("utf-8", "surrogatepass"))


def collections(share: Path, tails: Sequence[str], patience: Patience) -> Iterator[Collection | Unlisted]:
    """All collections in the order of their names. Raises EvidenceError or SourceGone when the share itself cannot be listed."""
    matcher = Matcher([*tails, CLIENT_INFO], share.parts[1:])
    try:
        entries = patience.call(_list, share, matcher.directory(()))
    except OSError as error:
        raise EvidenceError(f"cannot be listed: {error.strerror}", str(share)) from error
    done = {entry.name for entry in entries if entry.kind == "mark"}
    for entry in entries:
        if entry.kind == "folder":
            yield from _folder(share, entry.name, matcher, patience, done)
        elif entry.kind in ("archive", "file", "image") and entry.name != CLIENT_INFO:
            yield _alone(share, share / entry.name, entry, done, entries)


def look(place: Path, tails: Sequence[str], patience: Patience) -> Iterator[Collection | Unlisted]:
    """The collections of one folder or file given by itself. Raises EvidenceError or SourceGone when it is not to be seen."""
    try:
        real = patience.call(place.resolve)
        status = patience.call(real.stat)
    except OSError as error:
        raise EvidenceError(f"cannot be examined: {error.strerror}", str(place)) from error
    if stat.S_ISDIR(status.st_mode):
        yield from _folder(real.parent, real.name, _matcher(tuple(tails), real.parent.parts[1:]), patience, set())
    else:
        kind = "image" if layouts.is_image(real.name) else "file"
        beside = patience.call(_list, real.parent, Matcher(()).directory(())) if kind == "image" else []
        yield _alone(real.parent, real, _Entry(real.name, kind, status.st_size, status.st_mtime_ns), set(), beside)


@lru_cache(4)
def _matcher(tails: tuple[str, ...], outside: tuple[str, ...]) -> Matcher:
    """Kept from one folder of a share to the next."""
    return Matcher((*tails, CLIENT_INFO), outside)


def _folder(share: Path, name: str, matcher: Matcher, patience: Patience, done: set[str]) -> Iterator[Collection | Unlisted]:
    listing = _Listing(share, matcher, patience)
    try:
        listing.walk(components(name) or (name,), share / name)
    except SourceGone as error:
        yield Unlisted(name, str(error), gone=True)
        return
    yield from listing.problems
    if listing.files:
        complete = listing.complete or name + DONE_SUFFIX in done
        yield Collection(name, share / name, True, listing.digest.digest(), listing.size, listing.files, complete)
    yield from listing.archives


def _alone(share: Path, place: Path, entry: _Entry, done: set[str], entries: Sequence[_Entry]) -> Collection:
    """One file, and with an image all files of it: the first one is whole long before the last."""
    stem = layouts.image_stem(entry.name) if entry.kind == "image" else None
    parts = [entry, *(one for one in entries if stem is not None and one.kind == "segment" and layouts.image_stem(one.name) == stem)]
    signature = hashlib.blake2b("\0".join(f"{part.size}\0{part.modified}" for part in parts).encode(), digest_size=16).digest()
    complete = entry.name + DONE_SUFFIX in done
    return Collection(place.relative_to(share).as_posix(), place, False, signature, sum(part.size for part in parts), len(parts), complete)


def _list(place: Path, names: Names) -> list[_Entry]:
    """Sorted by name. Only what may matter is looked at."""
    found: list[_Entry] = []
    with os.scandir(place) as entries:
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                found.append(_Entry(name, "folder"))
            elif name.endswith(DONE_SUFFIX):
                found.append(_Entry(name, "mark"))
            elif (kind := _kind(name, names)) and stat.S_ISREG((status := entry.stat(follow_symlinks=False)).st_mode):
                found.append(_Entry(name, kind, status.st_size, status.st_mtime_ns))
    return sorted(found)


def _kind(name: str, names: Names) -> str | None:
    shown = name if "%" not in name and "\\" not in name else (components(name) or (name,))[-1]
    if names.match(shown) is not None:
        return "file"
    if layouts.is_archive(name):
        return "archive"
    return "image" if layouts.is_image(name) else "segment" if layouts.image_stem(name) else None

"""Where evidence is in an NTFS volume: on a Windows drive in the places of `windows`, in any other volume folder by folder."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from exporter.errors import EvidenceError
from exporter.evidence import layouts
from exporter.evidence.images.ntfs import Entry, Ntfs
from exporter.evidence.images.windows import PLACES
from exporter.evidence.places import Hit, Matcher, unescape
from exporter.records import Rejected

MOST_BARREN_FOLDERS = 5_000
"""So many folders without evidence are searched in a volume that is no Windows drive: room for many collections, and seconds at most."""
_DEEPEST = 60
_EARLIER = "windows.old"

Path: TypeAlias = tuple[str, ...]


class Match(NamedTuple):
    """A file that matches, with its path as it is shown."""

    path: Path
    entry: Entry
    hit: Hit


class Search:
    """One search of a volume. `how` is known after the first result: `windows` or `folders`; `cut` when not every folder was visited."""

    def __init__(self, ntfs: Ntfs, matcher: Matcher) -> None:
        self._ntfs, self._matcher = ntfs, matcher
        self._seen: set[int] = set()
        self._missed: set[int] = set()
        self.how = "folders"
        self.cut = False

    def run(self) -> Iterator[Match | Rejected]:
        """Files that match; what cannot be listed as Rejected with its path as excerpt."""
        try:
            root = self._ntfs.folder(())
            assert root is not None
            listed = list(self._ntfs.entries(root[0]))
        except EvidenceError as error:
            yield Rejected(None, error.reason)
            return
        names = [entry.name for entry in listed if isinstance(entry, Entry) and entry.is_folder]
        if not layouts.looks_like_drive(names):
            yield from self._everywhere(root[0])
            return
        self.how = "windows"
        for base in [(), *((name,) for name in names if name.casefold().startswith(_EARLIER))]:
            for place in PLACES:
                yield from self._place(base, place.path, place.below)

    def _place(self, base: Path, path: Path, below: int) -> Iterator[Match | Rejected]:
        """A place, or (where a component is `*`) the same below each folder that stands there."""
        star = path.index("*") if "*" in path else len(path)
        try:
            found = self._ntfs.folder((*base, *path[:star]))
        except EvidenceError as error:
            yield Rejected(None, error.reason, "/".join((*base, *path[:star])))
            return
        if found is None:
            yield from self._misnamed((*base, *path[: star - 1]))
            return
        reference, spelled = found
        if star == len(path):
            yield from self._below(reference, spelled, below)
            return
        for entry in self._listed(reference, spelled):
            if isinstance(entry, Entry) and entry.is_folder and entry.link is None:
                yield from self._place(base, (*spelled[len(base) :], entry.name, *path[star + 1 :]), below)

    def _misnamed(self, path: Path) -> Iterator[Rejected]:
        """What is told of the names around a place that is not there: one of them may be its own, damaged."""
        try:
            while (found := self._ntfs.folder(path)) is None:
                path = path[:-1]
        except EvidenceError as error:
            yield Rejected(None, error.reason, "/".join(path))
            return
        if found[0] not in self._missed:
            self._missed.add(found[0])
            yield from (entry for entry in self._listed(*found) if isinstance(entry, Rejected))

    def _below(self, reference: int, path: Path, depth: int) -> Iterator[Match | Rejected]:
        pending = deque([(reference, path, depth)])
        while pending:
            reference, path, depth = pending.popleft()
            for found in self._folder(reference, path):
                if isinstance(found, Entry):
                    if depth:
                        pending.append((found.reference, (*path, _shown(found.name)), depth - 1))
                else:
                    yield found

    def _everywhere(self, root: int) -> Iterator[Match | Rejected]:
        """Folder by folder, those near the root first."""
        pending: deque[tuple[int, Path]] = deque([(root, ())])
        barren, hits = 0, 0
        while pending and barren < MOST_BARREN_FOLDERS:
            reference, path = pending.popleft()
            before = hits
            for found in self._folder(reference, path):
                if isinstance(found, Entry):
                    if len(path) < _DEEPEST:
                        pending.append((found.reference, (*path, _shown(found.name))))
                else:
                    hits += isinstance(found, Match)
                    yield found
            barren += hits == before and not self._matcher.leads_on(path)
        self.cut = bool(pending)
        if self.cut and hits:
            yield Rejected(None, f"searched in {barren} folders without evidence; the others were not visited")

    def _folder(self, reference: int, path: Path) -> Iterator[Match | Entry | Rejected]:
        """The files of one folder that match, and its folders. A folder is visited once, however many paths lead to it."""
        if reference in self._seen:
            return
        self._seen.add(reference)
        names = self._matcher.directory(path)
        for entry in self._listed(reference, path):
            if isinstance(entry, Rejected):
                yield entry
            elif entry.is_folder:
                if entry.link is None:
                    yield entry
            elif hit := names.match(_shown(entry.name)):
                yield Match((*path, _shown(entry.name)), entry, hit)

    def _listed(self, reference: int, path: Path) -> Iterator[Entry | Rejected]:
        try:
            for entry in self._ntfs.entries(reference):
                yield entry if isinstance(entry, Entry) else msgspec.structs.replace(entry, excerpt="/".join(path))
        except EvidenceError as error:
            yield Rejected(None, error.reason, "/".join(path))


def _shown(name: str) -> str:
    """A name as it was on the host; one of the POSIX name space may hold a slash."""
    return unescape(name.replace("/", "%2F"))

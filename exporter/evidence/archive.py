"""Evidence in a zip, tar or cabinet, read in place: nothing is unpacked beside it.

A zip is read through its directory and each member where it lies. So is a plain tar. A compressed tar allows no reading in the middle:
opening members one after the other would decompress it once for each, so the one pass that lists it copies the matching members (some
tens of MB of a host) into a temporary file whose first 32 MB stay in memory. The same holds for an archive inside an archive, and for a
cabinet, whose files are compressed together.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import msgspec

from exporter.errors import EvidenceError
from exporter.evidence import layouts
from exporter.evidence.cab_members import MAGIC, Cabinet, CabMember, FolderData
from exporter.evidence.files import File
from exporter.evidence.handles import open_file
from exporter.evidence.images import Image
from exporter.evidence.places import Hit, Matcher, components
from exporter.evidence.streams import PIECE_BYTES, Decompressed, Limits, Spool, Window
from exporter.evidence.tar_members import BLOCK_BYTES, Forward, TarMember, looks_like_tar, tar_members
from exporter.evidence.zip_members import ZipMember, open_zip_member, zip_members
from exporter.evidence.zip_salvage import salvaged_members
from exporter.records import Rejected

Opener: TypeAlias = Callable[[], BinaryIO]
Parts: TypeAlias = tuple[str, ...]

_MAGICS = {b"PK\3\4": "zip", b"PK\5\6": "zip", b"PK\7\x08": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", MAGIC: "cab"}
_BY_SUFFIX = {
    "zip": "zip",
    "tar": "tar",
    "gz": "gzip",
    "tgz": "gzip",
    "bz2": "bzip2",
    "tbz2": "bzip2",
    "xz": "xz",
    "txz": "xz",
    "cab": "cab",
}
_IN_CABINET = "an archive or disk image in a cabinet is not opened: unpack it"
_IMAGE_REASON = "a disk image in an archive is not opened: unpack it"


class Reading(msgspec.Struct, kw_only=True):
    """What all archives of one walk share; `left_bytes` is what of `limits.total_bytes` has not been promised yet."""

    evidence: str
    matcher: Matcher
    spool: Spool
    limits: Limits
    left_bytes: int

    def refused(self, size: int) -> str | None:
        """Why a member of this size is not read any more; None (and it is counted) while there is room."""
        if size > self.left_bytes:
            return f"with it more than {self.limits.total_bytes} bytes would be read from one archive or folder of archives: not read"
        self.left_bytes -= size
        return None

    def file(self, path: Parts, hit: Hit, inner: int, opener: Opener, size: int, modified_at: int | None) -> File:
        """A found file; `inner` is how many components of its path lead to the archive that holds it."""
        return File(
            path="/".join(path),
            evidence=self.evidence,
            root="/".join(path[: inner + hit.before]),
            tails=hit.tails,
            opener=opener,
            size=size,
            modified_at=modified_at,
        )


class ArchiveTree:
    """A zip or tar (also .gz, .bz2, .xz) given as evidence, by its content and not its name."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._path = path.resolve()
        self._limits = limits or Limits()
        self._spool = Spool(self._path)
        self.name = self._path.name
        self.images: tuple[Image, ...] = ()
        self.above = self._path.parts[1:]

    def walk(self, tails: Sequence[str]) -> Iterator[File | Rejected]:
        """Files in the order of their paths; damage and refused members as Rejected with their path as excerpt."""
        reading = Reading(
            evidence=self.name, matcher=Matcher(tails), spool=self._spool, limits=self._limits, left_bytes=self._limits.total_bytes
        )
        yield from read_archive(lambda: open_file(self._path.parent, (self._path.name,)), (), reading, 1)

    def close(self) -> None:
        """Drops the temporary copies."""
        self._spool.close()


def archive_kind(opener: Opener, name: str) -> str | None:
    """`zip`, `cab`, `tar`, `gzip`, `bzip2`, `xz`, by content, else by the name's suffix; None for anything else. Raises EvidenceError."""
    with opener() as stream:
        head = stream.read(BLOCK_BYTES)
    if looks_like_tar(head):
        return "tar"
    by_content = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)
    return by_content or (_BY_SUFFIX[name.casefold().rpartition(".")[2]] if layouts.is_archive(name) else None)


def read_archive(opener: Opener, shown: Parts, reading: Reading, depth: int) -> Iterator[File | Rejected]:
    """The files of an archive at the path `shown` of its evidence, and of archives in it; what is wrong with it as a whole as Rejected."""
    try:
        if depth > reading.limits.depth:
            raise EvidenceError(f"archives nested deeper than {reading.limits.depth}: not read")
        kind = archive_kind(opener, shown[-1] if shown else ".zip")
        if kind == "zip":
            yield from _read_zip(opener, shown, reading, depth)
        elif kind == "cab":
            yield from _read_cab(opener, shown, reading)
        else:
            yield from _Tar(opener, kind or "tar", shown, reading, depth).read()
    except EvidenceError as error:
        yield rejected(shown, error.reason)


def rejected(path: Parts, reason: str, offset: int | None = None) -> Rejected:
    """A loss with the path as excerpt."""
    return Rejected(offset, reason, "/".join(path))


class _Sieve:
    """Tells wanted members from the others, and archives that are collections from a host's own."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._folders: dict[Parts, set[str]] = {}
        self._last: Parts = ()

    def hit(self, parts: Parts) -> Hit | None:
        """What matches; also takes note of the folders, to know drives by them."""
        if parts[:-1] != self._last:
            self._last = parts[:-1]
            for index, name in enumerate(self._last):
                if layouts.is_system_folder(name):
                    self._folders.setdefault(parts[:index], set()).add(name.casefold())
        return self._matcher.find(parts)

    def is_collection(self, parts: Parts) -> bool:
        """Asked when all members have been seen."""
        above = (parts[:end] for end in range(len(parts)))
        return layouts.drive(parts[:-1]) is None and not any(layouts.looks_like_drive(self._folders.get(folder, ())) for folder in above)


def _in_order(path: Parts) -> tuple[Parts, Parts]:
    return tuple(name.casefold() for name in path), path


def _read_zip(opener: Opener, shown: Parts, reading: Reading, depth: int) -> Iterator[File | Rejected]:
    sieve = _Sieve(reading.matcher)
    found: list[tuple[Parts, Hit | None, ZipMember]] = []
    with opener() as stream:
        free = 2 * stream.seek(0, io.SEEK_END)  # twice, because the last member of a zip that was cut off claims more than is there
        for member in _members_of_zip(stream, reading.limits):
            if isinstance(member, Rejected):
                yield rejected(shown, member.reason, member.offset)
            elif parts := components(member.name):
                hit = sieve.hit(parts)
                if hit or layouts.is_archive(parts[-1]) or layouts.is_image(parts[-1]):
                    found.append((parts, hit, member))
    for parts, hit, member in sorted(found, key=lambda entry: _in_order(entry[0])):
        free -= member.compressed
        if free < 0:
            yield rejected(shown + parts, "its bytes are those of other members too: a bomb, not read")
        elif hit or sieve.is_collection(parts):
            yield from _read_zip_member(opener, shown, parts, hit, member, reading, depth)


def _members_of_zip(stream: BinaryIO, limits: Limits) -> Iterator[ZipMember | Rejected]:
    try:
        yield from zip_members(stream, limits.members)
    except EvidenceError as error:
        yield Rejected(None, f"{error.reason}; its members are looked for by their own headers")
        yield from salvaged_members(stream, stream.seek(0, io.SEEK_END), limits)


def _read_zip_member(
    opener: Opener, shown: Parts, parts: Parts, hit: Hit | None, member: ZipMember, reading: Reading, depth: int
) -> Iterator[File | Rejected]:
    image = None if hit or layouts.is_archive(parts[-1]) else _IMAGE_REASON
    refusal = image or member.refusal or reading.refused(member.size)
    if refusal:
        yield rejected(shown + parts, refusal)
        return

    def member_opener() -> BinaryIO:
        return open_zip_member(opener, member, reading.limits)

    if hit:
        yield reading.file(shown + parts, hit, len(shown), member_opener, member.size, member.modified_at)
    else:
        yield from _read_nested(member_opener, member.size, shown + parts, reading, depth)


def _read_nested(opener: Opener, size: int, shown: Parts, reading: Reading, depth: int) -> Iterator[File | Rejected]:
    """An archive inside an archive, by way of a copy: both its directory and its members need reading in the middle."""
    if depth >= reading.limits.depth:
        yield rejected(shown, f"archives nested deeper than {reading.limits.depth}: not read")
        return
    try:
        with opener() as stream:
            copy = reading.spool.add(stream, size)
    except EvidenceError as error:
        yield rejected(shown, error.reason)
        return
    yield from read_archive(copy, shown, reading, depth + 1)


def _read_cab(opener: Opener, shown: Parts, reading: Reading) -> Iterator[File | Rejected]:
    """Each folder of a cabinet is passed through once, and what matches is copied."""
    found: list[File] = []
    with opener() as stream:
        cabinet = Cabinet(stream, reading.limits)
        folders: dict[int, list[tuple[Parts, Hit | None, CabMember]]] = {}
        for member in cabinet.members():
            if isinstance(member, Rejected):
                yield rejected(shown, member.reason, member.offset)
            elif parts := components(member.name):
                hit = reading.matcher.find(parts)
                if hit or layouts.is_archive(parts[-1]) or layouts.is_image(parts[-1]):
                    folders.setdefault(member.folder, []).append((parts, hit, member))
        for folder, members in sorted(folders.items()):
            data: Forward | None = None
            for parts, hit, member in sorted(members, key=lambda entry: (entry[2].start, entry[0])):
                try:
                    if refusal := (_IN_CABINET if hit is None else member.refusal or reading.refused(member.size)):
                        raise EvidenceError(refusal)
                    data = data or Forward(FolderData(cabinet, folder))  # type: ignore[arg-type]
                    found.append(_copied(data, shown, parts, cast("Hit", hit), member, reading))
                except EvidenceError as error:
                    yield rejected(shown + parts, error.reason)
    yield from sorted(found, key=lambda file: _in_order(tuple(file.path.split("/"))))


def _copied(data: Forward, shown: Parts, parts: Parts, hit: Hit, member: CabMember, reading: Reading) -> File:
    """A file of a cabinet's folder that has been passed through up to here."""
    if member.start < data.position:
        raise EvidenceError("its bytes are those of another member too: not read")
    data.skip(member.start - data.position)
    return reading.file(shown + parts, hit, len(shown), reading.spool.add(data, member.size), member.size, None)


class _Tar:
    """One tar being read: a first pass for what matches, a second for archives and link targets if there are any."""

    def __init__(self, opener: Opener, kind: str, shown: Parts, reading: Reading, depth: int) -> None:
        self._opener, self._kind, self._shown, self._reading, self._depth = opener, kind, shown, reading, depth
        self._sieve = _Sieve(reading.matcher)
        self._links: list[tuple[Parts, Hit, Parts]] = []
        self._archives: list[tuple[Parts, TarMember]] = []
        self._images: list[Parts] = []

    def read(self) -> Iterator[File | Rejected]:
        """Losses as they are met, then the files in the order of their paths, then what nested archives hold."""
        found: list[File] = []
        names: set[Parts] = set()
        for member, stream in self._members():
            if isinstance(member, Rejected):
                yield rejected(self._shown, member.reason, member.offset)
                continue
            parts = components(member.name)
            hit = self._sieve.hit(parts) if parts else None
            if hit and member.link is None:
                names.add(_plain(member.name))
                yield from self._take(found, parts, hit, member, stream)
            elif parts:
                yield from self._put_off(parts, hit, member)
        yield from (rejected(self._shown + parts, _IMAGE_REASON) for parts in self._images if self._sieve.is_collection(parts))
        archives = {_plain(member.name): parts for parts, member in self._archives if self._sieve.is_collection(parts)}
        late = self._second_pass({target for _, _, target in self._links} - names | archives.keys())
        yield from self._follow(found, names, late)
        yield from sorted(found, key=lambda file: _in_order(tuple(file.path.split("/"))))
        for name, parts in sorted(archives.items(), key=lambda entry: _in_order(entry[1])):
            yield from self._read_nested(parts, late.get(name))

    def _members(self) -> Iterator[tuple[TarMember | Rejected, Forward]]:
        with self._opener() as raw:
            plain = self._kind == "tar"
            stream = Forward(raw if plain else cast("BinaryIO", Decompressed(raw, self._kind, self._reading.limits)))
            try:
                for member in tar_members(stream, self._reading.limits.members):
                    yield member, stream
                if not plain:
                    stream.drain()
            except EvidenceError as error:
                doubt = "; what was found in it before may be damaged too" if stream.position > BLOCK_BYTES and not plain else ""
                yield Rejected(stream.position, error.reason + doubt), stream

    def _take(self, found: list[File], parts: Parts, hit: Hit, member: TarMember, stream: Forward) -> Iterator[Rejected]:
        try:
            opener = self._bytes(member, stream)
        except EvidenceError as error:
            yield rejected(self._shown + parts, error.reason)
        else:
            found.append(self._reading.file(self._shown + parts, hit, len(self._shown), opener, member.size, member.modified_at))

    def _bytes(self, member: TarMember, stream: Forward) -> Opener:
        """How to open a member: where it lies, or (compressed) from a copy that is made now, while the stream stands at its bytes."""
        refusal = member.refusal or self._reading.refused(member.size)
        if refusal:
            raise EvidenceError(refusal)
        if self._kind != "tar":
            return self._reading.spool.add(stream, member.size)
        return lambda: io.BufferedReader(Window(self._opener(), member.start, member.size), PIECE_BYTES)

    def _put_off(self, parts: Parts, hit: Hit | None, member: TarMember) -> Iterator[Rejected]:
        """Links wait for their targets, archives and images for the knowledge whether they lie on a host's own drive."""
        if member.link is None:
            if layouts.is_archive(parts[-1]):
                self._archives.append((parts, member))
            elif layouts.is_image(parts[-1]):
                self._images.append(parts)
        elif hit:
            target = _target(member)
            if target is None:
                yield rejected(self._shown + parts, f"link leads out of the archive: `{member.link}`")
            else:
                self._links.append((parts, hit, target))
        elif self._reading.matcher.leads_on(parts):
            yield rejected(self._shown + parts, f"a link to a folder in a tar is not followed: `{member.link}`")

    def _second_pass(self, wanted: set[Parts]) -> dict[Parts, tuple[TarMember, Opener] | str]:
        """For each wanted name that is there: the member and how to open it, or why it cannot be read."""
        late: dict[Parts, tuple[TarMember, Opener] | str] = {}
        for member, stream in self._members() if wanted else ():
            if isinstance(member, TarMember) and (name := _plain(member.name)) in wanted:
                try:
                    late[name] = "a link to a link is not followed" if member.link is not None else (member, self._bytes(member, stream))
                except EvidenceError as error:
                    late[name] = error.reason
        return late

    def _follow(self, found: list[File], names: set[Parts], late: dict[Parts, tuple[TarMember, Opener] | str]) -> Iterator[Rejected]:
        """A link's file once, under the link's name, unless it is found under its own."""
        for parts, hit, target in self._links:
            there = late.get(target, "a link to nothing in the archive")
            if target in names:
                continue
            if isinstance(there, str):
                yield rejected(self._shown + parts, there)
                continue
            names.add(target)
            member, opener = there
            found.append(self._reading.file(self._shown + parts, hit, len(self._shown), opener, member.size, member.modified_at))

    def _read_nested(self, parts: Parts, there: tuple[TarMember, Opener] | str | None) -> Iterator[File | Rejected]:
        if isinstance(there, tuple):
            yield from read_archive(there[1], self._shown + parts, self._reading, self._depth + 1)
        else:
            yield rejected(self._shown + parts, there or "gone from the archive between two passes")


def _plain(name: str) -> Parts:
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _target(member: TarMember) -> Parts | None:
    """The name that a link means: a symbolic one is relative to its own folder, a hard one to the archive; None when it leads out."""
    link = member.link or ""
    parts = list(_plain(member.name)[:-1]) if member.symbolic else []
    for name in link.split("/"):
        if name == ".." and not parts:
            return None
        if name == "..":
            parts.pop()
        elif name not in ("", "."):
            parts.append(name)
    return None if link.startswith("/") else tuple(parts)

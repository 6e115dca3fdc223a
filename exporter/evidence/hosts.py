"""Which files belong to which host, whatever collected them and however they are packed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from exporter.errors import EvidenceError, FormatError
from exporter.evidence import EvidenceFile, Tree, layouts
from exporter.evidence.archive import ArchiveTree, archive_kind
from exporter.evidence.files import File
from exporter.evidence.folder import FolderTree
from exporter.evidence.handles import open_file
from exporter.evidence.images import DEFAULT, Image, ImageOptions
from exporter.evidence.streams import Limits
from exporter.evidence.unread import UNREAD, Unread
from exporter.evidence.uploads import UPLOADS, set_times
from exporter.records import Rejected
from exporter.text import host_name

CLIENT_INFO = "client_info.json"
_LOG_MAGIC = b"ElfFile\0"
_LARGEST_CLIENT_INFO_BYTES = 1 << 20
_LOG = ".evtx"
_DEFENDER_LOG = "microsoft-windows-windows defender%4operational.evtx"
_NAMED_AFTER_HOST = (
    re.compile(r"Collection-(?P<host>.+?)-\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d.*", re.IGNORECASE),
    re.compile(r"(?P<host>.+)-C\.[0-9a-f]{16}.*", re.IGNORECASE),
    re.compile(r"uac-(?P<host>.+)-[a-z]+-\d{14}", re.IGNORECASE),
)
"""How Velociraptor (offline collection, hunt export) and UAC name their output."""

_BASES = ("option", "evtx", "client_info", "collection")

ComputerName: TypeAlias = Callable[[EvidenceFile], str | None]
_Naming: TypeAlias = tuple[str, str]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host and its files, each with the name of the collector that reads it, in the order of their paths.

    `name_basis` is `option`, `evtx`, `client_info` or `collection` (the folder's or archive's name). `roots` are the places in the
    evidence that were taken together. `missing` names collectors that have no file here, `unread` are files of Defender that no collector
    reads, `earlier_clocks` are files that say what local times mean and are not to be read again.
    """

    name: str
    name_basis: str
    roots: tuple[str, ...]
    files: tuple[tuple[str, EvidenceFile], ...]
    missing: tuple[str, ...]
    unread: tuple[Unread, ...] = ()
    earlier_clocks: tuple[tuple[str, EvidenceFile], ...] = ()


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """All hosts, by name, what could not be listed (`excerpt` is evidence name and path), and what is told of disk images."""

    hosts: tuple[Host, ...]
    rejected: tuple[Rejected, ...]
    images: tuple[Image, ...] = ()


class _Root(msgspec.Struct, eq=False):
    """What was found in one place.

    `windows`: at least one file lies where Windows puts it. `floating`: every file matched by its name alone.
    """

    tree: Tree
    prefix: tuple[str, ...]
    files: list[File] = []
    windows: bool = False
    floating: bool = True
    client_info: File | None = None
    naming: _Naming | None = None


def open_tree(path: Path, limits: Limits | None = None, *, images: ImageOptions = DEFAULT) -> Tree:
    """A folder, an archive or disk image (by its content) or one file as a tree; raises EvidenceError."""
    if path.is_file():
        real = path.resolve()
        try:
            if archive_kind(lambda: open_file(real.parent, (real.name,)), real.name) is not None:
                return ArchiveTree(path, limits)
            if (image := _image(real, images)) is not None:
                return image
        except EvidenceError as error:
            raise EvidenceError(error.reason, str(path)) from error
    return FolderTree(path, limits, images=images)


def _image(path: Path, options: ImageOptions) -> Tree | None:
    """A file as a disk image, if it is one; an event log is none, and spares what reads them the import."""
    with open_file(path.parent, (path.name,)) as stream:
        if stream.read(len(_LOG_MAGIC)) == _LOG_MAGIC:
            return None
    from exporter.evidence.images.tree import ImageTree, image_kind

    return None if image_kind(path.parent, (path.name,)) is None else ImageTree(path.parent, (path.name,), options)


def discover(
    trees: Sequence[Tree], tails_by_collector: Mapping[str, Sequence[str]], host: str | None, computer_name: ComputerName
) -> Discovery:
    """Hosts and their files.

    `host` names them all; else the Computer of the newest record of the Defender log (which `computer_name` reads from a file), else
    client_info.json, else the name of the folder or archive.
    """
    collectors: dict[str, list[str]] = {}
    for name, tails in tails_by_collector.items():
        for tail in tails:
            collectors.setdefault(tail, []).append(name)
    rejected: list[Rejected] = []
    roots: list[_Root] = []
    for tree in trees:
        roots += _named(_roots(tree, [*collectors, CLIENT_INFO, UPLOADS, *UNREAD], rejected), host, computer_name)
    return Discovery(
        hosts=tuple(_hosts(roots, collectors, tails_by_collector)),
        rejected=tuple(rejected),
        images=tuple(image for tree in trees for image in tree.images),
    )


def _roots(tree: Tree, tails: Sequence[str], rejected: list[Rejected]) -> list[_Root]:
    files: list[File] = []
    infos: dict[tuple[str, ...], File] = {}
    listings: list[File] = []
    for found in tree.walk(tails):
        if isinstance(found, Rejected):
            rejected.append(msgspec.structs.replace(found, excerpt="/".join(filter(None, (tree.name, found.excerpt)))))
        elif CLIENT_INFO in found.tails:
            infos[_folder(found)] = found
        elif UPLOADS in found.tails:
            listings.append(found)
        else:
            files.append(found)
    rejected += [Rejected(None, reason, "/".join((tree.name, file.path))) for file, reason in set_times(listings, files)]
    roots: dict[tuple[str, ...], _Root] = {}
    drives = {folder[:end] for folder in map(_folder, files) if (end := layouts.drive(folder)) is not None}
    for file in files:
        drive = _drive_of(_folder(file), drives)
        prefix = layouts.collection(_inside(file, file.root)) if drive is None else layouts.without_drive(drive)
        root = roots.setdefault(prefix, _Root(tree, prefix))
        root.files.append(file)
        root.windows = root.windows or drive is not None
        root.floating = root.floating and not any(map(_names_folder, file.tails))
    for folder, file in infos.items():
        below = [root for prefix, root in roots.items() if prefix[: len(folder)] == folder]
        for root in below if len(below) == 1 else (root for root in below if root.prefix == folder):
            root.client_info = file
    return list(roots.values())


def _names_folder(tail: str) -> bool:
    return any(character.isalpha() for character in tail.rpartition("/")[0])


def _folder(file: File) -> tuple[str, ...]:
    return _inside(file, file.path)[:-1]


def _inside(file: File, path: str) -> tuple[str, ...]:
    """The components of a path that belong to the file; without the volume: all volumes of an image are one host's."""
    parts = tuple(filter(None, path.split("/")))
    return parts if file.drive is None else parts[: file.drive] + parts[file.drive + 1 :]


def _drive_of(folder: tuple[str, ...], drives: set[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The innermost drive that a folder lies on: `C/Tools` does where another file shows that `C` is one."""
    return next((folder[:end] for end in range(len(folder), -1, -1) if folder[:end] in drives), None)


def _named(roots: list[_Root], host: str | None, computer_name: ComputerName) -> list[_Root]:
    """The roots of one tree, each with a name; one that holds logs of several computers and nothing that binds them is parted."""
    if host is not None:
        for root in roots:
            root.naming = (host, "option")
        return roots
    parted = [part for root in roots for part in _by_computer(root, computer_name)]
    for root in parted:
        if root.naming is None and root.client_info is not None and (name := _client_name(root.client_info)):
            root.naming = (name, "client_info")
    _share_names(parted)
    for root in parted:
        root.naming = root.naming or (_collection_name(root), "collection")
    return parted


def _by_computer(root: _Root, computer_name: ComputerName) -> Iterator[_Root]:
    """The root named by its Defender log. A bare folder may hold exported logs of several computers: each is then a root of its own."""
    logs: dict[str, list[File]] = {}
    spelling: dict[str, str] = {}
    for file in sorted(filter(_is_log, root.files), key=_likeliest_log):
        name = _computer(file, computer_name)
        if name is not None:
            logs.setdefault(name.casefold(), []).append(file)
            spelling.setdefault(name.casefold(), name)
            if root.windows:
                break
    if len(logs) == 1:
        root.naming = (next(iter(spelling.values())), "evtx")
    elif logs:
        for name, files in logs.items():
            yield _Root(root.tree, root.prefix, files, naming=(spelling[name], "evtx"))
        root.files = [file for file in root.files if all(file not in files for files in logs.values())]
    if root.files:
        yield root


def _is_log(file: File) -> bool:
    return file.path.casefold().endswith(_LOG) or f"*{_LOG}" in file.tails


def _likeliest_log(file: File) -> tuple[bool, bool, str]:
    path = file.path.casefold()
    return "windows.old" in path, not path.endswith(_DEFENDER_LOG), path


def _computer(file: File, computer_name: ComputerName) -> str | None:
    try:
        return _clean(computer_name(file))
    except (EvidenceError, FormatError):
        return None


def _client_name(file: File) -> str | None:
    """The host name of a Velociraptor client_info.json, whose keys vary with its version; only ever a label."""
    import json

    try:
        with file.open() as stream:
            content = json.loads(stream.read(_LARGEST_CLIENT_INFO_BYTES))
    except (EvidenceError, ValueError, RecursionError):
        return None
    places = [content, *(content.get(key) for key in ("os_info", "OsInfo"))] if isinstance(content, dict) else []
    names = [place.get(key) for place in places if isinstance(place, dict) for key in ("hostname", "Hostname", "HostName")]
    return next((name for name in map(_clean, names) if name), None)


def _clean(name: object) -> str | None:
    return host_name(name) if isinstance(name, str) else None


def _share_names(roots: Sequence[_Root]) -> None:
    """A bare folder without a name takes that of the one named root around it, or else below it.

    (A folder may hold `Quarantine/` and `logs/x.evtx` side by side.) Files found by their name alone go with the only name there is.
    """
    at: dict[tuple[str, ...], _Naming] = {}
    beneath: dict[tuple[str, ...], dict[str, _Naming]] = {(): {}}
    for root in roots:
        if root.naming is not None:
            at[root.prefix] = root.naming
            for end in range(len(root.prefix) + 1):
                beneath.setdefault(root.prefix[:end], {})[root.naming[0].casefold()] = root.naming
    for root in roots:
        if root.naming is None and not root.windows:
            around = next((root.prefix[:end] for end in range(len(root.prefix), -1, -1) if root.prefix[:end] in at), root.prefix)
            known = beneath.get(around, {}) or (beneath[()] if root.floating else {})
            root.naming = next(iter(known.values())) if len(known) == 1 else None


def _collection_name(root: _Root) -> str:
    name = layouts.without_suffix(root.prefix[-1] if root.prefix else layouts.telling_name(root.tree.above) or root.tree.name)
    matches = (pattern.fullmatch(name) for pattern in _NAMED_AFTER_HOST)
    return next((match["host"] for match in matches if match), name)


def _hosts(roots: Sequence[_Root], collectors: Mapping[str, Sequence[str]], names: Mapping[str, object]) -> Iterator[Host]:
    together: dict[str, list[_Root]] = {}
    for root in roots:
        assert root.naming is not None
        together.setdefault(root.naming[0].casefold(), []).append(root)
    for _, members in sorted(together.items()):
        files = sorted((file for root in members for file in root.files), key=lambda file: (file.evidence, file.path.casefold(), file.path))
        read_by = [
            (name, file) for file in files for name in dict.fromkeys(name for tail in file.tails for name in collectors.get(tail, ()))
        ]
        read = {id(file) for _, file in read_by}
        unread = {file.path: Unread(file.path, UNREAD[file.tails[0]], file.size) for file in files if id(file) not in read}
        assert members[0].naming is not None
        yield Host(
            name=members[0].naming[0],
            name_basis=min((root.naming[1] for root in members if root.naming), key=_BASES.index),
            roots=tuple(sorted({"/".join((root.tree.name, *root.prefix)) for root in members})),
            files=tuple(read_by),
            missing=tuple(name for name in names if name not in {name for name, _ in read_by}),
            unread=tuple(unread.values()),
        )

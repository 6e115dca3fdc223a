"""Small evidence trees for tests: folders, zips and tars from a mapping of path to bytes, and what a folder looks like from outside."""

import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from exporter.evidence import Tree
from exporter.evidence.files import File
from exporter.records import Rejected

GUID = "{80008A1B-0000-0000-7065-3EA2B161B275}"
DEFENDER = "ProgramData/Microsoft/Windows Defender"
ENTRY = f"{DEFENDER}/Quarantine/Entries/{GUID}"
MPLOG = f"{DEFENDER}/Support/MPLog-20240305-120000.log"
LOG = "Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx"
DRIVE = {ENTRY: b"entry", MPLOG: b"mplog", LOG: b"log"}
TAILS = ("quarantine/entries/*", "windows defender/support/mplog-*.log", "*.evtx")
COLLECTORS = {"quarantine": TAILS[:1], "mplog": TAILS[1:2], "evtx": TAILS[2:]}


def below(prefix: str, files: Mapping[str, bytes] = DRIVE) -> dict[str, bytes]:
    """The same files under a prefix."""
    return {f"{prefix}/{path}": data for path, data in files.items()}


def folder(root: Path, files: Mapping[str, bytes] = DRIVE) -> Path:
    """A folder with these files."""
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return root


def zipped(files: Mapping[str, bytes] = DRIVE, method: int = zipfile.ZIP_DEFLATED, extra: bytes = b"", comment: bytes = b"") -> bytes:
    """A zip with these members, names as given (backslashes, climbing and all)."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.comment = comment
        for path, data in files.items():
            member = zipfile.ZipInfo(path, (2024, 3, 5, 12, 0, 0))
            member.compress_type, member.extra = method, extra
            archive.writestr(member, data)
    return target.getvalue()


def tarred(files: Mapping[str, bytes] = DRIVE, mode: str = "w", links: Iterable[tuple[str, str, bytes]] = (), **options: object) -> bytes:
    """A tar with these members, then links as (name, target, type)."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode, **options) as archive:  # type: ignore[call-overload]
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(data), 1_700_000_000
            archive.addfile(member, io.BytesIO(data))
        for path, link, kind in links:
            member = tarfile.TarInfo(path)
            member.type, member.linkname = kind, link
            archive.addfile(member)
    return target.getvalue()


def write(path: Path, data: bytes) -> Path:
    """The path, with these bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def walked(tree: Tree, tails: Iterable[str] = TAILS) -> tuple[dict[str, bytes], list[Rejected]]:
    """Path and content of what a tree finds, and its losses; the tree is closed."""
    found = list(tree.walk(tuple(tails)))
    files = [file for file in found if isinstance(file, File)]
    contents = {file.path: content(file) for file in files}
    assert len(contents) == len(files), "one path found twice"
    tree.close()
    return contents, [loss for loss in found if isinstance(loss, Rejected)]


def content(file: File) -> bytes:
    """All of a file."""
    with file.open() as stream:
        return stream.read()


def appearance(root: Path) -> list[tuple[object, ...]]:
    """Names, types, sizes, times and digests of everything below a folder, or of one file."""
    paths = [root, *sorted(root.rglob("*"))] if root.is_dir() else [root]
    return [_appearance(path) for path in paths]


def _appearance(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    regular = path.is_file() and not path.is_symlink()
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if regular else ""
    target = str(path.readlink()) if path.is_symlink() else ""
    return str(path), status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, digest, target


def unix_time_extra(seconds: int) -> bytes:
    """Info-ZIP's extra field with a modification time."""
    return struct.pack("<HHBi", 0x5455, 5, 1, seconds)


def ntfs_time_extra(ticks: int) -> bytes:
    """The NTFS extra field with a modification time."""
    return struct.pack("<HHIHHQQQ", 0x000A, 32, 0, 1, 24, ticks, 0, 0)

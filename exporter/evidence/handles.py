"""Opening files and folders read-only beneath a root, without ever following a link: the only module that opens evidence.

Where the system can open a name relative to an open folder (Linux, macOS), each step is opened with O_NOFOLLOW from the one before, so
that nothing swapped in meanwhile leads out. Elsewhere (Windows) paths are opened and checked before and after.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from exporter.errors import EvidenceError
from exporter.evidence.streams import PIECE_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

RELATIVE = {os.open, os.stat, os.readlink} <= os.supports_dir_fd and os.scandir in os.supports_fd and hasattr(os, "O_NOFOLLOW")
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FILE = _READ | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_FOLDER = _READ | getattr(os, "O_DIRECTORY", 0)
_NO_ACCESS_TIME = getattr(os, "O_NOATIME", 0)
_LINK_TAGS = (0xA000000C, 0xA0000003)
"""Reparse tags of Windows: symbolic link, junction. Others (deduplicated, cloud) are ordinary files."""


class Folder(Protocol):
    """An open folder. All methods raise OSError."""

    def entries(self) -> Iterator["os.DirEntry[str]"]: ...
    def status(self, name: str) -> os.stat_result: ...
    def target(self, name: str) -> str: ...
    def enter(self, name: str) -> "Folder": ...
    def open(self, name: str) -> int: ...
    def close(self) -> None: ...


def is_link(status: os.stat_result) -> bool:
    """True for a symbolic link and for a junction."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) in _LINK_TAGS


def open_folder(root: Path, below: Sequence[str] = ()) -> Folder:
    """A folder beneath `root`, by its names as the system knows them; raises OSError."""
    folder: Folder = _Descriptor(_open(os.fspath(root), _FOLDER)) if RELATIVE else _Named(_long(root), _long(root))
    for name in below:
        outer = folder
        try:
            folder = outer.enter(name)
        finally:
            outer.close()
    return folder


def open_file(root: Path, below: Sequence[str]) -> BinaryIO:
    """A regular file beneath `root`, read-only; raises EvidenceError for anything else, then and while it is read."""
    return io.BufferedReader(open_raw(root, below), PIECE_BYTES)


def open_raw(root: Path, below: Sequence[str]) -> "RawFile":
    """The same without a buffer, for who reads here and there."""
    try:
        folder = open_folder(root, below[:-1])
        try:
            return RawFile(folder.open(below[-1]))
        finally:
            folder.close()
    except OSError as error:
        raise EvidenceError(f"cannot be opened: {reason(error)}") from error


def reason(error: OSError) -> str:
    """What the system says, in words that do not depend on where the evidence lies."""
    if error.errno == errno.ELOOP:
        return "a link stands where a file or folder was"
    return error.strerror or type(error).__name__


class RawFile(io.FileIO):
    """A file whose failing disk or share is an EvidenceError."""

    @property
    def size(self) -> int:
        """In bytes, as it is now."""
        return os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(-1 if size is None else size) or b""
        except OSError as error:
            raise EvidenceError(f"cannot be read: {reason(error)}") from error

    def readinto(self, buffer: "WriteableBuffer") -> int:
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise EvidenceError(f"cannot be read: {reason(error)}") from error

    def readall(self) -> bytes:
        try:
            return super().readall() or b""
        except OSError as error:
            raise EvidenceError(f"cannot be read: {reason(error)}") from error


class _Descriptor:
    """A folder as an open descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def entries(self) -> Iterator["os.DirEntry[str]"]:
        with os.scandir(self._descriptor) as entries:
            yield from entries

    def status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)

    def target(self, name: str) -> str:
        return os.readlink(name, dir_fd=self._descriptor)

    def enter(self, name: str) -> "Folder":
        return _Descriptor(_open(name, _FOLDER, self._descriptor))

    def open(self, name: str) -> int:
        return _regular(name, self.status(name), self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class _Named:
    """A folder as a path, for systems without relative opening: what is opened is checked to lie beneath the root."""

    def __init__(self, path: str, root: str) -> None:
        self._path, self._root = path, root
        self._check(path)

    def entries(self) -> Iterator["os.DirEntry[str]"]:
        with os.scandir(self._path) as entries:
            yield from entries

    def status(self, name: str) -> os.stat_result:
        return os.lstat(os.path.join(self._path, name))  # noqa: PTH118

    def target(self, name: str) -> str:
        return os.readlink(os.path.join(self._path, name)).removeprefix("\\\\?\\")  # noqa: PTH115, PTH118

    def enter(self, name: str) -> "Folder":
        if is_link(self.status(name)):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return _Named(os.path.join(self._path, name), self._root)  # noqa: PTH118

    def open(self, name: str) -> int:
        path = os.path.join(self._path, name)  # noqa: PTH118
        descriptor = _regular(path, self.status(name))
        try:
            self._check(path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _check(self, path: str) -> None:
        root = os.path.realpath(self._root)
        if os.path.commonpath([os.path.realpath(path), root]) != root:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    def close(self) -> None:
        """Nothing is held."""


def _regular(name: str, before: os.stat_result, folder: int | None = None) -> int:
    """A descriptor of a file that is regular before it is opened (a device or FIFO is never touched) and the same afterwards."""
    if is_link(before):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EINVAL, f"not a regular file but {kind(before)}")
    descriptor = _open(name, _FILE, folder)
    after = os.fstat(descriptor)
    if not stat.S_ISREG(after.st_mode) or after.st_ino != before.st_ino:
        os.close(descriptor)
        raise OSError(errno.ESTALE, "exchanged for another file while it was opened")
    return descriptor


def kind(status: os.stat_result) -> str:
    """What something that is no regular file is, in words."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a device")


def _open(name: str, flags: int, folder: int | None = None) -> int:
    """Opens without touching the access time where that is permitted (to the file's owner and root)."""
    if _NO_ACCESS_TIME:
        try:
            return os.open(name, flags | _NO_ACCESS_TIME, dir_fd=folder)
        except PermissionError:
            pass
    return os.open(name, flags, dir_fd=folder)


def _long(path: Path) -> str:
    r"""Windows opens paths beyond 260 characters only behind `\\?\`; other systems take the path as it is."""
    text = os.path.abspath(path)  # noqa: PTH100
    if os.name != "nt" or text.startswith("\\\\?\\"):
        return text
    return f"\\\\?\\UNC\\{text[2:]}" if text.startswith("\\\\") else f"\\\\?\\{text}"

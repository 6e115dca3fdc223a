"""Where the bytes of a sink go: a file that appears only when it is complete, or a stream (C12)."""

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO, Protocol

from exporter.errors import ReaderGone, SinkRefused, SinkUnavailable

_BUFFER_SIZE = 1 << 16


class Output(Protocol):
    """A place for bytes. `commit` returns the paths that appeared, `abort` leaves nothing under a final name."""

    def open(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def flush(self) -> None: ...
    def commit(self) -> list[str]: ...
    def abort(self) -> None: ...


def output_for(target: str, force: bool) -> Output:
    """A stream for `-`, devices and named pipes, else a file. Nothing is opened yet."""
    path = Path(target)
    special = target == "-" or (path.exists() and not path.is_file() and not path.is_dir())
    return Stream(target) if special else PartFile(path, force)


def refuse_existing(path: Path, force: bool) -> None:
    """Raise SinkRefused when `path` exists, unless a regular file may be replaced."""
    if path.is_dir():
        raise SinkRefused(f"`{path}` is a folder")
    if not force and os.path.lexists(path):
        raise SinkRefused(f"`{path}` exists: choose another name, or replace it with --force")


class _Buffered:
    """What is open, and how it fails."""

    _file: BinaryIO | None = None

    def flush(self) -> None:
        """Hand what is buffered to the system, or to the reader."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                raise self._failed(error) from error

    def _failed(self, error: OSError) -> Exception:
        raise NotImplementedError


class PartFile(_Buffered):
    """Written as `<name>.part` (mode 0600), flushed to the disk, then renamed.

    A `.part` file that an earlier run left is replaced. Should two runs write the same name at once, the one whose `.part` file was
    replaced notices that at the end and is refused.
    """

    def __init__(self, path: Path, force: bool) -> None:
        self.path = path
        self._force = force
        self._part = path.with_name(f"{path.name}.part")

    def open(self) -> None:
        """Create the `.part` file, once. Raises SinkRefused when that is not possible or the final name exists."""
        if self._file is not None:
            return
        refuse_existing(self.path, self._force)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._part.unlink(missing_ok=True)
            self._file = os.fdopen(os.open(self._part, flags, 0o600), "wb", buffering=_BUFFER_SIZE)
        except OSError as error:
            raise SinkRefused(f"`{self._part}` cannot be created: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """Raises SinkUnavailable when the disk is full or fails."""
        self.open()
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def commit(self) -> list[str]:
        """Make the file appear under its name, complete and on the disk."""
        self.open()
        self.flush()
        assert self._file is not None
        try:
            os.fsync(self._file.fileno())
            if not self._is_ours():
                raise SinkRefused(f"`{self._part}` was replaced: another run writes to the same target")
            self._file.close()
            _rename(self._part, self.path, self._force)
        except OSError as error:
            raise self._failed(error) from error
        _sync_folder(self.path.parent)
        return [str(self.path)]

    def abort(self) -> None:
        """Remove the `.part` file, if it is ours."""
        if self._file is None:
            return
        ours = not self._file.closed and self._is_ours()
        with contextlib.suppress(OSError):
            self._file.close()
        if ours:
            self._part.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        assert self._file is not None
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._part.lstat())
        except OSError:
            return False

    def _failed(self, error: OSError) -> SinkUnavailable:
        return SinkUnavailable(f"`{self._part}` cannot be written: {error.strerror}")


class Stream(_Buffered):
    """Standard output (`-`), a device or a named pipe: nothing to rename, nothing to take back."""

    def __init__(self, target: str) -> None:
        self._target = target

    def open(self) -> None:
        """Raises SinkRefused when there is nothing to write to."""
        if self._file is not None:
            return
        try:
            if self._target == "-":
                self._file = sys.stdout.buffer
            else:
                self._file = Path(self._target).open("wb")  # noqa: SIM115 (closed by `commit` and `abort`)
        except (OSError, AttributeError) as error:  # without a console, Python's stdout is None
            raise SinkRefused(f"`{self._target}` cannot be opened for writing") from error

    def write(self, data: bytes) -> None:
        """Raises ReaderGone when nobody reads any more, SinkUnavailable for other troubles."""
        self.open()
        assert self._file is not None
        rest = memoryview(data)
        try:
            while rest:  # an unbuffered stdout (PYTHONUNBUFFERED) may take a part only, as it does when its reader goes away
                taken: int | None = self._file.write(rest)
                if taken is None:
                    raise BlockingIOError(errno.EAGAIN, "it takes nothing now, and cannot be waited for")
                rest = rest[taken:]
        except OSError as error:
            raise self._failed(error) from error

    def commit(self) -> list[str]:
        """Flush; a stream is no path that could be reported."""
        self.open()
        self.flush()
        if self._target != "-" and self._file is not None:
            self._file.close()
        return []

    def abort(self) -> None:
        """What was written stays written."""
        if self._target != "-" and self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _failed(self, error: OSError) -> ReaderGone | SinkUnavailable:
        if self._target == "-":
            _discard_standard_output()
        if error.errno in (errno.EPIPE, errno.EINVAL):  # Windows says EINVAL
            return ReaderGone(f"nobody reads `{self._target}` any more")
        return SinkUnavailable(f"`{self._target}` cannot be written: {error.strerror}")


def _discard_standard_output() -> None:
    """Point it at nothing: Python flushes it at exit, and would complain once more about the same broken pipe."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _rename(part: Path, target: Path, force: bool) -> None:
    """Give `part` its final name; without `force` never over a file that appeared meanwhile."""
    if force:
        part.replace(target)
        return
    try:
        os.link(part, target)
    except FileExistsError:
        raise SinkRefused(f"`{target}` appeared while it was written") from None
    except (OSError, NotImplementedError, AttributeError):  # no hard links here: what remains is a look before the rename
        refuse_existing(target, force)
        part.rename(target)
    else:
        part.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where a folder can be opened for that (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

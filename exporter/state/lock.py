"""One run at a time for each state folder.

The lock is a transaction of SQLite on a file of its own: the system drops it when the process ends, however it ends, so nothing stale can
be left and nothing has to be taken over. SQLite knows how to lock on every platform.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from exporter.errors import ConfigurationError, LockHeld

FILE_NAME = "lock.sqlite"
_BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))


class Lock:
    """Held from the start until `release`, or as a context. Raises LockHeld at once, without waiting."""

    def __init__(self, folder: Path) -> None:
        path = folder / FILE_NAME
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
            self._connection.execute("BEGIN EXCLUSIVE")
        except OSError as error:
            raise ConfigurationError(f"`{path}` cannot be opened: {error.strerror}") from error
        except sqlite3.OperationalError as error:
            self._connection.close()
            if error.sqlite_errorcode in _BUSY:
                raise LockHeld(f"another run holds the lock of `{folder}`") from error
            raise ConfigurationError(f"`{path}` cannot be locked: {error}") from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ConfigurationError(f"`{path}` is not the lock of a state folder: {error}") from error

    def release(self) -> None:
        """Let the next run in."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

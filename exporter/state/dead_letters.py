"""Everything that was lost, one JSON object per line: what a person reads and what `replay` sends again (sink-contracts E23).

The file appears with the first loss and has its final name from the start: after a crash it is the account of what was lost until then,
so each line is handed to the system at once, whole. Evidence cannot speak through it: excerpts are short and escaped, and characters
that a terminal would obey stand as JSON escapes.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from exporter.errors import SinkRefused, SinkUnavailable
from exporter.records import DeadLetter
from exporter.text import clean, json_visible, printable
from exporter.times import from_unix_ns, iso

EXCERPT_CHARACTERS = 200
_FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class DeadLetters:
    """Writes the file. `clock` gives the ticks of `ts`, which `reproducible` leaves out.

    An earlier run's file is refused (SinkRefused), removed with `force`, continued with `append`: at once, so that it is never taken for
    this run's.
    """

    def __init__(
        self, path: Path, *, force: bool = False, append: bool = False, reproducible: bool = False, clock: Callable[[], int] | None = None
    ) -> None:
        self.path = path
        self._append_to_old = append
        self._clock = None if reproducible else clock or _wall_clock
        self._descriptor: int | None = None
        self.count = 0
        if not append and os.path.lexists(path):
            self._remove_old(force)

    def write(
        self, letter: DeadLetter, *, sink: str = "", index: str = "", document_id: str = "", status: int | None = None, error_type: str = ""
    ) -> None:
        """Append one loss; the keyword arguments are what a sink knows of it. Raises SinkRefused or SinkUnavailable."""
        facts: dict[str, Any] = {
            "ts": iso(self._clock()) if self._clock else None,
            "stage": letter.stage,
            "sink": sink,
            "index": index,
            "id": document_id,
            "status": status,
            "error_type": error_type,
            "error_reason": letter.reason,
            "source": letter.source,
            "host": letter.host,
            "collector": letter.collector,
            "offset": letter.offset,
            "number": letter.number,
            "units": letter.units if letter.units != 1 else None,
            "excerpt": excerpt(letter.excerpt),
        }
        present = {name: clean(value) if isinstance(value, str) else value for name, value in facts.items() if value not in (None, "")}
        line = orjson.dumps(present).decode()
        if letter.document is not None:
            line = f'{line[:-1]},"document":{bytes(letter.document).decode("utf-8", "replace").strip()}}}'
        self._append(f"{json_visible(line)}\n".encode())
        self.count += 1

    def close(self) -> str | None:
        """Bring the file to the disk; its path, or None when nothing was lost."""
        if self._descriptor is None:
            return None
        with contextlib.suppress(OSError):  # not every file system can; the lines are with the system already
            os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None
        return str(self.path)

    def _remove_old(self, force: bool) -> None:
        if not force:
            raise SinkRefused(f"`{self.path}` exists: choose another name, or replace it with --force")
        try:
            self.path.unlink()
        except OSError as error:
            raise SinkRefused(f"`{self.path}` cannot be replaced: {error.strerror}") from error

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = self._open()
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError as error:
            raise SinkUnavailable(f"`{self.path}` cannot be written: {error.strerror}") from error

    def _open(self) -> int:
        """A new file, mode 0600, or the old one to append to: behind the half line that a crash may have left."""
        try:
            if not self._append_to_old:
                return os.open(self.path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            torn = _is_torn(self.path)
            descriptor = os.open(self.path, _FLAGS | os.O_CREAT, 0o600)
            if torn:
                os.write(descriptor, b"\n")
            return descriptor
        except OSError as error:
            raise SinkRefused(f"`{self.path}` cannot be opened for writing: {error.strerror}") from error


def excerpt(text: str) -> str:
    """The beginning of `text`, with everything invisible escaped."""
    return printable(text[:EXCERPT_CHARACTERS]) + ("…" if len(text) > EXCERPT_CHARACTERS else "")


def _is_torn(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _wall_clock() -> int:
    return from_unix_ns(time.time_ns())

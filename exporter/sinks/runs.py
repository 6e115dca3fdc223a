"""Sorting more lines than fit in memory: sorted runs in temporary files, merged at the end.

A record in memory and in a run is `key + line + length of the key (4 bytes)`: bytes that sort by key and then by line, one object each.
In a run its length (4 bytes, big-endian) stands before it. The order depends on nothing but keys and lines, so the result is the same
however the lines arrive. No key and no line may be the beginning of another: keys are of fixed-size parts and texts that end in NUL, lines
end in LF.
"""

import contextlib
import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO

import msgspec

from exporter.errors import SinkUnavailable

MEMORY_BYTES = 64 << 20
"""What the lines held in memory may take, with their objects."""
FAN_IN = 32
"""Runs of one level before they become one of the next: 2 GiB in the first, 64 GiB in the second, with at most 64 files open."""
_OBJECT_BYTES = 64
SAVED_FAN_IN = 64
"""Saved runs that are read at once."""
_SAVED_BUFFER = 1 << 16
_FILE_BUFFER = 1 << 18


class Saved(msgspec.Struct, frozen=True):
    """A run in a file of its own: how many lines it has, and their bytes without the keys."""

    path: Path
    lines: int
    size: int


class SortedRuns:
    """Takes lines with their keys in any order and gives the lines back sorted. The temporary files have no name, or vanish with us."""

    def __init__(self, folder: Path | None, memory_bytes: int = MEMORY_BYTES, fan_in: int = FAN_IN) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._fan_in = fan_in
        self._records: list[bytes] = []
        self._used = 0
        self._levels: list[list[IO[bytes]]] = []
        self.count = 0
        self.size = 0

    def add(self, key: bytes, line: bytes) -> None:
        """Take one line. Raises SinkUnavailable when the disk of the temporary files is full."""
        record = b"%b%b%b" % (key, line, len(key).to_bytes(4, "big"))
        self._records.append(record)
        self.count += 1
        self.size += len(line)
        self._used += len(record) + _OBJECT_BYTES
        if self._used > self._memory_bytes:
            self._spill()

    def take(self, saved: Sequence[Saved]) -> None:
        """Take saved runs too, with a bounded number of open files. Raises SinkUnavailable when one cannot be read, or the disk is full."""
        few = len(saved) <= SAVED_FAN_IN
        for start in range(0, len(saved), SAVED_FAN_IN):
            with contextlib.ExitStack() as opened, _room(self._folder):
                files: list[IO[bytes]] = [
                    opened.enter_context(run.path.open("rb", buffering=_SAVED_BUFFER)) for run in saved[start : start + SAVED_FAN_IN]
                ]
                if few:
                    self._levels.append(files)
                    opened.pop_all()
                else:
                    self._add_run(0, heapq.merge(*map(_read, files)))
        self.count += sum(run.lines for run in saved)
        self.size += sum(run.size for run in saved)

    def lines(self) -> Iterator[bytes]:
        """All lines in order; once, after the last `add`."""
        for record in self._sorted():
            yield record[int.from_bytes(record[-4:], "big") : -4]

    def save(self, path: Path) -> Saved:
        """Write all lines with their keys as one run, flushed to the disk; once, after the last `add`. Raises SinkUnavailable."""
        with _room(path.parent), path.open("xb", buffering=_FILE_BUFFER) as file:
            file.writelines(_framed(self._sorted()))
            file.flush()
            os.fsync(file.fileno())
        return Saved(path, self.count, self.size)

    def _sorted(self) -> Iterable[bytes]:
        self._records.sort()
        files = list(chain.from_iterable(self._levels))
        return heapq.merge(self._records, *map(_read, files)) if files else self._records

    def close(self) -> None:
        """Give up memory and temporary files."""
        self._records.clear()
        for file in chain.from_iterable(self._levels):
            file.close()
        self._levels.clear()

    def _spill(self) -> None:
        self._records.sort()
        with _room(self._folder):
            self._add_run(0, self._records)
        self._records.clear()
        self._used = 0

    def _add_run(self, level: int, records: Iterable[bytes]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        file = tempfile.TemporaryFile(buffering=_FILE_BUFFER, dir=self._folder)  # noqa: SIM115 (closed by `close` or after merging)
        runs = self._levels[level]
        runs.append(file)
        file.writelines(_framed(records))
        file.flush()
        if len(runs) == self._fan_in:
            self._add_run(level + 1, heapq.merge(*map(_read, runs)))
            for run in runs:
                run.close()
            runs.clear()


@contextlib.contextmanager
def _room(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkUnavailable(f"the timeline cannot be sorted in `{folder or tempfile.gettempdir()}`: {error.strerror}") from error


def _framed(records: Iterable[bytes]) -> Iterator[bytes]:
    return chain.from_iterable((len(record).to_bytes(4, "big"), record) for record in records)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while length := file.read(4):
        yield file.read(int.from_bytes(length, "big"))

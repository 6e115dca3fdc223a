"""Sorting more lines than fit in memory: sorted runs in temporary files, merged at the end.

A record in memory and in a run is `key + line + length of the key (4 bytes)`: bytes that sort by key and then by line, one object each.
In a run its length (4 bytes, big-endian) stands before it. The order depends on nothing but keys and lines, so the result is the same
however the lines arrive. No key and no line may be the beginning of another: keys are of fixed-size parts and texts that end in NUL, lines
end in LF.
"""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from exporter.errors import SinkUnavailable

MEMORY_BYTES = 64 << 20
"""What the lines held in memory may take, with their objects."""
FAN_IN = 32
"""Runs of one level before they become one of the next: 2 GiB in the first, 64 GiB in the second, with at most 64 files open."""
_OBJECT_BYTES = 64
_FILE_BUFFER = 1 << 18


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

    def lines(self) -> Iterator[bytes]:
        """All lines in order; once, after the last `add`."""
        self._records.sort()
        files = list(chain.from_iterable(self._levels))
        for record in heapq.merge(self._records, *map(_read, files)) if files else self._records:
            yield record[int.from_bytes(record[-4:], "big") : -4]

    def close(self) -> None:
        """Give up memory and temporary files."""
        self._records.clear()
        for file in chain.from_iterable(self._levels):
            file.close()
        self._levels.clear()

    def _spill(self) -> None:
        self._records.sort()
        try:
            self._add_run(0, self._records)
        except OSError as error:
            raise SinkUnavailable(f"no room to sort the timeline in `{self._folder or tempfile.gettempdir()}`: {error.strerror}") from error
        self._records.clear()
        self._used = 0

    def _add_run(self, level: int, records: Iterable[bytes]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        file = tempfile.TemporaryFile(buffering=_FILE_BUFFER, dir=self._folder)  # noqa: SIM115 (closed by `close` or after merging)
        runs = self._levels[level]
        runs.append(file)
        file.writelines(chain.from_iterable((len(record).to_bytes(4, "big"), record) for record in records))
        file.flush()
        if len(runs) == self._fan_in:
            self._add_run(level + 1, heapq.merge(*map(_read, runs)))
            for run in runs:
                run.close()
            runs.clear()


def _read(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while length := file.read(4):
        yield file.read(int.from_bytes(length, "big"))

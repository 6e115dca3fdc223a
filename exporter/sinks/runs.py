"""Sorts lines with bounded memory: sorted runs in temporary files, merged at the end.

A line is kept as one object, `key + line + length of the key` (4 bytes, big-endian), and sorted as such: half the memory of an object each.
The order depends on nothing but keys and lines, so the result is the same however the lines arrive. No key and no line may be the
beginning of another: keys are of fixed-size parts and texts that end in NUL, lines end in LF.

Most lines come nearly in order, as logs are written. What goes on where the newest run ends is appended to it, so a log of any size is one
run, and there is nothing to merge. A run is a file of blocks: the number of records, their sizes (8 bytes each), the records.
"""

import contextlib
import sys
import tempfile
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import IO

import msgspec

from exporter.errors import SinkUnavailable
from exporter.sinks.checked import CheckedFile

MEMORY_BYTES = 2 << 20
"""What the lines held in memory may take, with their objects."""
FAN_IN = 32
"""Runs of one level before they become one of the next: at least 64 MiB in the first, 2 GiB in the second, and at most 96 files open."""
SAVED_FAN_IN = 64
"""Saved runs that are read at once."""
_BLOCK_BYTES = 1 << 16
_OBJECT_BYTES = 64
_FILE_BUFFER = 1 << 12


class Saved(msgspec.Struct, frozen=True):
    """A run in a file of its own: how many lines it has, their bytes without the keys, and the CRC-32 of the file."""

    path: Path
    lines: int
    size: int
    checksum: int = 0


class SortedRuns:
    """Takes lines with their keys in any order and gives the lines back sorted. The temporary files have no name, or vanish with us."""

    def __init__(self, folder: Path | None, memory_bytes: int = MEMORY_BYTES, fan_in: int = FAN_IN) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._fan_in = fan_in
        self._records: list[bytes] = []
        self._used = 0
        self._levels: list[list[_Run]] = [[]]
        self._saved: list[_Run] = []
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
                files = [opened.enter_context(run.path.open("rb", buffering=_FILE_BUFFER)) for run in saved[start : start + SAVED_FAN_IN]]
                runs = [_Run(file) for file in files]
                if few:
                    self._saved += runs
                    opened.pop_all()
                else:
                    self._add_run(0, runs)
        self.count += sum(run.lines for run in saved)
        self.size += sum(run.size for run in saved)

    def lines(self) -> Iterator[bytes]:
        """All lines in order; once, after the last `add`."""
        for block in self._sorted():
            for record in block:
                yield record[int.from_bytes(record[-4:], "big") : -4]

    def save(self, path: Path) -> Saved:
        """Write all lines with their keys as one run; once, after the last `add`. Raises SinkUnavailable."""
        file = CheckedFile(path)
        try:
            for data in chain.from_iterable(map(_encoded, self._sorted())):
                file.write(data)
            file.commit()
        finally:
            file.abort()
        return Saved(path, self.count, self.size, file.checksum)

    def _sorted(self) -> Iterator[list[bytes]]:
        self._records.sort()
        return _merged([iter([self._records]), *(run.blocks() for run in chain(*self._levels, self._saved))])

    def close(self) -> None:
        """Give up memory and temporary files."""
        self._records.clear()
        for run in chain(*self._levels, self._saved):
            with contextlib.suppress(OSError):  # what a full disk did not take is tried again here
                run.file.close()
        self._levels, self._saved = [[]], []

    def _spill(self) -> None:
        """To the newest run what goes on where it ends, if that is the greater part: the rest waits. Else all to a run of its own."""
        records, runs = self._records, self._levels[0]
        records.sort()
        late = bisect_left(records, runs[-1].last) if runs else len(records)
        with _room(self._folder):
            if 2 * late > len(records):
                self._add_run(0, ())
                late = 0
            runs[-1].extend(records[late:])
        del records[late:]
        self._used = sum(map(len, records)) + len(records) * _OBJECT_BYTES

    def _add_run(self, level: int, parts: Sequence["_Run"]) -> None:
        """A run made of others; before the level has too many, they become one of the next."""
        if level == len(self._levels):
            self._levels.append([])
        runs = self._levels[level]
        if len(runs) == self._fan_in:
            self._add_run(level + 1, runs)
            for run in runs:
                run.file.close()
            runs.clear()
        runs.append(_Run(tempfile.TemporaryFile(buffering=_FILE_BUFFER, dir=self._folder)))  # noqa: SIM115 (closed by `close` or after merging)
        for block in _merged(run.blocks() for run in parts):
            runs[-1].extend(block)


class _Run:
    """A sorted file; `last` is the greatest record that was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.last = b""

    def extend(self, records: list[bytes]) -> None:
        """Write records that are not below `last`."""
        for data in _encoded(records):
            self.file.write(data)
        self.last = records[-1] if records else self.last
        self.file.flush()

    def blocks(self) -> Iterator[list[bytes]]:
        """The records, from the first one."""
        self.file.seek(0)
        while count := self.file.read(8):
            sizes = _numbers(array("Q", self.file.read(8 * int.from_bytes(count, "little"))))
            ends = list(accumulate(sizes, initial=0))
            data = self.file.read(ends[-1])
            yield [data[start:end] for start, end in pairwise(ends)]


def _encoded(records: list[bytes]) -> Iterator[bytes]:
    """Records as blocks."""
    start, size = 0, 0
    for end, record in enumerate(records, 1):
        size += len(record)
        if size >= _BLOCK_BYTES or end == len(records):
            block = records[start:end]
            yield b"".join((_numbers(array("Q", (len(block), *map(len, block)))).tobytes(), *block))
            start, size = end, 0


def _numbers(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


@contextlib.contextmanager
def _room(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkUnavailable(f"the timeline cannot be sorted in `{folder or tempfile.gettempdir()}`: {error.strerror}") from error


def _merged(runs: Iterable[Iterator[list[bytes]]]) -> Iterator[list[bytes]]:
    """Sorted lists of records one after the other.

    Of every run as much is taken as lies below the end of the block that ends first, and sorted: that is quicker than one record at a time,
    as `heapq.merge` does it, and blocks that meet no other are passed on as they are.
    """
    heads = [(block, run) for run in runs if (block := next(run, []))]
    while heads:
        bound = min(block[-1] for block, _ in heads)
        taken: list[bytes] = []
        following = []
        for block, run in heads:
            end = bisect_right(block, bound) if block[0] <= bound else 0
            taken += block[:end]
            if rest := block[end:] or next(run, []):
                following.append((rest, run))
        heads = following
        taken.sort()
        yield taken

"""Sorts lines with bounded memory: sorted runs in temporary files, merged at the end.

The order depends on nothing but keys and lines, so the result is the same however the lines arrive.

Most lines come nearly in order, as logs are written. What goes on where the newest run ends is appended to it, so a log of any size is one
run, and there is nothing to merge. A run is a file of blocks: the number of lines, the sizes of their keys and their own (8 bytes each),
the keys, the lines. A block that meets no other is passed on as it is, without a look at its lines.
"""

import contextlib
import sys
import tempfile
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import IO, TypeAlias

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
_OBJECT_BYTES = 160
"""What a line takes besides its bytes: a tuple and two objects."""
_FILE_BUFFER = 1 << 12
_Pair: TypeAlias = tuple[bytes, bytes]
"""A key and its line."""


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
        self._pairs: list[_Pair] = []
        self._used = 0
        self._levels: list[list[_Run]] = [[]]
        self._saved: list[_Run] = []
        self.count = 0
        self.size = 0

    def add(self, key: bytes, line: bytes) -> None:
        """Take one line. Raises SinkUnavailable when the disk of the temporary files is full."""
        self.add_all([(key, line)])

    def add_all(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """Take a few lines with their keys."""
        self._pairs += pairs
        sizes = [*map(len, chain.from_iterable(pairs))]
        self.count += len(pairs)
        self.size += sum(sizes[1::2])
        self._used += sum(sizes) + len(pairs) * _OBJECT_BYTES
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

    def pieces(self) -> Iterator[bytes]:
        """All lines in order, many at once; once, after the last `add`."""
        for block in self._sorted():
            yield block.lines

    def lines(self) -> Iterator[bytes]:
        """The same, one by one."""
        return chain.from_iterable(block.each() for block in self._sorted())

    def blocks(self) -> Iterator["Block"]:
        """The same, many at once, with their number."""
        return self._sorted()

    def save(self, path: Path) -> Saved:
        """Write all lines with their keys as one run; once, after the last `add`. Raises SinkUnavailable."""
        file = CheckedFile(path)
        try:
            for block in self._sorted():
                for part in block.encoded:
                    file.write(part)
            file.commit()
        finally:
            file.abort()
        return Saved(path, self.count, self.size, file.checksum)

    def _sorted(self) -> Iterator["Block"]:
        self._pairs.sort()
        return _merged([_blocks(self._pairs), *(run.blocks() for run in chain(*self._levels, self._saved))])

    def close(self) -> None:
        """Give up memory and temporary files."""
        self._pairs.clear()
        for run in chain(*self._levels, self._saved):
            with contextlib.suppress(OSError):  # what a full disk did not take is tried again here
                run.file.close()
        self._levels, self._saved = [[]], []

    def _spill(self) -> None:
        """To the newest run what goes on where it ends, if that is the greater part: the rest waits. Else all to a run of its own."""
        pairs, runs = self._pairs, self._levels[0]
        pairs.sort()
        late = bisect_left(pairs, runs[-1].last) if runs else len(pairs)
        with _room(self._folder):
            if 2 * late > len(pairs):
                self._add_run(0, ())
                late = 0
            runs[-1].extend(_blocks(pairs[late:]))
        del pairs[late:]
        self._used = sum(len(key) + len(line) + _OBJECT_BYTES for key, line in pairs)

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
        runs[-1].extend(_merged(run.blocks() for run in parts))


class Block:
    """Some sorted lines with their keys: one by one, as `packed` lies in a file (sizes, keys, lines), or both."""

    __slots__ = ("_packed", "_pairs")

    def __init__(self, packed: "tuple[array[int], bytes, bytes] | None", pairs: list[_Pair] | None = None) -> None:
        self._packed = packed
        self._pairs = pairs

    @property
    def pairs(self) -> list[_Pair]:
        """The lines one by one."""
        if self._pairs is None:
            assert self._packed is not None
            count, (sizes, keys, lines) = len(self), self._packed
            self._pairs = list(zip(_cut(keys, sizes[:count]), _cut(lines, sizes[count:]), strict=True))
        return self._pairs

    @property
    def lines(self) -> bytes:
        """The lines without their keys."""
        return b"".join(self.each()) if self._packed is None else self._packed[2]

    def __len__(self) -> int:
        return len(self.pairs) if self._packed is None else len(self._packed[0]) // 2

    def each(self) -> list[bytes]:
        """The same one by one."""
        return [line for _, line in self.pairs]

    @property
    def first(self) -> _Pair:
        if self._packed is None:
            return self.pairs[0]
        sizes, keys, lines = self._packed
        return keys[: sizes[0]], lines[: sizes[len(self)]]

    @property
    def last(self) -> _Pair:
        if self._packed is None:
            return self.pairs[-1]
        sizes, keys, lines = self._packed
        return keys[len(keys) - sizes[len(self) - 1] :], lines[len(lines) - sizes[-1] :]

    @property
    def encoded(self) -> tuple[bytes, bytes]:
        """As it lies in a file: what comes before the lines, and these."""
        sizes, keys, lines = self._packed or _packed(self.pairs)
        return _numbers(array("Q", (len(self), *sizes))).tobytes() + keys, lines


def _packed(pairs: list[_Pair]) -> "tuple[array[int], bytes, bytes]":
    keys, lines = zip(*pairs, strict=True)
    return array("Q", (*map(len, keys), *map(len, lines))), b"".join(keys), b"".join(lines)


def _blocks(pairs: list[_Pair]) -> Iterator[Block]:
    """Sorted lines in blocks, none of them empty."""
    start, size = 0, 0
    for end, (_, line) in enumerate(pairs, 1):
        size += len(line)
        if size >= _BLOCK_BYTES or end == len(pairs):
            yield Block(None, pairs[start:end])
            start, size = end, 0


def _cut(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    for start, end in pairwise(accumulate(sizes, initial=0)):
        yield data[start:end]


class _Run:
    """A sorted file; `last` is the greatest line that was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.last = (b"", b"")

    def extend(self, blocks: Iterable[Block]) -> None:
        """Write blocks that are not below `last`."""
        for block in blocks:
            self.file.writelines(block.encoded)
            self.last = block.last
        self.file.flush()

    def blocks(self) -> Iterator[Block]:
        """What was written, from the first block."""
        self.file.seek(0)
        while head := self.file.read(8):
            count = int.from_bytes(head, "little")
            sizes = _numbers(array("Q", self.file.read(16 * count)))
            yield Block((sizes, self.file.read(sum(sizes[:count])), self.file.read(sum(sizes[count:]))))


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


class _Head:
    """The block of a run that is next, from line `start` on."""

    __slots__ = ("block", "first", "last", "run", "start")

    def __init__(self, block: Block, run: Iterator[Block]) -> None:
        self.block, self.run, self.start = block, run, 0
        self.first, self.last = block.first, block.last

    def below(self, bound: _Pair) -> list[_Pair]:
        """Take the lines up to `bound`."""
        pairs, start = self.block.pairs, self.start
        self.start = end = bisect_right(pairs, bound, start)
        if end < len(pairs):
            self.first = pairs[end]
        return pairs[start:end]

    def rest(self) -> "_Head | None":
        """Itself, while it has lines; then the next of the run, if there is one."""
        if self.start < len(self.block):
            return self
        block = next(self.run, None)
        return None if block is None else _Head(block, self.run)


def _merged(runs: Iterable[Iterator[Block]]) -> Iterator[Block]:
    """Sorted blocks one after the other.

    Of every run as much is taken as lies below the end of the block that ends first, and sorted: that is quicker than one line at a time,
    as `heapq.merge` does it, and blocks that meet no other are passed on as they are. Blocks do not grow by being merged: of every run that
    is merged later one is in memory.
    """
    heads = [_Head(block, run) for run in runs if (block := next(run, None))]
    while heads:
        bound = min(head.last for head in heads)
        meeting = [head for head in heads if head.first <= bound]
        if len(meeting) == 1 and not meeting[0].start:
            meeting[0].start = len(meeting[0].block)
            yield meeting[0].block
        else:
            yield from _blocks(sorted(chain.from_iterable(head.below(bound) for head in meeting)))
        heads = [rest for head in heads if (rest := head.rest())]

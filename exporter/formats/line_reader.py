"""What the readers of Defender's text logs have in common: how a log begins, what is lost of it, how it ends."""

from collections import defaultdict
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from exporter.formats.text_lines import Chunk, TextLines
from exporter.records import Item, Rejected, Tally

UNTERMINATED = "the file ends before the line does"


class LineReader:
    """The items of one log. A subclass reads the lines of a chunk, in `_chunk`, and closes in `_close` what is open.

    `_counts` are lines that were left alone, by kind; `_number` is that of the line that was read last, from 1; `_known` becomes True with
    the first line that only such a log has.
    """

    log: ClassVar[str]
    """What the file should be, with its article."""

    def __init__(self, lines: TextLines) -> None:
        self._lines = lines
        self._counts: dict[str, int] = defaultdict(int)
        self._number = 0
        self._known = False

    def items(self) -> Iterator[Item]:
        """Records and losses in the order of the file, then the Tally in lines."""
        for chunk in self._lines:
            if isinstance(chunk, Chunk):
                yield from self._chunk(chunk)
                continue
            yield from self._close("a line that cannot be read")
            self._number += chunk.units
            self._known = True
            yield msgspec.structs.replace(chunk, number=self._number if chunk.units else None)
        yield from self._close("the file ends")
        if self._lines.size == 0:
            yield Rejected(0, "an empty file", units=0)
        elif self._lines.seen and self._is_foreign():
            yield Rejected(0, f"no line of this file is one of {self.log}", units=0)
        yield Tally(self._lines.seen, dict(self._counts))

    def _chunk(self, chunk: Chunk) -> Iterator[Item]:
        raise NotImplementedError

    def _close(self, why: str) -> Iterator[Item]:
        """What is open, which ends because of `why`."""
        yield from ()

    def _is_foreign(self) -> bool:
        """True where the file seems to be something else."""
        return not self._known

    def _behind_zeros(self, text: str, chunk: Chunk, index: int, number: int) -> tuple[str, int, list[Rejected]]:
        """A line without the NULs it begins with (what a power failure leaves), how many bytes these take, and their loss, if any.

        The loss is one of a unit where nothing is left of the line.
        """
        rest = text.lstrip("\0")
        zeros = len(text) - len(rest)
        if not zeros:
            return text, 0, []
        self._known = True
        reason = f"{zeros} NUL characters instead of text"
        lost = Rejected(chunk.offset(index), reason, units=0 if rest else 1, number=number)
        return rest, zeros * len(self._lines.encode("\0")), [lost]

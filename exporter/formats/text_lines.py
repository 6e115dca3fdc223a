"""Lines of a text log of any size: decoded in blocks, each with its byte offset, and its raw bytes again when asked for.

Encodings: UTF-16LE with or without the mark `FF FE`, else UTF-8 with or without `EF BB BF`. Undecodable bytes become lone surrogates, so
that `encode` gives back every byte as it was read. A line ends at LF; a CR before it belongs to the terminator.
"""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from exporter.records import Rejected

BLOCK_SIZE = 1 << 20
"""Bytes read at a time."""
LINE_LIMIT = 1 << 20
"""Characters; a longer line is rejected, so memory stays bounded whatever the file holds."""
_SAMPLE = 4096
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF8, "utf-8"))
_ERRORS = {"utf-16-le": "surrogatepass", "utf-8": "surrogateescape"}


class Chunk:
    """Whole lines without their LF. `complete` is False for the last line of a file that does not end with a line end."""

    __slots__ = ("_at", "_counted", "_lines", "complete", "texts")

    def __init__(self, lines: "TextLines", texts: list[str], offset: int, complete: bool = True) -> None:
        self.texts = texts
        self.complete = complete
        self._lines = lines
        self._at = offset
        self._counted = 0

    def offset(self, index: int) -> int:
        """The byte offset of line `index`; ask in rising order (the bytes of every line are counted once)."""
        if index > self._counted:
            between = self.texts[self._counted : index]
            self._at += len(self._lines.encode("\n".join(between) + "\n"))
            self._counted = index
        return self._at


class TextLines:
    """The lines of a stream as chunks; `seen` counts them and `size` the bytes read so far."""

    def __init__(self, stream: BinaryIO) -> None:
        self.seen = 0
        self.size = 0
        self.codec = "utf-8"
        self._stream = stream
        self._carry = ""
        self._offset = 0
        self._dropping = False

    def encode(self, text: str) -> bytes:
        """The bytes that `text` was decoded from."""
        return text.encode(self.codec, _ERRORS[self.codec])

    def __iter__(self) -> Iterator[Chunk | Rejected]:
        """Chunks in file order; a Rejected stands for a line above the limit, or for half a code unit at the end."""
        block = self._head()
        mark, self.codec = _encoding(block)
        decoder = codecs.getincrementaldecoder(self.codec)(_ERRORS[self.codec])
        self.size, self._offset = len(block), len(mark)
        block = block[len(mark) :]
        while block:
            text = decoder.decode(block)
            yield from self._split(text, self.size - len(decoder.getstate()[0]))
            block = self._stream.read(BLOCK_SIZE)
            self.size += len(block)
        yield from self._end(decoder.getstate()[0])

    def _head(self) -> bytes:
        """The first block: enough to tell the encoding even where a stream gives less than asked for."""
        head = self._stream.read(BLOCK_SIZE)
        while 0 < len(head) < _SAMPLE and (more := self._stream.read(_SAMPLE)):
            head += more
        return head

    def _split(self, text: str, end: int) -> Iterator[Chunk | Rejected]:
        """The lines that end in `text`, which ends at byte `end`; the rest is carried over."""
        self.seen += text.count("\n")
        lines = (self._carry + text).split("\n")
        self._carry = lines.pop()
        start, self._offset = self._offset, end - len(self.encode(self._carry))
        if lines and (self._dropping or len(lines[0]) > LINE_LIMIT):
            if not self._dropping:
                yield _too_long(lines[0], start)
            self._dropping = False
            start += len(self.encode(lines.pop(0) + "\n"))
        if lines:
            yield Chunk(self, lines, start)
        if self._dropping or len(self._carry) > LINE_LIMIT:
            if not self._dropping:
                yield _too_long(self._carry, self._offset)
            self._carry, self._offset, self._dropping = "", end, True

    def _end(self, pending: bytes) -> Iterator[Chunk | Rejected]:
        """What stands after the last line end."""
        half = len(pending) % 2 if self.codec == "utf-16-le" else 0
        rest = self._carry + pending[: len(pending) - half].decode(self.codec, _ERRORS[self.codec])
        if rest or self._dropping:
            self.seen += 1
        if len(rest) > LINE_LIMIT and not self._dropping:
            yield _too_long(rest, self._offset)
        elif rest and not self._dropping:
            yield Chunk(self, [rest], self._offset, complete=False)
        if half:
            yield Rejected(self.size - 1, "the file ends in half a UTF-16 code unit", units=0)


def _encoding(head: bytes) -> tuple[bytes, str]:
    """Mark and codec. Without a mark the text is UTF-16LE when its high bytes are mostly zero and its low bytes are not."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return mark, codec
    low, high = head[:_SAMPLE:2], head[1:_SAMPLE:2]
    return b"", "utf-16-le" if high.count(0) * 2 > len(high) and low.count(0) * 2 < len(low) else "utf-8"


def _too_long(text: str, offset: int) -> Rejected:
    return Rejected(offset, f"a line of more than {LINE_LIMIT} characters", text[:80])

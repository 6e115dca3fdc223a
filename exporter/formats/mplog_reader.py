"""One pass over an MPLog: each line is looked at once, told by its prefix (`mplog_kinds`), and counted, read, or given to a block."""

import hashlib
import re
from collections.abc import Iterator

import msgspec

from exporter.errors import FormatError
from exporter.formats import mplog_kinds as kinds
from exporter.formats.line_reader import UNTERMINATED, LineReader
from exporter.formats.mplog_actions import ActionsBlock
from exporter.formats.mplog_blocks import CHARACTERS_LIMIT, LINES_LIMIT, Block, Step
from exporter.formats.mplog_clock import NO_HINTS, STAMP, Clock
from exporter.formats.mplog_lines import detection, detection_lacking
from exporter.formats.mplog_records import Session
from exporter.formats.mplog_scan import ScanBlock, scan_type
from exporter.formats.mplog_session import SessionBlock, with_shutdown
from exporter.formats.text_lines import Chunk, TextLines
from exporter.formats.time_zone import ClockHints
from exporter.records import Item, Parsed, Rejected

_LOUD = kinds.DETECTIONS | kinds.BLOCKS | frozenset(kinds.COUNTED_BLOCKS) | {kinds.DAMAGED}
"""Kinds that need more than a count."""
_INSIDE = frozenset((kinds.OTHER, kinds.BLANK, kinds.ROW, kinds.DETAIL, kinds.SESSION_DETAIL))
"""Kinds that do not end an open block by themselves."""
_FOREIGN = frozenset((kinds.OTHER, kinds.BLANK, kinds.ROW))
"""All that a file with another content has."""
_AFTER_HEADER = 16
"""Lines in which a session's shutdown flag may follow its header."""


class _Line(msgspec.Struct, frozen=True):
    """One line and where it stands; `message` is `text` without stamp, tag and terminator."""

    text: str
    stamp: re.Match[str] | None
    message: str
    kind: str
    chunk: Chunk
    index: int
    number: int
    incomplete: str | None
    shift: int = 0

    def offset(self) -> int:
        """In bytes; worth asking only for a line that begins something (see `Chunk.offset`)."""
        return self.chunk.offset(self.index) + self.shift


class _Open(msgspec.Struct):
    """The block that is open, and its lines as found."""

    kind: str
    block: Block
    offset: int
    number: int
    texts: list[str]
    incomplete: str | None = None
    characters: int = 0

    def full(self) -> bool:
        return len(self.texts) >= LINES_LIMIT or self.characters > CHARACTERS_LIMIT


class Reader(LineReader):
    """The items of one log."""

    log = "a protection log"

    def __init__(self, lines: TextLines, hints: ClockHints = NO_HINTS) -> None:
        super().__init__(lines)
        self._clock = Clock(hints)
        self._open: _Open | None = None
        self._inside: str | None = None
        self._held: Parsed | None = None

    def _is_foreign(self) -> bool:
        return not self._known and self._clock.stamp is None and self._counts.keys() <= _FOREIGN

    def _chunk(self, chunk: Chunk) -> Iterator[Item]:
        counts, clock, match, kind_of = self._counts, self._clock, STAMP.match, kinds.kind_of
        first = self._number + 1
        self._number += len(chunk.texts)
        for index, text in enumerate(chunk.texts):
            stamp = match(text)
            kind = kind_of(text if stamp is None else text[stamp.end() :])
            if kind in _LOUD or self._open is not None or self._held is not None:
                cut = None if chunk.complete else UNTERMINATED
                yield from self._loud(_line(text, chunk, index, first + index, cut))
                continue
            if self._inside is not None:
                if stamp is None and kind in _INSIDE:
                    self._count_inside(self._inside, text)
                    continue
                self._inside = None
            counts[kind] += 1
            if stamp is not None:
                clock.stamp = stamp

    def _loud(self, line: _Line) -> Iterator[Item]:
        """A line that needs more than a count, or that stands where one could."""
        if self._held is not None:
            yield from self._after_header(self._held, line)
        if self._open is not None:
            step = self._feed(self._open, line)
            if step is Step.MORE:
                return
            yield from self._end_block("it is too long" if self._open.full() else "another record begins")
            if step is Step.LAST:
                return
            if self._held is not None:
                yield from self._after_header(self._held, line)
        self._inside = None
        if line.stamp is not None:
            self._clock.stamp = line.stamp
        yield from self._begin(line)

    def _begin(self, line: _Line) -> Iterator[Item]:
        """A line that belongs to no block that is open."""
        if line.kind in kinds.DETECTIONS:
            yield self._detection(line)
        elif line.kind in kinds.BLOCKS:
            self._known = True
            self._open = _Open(line.kind, _block(line), line.offset(), line.number, [line.text], line.incomplete)
        elif line.kind == kinds.DAMAGED:
            yield from self._zeros(line)
        else:
            self._counts[line.kind] += 1
            end = kinds.COUNTED_BLOCKS.get(line.kind)
            self._inside = line.kind if end and end not in line.message else None

    def _detection(self, line: _Line) -> Item:
        self._known = True
        logged_at, basis = self._clock.of_line(line.stamp is not None)
        try:
            payload = detection(line.kind, line.message, logged_at, basis, self._clock.session_offset)
        except FormatError as error:
            return Rejected(line.offset(), error.reason, line.text[:80].rstrip(), number=line.number)
        incomplete = line.incomplete or detection_lacking(payload)
        return Parsed(payload, line.offset(), self._hash([line.text]), number=line.number, incomplete=incomplete)

    def _zeros(self, line: _Line) -> Iterator[Item]:
        """NULs where text should be (what a power failure leaves): a loss by themselves, text after them is read."""
        rest, shift, lost = self._behind_zeros(line.text, line.chunk, line.index, line.number)
        yield from lost
        if rest:
            yield from self._loud(_line(rest, line.chunk, line.index, line.number, line.incomplete, shift))

    def _feed(self, opened: _Open, line: _Line) -> Step:
        """Give the line to the open block, if it can be one of its own."""
        own = line.kind in _INSIDE or (line.kind == kinds.SESSION == opened.kind and not kinds.is_session_title(line.message))
        if line.stamp is not None or not own or opened.full():
            return Step.FOREIGN
        step = opened.block.feed(line.message, line.kind)
        if step is not Step.FOREIGN:
            opened.texts.append(line.text)
            opened.characters += len(line.text)
            opened.incomplete = line.incomplete
        return step

    def _count_inside(self, kind: str, text: str) -> None:
        """A line inside a block that is only counted; it may be the last."""
        self._counts[kind] += 1
        if kinds.COUNTED_BLOCKS[kind] in text:
            self._inside = None

    def _close(self, why: str) -> Iterator[Item]:
        yield from self._end_block(why)
        yield from self._release()

    def _end_block(self, why: str) -> Iterator[Item]:
        """The open block as a record; `why` it ends, for one that should not have ended yet."""
        opened, self._open = self._open, None
        if opened is None:
            return
        lacking = opened.block.lacking()
        payload = opened.block.payload(self._clock)
        if payload is None:
            reason = f"a block that says nothing: {why}"
            yield Rejected(opened.offset, reason, opened.texts[0][:80].rstrip(), units=len(opened.texts), number=opened.number)
            return
        parsed = Parsed(
            payload,
            opened.offset,
            self._hash(opened.texts),
            units=len(opened.texts),
            number=opened.number,
            incomplete=f"{lacking}: {why}" if lacking else opened.incomplete,
        )
        if isinstance(payload, Session):
            self._held = parsed
        else:
            yield parsed

    def _after_header(self, held: Parsed, line: _Line) -> Iterator[Item]:
        """Look for the shutdown flag of the session that is held back for it."""
        assert isinstance(held.payload, Session)
        assert held.number is not None
        if line.kind in (kinds.UNEXPECTED_STOP, kinds.SERVICE_START):
            self._held = msgspec.structs.replace(held, payload=with_shutdown(held.payload, line.message, line.kind))
        if line.kind in _LOUD or line.kind == kinds.SERVICE_START or line.number - held.number > held.units + _AFTER_HEADER:
            yield from self._release()

    def _release(self) -> Iterator[Item]:
        held, self._held = self._held, None
        if held is not None:
            yield held

    def _hash(self, texts: list[str]) -> str:
        return hashlib.sha256(self._lines.encode("\n".join(texts).removesuffix("\r"))).hexdigest()


def _line(text: str, chunk: Chunk, index: int, number: int, incomplete: str | None, shift: int = 0) -> _Line:
    stamp = STAMP.match(text)
    message = text if stamp is None else text[stamp.end() :]
    kind = kinds.kind_of(message)
    message = kinds.untagged(message).removesuffix("\r")
    if (kind == kinds.SCAN and scan_type(message) is None) or (kind == kinds.DAMAGED and stamp is not None):
        kind = kinds.OTHER
    return _Line(text, stamp, message, kind, chunk, index, number, incomplete, shift)


def _block(line: _Line) -> Block:
    if line.kind == kinds.SESSION:
        return SessionBlock(line.message)
    return ActionsBlock() if line.kind == kinds.ACTIONS else ScanBlock(scan_type(line.message) or "")

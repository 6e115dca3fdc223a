r"""MpCmdRun.log: what the command line tool of Defender was called for, in the temporary folder of whoever called it (formats-logs.md 1.3).

    ------------------------------------------------------------------------- (85 in most logs)
    MpCmdRun: Command Line: "C:\…\MpCmdRun.exe" -Scan …
     Start Time: <local, localized>                                            (not in every run)
    …
    MpCmdRun.exe: hr = 0x80508023.                                             (the result, not in every run)
    MpCmdRun: End Time: <local, localized>                                     (not in every run)
    -------------------------------------------------------------------------

Mostly UTF-16LE, with or without a mark. Times are local and name no offset; see `local_dates` and `time_zone`. Everything between is
kept as the run's output. Two runs at once write into one log and cannot be told apart: where a run begins before another has ended, the
earlier one says so, and an end without a run is counted as such. Why a run has no end, the log does not say.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

from exporter.formats.line_reader import UNTERMINATED, LineReader
from exporter.formats.local_dates import wall_clock_ticks, without_marks
from exporter.formats.text_lines import Chunk, TextLines
from exporter.formats.time_zone import ClockHints
from exporter.records import Item, Parsed, Payload
from exporter.times import TICKS_PER_SECOND

_COMMAND = "MpCmdRun: Command Line:"
_START = "Start Time:"
_END = "MpCmdRun: End Time:"
_ERROR = "ERROR:"
_ROW = re.compile("-{20,}")
_RESULT = re.compile(r"(?:MpCmdRun\.exe: |CmdTool: Failed with )hr = 0x([0-9A-Fa-f]{1,8})\b")
_CODE = re.compile(r"\bhr ?= ?0x([0-9A-Fa-f]{1,8})\b")
_PROGRAM = re.compile(r'\s*(?:"([^"]*)"|(\S+))\s*(\S*)')
MOST_LINES = 64
MOST_CHARACTERS = 500
MOST_CODES = 32
"""What is kept of a run's output: lines, characters of each, distinct codes. `output_lines` counts all lines."""
NO_HINTS = ClockHints()


class MpCmdRun(Payload, frozen=True, kw_only=True):
    """One run. `started_at` and `ended_at` are None while the month or the UTC offset is unknown; the texts stay in `…_local`.

    `logged_at` is the run's own time, else that of the run before it; `time_basis` says which: `run`, `previous_run`, `none`.
    `utc_offset` is in minutes; for `utc_offset_basis` see `ClockHints`. `command` is the first argument. `result` is the HRESULT that the
    tool ended with, `codes` are all that it wrote, in order. `ended`: an end time was written.
    """

    kind: ClassVar[str] = "mpcmdrun_command"
    command_line: str
    executable: str | None = None
    command: str | None = None
    logged_at: int | None = None
    time_basis: str = "run"
    started_at: int | None = None
    ended_at: int | None = None
    started_local: str | None = None
    ended_local: str | None = None
    utc_offset: int | None = None
    utc_offset_basis: str | None = None
    ended: bool = False
    result: int | None = None
    codes: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    output_lines: int = 0


def parse_mpcmdrun(stream: BinaryIO, hints: ClockHints = NO_HINTS) -> Iterator[Item]:
    """The runs, what could not be read, and a Tally in lines.

    `raw_hash` is that of all lines of the run without the last one's terminator, `number` that of its first line, from 1. `hints` say what
    the local times mean. Memory is bounded by the limits here and in `text_lines`, however long a run's output is.
    """
    return _Reader(TextLines(stream), hints).items()


class _Run:
    """A run that is being read."""

    def __init__(self, text: str, offset: int, number: int, lines: TextLines) -> None:
        self.offset, self.number, self.units = offset, number, 0
        self.command_line = text.removeprefix(_COMMAND).strip()
        self.started: str | None = None
        self.ended: str | None = None
        self.result: int | None = None
        self.codes: dict[int, None] = {}
        self.errors: list[str] = []
        self.output: list[str] = []
        self.output_lines = 0
        self._lines, self._hash, self._last = lines, hashlib.sha256(), ""
        self._take(text)

    def take(self, text: str) -> None:
        """The next of its lines."""
        self._take("\n" + text)
        message = text.strip()
        if not message:
            return
        if message.startswith(_START) and self.started is None and not self.output_lines:
            self.started = message.removeprefix(_START).strip()
        elif message.startswith(_END):
            self.ended = message.removeprefix(_END).strip()
        else:
            self._output(message)

    def _take(self, text: str) -> None:
        self.units += 1
        self._hash.update(self._lines.encode(self._last))
        self._last = text

    def _output(self, message: str) -> None:
        self.output_lines += 1
        if result := _RESULT.match(message):
            self.result = int(result[1], 16)
        for code in _CODE.findall(message[:MOST_CHARACTERS]):
            if len(self.codes) < MOST_CODES:
                self.codes[int(code, 16)] = None
        if message.startswith(_ERROR) and len(self.errors) < MOST_LINES:
            self.errors.append(message.removeprefix(_ERROR).strip()[:MOST_CHARACTERS])
        if len(self.output) < MOST_LINES:
            self.output.append(message[:MOST_CHARACTERS])

    def parsed(self, hints: ClockHints, before: int | None, lacking: str | None) -> Parsed:
        """`before` is the time of the run before it."""
        self._hash.update(self._lines.encode(self._last.removesuffix("\r")))
        started, ended = wall_clock_ticks(self.started or ""), wall_clock_ticks(self.ended or "")
        local = ended if started is None else started
        offset, basis = (None, None) if local is None else hints.offset_of(local)
        started_at, ended_at = _utc(started, offset), _utc(ended, offset)
        own = ended_at if started_at is None else started_at
        program = _PROGRAM.match(self.command_line)
        payload = MpCmdRun(
            command_line=self.command_line,
            executable=(program[1] or program[2]) if program else None,
            command=(program[3] or None) if program else None,
            logged_at=before if own is None else own,
            time_basis="run" if own is not None else "none" if before is None else "previous_run",
            started_at=started_at,
            ended_at=ended_at,
            started_local=_shown(self.started),
            ended_local=_shown(self.ended),
            utc_offset=offset,
            utc_offset_basis=basis,
            ended=self.ended is not None,
            result=self.result,
            codes=tuple(self.codes),
            errors=tuple(self.errors),
            output=tuple(self.output),
            output_lines=self.output_lines,
        )
        incomplete = lacking or (None if self.command_line else "no command line")
        return Parsed(payload, self.offset, self._hash.hexdigest(), units=self.units, number=self.number, incomplete=incomplete)


class _Reader(LineReader):
    """The items of one log."""

    log = "an MpCmdRun log"

    def __init__(self, lines: TextLines, hints: ClockHints) -> None:
        super().__init__(lines)
        self._hints = hints
        self._run: _Run | None = None
        self._before: int | None = None

    def _chunk(self, chunk: Chunk) -> Iterator[Item]:
        for index, text in enumerate(chunk.texts):
            self._number += 1
            rest, shift, lost = self._behind_zeros(text, chunk, index, self._number)
            if lost:
                yield from self._close("NUL characters instead of text")
                yield from lost
            if rest or not lost:
                yield from self._line(rest, chunk, index, shift)

    def _line(self, text: str, chunk: Chunk, index: int, shift: int) -> Iterator[Item]:
        message = text.strip()
        if message.startswith(_COMMAND):
            yield from self._close("another run begins")
            self._run = _Run(text, chunk.offset(index) + shift, self._number, self._lines)
        elif self._run is None or _ROW.fullmatch(message):
            yield from self._close(None)
            self._count(message)
            return
        else:
            self._run.take(text)
        if not chunk.complete:
            yield from self._close(UNTERMINATED)
        elif self._run.ended is not None:
            yield from self._close(None)

    def _count(self, message: str) -> None:
        kind = "row" if _ROW.fullmatch(message) else "end_without_run" if message.startswith(_END) else "other" if message else "blank"
        self._known = self._known or kind == "end_without_run"
        self._counts[kind] += 1

    def _close(self, why: str | None) -> Iterator[Item]:
        """The run that is open; `why` it ends, where that is not its own doing."""
        run, self._run = self._run, None
        if run is None:
            return
        self._known = True
        parsed = run.parsed(self._hints, self._before, why and f"no end of the run: {why}")
        assert isinstance(parsed.payload, MpCmdRun)
        self._before = parsed.payload.ended_at or parsed.payload.started_at or self._before
        yield parsed


def _utc(local: int | None, offset: int | None) -> int | None:
    return None if local is None or offset is None else local - offset * 60 * TICKS_PER_SECOND


def _shown(local: str | None) -> str | None:
    return None if local is None else without_marks(local) or None

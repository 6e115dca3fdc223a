"""A log of MpCmdRun with known contents: runs between rows of dashes, with local times in the words of a language.

UTF-16LE without a mark and CRLF, U+200E around the parts of dates, as Windows writes them. The same runs give the same bytes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporter.times import TICKS_PER_SECOND, iso

PROGRAM = "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.26010.5-0\\MpCmdRun.exe"
_ROW = "-" * 85
_ENGLISH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_SPANISH = ["ene.", "feb.", "mar.", "abr.", "may.", "jun.", "jul.", "ago.", "sep.", "oct.", "nov.", "dic."]
MONTHS: dict[str, Callable[[int], str]] = {
    "en": lambda month: _ENGLISH[month - 1],
    "es": lambda month: _SPANISH[month - 1],
    "ko": lambda month: f"{month}월",
}
_DAYS = {"en": "Tue", "es": "mar.", "ko": "화"}


class CommandRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run; times are ticks in UTC and are written with the offset, in minutes, and in the language. None: the log does not say it."""

    arguments: str
    started_at: int | None = None
    ended_at: int | None = None
    utc_offset_minutes: int = 0
    language: str = "en"
    program: str = PROGRAM
    output: Sequence[str] = ("MpEnsureProcessMitigationPolicy: hr = 0x1",)
    result: int | None = None


def write_mpcmdrun(path: Path, runs: Sequence[CommandRun]) -> dict[str, Any]:
    """Write the log and return what is in it: `size` in bytes, `lines`, and `records` with byte offset, lines and command line."""
    data = bytearray()
    records: list[dict[str, Any]] = []
    count = 0
    for run in runs:
        data += _encoded([_ROW])
        lines = _lines(run)
        records.append({"offset": len(data), "lines": len(lines), "command_line": f'"{run.program}" {run.arguments}'})
        data += _encoded([*lines, _ROW, "", ""])
        count += len(lines) + 4
    path.write_bytes(data)
    return {"size": len(data), "lines": count, "records": records}


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-16-le", "surrogatepass")


def _lines(run: CommandRun) -> list[str]:
    lines = [f'MpCmdRun: Command Line: "{run.program}" {run.arguments}']
    if run.started_at is not None:
        lines.append(f" Start Time: {_local(run.started_at, run)}")
    lines += ["", *run.output]
    if run.result is not None:
        lines.append(f"MpCmdRun.exe: hr = 0x{run.result:x}.")
    if run.ended_at is not None:
        lines.append(f"MpCmdRun: End Time: {_local(run.ended_at, run)}")
    return lines


def _local(ticks: int, run: CommandRun) -> str:
    """`<weekday> <month> <day> <year> HH:MM:SS`; the weekday is always the same one, as nobody reads it."""
    text = iso(ticks + run.utc_offset_minutes * 60 * TICKS_PER_SECOND, 0)
    month = MONTHS[run.language](int(text[5:7]))
    return f"\u200e{_DAYS[run.language]} \u200e{month} \u200e{text[8:10]} \u200e{text[:4]} {text[11:19]}"

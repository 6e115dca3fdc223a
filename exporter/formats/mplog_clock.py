"""The times of an MPLog: stamps in UTC, block times in local time, and the offset between them: from the session header, else from hints.

Stamp: `YYYY-MM-DDTHH:MM:SS.mmm` and `Z`, nothing (2025 on, still UTC) or `±HH:MM`. Block: `MM-DD-YYYY HH:MM:SS`, local.
Header: `MM/DD/YYYY HH:MM:SS.n UTC`, where n is nanoseconds without leading zeros.
"""

import re
from datetime import UTC, datetime
from typing import Any

from exporter.formats.time_zone import ClockHints
from exporter.times import TICKS_PER_SECOND, from_datetime, from_iso

STAMP = re.compile(r"([0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{1,9}(?:Z|[+-][0-9]{2}:[0-9]{2})?) ?")
_LOCAL = re.compile(r"([0-9]{2})-([0-9]{2})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_HEADER = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{1,9}) UTC")
_QUARTER = 15 * 60 * TICKS_PER_SECOND
_WIDEST = 14 * 4
"""Quarters of an hour: no zone is further from UTC."""


SESSION = "session"
NO_HINTS = ClockHints()


class Clock:
    """What is known about the time at one place of the log; the parser moves it along."""

    def __init__(self, hints: ClockHints = NO_HINTS) -> None:
        self._hints = hints
        self.stamp: re.Match[str] | None = None
        self.header_time: int | None = None
        self.utc_offset: int | None = None

    def begin_session(self, started_local: str | None, current_time: int | None) -> None:
        """A session header: its two clocks give the offset in minutes (quarters of an hour), None when one is missing or they disagree."""
        self.utc_offset = None
        if current_time is not None:
            self.stamp, self.header_time = None, current_time
        local = local_ticks(started_local or "")
        if local is not None and current_time is not None:
            quarters = (local - current_time + _QUARTER // 2) // _QUARTER
            self.utc_offset = quarters * 15 if abs(quarters) <= _WIDEST else None

    def last_stamp(self) -> int | None:
        """The nearest UTC time written at or before this place, in ticks."""
        if self.stamp is None:
            return self.header_time
        try:
            return from_iso(self.stamp[1])[0]
        except ValueError:  # 31 February and the like
            return None

    @property
    def session_offset(self) -> dict[str, Any]:
        """`utc_offset` and `utc_offset_basis` by the session header alone."""
        return {"utc_offset": self.utc_offset, "utc_offset_basis": None if self.utc_offset is None else SESSION}

    def offset_of(self, *locals_: str | None) -> dict[str, Any]:
        """`utc_offset` and `utc_offset_basis` of a block, by the first of its local times that is one."""
        ticks = next((ticks for local in locals_ if (ticks := local_ticks(local or "")) is not None), None)
        if ticks is None or self.utc_offset is not None:
            return self.session_offset
        offset, basis = self._hints.offset_of(ticks)
        return {"utc_offset": offset, "utc_offset_basis": basis}

    def utc(self, local: str | None) -> int | None:
        """Ticks of a block's local time; None when it is none, or the offset is unknown."""
        ticks, offset = local_ticks(local or ""), self.offset_of(local)["utc_offset"]
        return None if ticks is None or offset is None else ticks - offset * 60 * TICKS_PER_SECOND

    def of_line(self, stamped: bool) -> tuple[int | None, str]:
        """`logged_at` and `time_basis` of a single line."""
        ticks = self.last_stamp()
        return ticks, "none" if ticks is None else "line" if stamped else "previous_line"

    def of_block(self, own: int | None) -> tuple[int | None, str]:
        """`logged_at` and `time_basis` of a block whose own time, in UTC, is `own`."""
        ticks = self.last_stamp()
        if ticks is not None:
            return ticks, "previous_line"
        return own, "none" if own is None else "block"


def local_ticks(text: str) -> int | None:
    """`MM-DD-YYYY HH:MM:SS` read as if it were UTC, in ticks; marks such as U+200E around its parts do not matter."""
    match = _LOCAL.match(text[:40].replace("\u200e", "").strip())
    return None if match is None else _ticks(match)


def header_ticks(text: str) -> int | None:
    """Ticks of a header's UTC time."""
    match = _HEADER.match(text)
    whole = None if match is None else _ticks(match)
    return None if match is None or whole is None else whole + int(match[7]) // 100


def _ticks(match: re.Match[str]) -> int | None:
    month, day, year, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    try:
        return from_datetime(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError:
        return None

"""The time zone that a trace states of its machine, and what it says of a local time.

TIME_ZONE_INFORMATION as Windows documents it, 172 bytes; all biases are minutes to add to local time for UTC:

| offset | size | content |
|---|---|---|
| 0 | 4 | bias, without that of summer |
| 4 | 64 | name of standard time |
| 68 | 16 | SYSTEMTIME at which standard time begins |
| 84 | 4 | bias of standard time, mostly 0 |
| 88 | 64 | name of daylight time |
| 152 | 16 | SYSTEMTIME at which daylight time begins |
| 168 | 4 | bias of daylight time, mostly -60 |

A SYSTEMTIME with a year is a date. Without one it is a day of every year: in `month`, the `day`-th (5: the last) `weekday` (0: Sunday).
Month 0: the zone knows no such change.
"""

import struct
from bisect import bisect_right
from calendar import monthrange
from datetime import UTC, datetime, timedelta

import msgspec

from exporter.times import TICKS_PER_SECOND, from_datetime

SIZE = 172
_CHANGE = struct.Struct("<8H")
_LAST_WEEK = 5
_WIDEST_MINUTES = 24 * 60
_TICKS_PER_MINUTE = 60 * TICKS_PER_SECOND
_FIRST = datetime(1601, 1, 1, tzinfo=UTC)


class Change(msgspec.Struct, frozen=True):
    """When daylight or standard time begins, on the wall clock that ends then."""

    year: int
    month: int
    weekday: int
    day: int
    hour: int
    minute: int

    def in_year(self, year: int) -> int:
        """Ticks of the wall clock, read as if it were UTC. Raises ValueError where there is no such day."""
        day = self.day
        if not self.year:
            first, days = monthrange(year, self.month)
            day = 1 + (self.weekday - 1 - first) % 7 + 7 * (min(self.day, _LAST_WEEK) - 1)
            day -= 7 * (day > days)
        return from_datetime(datetime(self.year or year, self.month, day, self.hour, self.minute, tzinfo=UTC))


class TimeZone(msgspec.Struct, frozen=True):
    """Minutes east of UTC in standard and in daylight time, and when the two change; no changes: standard time always."""

    standard: int
    daylight: int
    to_standard: Change | None = None
    to_daylight: Change | None = None

    def offset_of_local(self, local: int) -> int:
        """The offset, in minutes, of a wall clock's ticks. An hour that the clock shows twice is taken as its first, in daylight time."""
        if self.to_standard is None or self.to_daylight is None:
            return self.standard
        try:
            year = (_FIRST + timedelta(microseconds=local // 10)).year
            begins, ends = self.to_daylight.in_year(year), self.to_standard.in_year(year)
        except (ValueError, OverflowError):
            return self.standard
        summer = begins <= local < ends if begins < ends else not ends <= local < begins
        return self.daylight if summer else self.standard

    def offset_at(self, ticks: int) -> int:
        """The offset, in minutes, at a time in UTC."""
        readings = (self.offset_of_local(ticks + offset * _TICKS_PER_MINUTE) for offset in (self.standard, self.daylight))
        return self.daylight if all(offset == self.daylight for offset in readings) else self.standard


def read_time_zone(data: bytes) -> TimeZone | None:
    """The zone in the first 172 bytes; None where its bias is no time zone's."""
    bias, standard, daylight = (struct.unpack_from("<i", data, place)[0] for place in (0, 84, 168))
    if abs(bias) > _WIDEST_MINUTES or abs(standard) > _WIDEST_MINUTES or abs(daylight) > _WIDEST_MINUTES:
        return None
    to_standard, to_daylight = _change(data, 68), _change(data, 152)
    if to_standard is None or to_daylight is None:
        return TimeZone(-bias, -bias)
    return TimeZone(-bias - standard, -bias - daylight, to_standard, to_daylight)


def _change(data: bytes, place: int) -> Change | None:
    year, month, weekday, day, hour, minute, _, _ = _CHANGE.unpack_from(data, place)
    sane = 1 <= month <= 12 and weekday <= 6 and 1 <= day <= 31 and hour <= 23 and minute <= 59
    return Change(year, month, weekday, day, hour, minute) if sane else None


class TracedZone(msgspec.Struct, frozen=True):
    """The zone of a machine while a trace ran, from `started_at` to `ended_at` in ticks."""

    zone: TimeZone
    started_at: int
    ended_at: int


class ClockHints(msgspec.Struct, frozen=True):
    """What is known of a host's local times from outside of the file with them; `offset` is the user's word, in minutes.

    `sessions` are those that the host's MPLogs tell of, in order: the wall clock's ticks at their starts, and their offsets.
    """

    zones: tuple[TracedZone, ...] = ()
    offset: int | None = None
    sessions: tuple[tuple[int, int], ...] = ()

    def offset_of(self, local: int) -> tuple[int | None, str | None]:
        """The offset of a wall clock's ticks, and why; None twice where nothing says it.

        A `trace` ran then; the `session` that had begun last; the `option`; the `nearest_trace`; the `nearest_session`, which began later.
        """
        nearest = min((_distance(traced, local) for traced in self.zones), default=None)
        if nearest is not None and nearest[0] == 0:
            return nearest[1], "trace"
        if begun := bisect_right(self.sessions, (local, _WIDEST_MINUTES)):
            return self.sessions[begun - 1][1], "session"
        if self.offset is not None:
            return self.offset, "option"
        if nearest is not None:
            return nearest[1], "nearest_trace"
        return (self.sessions[0][1], "nearest_session") if self.sessions else (None, None)


def _distance(traced: TracedZone, local: int) -> tuple[int, int]:
    offset = traced.zone.offset_of_local(local)
    at = local - offset * _TICKS_PER_MINUTE
    return max(traced.started_at - at, at - traced.ended_at, 0), offset

"""Times as integer ticks of 100 ns since 1601-01-01 UTC (FILETIME), and their texts.

Integer arithmetic only: a float loses the last digit of every present-day FILETIME.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

TICKS_PER_SECOND = 10_000_000
UNIX_EPOCH = 116_444_736_000_000_000
"""1970-01-01 in ticks."""
USABLE_END = 208_296_576_000_000_000
"""2262-01-01 in ticks: Elasticsearch's `date_nanos` ends in that year."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$")


def usable(ticks: int | None) -> bool:
    """True for a time that may stand in a date field: 1970 to 2261 (0, all-ones and 1601 are not times)."""
    return ticks is not None and UNIX_EPOCH <= ticks < USABLE_END


@lru_cache(16)  # most records tell one time under several names
def iso(ticks: int, digits: int = 7) -> str:
    """`YYYY-MM-DDTHH:MM:SS.fffffffZ`, truncated to `digits` (0 to 7) of a second."""
    minute, rest = divmod(ticks - UNIX_EPOCH, 60 * TICKS_PER_SECOND)
    second, rest = divmod(rest, TICKS_PER_SECOND)
    text = f"{_minute(minute)}{second:02d}.{rest:07d}Z"
    return text if digits == 7 else f"{text[: 20 + digits]}Z" if digits else f"{text[:19]}Z"


@lru_cache(1024)
def _minute(minutes: int) -> str:
    """`YYYY-MM-DDTHH:MM:`."""
    day, minute = divmod(minutes, 1440)
    return f"{_day(day)}T{minute // 60:02d}:{minute % 60:02d}:"


@lru_cache(1024)
def _day(days: int) -> str:
    """`YYYY-MM-DD`: strftime costs more than all the rest, and few events of a log are of one minute."""
    return (_EPOCH + timedelta(days=days)).strftime("%Y-%m-%d")


def unix_microseconds(ticks: int) -> int:
    """Microseconds since 1970, truncated."""
    return (ticks - UNIX_EPOCH) // 10


def from_datetime(when: datetime) -> int:
    """Ticks of an aware datetime (a naive one is taken as UTC)."""
    delta = (when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH
    return UNIX_EPOCH + (delta.days * 86_400 + delta.seconds) * TICKS_PER_SECOND + delta.microseconds * 10


def from_unix_ns(nanoseconds: int) -> int:
    """Ticks of a POSIX time in nanoseconds."""
    return UNIX_EPOCH + nanoseconds // 100


def from_iso(text: str) -> tuple[int, int]:
    """Ticks and the number of fraction digits (at most 7) of an ISO 8601 text; no offset means UTC.

    Raises ValueError for anything else.
    """
    match = _ISO.match(text)
    if match is None:
        raise ValueError(f"not an ISO 8601 time: `{text[:40]}`")
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    fraction = (match[7] or "")[:7]
    ticks = from_datetime(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    ticks += int(fraction.ljust(7, "0")) if fraction else 0
    return ticks - _offset(match[8]) * TICKS_PER_SECOND, len(fraction)


def _offset(zone: str | None) -> int:
    if zone in (None, "Z", "UTC"):
        return 0
    assert zone is not None
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds

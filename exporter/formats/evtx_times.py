"""Times of events as engines render them, beside those of the records' headers."""

from exporter import times
from exporter.formats.known import Known


def iso_ticks(text: str) -> tuple[int, int]:
    """Ticks and known fraction digits (at most 7) of an ISO 8601 time; raises ValueError. Quick for the form that Windows writes."""
    fraction = text[20:-1]
    digits = text[17:19] + fraction
    if text[19:20] != "." or text[-1:] != "Z" or not digits.isdecimal() or digits >= "6" or not 2 < len(digits) <= 11:
        return times.from_iso(text)
    known = len(fraction)
    return _DAYS[text[:11]] + _CLOCKS[text[11:17]] + int(digits) * 10**7 // 10**known, min(known, 7)


_DAYS = Known(lambda text: times.from_iso(f"{text}00:00:00Z")[0], 4096)
_CLOCKS = Known(lambda text: times.from_iso(f"1970-01-01T{text}00Z")[0] - times.UNIX_EPOCH, 1440)


def created(text: str | None, header_time: int) -> tuple[int | None, int]:
    """Ticks and digits of SystemTime, completed from the header's time where the two agree; None for no time."""
    if not text:
        return None, 7
    try:
        ticks, known = iso_ticks(text)
    except (ValueError, OverflowError):
        return None, 7
    return (header_time, 7) if known == 6 and ticks // 10 == header_time // 10 else (ticks, known)


def is_honest(header_id: int, header_time: int, record_id: int, created_at: int | None) -> bool:
    """True where the header's time may be believed: it agrees with SystemTime, or has the record's own number and is not earlier."""
    if created_at is None:
        return header_id == record_id
    return header_time // 10 == created_at // 10 or (header_id == record_id and header_time >= created_at)

"""Dates as MpCmdRun writes them: `<weekday> <month> <day> <year> HH:MM:SS`, in the words of the user's language, on the wall clock.

English, Spanish and Portuguese months were seen in public logs, numbered ones (Korean) in descriptions of them; the others are the
abbreviations that Windows gives its cultures. Words that mean different months in different languages (`lis`: November in Polish and
Czech, October in Croatian) are left out: a date with one of them is not read, rather than wrong.
"""

import re
import unicodedata
from datetime import UTC, datetime

from exporter.times import from_datetime, usable

_LONGEST = 200
_MARKS = dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Marks of the direction of writing, which Windows puts around the parts of some dates."""
_DATE = re.compile(r"(?:.* )?(\S+) (\d{1,2}),? (\d{4}) (\d{1,2}):(\d\d):(\d\d)", re.DOTALL)
_NUMBERED = re.compile(r"(\d{1,2})(?:월|月)?")
_CHINESE = ("一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月")
_WORDS = (
    "jan ene gen janv ian jaan led sty oca tammi янв січ ιαν",
    "feb fev févr febr veebr úno lut şub helmi фев лют φεβ",
    "mar mars mrt mrz mär märz márc märts bře maalis мар бер μαρ",
    "apr abr avr ápr dub kwi nis huhti апр кві απρ",
    "may mai mei mag maj máj kvě touko май мая тра",
    "jun juin giu iun jún juuni čvn cze haz kesä июн чер ιουν",
    "jul juil lug iul júl juuli čvc tem heinä июл лип ιουλ",
    "aug ago août sie ağu elo авг сер αυγ",
    "sep sept set szept zář wrz eyl syys сен вер σεπ",
    "oct okt ott out říj paź eki loka окт жов οκτ",
    "nov kas marras ноя νοε",
    "dec dez dic déc des dets pro gru ara joulu дек гру δεκ",
)
"""January to December: English, German, French, Spanish, Portuguese, Italian, Dutch, the Nordic languages, Polish, Czech, Hungarian,
Romanian, Estonian, Turkish, Russian, Ukrainian, Greek."""
_MONTHS = {word: number for number, words in enumerate(_WORDS, 1) for word in words.split()}
_MONTHS |= {word: number for number, word in enumerate(_CHINESE, 1)}


def wall_clock_ticks(text: str) -> int | None:
    """The date read as if it were UTC, in ticks; None where the month's word is not known, or the text is no such date.

    >>> wall_clock_ticks("Tue Mar 05 2024 09:15:02") == wall_clock_ticks("화 3월 05 2024 09:15:02")
    True
    """
    match = _DATE.fullmatch(" ".join(without_marks(text[:_LONGEST]).split()))
    month = None if match is None else _month(match[1])
    if match is None or month is None:
        return None
    day, year, hour, minute, second = map(int, match.group(2, 3, 4, 5, 6))
    try:
        ticks = from_datetime(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError:  # 31 February; a year of another calendar is none of ours
        return None
    return ticks if usable(ticks) else None


def without_marks(text: str) -> str:
    """The text without marks of the direction of writing."""
    return text.translate(_MARKS)


def _month(word: str) -> int | None:
    plain = unicodedata.normalize("NFC", word).casefold().rstrip(".,")
    if numbered := _NUMBERED.fullmatch(plain):
        return int(numbered[1]) if 1 <= int(numbered[1]) <= 12 else None
    return _MONTHS.get(plain)

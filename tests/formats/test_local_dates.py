import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.local_dates import wall_clock_ticks, without_marks
from exporter.times import from_iso


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue Mar 05 2024 09:15:02", "2024-03-05T09:15:02Z"),
        ("Thu  Apr  01  2021 22:25:24", "2021-04-01T22:25:24Z"),
        ("\u200eTue \u200eMar \u200e05 \u200e2024 09:15:02", "2024-03-05T09:15:02Z"),
        ("mar. jul. 15 2025 10:11:20", "2025-07-15T10:11:20Z"),
        ("mar. mar. 05 2024 09:20:11", "2024-03-05T09:20:11Z"),
        ("qua set 23 2026 13:02:54", "2026-09-23T13:02:54Z"),
        ("화 3월 05 2024 10:02:09", "2024-03-05T10:02:09Z"),
        ("周二 12月 05 2023 10:02:09", "2023-12-05T10:02:09Z"),
        ("週二 十一月 05 2024 10:02:09", "2024-11-05T10:02:09Z"),
        ("Mo Mrz 05 2024 9:00:00", "2024-03-05T09:00:00Z"),
        ("jeu. août 01 2024 00:00:00", "2024-08-01T00:00:00Z"),
        ("jeu. aou\u0302t 01 2024 00:00:00", "2024-08-01T00:00:00Z"),
        ("вт ЯНВ 09 2024 01:02:03", "2024-01-09T01:02:03Z"),
        ("Paz Ağu 04 2024 01:02:03", "2024-08-04T01:02:03Z"),
    ],
)
def test_dates_are_read_in_the_words_of_many_languages(text, expected):
    assert wall_clock_ticks(text) == from_iso(expected)[0]


@pytest.mark.parametrize("text", ["sob lis 05 2024 10:00:00", "sub lip 05 2024 10:00:00", "sri srp 05 2024 10:00:00"])
def test_a_month_that_is_another_one_in_another_language_is_not_read(text):
    assert wall_clock_ticks(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tue Mar 05 2024",
        "Tue Mar 32 2024 09:15:02",
        "Tue Feb 30 2024 09:15:02",
        "Tue Mar 05 2024 25:15:02",
        "화 13월 05 2024 10:02:09",
        "Foo Xyz 05 2024 09:15:02",
        "Tue Mar 05 2567 09:15:02",
        "Tue Mar 05 1445 09:15:02",
        "2024-03-05T09:15:02Z",
        "Tue Mar 05 2024 09:15:02 PM",
        "x " * 1000 + "Mar 05 2024 09:15:02",
    ],
)
def test_what_is_no_such_date_is_none(text):
    assert wall_clock_ticks(text) is None


def test_marks_of_direction_go_and_nothing_else():
    assert without_marks("\u200e\u200f\u202aa\u202c b\u2066\u2069") == "a b"


@given(st.text(max_size=80))
def test_any_text_is_a_date_or_none(text):
    assert wall_clock_ticks(text) is None or isinstance(wall_clock_ticks(text), int)

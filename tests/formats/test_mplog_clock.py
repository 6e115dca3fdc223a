import pytest

from exporter.formats.mplog_clock import STAMP, Clock, header_ticks, local_ticks
from exporter.times import TICKS_PER_SECOND, from_iso

NOON = from_iso("2024-03-05T12:00:00Z")[0]


def at(started, current):
    clock = Clock()
    clock.begin_session(started, current)
    return clock


@pytest.mark.parametrize(
    ("stamp", "same"),
    [
        ("2024-03-05T12:00:00.000Z x", 0),
        ("2024-03-05T12:00:00.000 x", 0),
        ("2024-03-05T13:00:00.000+01:00 x", 0),
        ("2024-03-05T06:30:00.000-05:30", 0),
        ("2024-03-05T12:00:00.123Z", 1_230_000),
    ],
)
def test_stamps_are_utc_with_or_without_a_zone(stamp, same):
    clock = Clock()
    clock.stamp = STAMP.match(stamp)
    assert clock.of_line(stamped=True) == (NOON + same, "line")


@pytest.mark.parametrize("text", ["2024-03-05 12:00:00.000Z", "2024-03-05T12:00:00Z", "x", "２０２４-03-05T12:00:00.000Z"])
def test_other_texts_are_no_stamp(text):
    assert STAMP.match(text) is None


def test_a_stamp_that_no_calendar_has_gives_no_time():
    clock = Clock()
    clock.stamp = STAMP.match("2024-02-31T12:00:00.000Z x")
    assert clock.of_line(stamped=True) == (None, "none")


@pytest.mark.parametrize(("started", "minutes"), [("03-05-2024 05:00:00", -420), ("03-05-2024 17:29:58", 330), ("03-05-2024 12:00:01", 0)])
def test_the_two_clocks_of_a_header_give_the_offset_to_a_quarter_of_an_hour(started, minutes):
    clock = at(started, NOON)
    assert clock.utc_offset == minutes
    assert clock.utc("03-05-2024 10:00:00") == NOON - (2 * 60 + minutes) * 60 * TICKS_PER_SECOND


@pytest.mark.parametrize("started", [None, "", "03-06-2024 12:00:00", "5. 3. 2024"])
def test_clocks_that_are_missing_or_a_day_apart_give_no_offset(started):
    clock = at(started, NOON)
    assert clock.utc_offset is None
    assert clock.utc("03-05-2024 10:00:00") is None


def test_a_session_without_current_time_forgets_the_offset_and_keeps_the_stamp_before():
    clock = at("03-05-2024 13:00:00", NOON)
    clock.begin_session("03-05-2024 13:30:00", None)
    assert (clock.utc_offset, clock.of_line(stamped=False)) == (None, (NOON, "previous_line"))


def test_a_block_without_any_stamp_before_takes_its_own_time():
    assert Clock().of_block(7) == (7, "block")
    assert Clock().of_block(None) == (None, "none")
    assert at("03-05-2024 12:00:00", NOON).of_block(7) == (NOON, "previous_line")


def test_marks_in_localized_dates_do_not_matter():
    assert local_ticks("\u200e03\u200e-\u200e05\u200e-\u200e2024 12:00:00") == NOON


def test_header_times_have_nanoseconds_without_leading_zeros():
    assert header_ticks("10/18/2023 02:44:43.48863800 UTC") == from_iso("2023-10-18T02:44:43.0488638Z")[0]
    assert header_ticks("10/18/2023 02:44:43.863883100 UTC") == from_iso("2023-10-18T02:44:43.8638831Z")[0]
    assert header_ticks("13/40/2023 02:44:43.0 UTC") is None

"""The time zone of a trace: what it says of local times in summer and in winter, and what is believed when several speak."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.etl import traced_zone
from exporter.formats.time_zone import SIZE, ClockHints, TimeZone, TracedZone, read_time_zone
from exporter.times import TICKS_PER_SECOND, from_iso

HOUR = 3600 * TICKS_PER_SECOND
SUNDAY_IN = {
    "berlin": ((0, 10, 0, 5, 3), (0, 3, 0, 5, 2)),
    "angeles": ((0, 11, 0, 1, 2), (0, 3, 0, 2, 2)),
    "sydney": ((0, 4, 0, 1, 3), (0, 10, 0, 1, 2)),
}
BIAS = {"berlin": -60, "angeles": 480, "sydney": -600}


def changes(to_standard: tuple[int, ...], to_daylight: tuple[int, ...], daylight_bias: int = -60) -> bytes:
    """What follows the bias: names, and year, month, weekday, day and hour of both changes."""
    standard, daylight = (struct.pack("<8H", *when, 0, 0, 0) for when in (to_standard, to_daylight))
    return bytes(64) + standard + struct.pack("<i", 0) + bytes(64) + daylight + struct.pack("<i", daylight_bias)


def zone_of(place: str) -> TimeZone:
    zone = read_time_zone(struct.pack("<i", BIAS[place]) + changes(*SUNDAY_IN[place]))
    assert zone is not None
    return zone


def local(text: str) -> int:
    return from_iso(text)[0]


@pytest.mark.parametrize(
    ("place", "at", "minutes"),
    [
        ("berlin", "2026-03-29T01:59:59", 60),
        ("berlin", "2026-03-29T03:00:00", 120),
        ("berlin", "2026-10-25T02:59:59", 120),
        ("berlin", "2026-10-25T03:00:00", 60),
        ("angeles", "2021-03-14T01:59:59", -480),
        ("angeles", "2021-03-14T03:00:00", -420),
        ("angeles", "2021-11-07T01:59:59", -420),
        ("angeles", "2021-11-07T02:00:00", -480),
        ("sydney", "2026-01-15T12:00:00", 660),
        ("sydney", "2026-04-05T03:00:00", 600),
        ("sydney", "2026-10-04T02:00:00", 660),
    ],
)
def test_daylight_time_begins_and_ends_on_the_day_of_the_rule(place: str, at: str, minutes: int) -> None:
    assert zone_of(place).offset_of_local(local(at)) == minutes


def test_the_same_holds_for_times_in_utc() -> None:
    zone = zone_of("berlin")
    assert [
        zone.offset_at(local(at)) for at in ("2026-03-29T00:59:59", "2026-03-29T01:00:00", "2026-10-25T00:59:59", "2026-10-25T01:00:00")
    ] == [
        *(60, 120),
        *(120, 60),
    ]


def test_a_change_may_be_a_date_of_one_year() -> None:
    zone = read_time_zone(struct.pack("<i", 0) + changes((2026, 9, 0, 12, 0), (2026, 5, 0, 2, 0)))
    assert zone is not None
    assert [zone.offset_of_local(local(f"2026-{day}T00:00:00")) for day in ("05-01", "05-02", "09-11", "09-12")] == [0, 60, 60, 0]


def test_a_zone_without_changes_is_standard_time_always() -> None:
    assert read_time_zone(struct.pack("<i", 300) + bytes(SIZE - 4)) == TimeZone(-300, -300)
    assert read_time_zone(struct.pack("<i", 300) + changes((0, 13, 0, 1, 2), (0, 3, 0, 1, 2))) == TimeZone(-300, -300)
    assert TimeZone(-300, -300).offset_at(local("2026-07-01T00:00:00")) == -300


def test_a_bias_of_more_than_a_day_is_no_zone() -> None:
    assert read_time_zone(struct.pack("<i", 1441) + bytes(SIZE - 4)) is None


@given(st.binary(min_size=SIZE, max_size=SIZE), st.integers(0, 2**63 - 1))
def test_any_bytes_are_a_zone_or_none(data: bytes, ticks: int) -> None:
    zone = read_time_zone(data)
    if zone is not None:
        assert {zone.offset_of_local(ticks), zone.offset_at(ticks)} <= {zone.standard, zone.daylight}


def test_a_trace_that_ran_then_is_believed_before_the_user_and_the_user_before_another_trace() -> None:
    noon = local("2026-07-01T12:00:00")
    west = TracedZone(TimeZone(-300, -300), noon + 5 * HOUR, noon + 6 * HOUR)
    east = TracedZone(TimeZone(540, 540), noon + 40 * HOUR, noon + 41 * HOUR)
    assert ClockHints((east, west), 60).offset_of(noon) == (-300, "trace")
    assert ClockHints((east, west), 60).offset_of(noon + 2 * HOUR) == (60, "option")
    assert ClockHints((east, west)).offset_of(noon + 2 * HOUR) == (-300, "nearest_trace")
    assert ClockHints((east, west)).offset_of(noon + 60 * HOUR) == (540, "nearest_trace")
    assert ClockHints((), 60).offset_of(noon) == (60, "option")
    assert ClockHints().offset_of(noon) == (None, None)


def test_the_last_session_that_had_begun_is_believed_before_the_user_and_a_later_one_after_other_traces() -> None:
    noon = local("2026-01-15T12:00:00")
    sessions = ((noon - 2 * HOUR, 60), (noon, 120))
    elsewhen = TracedZone(TimeZone(540, 540), noon + 90 * HOUR, noon + 90 * HOUR)
    for at, expected in ((noon - HOUR, 60), (noon - 1, 60), (noon, 120), (noon + 50 * HOUR, 120)):
        assert ClockHints((elsewhen,), -300, sessions).offset_of(at) == (expected, "session")
    before = noon - 3 * HOUR
    assert ClockHints((elsewhen,), -300, sessions).offset_of(before) == (-300, "option")
    assert ClockHints((elsewhen,), None, sessions).offset_of(before) == (540, "nearest_trace")
    assert ClockHints((), None, sessions).offset_of(before) == (60, "nearest_session")
    assert ClockHints().offset_of(noon) == (None, None)


@pytest.mark.real_data
def test_real_traces_state_their_zone_with_its_rules(shared_data: Path) -> None:
    found = {path.name[:4]: traced_zone(path.read_bytes()[:65_536]) for path in (shared_data / "etl").iterdir() if path.suffix != ".md"}
    amsi, wpp = found["AMSI"], found["MpWp"]
    assert amsi is not None
    assert wpp is not None
    assert amsi.zone == zone_of("berlin")
    assert wpp.zone == zone_of("angeles")
    assert wpp.zone.offset_at(wpp.started_at) == -480
    assert wpp.zone.offset_of_local(local("2022-07-01T12:00:00")) == -420

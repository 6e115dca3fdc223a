"""What is known of the texts around a record gives the same as reading it in full, or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats import evtx_quick
from exporter.formats.evtx_form import SERVICES, SIDE_EVENTS
from exporter.formats.evtx_normalize import Normalizer
from exporter.formats.evtx_quick import completed, outline
from exporter.formats.side_events import _MAKERS, _SERVICE_FIELDS
from exporter.times import iso
from tests.formats.evtx_rendering import NATIVE

START = 133_420_707_954_415_784


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    evtx_quick._COMMON.clear()
    evtx_quick._THREADS.clear()


def text(number: int = 1, at: int = START, data: str = '{"a":"x","b":"y"}', process: int = 4, tail: str = "", **changes: Any) -> str:
    """What `evtx` renders."""
    system = {
        **NATIVE["System"],
        "TimeCreated": {"#attributes": {"SystemTime": f"{iso(at, 6)}"}},
        "EventRecordID": number,
        "Correlation": None,
        "Execution": {"#attributes": {"ProcessID": process, "ThreadID": 8}},
        **changes,
    }
    rendering = json.dumps({"Event": {"#attributes": {"xmlns": "x"}, "System": system}}, separators=(",", ":"))
    return f'{rendering[:-2]}{tail},"EventData":{data}}}}}'


def in_full(rendering: str, number: int, at: int) -> tuple[Any, ...]:
    return Normalizer().read(rendering, number, at)[0]


def test_a_record_is_known_by_one_like_it() -> None:
    in_full(text(), 1, START)
    other = text(2, START + 12_345_678, '{"a":"\\u00e9\\"","b":""}')
    known = outline(other, 2, START + 12_345_678)
    assert known is not None
    found = completed(known)
    assert found is not None
    assert found[0] == in_full(other, 2, START + 12_345_678)
    assert found[1].names == ("a", "b")


@pytest.mark.parametrize(
    ("rendering", "number", "at"),
    [
        (text(2, EventID=5004), 2, START),
        (text(2, process=5), 2, START),
        (text(2, Computer="WS2"), 2, START),
        (text(2, EventRecordID="02"), 2, START),
        (text(2, EventRecordID="-2"), 2, START),
        (text(2, EventRecordID="٢"), 2, START),
        (text(2, EventRecordID=""), 2, START),
        (text(2, EventRecordID="9" * 19), 2, START),
        (text(2).replace('Z"', 'Q"'), 2, START),
        (text(2, tail=',"UserData":{"z":"1"}'), 2, START),
        (text(2)[:-1], 2, START),
        ("", 2, START),
    ],
)
def test_what_differs_elsewhere_is_read_in_full(rendering: str, number: int, at: int) -> None:
    in_full(text(), 1, START)
    known = outline(rendering, number, at)
    assert known is None or completed(known) is None


@pytest.mark.parametrize(
    "data", ['{"a":"1","a":"2"}', '{"a":1}', '{"a":null}', '{"a":{"#text":"x"}}', '{"a":"1","a":"2","b":null}', "[]", "null"]
)
def test_data_that_are_not_texts_under_different_names_are_read_in_full(data: str) -> None:
    in_full(text(), 1, START)
    known = outline(text(2, data=data), 2, START)
    assert known is not None
    assert completed(known) is None


@pytest.mark.parametrize(
    "tail",
    [
        ',"EventRecordID":1',
        ',"TimeCreated":{"#attributes":{"SystemTime":"2023-10-18T05:43:51.355360Z"}}',
        ',"Execution":null',
        ',"Correlation":null',
    ],
)
def test_nothing_is_learned_where_a_name_stands_twice(tail: str) -> None:
    rendering = text().replace(',"Computer"', f'{tail},"Computer"')
    in_full(rendering, 1, START)
    assert not evtx_quick._COMMON


@pytest.mark.parametrize(
    ("rendering", "number", "at"),
    [
        (text(3), 2, START),
        (text(2, START + 10), 2, START),
        (text(2), 2, 0),
        (text(2), 2, START + 10**9),
        (text(2), 3, START - 10**9),
        (text(2, EventRecordID="2"), 7, START),
        (text(2, EventRecordID="171").replace("Z", "000Z"), 7, START),
        (text(2, EventRecordID="171").replace("Z", "5Z"), 7, START),
    ],
)
def test_numbers_that_are_not_those_of_the_header_are_read_from_the_text(rendering: str, number: int, at: int) -> None:
    in_full(text(), 1, START)
    known = outline(rendering, number, at)
    assert known is not None
    found = completed(known)
    assert found is not None
    assert found[0] == Normalizer()._read(rendering, number, at)[0]


def test_a_record_whose_header_lies_teaches_too() -> None:
    in_full(text(EventRecordID="5"), 9, START + 10**9)
    known = outline(text(6, EventRecordID="6"), 10, START + 10**9)
    assert known is not None
    assert known[3] == (6, START // 10 * 10, 6, None)


RENDERED = ',"RenderingInfo":{"#attributes":{"Culture":"en-US"},"Message":"a \\"quoted\\" text","Keywords":{"Keyword":null}}'


def test_what_a_collector_s_rendering_adds_is_passed_over() -> None:
    in_full(text(), 1, START)
    rendering = text(2)[:-2] + RENDERED + "}}"
    known = outline(rendering, 7, START)
    assert known is not None
    found = completed(known)
    assert found is not None
    assert found[0] == Normalizer()._read(rendering, 7, START)[0]


def test_data_behind_it_are_not_passed_over() -> None:
    in_full(text(), 1, START)
    rendering = text(2)[:-2] + RENDERED + ',"UserData":{"z":"1"}}}'
    known = outline(rendering, 7, START)
    assert known is None or completed(known) is None
    assert in_full(rendering, 7, START)[-1]["z"] == "1"


def test_what_is_known_is_bounded() -> None:
    for number in range(evtx_quick._MOST + 9):
        in_full(text(Computer=f"WS{number}", process=number), 1, START)
    assert 0 < len(evtx_quick._COMMON) <= evtx_quick._MOST
    assert 0 < len(evtx_quick._THREADS) <= evtx_quick._MOST


VALUES = st.one_of(
    st.text(max_size=8), st.sampled_from(['"', "\\", '":"', '","b":"', "\0", "%%818", '"}},"EventRecordID":', ',"EventData":'])
)


@given(
    st.dictionaries(st.one_of(st.text(max_size=5), st.sampled_from(["#text", "#attributes", 'a":"'])), VALUES, max_size=4),
    st.integers(1, 10**6),
    st.integers(START, START + 10**12),
)
def test_known_and_read_in_full_are_the_same(data: dict[str, str], number: int, at: int) -> None:
    in_full(text(), 1, START)
    rendering = text(number, at, json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    known = outline(rendering, number, at)
    found = None if known is None else completed(known)
    if found is not None:
        values, form = found
        assert values == Normalizer()._read(rendering, number, at)[0]
        assert form.names == tuple(values[-1])


def other(number: int, provider: str = "Microsoft-Windows-Ntfs", event_id: int = 98, data: str = '{"a":1}') -> str:
    """A record of another provider, whose Data are no texts."""
    return text(number, data=data, Provider={"#attributes": {"Name": provider}}, EventID=event_id, Channel="System")


def test_of_a_record_that_tells_nothing_of_defender_only_the_origin_is_known() -> None:
    in_full(other(1), 1, START)
    known = outline(other(2, data='{"b":[]}'), 2, START)
    assert known is not None
    assert known[0].foreign == "Microsoft-Windows-Ntfs (System)"


@pytest.mark.parametrize("provider", sorted(SIDE_EVENTS))
def test_a_record_that_may_tell_of_defender_is_none_of_those(provider: str) -> None:
    for event_id in SIDE_EVENTS[provider] or (1116, 1):
        in_full(other(1, provider, event_id, '{"a":"x"}'), 1, START)
        known = outline(other(2, provider, event_id, '{"a":"y"}'), 2, START)
        assert known is not None
        assert known[0].foreign is None


def test_every_provider_of_side_events_is_read() -> None:
    assert SIDE_EVENTS.keys() == _MAKERS.keys()
    assert SIDE_EVENTS[SERVICES] == _SERVICE_FIELDS.keys()


def test_defender_s_own_records_are_never_left() -> None:
    in_full(text(), 1, START)
    known = outline(text(2), 2, START)
    assert known is not None
    assert (known[0].is_defender, known[0].foreign) == (True, None)

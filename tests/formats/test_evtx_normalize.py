"""Whatever an engine or its version renders, the event is the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from evtx import PyEvtxParser
from hypothesis import given
from hypothesis import strategies as st

from exporter import times
from exporter.errors import FormatError
from exporter.formats.evtx_normalize import Normalizer, guid, number
from exporter.formats.evtx_times import iso_ticks
from tests.evtx_logs import SAMPLES
from tests.formats.evtx_rendering import HEADER_TIME, NATIVE


def fields(event: Any, header_id: int = 7, header_time: int = HEADER_TIME, *, as_text: bool = True) -> dict[str, Any]:
    rendering = {"Event": event}
    return Normalizer().fields(json.dumps(rendering) if as_text else rendering, header_id, header_time)


def changed(**system: Any) -> dict[str, Any]:
    return {**NATIVE, "System": {**NATIVE["System"], **system}}


def data_of(event_data: Any, **other: Any) -> dict[str, str]:
    event = {key: value for key, value in NATIVE.items() if key != "EventData"} | other
    return fields(event if event_data is ... else {**event, "EventData": event_data})["data"]


def in_newer_style(event: dict[str, Any], written_at: int) -> dict[str, Any]:
    """The same event as the 0.15 core renders it, and as forwarded logs hold it."""

    def walk(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(key, child) for key, child in value.items() if child is not None}
        if name in ("Guid", "ActivityID"):
            return f"{{{value.strip('{}').lower()}}}"
        if name == "SystemTime" and len(value) == 27:
            return times.iso(written_at)
        return str(value) if isinstance(value, int) else value

    event = dict(event)
    data = event.pop("EventData") or {}
    newer: dict[str, Any] = walk("", event)
    newer["System"]["EventID"] = {"#text": newer["System"]["EventID"], "#attributes": {"Qualifiers": "0"}}
    newer["EventData"] = {"Data": [{"#attributes": {"Name": key}, "#text": value} for key, value in data.items()]}
    return newer


@pytest.mark.real_data
@pytest.mark.parametrize("name", SAMPLES)
def test_old_and_new_renderings_of_real_records_are_one_event(shared_data: Path, name: str) -> None:
    normalizer, count = Normalizer(), 0
    for record in PyEvtxParser(str(shared_data / "evtx" / name)).records_json():
        written_at = iso_ticks(record["timestamp"].replace(" UTC", ""))[0]
        newer = {"Event": in_newer_style(json.loads(record["data"])["Event"], written_at)}
        header = (record["event_record_id"], written_at)
        old = normalizer.fields(record["data"], *header)
        assert normalizer.fields(json.dumps(newer), *header) == old
        assert normalizer.fields(newer, *header) == old
        assert list(normalizer.fields(newer, *header)["data"]) == list(old["data"])
        count += 1
    assert count == sum(SAMPLES[name].values())


def test_a_native_event_gives_these_fields() -> None:
    assert fields(NATIVE) == {
        "event_id": 5007,
        "record_id": 7,
        "channel": "Microsoft-Windows-Windows Defender/Operational",
        "provider_name": "Microsoft-Windows-Windows Defender",
        "provider_guid": "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78",
        "computer": "WIN-FUDU2CKJOE8",
        "level": 4,
        "opcode": 0,
        "task": 0,
        "version": 0,
        "keywords": "0x8000000000000000",
        "activity_id": "6B3DFF46-F4E6-4CDA-983B-76B101728AA5",
        "process_id": 1864,
        "thread_id": 1488,
        "user_sid": "S-1-5-18",
        "created_at": HEADER_TIME,
        "created_digits": 7,
        "written_at": HEADER_TIME,
        "data": {"Product Name": "Microsoft Defender Antivirus", "Old Value": "", "New Value": "a = 0x1"},
    }
    assert fields(NATIVE, as_text=False) == fields(NATIVE)


def test_null_and_absent_elements_are_the_same() -> None:
    empty = ("Correlation", "Security", "Execution", "Version", "Opcode", "Keywords", "TimeCreated")
    absent = {key: value for key, value in NATIVE["System"].items() if key not in empty}
    nothing = fields(changed(**dict.fromkeys(empty)))
    assert nothing == fields({**NATIVE, "System": absent})
    assert [nothing[name] for name in ("activity_id", "user_sid", "process_id", "version", "keywords", "created_at")] == [None] * 6
    assert fields(changed(Correlation={"#attributes": {}}))["activity_id"] is None


@pytest.mark.parametrize("event", [{}, None, {"System": None}, {"System": {"Provider": []}}, changed(EventID=None), changed(EventID="x")])
def test_what_is_no_event_is_a_format_error(event: Any) -> None:
    for as_text in (True, False):
        with pytest.raises(FormatError):
            fields(event, as_text=as_text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nonsense", '{"Event":', "\ud800"])
def test_what_is_no_json_is_a_format_error(text: str) -> None:
    with pytest.raises(FormatError):
        Normalizer().fields(text, 1, 1)


class TestTimes:
    @pytest.mark.parametrize(
        ("system_time", "created_at", "digits", "written"),
        [
            ("2023-10-18T05:43:51.355360Z", HEADER_TIME, 7, True),
            ("2023-10-18T05:43:51.3553605Z", HEADER_TIME, 7, True),
            ("2023-10-18T05:43:51.355360500Z", HEADER_TIME, 7, True),
            ("2023-10-18T05:43:51.355359Z", HEADER_TIME - 15, 6, True),
            ("2023-10-18T05:43:51Z", HEADER_TIME - 3_553_605, 0, True),
            ("2023-10-18T05:43:52.123Z", HEADER_TIME - 3_553_605 + 11_230_000, 3, False),
        ],
    )
    def test_digits_are_completed_from_an_agreeing_header_only(self, system_time: str, created_at: int, digits: int, written: bool) -> None:
        found = fields(changed(TimeCreated={"#attributes": {"SystemTime": system_time}}))
        assert (found["created_at"], found["created_digits"]) == (created_at, digits)
        assert found["written_at"] == (HEADER_TIME if written else None)

    def test_the_header_of_an_exported_record_is_not_believed(self) -> None:
        assert fields(NATIVE, header_id=1, header_time=HEADER_TIME + 50)["written_at"] is None
        assert fields(NATIVE, header_id=7, header_time=HEADER_TIME + 50)["written_at"] == HEADER_TIME + 50
        assert fields(NATIVE, header_id=1, header_time=0)["written_at"] is None

    @pytest.mark.parametrize(
        "text", ["", "never", "2023-13-18T05:43:51.355360Z", "2023-10-18T05:43:51.x5536Z", "0000-00-00T00:00:00.000000Z"]
    )
    def test_a_time_that_is_none_is_absent(self, text: str) -> None:
        assert fields(changed(TimeCreated={"#attributes": {"SystemTime": text}}))["created_at"] is None

    @given(st.integers(times.UNIX_EPOCH, 200_000_000_000_000_000), st.integers(1, 9))
    def test_the_quick_way_agrees_with_the_general_one(self, ticks: int, digits: int) -> None:
        text = f"{times.iso(ticks)[:-1]}00"[: 20 + digits] + "Z"
        assert iso_ticks(text) == times.from_iso(text)


class TestData:
    @pytest.mark.parametrize(
        "event_data",
        [
            {"Data": {"#text": ["a", "b", "c"]}},
            {"Data": ["a", "b", "c"]},
            {"Data": [{"#text": "a"}, "b", {"#text": "c"}]},
        ],
    )
    def test_positional_data_is_numbered(self, event_data: Any) -> None:
        assert data_of(event_data) == {"Data": "a", "Data_1": "b", "Data_2": "c"}

    @pytest.mark.parametrize("event_data", [{"Data": "a"}, {"Data": {"#text": "a"}}, {"Data": {"#text": ["a"]}, "Binary": None}])
    def test_a_single_element_without_name_is_data(self, event_data: Any) -> None:
        assert data_of(event_data) == {"Data": "a"}

    @pytest.mark.parametrize("event_data", [None, ..., {}, {"Data": None}, {"a": None}, "", []])
    def test_nothing_is_nothing(self, event_data: Any) -> None:
        assert data_of(event_data) == ({"Data": ""} if event_data == "" else {})

    def test_values_of_other_types_become_text(self) -> None:
        assert data_of({"a": 1, "b": True, "c": False, "d": 1.5, "e": None, "f": ""}) == {
            "a": "1",
            "b": "true",
            "c": "false",
            "d": "1.5",
            "f": "",
        }

    def test_binary_is_kept(self) -> None:
        assert data_of({"Data": "a", "Binary": "00FF"}) == {"Data": "a", "Binary": "00FF"}

    def test_user_data_gives_its_leaves(self) -> None:
        user = {"EventXML": {"#attributes": {"xmlns": "x"}, "Param": ["1", "2"], "Inner": {"Leaf": "3"}}}
        assert data_of(..., UserData=user) == {"Param": "1", "Param_1": "2", "Leaf": "3"}

    def test_the_name_of_the_block_is_no_data(self) -> None:
        assert data_of({"#attributes": {"Name": "TMP"}, "a": "b"}) == {"a": "b"}

    def test_names_that_look_numbered_collide_with_nothing(self) -> None:
        assert data_of({"Data_1": "x", "Data": ["a", "b", "c"]}) == {"Data_1": "x", "Data": "a", "Data_2": "b", "Data_3": "c"}

    def test_repeated_keys_are_all_kept(self) -> None:
        text = json.dumps({"Event": NATIVE}).replace('"Old Value"', '"New Value"')
        assert Normalizer().fields(text, 7, HEADER_TIME)["data"] == {
            "Product Name": "Microsoft Defender Antivirus",
            "New Value": "",
            "New Value_1": "a = 0x1",
        }

    def test_a_value_that_looks_like_a_key_is_a_value(self) -> None:
        value = 'x":"y","EventData":{"z":1'
        assert data_of({"a": value, "b": "c"}) == {"a": value, "b": "c"}

    @given(st.dictionaries(st.text(min_size=1).filter(lambda name: name[0] != "#"), st.text()))
    def test_any_names_and_values_survive(self, data: dict[str, str]) -> None:
        assert data_of(data) == data


class TestScalars:
    @pytest.mark.parametrize(
        ("value", "wanted"),
        [
            (5, 5),
            ("5", 5),
            ("-5", -5),
            ("0x80070020", 0x80070020),
            ("0X1f", 31),
            ("0x565c7b9a7ffffffe", 0x565C7B9A7FFFFFFE),
            (None, None),
            ("", None),
            ("1_0", None),
            ("٣", None),
            ("0x", None),
            ("9" * 5000, None),
            ("%%818", None),
        ],
    )
    def test_numbers_are_read_from_text(self, value: int | str | None, wanted: int | None) -> None:
        assert number(value) == wanted

    @pytest.mark.parametrize("text", ["{11cd958a-c507-4ef3-b3f2-5fd9dfbd2c78}", "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78"])
    def test_guids_have_one_form(self, text: str) -> None:
        assert guid(text) == "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78"

    def test_keywords_have_no_leading_zeros(self) -> None:
        assert [fields(changed(Keywords=text))["keywords"] for text in ("0x0080000000000000", "0x80000000000000")] == [
            "0x80000000000000"
        ] * 2


def json_values() -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["#text", "#attributes", "Name", "Data", "System", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )


@given(json_values(), st.sampled_from(["EventData", "UserData", "Provider", "EventID", "Execution", "TimeCreated", "Keywords", "Channel"]))
def test_any_rendering_is_an_event_or_a_format_error(value: Any, place: str) -> None:
    event = {**NATIVE, place: value} if place in ("EventData", "UserData") else changed(**{place: value})
    for as_text in (True, False):
        try:
            found = fields(event, as_text=as_text)
        except FormatError:
            continue
        assert all(isinstance(text, str) for pair in found["data"].items() for text in pair)


@pytest.mark.parametrize("text", ["2026-02-03T04:05:06.3+02:00", "2026-02-03T04:05:06,123456Z", "2026-02-03T04:05:06.12345 Z"])
def test_a_time_of_the_usual_length_in_another_form_is_read_as_what_it_says(text: str) -> None:
    rendering = {"Event": {"System": {"EventID": 1, "TimeCreated": {"#attributes": {"SystemTime": text}}}}}
    try:
        expected = iso_ticks(text)
    except ValueError:
        expected = (None, 7)
    found = Normalizer().fields(rendering, 1, 1)
    assert (found["created_at"], found["created_digits"]) == expected


def test_two_forms_of_one_id_in_turn_keep_their_own_names() -> None:
    normalizer = Normalizer()
    for names in (["a", "b"], ["a", "c"], ["a", "b"], ["a", "c"]):
        rendering = json.dumps({"Event": {"System": {"EventID": 1}, "EventData": dict.fromkeys(names, "x")}})
        values, form = normalizer.read(rendering, 1, 1)
        assert (list(values[-1]), form.names) == (names, tuple(names))

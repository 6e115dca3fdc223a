"""Documents of kept pieces: the same as if every document were the first."""

from collections.abc import Iterator

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.kinds import KINDS
from exporter.mapping.fragments import Kept, event_data_json, field_list, field_text, fields_json, is_plain, with_raw
from exporter.mapping.mapper import Mapper
from exporter.mapping.transforms.events import event_data
from exporter.records import Record
from tests.mapping.memory import forget
from tests.strategies import records

ANY = settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)


@pytest.mark.parametrize("kind", KINDS)
@ANY
@given(data=st.data())
def test_a_record_gives_the_same_document_whatever_came_before_it(mapper: Mapper, kind: str, data: st.DataObject) -> None:
    made = data.draw(records(KINDS[kind]))
    forget(mapper)
    alone = mapper.map(made).document()
    forget(mapper)
    for changed in altered(made, data.draw(records(KINDS[kind]))):
        mapper.map(changed).document()
    assert mapper.map(made).document() == alone


def altered(made: Record, other: Record) -> Iterator[Record]:
    """The record with one attribute at a time taken from another one."""
    payload, foreign = made.payload, other.payload
    for name in ("host", "source", "integrity", "incomplete", "correlation", "collector"):
        yield msgspec.structs.replace(made, **{name: getattr(other, name)})
    for name in payload.__struct_fields__:
        yield msgspec.structs.replace(made, payload=msgspec.structs.replace(payload, **{name: getattr(foreign, name)}))


def test_a_kept_piece_is_made_once_for_each_key_and_the_number_of_pieces_is_bounded() -> None:
    made = []
    kept = Kept(lambda record, payload, moment, raw: made.append(record) or (b"%d" % record,))
    for number in [1, 2, 1, *range(1000)]:
        key = (number,)
        found = kept.get(key)
        assert (found or kept.learn(key, number, None, None, {})) == (b"%d" % number,)
    assert made[:3] == [1, 2, 0]
    assert sum(kept.get((number,)) is not None for number in range(1000)) <= 256


def test_pieces_are_kept_together_unless_they_are_long() -> None:
    kept = Kept(lambda record, *_: (b"", record.encode()))
    for text in ("x", "x" * 10_000):
        assert kept.learn((text,), text, None, None, {}) == (b"", text.encode())
    assert kept.get(("x",)) is not None
    assert kept.get(("x" * 10_000,)) is None


def test_a_piece_with_something_unusable_is_told_each_time() -> None:
    def make(record: object, payload: object, moment: object, raw: dict[str, str]) -> tuple[bytes, ...]:
        raw["at"] = "0"
        return (b"",)

    kept = Kept(make)
    for _ in range(2):
        raw: dict[str, str] = {}
        assert kept.get((1,)) is None
        assert kept.learn((1,), None, None, None, raw) == (b"",)
        assert raw == {"at": "0"}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, b""),
        ({"a": "", "b": {"c": "-"}, "d": "N/A"}, b""),
        ({"a": "\0", "b": "\ud800"}, ',"a":"\u2400","b":"\ufffd"'.encode()),
        ({"a": 2**64, "b": '""'}, b',"a":"18446744073709551616","b":"\\"\\""'),
        ({"a": {"event_data": {"x": "-", "y": ""}}}, b',"a":{"event_data":{"x":"-"}}'),
    ],
)
def test_pieces_are_clean(fields: dict[str, object], text: bytes) -> None:
    assert fields_json(fields) == text


@given(st.dictionaries(st.text(), st.text(st.characters() | st.sampled_from("\0\ud800-"), max_size=3)))
def test_event_data_is_written_as_any_other_fields_are(data: dict[str, str]) -> None:
    values = event_data(data)
    assert event_data_json("event_data", values, "".join(values.values())) == (fields_json({"event_data": values}) or b',"event_data":{}')


def test_what_is_not_usable_stands_below_raw_and_event_stays_last() -> None:
    document = orjson.loads(with_raw(b'{"defender":{"x":1},"message":"m","event":{"id":"1"}}', {"at": "0"}))
    assert list(document) == ["defender", "tags", "message", "event"]
    assert document["defender"] == {"x": 1, "raw": {"at": "0"}}
    assert document["tags"] == ["time_unusable"]


TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(["", "-", "N/A", "\0", "\ud800", "\x7f", '"\\', "\x1b"]))


@given(TEXTS)
def test_a_field_of_one_text_is_written_as_any_field(text: str) -> None:
    assert field_text("name", text) == fields_json({"name": text}).decode()


@given(TEXTS)
@example("Quarantined")
def test_a_plain_text_is_written_as_any_field_without_a_look_at_its_characters(text: str) -> None:
    if is_plain(text):
        assert fields_json({"name": text}) == f',"name":"{text}"'.encode()
    else:
        assert text != "Quarantined"


@given(
    st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.lists(st.dictionaries(TEXTS, TEXTS, max_size=2), min_size=1, max_size=2))
)
def test_a_list_is_written_as_any_field(value: str | list[str]) -> None:
    assert field_list("name", value) == fields_json({"name": [value] if isinstance(value, str) else value}).decode()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("evtx_")])
@ANY
@given(data=st.data())
def test_what_stands_around_a_record_serves_another_that_says_the_same(mapper: Mapper, kind: str, data: st.DataObject) -> None:
    first, other = data.draw(records(KINDS[kind])), data.draw(records(KINDS[kind]))
    own = ("record_id", "created_at", "created_digits", "written_at", "activity_id", "process_id", "thread_id")
    payload = msgspec.structs.replace(first.payload, **{name: getattr(other.payload, name) for name in own})
    second = msgspec.structs.replace(first, payload=payload, hash=other.hash, offset=other.offset, number=other.number)
    compiled, unusable = mapper.kinds[kind].compiled, dict[str, str]()
    assert compiled.around is not None
    one, two = mapper.map(first).moment, mapper.map(second).moment
    around = compiled.around(first, first.payload, one, unusable)
    if not unusable and (one.basis, one.tags) == (two.basis, two.tags):
        assert compiled.document(second, payload, two, None, around) == mapper.map(second).document()

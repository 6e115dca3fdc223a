"""Lines of records that say what another said: the same bytes, or none."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.records import Messages, Output, Row
from exporter.sinks.parts import maker
from exporter.sinks.repeated import NUMBERS_END, PROBE, LineMaker, Own
from exporter.sinks.targets import parse_target
from exporter.times import UNIX_EPOCH, USABLE_END, iso
from tests.sinks.fakes import FakeMapped, row

TARGETS = ("timesketch:x.jsonl", "l2tcsv:x.csv", "l2tcsv:x.csv?dialect=psort", "l2tcsv:x.csv?timezone=Asia/Riyadh")
HOSTILE = (
    *("", "=1+1", '"', "a\nb\r", "\0", "\ud800", "\u2028\x85", ";=x", "+1,2", "x" * 5000, "\x1b[0m", "＝1", "<&>"),
    *(PROBE.id, PROBE.text, str(PROBE.record_id), str(PROBE.offset), str(PROBE.created_at), "\0" + "3" + "\0"),
)


class Values(NamedTuple):
    """What is a record's own."""

    created_at: int
    record_id: int
    offset: int
    id: str

    @property
    def text(self) -> str:
        return iso(self.created_at, 7)


ONE = Values(133_144_416_260_770_946, 14, 4096, "0123456789abcdef" * 2 + "01234567")
own_values = st.builds(
    Values,
    st.integers(UNIX_EPOCH, USABLE_END - 1),
    st.integers(0, NUMBERS_END - 1),
    st.integers(0, NUMBERS_END - 1),
    st.text("0123456789abcdef", min_size=40, max_size=40),
)


def line_maker(target: str) -> LineMaker:
    found = maker(parse_target(target))
    assert isinstance(found, LineMaker)
    return found


def mapped(own: Own, says: str, special: Callable[[Own], str] = lambda own: "") -> FakeMapped:
    """A record of an event as the mapping makes it, all of whose texts are `says`."""
    xml = f'<Event><TimeCreated SystemTime="{own.text}"/><EventRecordID>{own.record_id}</EventRecordID>{says}</Event>'
    attributes = {"record_number": own.record_id, "offset": own.offset, "strings": ["a", says], "xml_string": xml, "detail": special(own)}
    message = f"{says} Strings: ['{says}'] Record Number: {own.record_id} Event Level: 4"
    one = row(
        ticks=own.created_at,
        event_id=f"{own.id}-creation_time",
        attributes=attributes,
        username=says or None,
        order=("x.evtx", own.offset),
        message=says,
        plaso_message=message,
        plaso_short_message=message if len(message) <= 80 else f"{message[:77]}...",
        message_attributes=frozenset({"strings", "record_number"}),
    )
    return FakeMapped(own.id, [one])


def learned(one: LineMaker, says: str, special: Callable[[Own], str] = lambda own: "") -> Callable[[Own], Output] | None:
    event = mapped(ONE, says, special)
    return one.learn(ONE, one.make(event), mapped(PROBE, says, special))


@pytest.mark.parametrize("target", TARGETS)
@given(says=st.sampled_from(HOSTILE) | st.text(max_size=60), own=own_values)
def test_lines_are_those_of_the_ordinary_way(target: str, says: str, own: Values):
    one = line_maker(target)
    repeat = learned(one, says)
    if repeat is not None:
        assert repeat(own) == one.make(mapped(own, says))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "says", ["an ordinary text of more than eighty characters, behind which a short message is cut off", '=1;\x1b\u2028,"']
)
def test_ordinary_texts_and_hostile_ones_are_learned(target: str, says: str):
    assert learned(line_maker(target), says) is not None


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "special",
    [
        lambda own: f"{own.record_id:x}",
        lambda own: str(own.record_id)[:3],
        lambda own: str(own.created_at)[:9],
        lambda own: own.id[:8],
        lambda own: own.text[:4],
        lambda own: str(own.offset // 2),
        lambda own: f"{str(own.record_id)[0]:>80}",
    ],
)
def test_lines_that_depend_on_what_is_the_records_own_in_another_way_are_not_learned(target: str, special: Callable[[Own], str]):
    assert learned(line_maker(target), "x", special) is None


@pytest.mark.parametrize("says", [PROBE.id, PROBE.text, str(PROBE.record_id)])
def test_lines_that_hold_the_values_of_the_probe_are_not_learned(says: str):
    assert learned(line_maker("timesketch:x.jsonl"), says) is None


def test_a_message_that_would_be_cut_behind_a_longer_number_is_not_learned():
    short, cut = (mapped(own, "x" * 10).rows()[0].plaso_short_message for own in (ONE, PROBE))
    assert short.endswith("14 Event Level: 4")
    assert cut.endswith(" Event L...")
    assert learned(line_maker("l2tcsv:x.csv"), "x" * 10) is None


class Encoder:
    """Rows as lines that are hard to take apart."""

    def __init__(self, template: str) -> None:
        self._template = template

    def encode(self, row: Row) -> tuple[bytes, bytes]:
        return b"", self._template.format(row.event_id[:40], row.own["record_number"]).encode()

    def own_parts(self, own: Own) -> tuple[bytes, bytes, tuple[str, str]]:
        return b"", b"", (own.id, str(own.record_id))


@pytest.mark.parametrize(("template", "is_learned"), [("{0} {1} {0}", True), ("{0} \0{1}", False), ("{0}", False), ("x", False)])
def test_a_line_without_own_values_or_with_what_separates_them_is_not_learned(template: str, is_learned: bool):
    assert (learned(LineMaker(Encoder(template), Messages.OWN), "x") is not None) is is_learned


def test_a_record_with_two_rows_is_not_learned():
    one = line_maker("timesketch:x.jsonl")
    event, probe = (FakeMapped(own.id, [*mapped(own, "x").rows()] * 2) for own in (ONE, PROBE))
    assert one.learn(ONE, one.make(event), probe) is None


def test_the_probe_has_values_that_are_no_part_of_each_other():
    texts = [PROBE.text[:26], PROBE.id, *map(str, (PROBE.created_at, PROBE.record_id, PROBE.offset, (PROBE.created_at - UNIX_EPOCH) // 10))]
    assert not any(text in other for text in texts for other in texts if text is not other)
    assert min(PROBE.record_id, PROBE.offset) > NUMBERS_END
    assert PROBE.text == iso(PROBE.created_at, 7)


@pytest.mark.parametrize("target", TARGETS)
def test_keys_sort_as_those_of_the_ordinary_way(target: str):
    one = line_maker(target)
    repeat = learned(one, "x")
    assert repeat is not None
    moments = [ONE._replace(created_at=ONE.created_at + later, offset=place) for later, place in ((0, 5), (0, 70_000), (9, 1), (10**7, 0))]
    keys = [lines[0][0] for own in moments if isinstance(lines := repeat(own), list)]
    assert len(keys) == len(moments)
    assert all(before <= after for before, after in pairwise(keys))

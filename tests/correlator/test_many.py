"""Hosts of so many detections that few of them are in memory at a time."""

import random
from pathlib import Path

import pytest

from exporter.correlator import Correlator
from exporter.correlator.groups import Group, Groups
from exporter.correlator.held import Held
from exporter.correlator.keys import Anchor, Keys
from exporter.correlator.store import Store
from exporter.records import Payload, Record, identity
from tests.correlator import build

MANY = 300
OPEN, LIVE = 100, 50
"""Incidents that are put together at a time, and that are told as objects."""
HOSTILE = ("\ud800", "\0", "é\u2028", '"\\', "x" * 20_000)


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.correlator.places._OPEN", OPEN)
    monkeypatch.setattr("exporter.correlator.telling._LIVE", LIVE)


def detection(number: int) -> tuple[Payload, ...]:
    path = f"C:\\{HOSTILE[number % len(HOSTILE)]}{number}.exe"
    return (
        build.detected(60 * number, number, path=path, detection_user=HOSTILE[number % 5], severity_id=5),
        build.acted(60 * number + 5, number, path=path, threat_id=2**64 - 1 if number % 7 == 0 else build.EICAR),
        build.history(60 * number + 6, number, path=path, sha1=None, sig_seq=2**64 - 1),
    )


def told(payloads: list[Payload], **options: object) -> dict[str, Record]:
    found = build.joined(*payloads, **options)
    assert len({one.key for one in found}) == len(found)
    assert [one.payload for one in found[: len(payloads)]] == payloads
    assert [one.identity for one in found] == [identity("case", one.host, *one.key) for one in found]
    return {str(one.key): one for one in found}


def test_incidents_are_the_same_whether_their_records_follow_each_other_or_stand_far_apart(tmp_path: Path) -> None:
    every = [detection(number) for number in range(1, MANY)]
    together = told([payload for some in every for payload in some])
    apart = told([some[place] for place in range(3) for some in every], spool_dir=tmp_path, memory_bytes=1000)
    assert apart == together
    assert len(build.incidents(together.values())) == len(every)
    assert {one.member_count for one in build.incidents(together.values())} == {3}
    assert list(tmp_path.iterdir()) == []


def test_an_incident_of_many_records_is_told_once_and_by_all_of_them() -> None:
    large = [build.acted(number, 1, error_code=number % 2, process_name=f"{number}.exe") for number in range(1, 40)]
    small = [build.detected(number, number + 1) for number in range(1, MANY)]
    mixed = [payload for pair in zip(large * (MANY // 39), small, strict=False) for payload in pair][: 2 * len(large)]
    one = max(build.incidents(build.joined(*mixed)), key=lambda incident: incident.member_count)
    assert one == build.incident(*large)
    assert one.member_count == len(large)


def test_what_stands_far_apart_goes_to_one_incident_beside_weaker_joins() -> None:
    every = [detection(number) for number in range(1, MANY) if number % 5 > 1]
    lines = [build.line(60 * number + 0.02, path=f"C:\\{HOSTILE[number % 5]}{number}.exe") for number in range(2, MANY, 5)]
    payloads = [some[place] for place in range(3) for some in every] + lines
    shuffled = random.Random(1).sample(payloads, len(payloads))
    one, other = build.joined(*payloads), build.joined(*shuffled)
    assert sorted(map(repr, build.incidents(one))) == sorted(map(repr, build.incidents(other)))
    assert sum("mplog_detection_event" in incident.member_kinds for incident in build.incidents(one)) == len(lines)
    assert {record.key: record.correlation for record in one} == {record.key: record.correlation for record in other}


def test_pieces_come_out_of_the_store_by_their_places_in_any_order(tmp_path: Path) -> None:
    store = Store(tmp_path, memory_bytes=1000)
    pieces = [bytes([number % 251]) * (number * 37 % 3000) for number in range(500)]
    places = [store.add(piece) for piece in pieces]
    order = random.Random(1).sample(range(500), 500)
    assert [store.get(places[number]) for number in order] == [pieces[number] for number in order]
    late = store.add(b"late")
    assert (store.get(late), store.get(places[3])) == (b"late", pieces[3])
    store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["x", "é", "\ud800", "a\0b", ""])
def test_what_was_said_is_found_by_its_anchor_and_comes_back(text: str) -> None:
    held = Held()
    said = [
        Keys(anchor=("detection", f"{text}1"), threats=((1, text),), paths=(2**64 - 1,)),
        Keys(anchor=("detection", f"{text}11"), sha1s=(text,)),
        Keys(anchor=("detection", f"{text}1"), threats=((2**65, "\udfff"),), signatures=(2**64,)),
        Keys(anchor=("quarantine", f"{text}1"), resources=(text, "b")),
        Keys(threats=((None, text),)),
    ]
    for number, keys in enumerate([*said, said[0]]):
        held.add(keys, (number,), 0, "0" * 40)
    held.complete()
    assert [held.keys(position) for position in range(6)] == [*said, said[0]]
    assert held.numbers_of(("detection", f"{text}1")) == held.numbers_beside(0) == held.numbers_beside(2) == [0, 2]
    assert list(held.positions([0, 2])) == [0, 2, 5]
    assert held.numbers_of(("detection", f"{text}2")) == []
    assert held.numbers_of(None) == [4]
    assert set(held.anchors()) == {keys.anchor for keys in said if keys.anchor}
    assert held.entries == {f"{text}1"}
    assert held.naming == [3]


def test_a_correlator_that_is_closed_early_leaves_no_file(tmp_path: Path) -> None:
    correlator = Correlator("case", tmp_path, memory_bytes=1)
    for number in range(1, 50):
        for payload in detection(number):
            correlator.offer(build.record(payload))
    next(correlator.finish())
    correlator.close()
    assert list(tmp_path.iterdir()) == []


def test_neighbors_in_time_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mass quarantine: every lone entry looks at the detections around it, which are made anew when they are forgotten."""
    made: list[Anchor] = []
    original = Groups._made

    def counted(groups: Groups, anchor: Anchor) -> Group | None:
        made.append(anchor)
        return original(groups, anchor)

    monkeypatch.setattr(Groups, "_made", counted)
    count = 600
    pairs = ((build.entry(number, number + 1), build.detected(number, number + 1)) for number in range(count))
    records = [build.record(one) for pair in pairs for one in pair]
    random.Random(1).shuffle(records)
    build.joined(*records)
    assert len(made) < 10 * count

"""What is mapped where it is read, and what is left to go the ordinary way."""

import io
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from exporter.cli.progress import Silent
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.evtx import parse
from exporter.job import Job, make_mapper, run_job
from exporter.made import EventMaker, made_by, start
from exporter.records import Parsed, Said, Source
from exporter.sinks.repeated import NUMBERS_END, PROBE
from exporter.sinks.targets import parse_target
from exporter.synthetic.evtx import Event, build_evtx, write_evtx
from tests.evtx_logs import events
from tests.golden.inputs import THREAT

NOW = 133_500_000_000_000_000
SOURCE = Source("x.evtx", "evidence")


def parsed(**fields: object) -> Parsed:
    item = next(parse(io.BytesIO(build_evtx(events(1, **fields)))))
    assert isinstance(item, Parsed)
    return item


def maker(*targets: str) -> EventMaker:
    given = made_by(make_mapper("C1", now=NOW), "incident", [parse_target(target) for target in targets])
    assert given is not None
    return start(given("WS1").arguments, SOURCE)


def taken(maker: EventMaker, item: Parsed) -> bool:
    return maker.take(item.payload, None, item.offset, item.raw_hash, item.integrity)


def test_each_sink_gets_its_own_outputs() -> None:
    one = maker("ecs:a.ndjson", "timesketch:a.jsonl", "l2tcsv:a.csv")
    assert taken(one, parsed())
    assert taken(one, parsed())
    made = one.made()
    assert made is not None
    assert made.count == 2
    documents, lines, rows = made.outputs
    [document, _], [[(_, line)], _], [[(_, cells)], _] = documents, lines, rows
    assert isinstance(document, bytes)
    assert msgspec.json.decode(document)["host"]["name"] == "WS1"
    assert msgspec.json.decode(line)["event_id"].startswith(msgspec.json.decode(document)["event"]["id"])
    assert cells.count(b",") == 16


def test_what_was_taken_is_given_once() -> None:
    one = maker("ecs:a.ndjson")
    assert taken(one, parsed())
    assert one.made() is not None
    assert one.made() is None


def test_the_maker_of_this_process_makes_what_that_of_another_makes() -> None:
    given = made_by(make_mapper("C1", now=NOW), "incident", [parse_target("ecs:a.ndjson")])
    assert given is not None
    here, there = given("WS1").here(SOURCE), start(given("WS1").arguments, SOURCE)
    for one in (here, there):
        item = parsed()
        one.take(item.payload, None, item.offset, item.raw_hash, item.integrity)
    assert here.made() == there.made()


def test_what_an_incident_may_need_goes_the_ordinary_way() -> None:
    assert not taken(maker("ecs:a.ndjson"), parsed(event_id=1116, data=dict(THREAT)))


def test_an_event_without_a_usable_time_goes_the_ordinary_way() -> None:
    item = parsed()
    assert not taken(maker("ecs:a.ndjson"), msgspec.structs.replace(item, payload=msgspec.structs.replace(item.payload, created_at=None)))


def test_what_cannot_be_mapped_goes_the_ordinary_way_for_all_sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.sinks.timesketch_keys.MAXIMUM_KEYS", 0)
    one = maker("ecs:a.ndjson", "timesketch:a.jsonl")
    assert not taken(one, parsed())
    assert one.made() is None


def test_servers_have_their_documents_made_by_who_sends_them() -> None:
    targets = [parse_target("ecs:a.ndjson"), parse_target("elasticsearch:http://localhost:9200")]
    assert made_by(make_mapper("C1", now=NOW), "incident", targets) is None


def sent(count: int) -> list[Event]:
    """Events of three computers in a collector's log."""
    return [msgspec.structs.replace(one, computer=f"WS-{one.record_id % 3}", forwarded=True) for one in events(count)]


@pytest.mark.parametrize("state", ["sound", "damaged", "forwarded"])
def test_outputs_are_those_of_the_ordinary_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    log = tmp_path / "in" / "Microsoft-Windows-Windows Defender%4Operational.evtx"
    log.parent.mkdir()
    write_evtx(log, sent(700) if state == "forwarded" else events(700))
    if state == "damaged":
        data = bytearray(log.read_bytes())
        data[70_000] ^= 64
        log.write_bytes(data)
    found = []
    for way in ("made", "ordinary"):
        folder = tmp_path / way
        folder.mkdir()
        if way == "ordinary":
            monkeypatch.setattr(EventMaker, "take", lambda *_: False)
        to = (f"ecs:{folder / 'ecs'}", f"timesketch:{folder / 'x.jsonl'}", f"l2tcsv:{folder / 'x.csv'}")
        report = run_job(Job(evidence=(str(log.parent),), case="C1", to=to, reproducible=True), Silent())
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "dead-letters.ndjson"}
        found.append((files, [(sink.name, sink.counts) for sink in report.sinks], report.files, report.hosts))
    assert found[0] == found[1]
    assert b"integrity_failed" in found[0][0]["ecs"] if state == "damaged" else found[0][0]["ecs"].count(b"\n") >= 700


def test_what_was_seen_three_times_is_known_again_but_for_longer_numbers_and_other_origins() -> None:
    one, item = maker("timesketch:a.jsonl"), parsed()

    def said(number: int = 1, digits: int = 7, written_at: int | None = NOW) -> Said:
        return "common", (None, 1, 2), "data", (number, NOW, digits, written_at)

    again = partial(one.again, offset=9, raw_hash=item.raw_hash, integrity=item.integrity)
    for _ in range(3):
        assert not again(said(), origin=None)
        assert one.take(item.payload, said(), item.offset, item.raw_hash, item.integrity)
    assert not again(said(NUMBERS_END), origin=None)
    assert not again(said(), origin="remnant")
    assert not again(said(digits=6), origin=None)
    assert not again(said(written_at=None), origin=None)
    assert again(said(NUMBERS_END - 1), origin=None)
    made = one.made()
    assert made is not None
    [[*_, [(_, line)]]] = made.outputs
    assert msgspec.json.decode(line)["record_number"] == NUMBERS_END - 1


@pytest.mark.parametrize(("target", "unused"), [("ecs:a", "rows"), ("timesketch:a.jsonl", "compiled"), ("l2tcsv:a.csv", "compiled")])
def test_only_what_the_targets_write_is_compiled(target: str, unused: str) -> None:
    mapper, item = make_mapper("C1", now=NOW), parsed()
    given = made_by(mapper, "incident", [parse_target(target)])
    assert given is not None
    one = given("WS1").here(SOURCE)
    for number in range(4):
        said = ("common", (None, 1, 2), "data", (number, NOW, 7, NOW))
        assert one.take(item.payload, said, item.offset, item.raw_hash, item.integrity)
    assert {"rows", "compiled"} - vars(mapper.kinds[item.payload.kind]).keys() == {unused}


def test_what_is_kept_of_long_lines_is_bounded() -> None:
    one, item = maker("timesketch:a.jsonl"), parsed(data={"x": "y" * 8000})
    for number in range(300):
        said = ("common", (None, 1, 2), f"data {number}", (number, NOW, 7, NOW))
        for _ in range(3):
            assert one.take(item.payload, said, item.offset, item.raw_hash, item.integrity)
    assert 0 < len(one._known) < 256


HOSTILE = (
    *("", "=1+1;=x", '"', "a\r\nb", "\u2028\x85\x1b", "+1,2", "x" * 3000, "＝1", "<&>", "%%901", "{}%s\\u0000", "-"),
    *(PROBE.id, PROBE.text, str(PROBE.record_id), str(PROBE.offset), str(PROBE.created_at), "N: 7 \ud7ff\U0001f600"),
)
COMBINATIONS = (
    ("ecs:x",),
    ("timesketch:x.jsonl",),
    ("l2tcsv:x.csv",),
    ("l2tcsv:x.csv?dialect=psort",),
    ("l2tcsv:x.csv?timezone=America/Sao_Paulo",),
    ("ecs:x", "timesketch:x.jsonl", "l2tcsv:x.csv?timezone=Europe/Berlin", "ecs:y"),
)


def repeated(count: int) -> list[Event]:
    """Events that say few different things, in both halves of some years, with thread, number and time of their own."""
    fields = [{"New Value": text, "Old Value": f"x = {text}", "Detection ID": text} for text in HOSTILE]
    number, thread = len(fields), UUID(int=7)
    return [
        Event(
            event_id=(5007, 1150, 4711)[n % 3],
            record_id=n if n < count - 60 else 10**18 + n,
            created_at=NOW + n * 86_400 * 10_000_000 + n,
            data=fields[n % number] if n % 7 else {"N": str(n)},
            activity_id=str(thread) if n % 4 else None,
            process_id=n % 5,
        )
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("to", COMBINATIONS, ids=lambda to: "+".join(to))
def test_repeated_events_have_the_outputs_of_the_ordinary_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: tuple[str, ...]) -> None:
    log = tmp_path / "in" / "x.evtx"
    log.parent.mkdir()
    write_evtx(log, repeated(600))
    found, again, known = [], EventMaker.again, list[bool]()

    def counted(one: EventMaker, *values: Any) -> bool:
        known.append(again(one, *values))
        return known[-1]

    for way in ("made", "ordinary"):
        monkeypatch.setattr(EventMaker, "again", counted if way == "made" else lambda *_: False)
        folder = tmp_path / way
        folder.mkdir()
        targets = tuple(target.replace(":", f":{folder}/") for target in to)
        report = run_job(Job(evidence=(str(log.parent),), case="C1", to=targets, reproducible=True), Silent())
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "dead-letters.ndjson"}
        found.append((files, [(sink.name, sink.counts) for sink in report.sinks], report.files, report.hosts))
    assert found[0] == found[1]
    assert len(found[0][0]) == len(to)
    assert sum(known) > 200


def test_what_was_taken_of_a_chunk_is_there_though_its_reader_fails_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "in" / "x.evtx"
    log.parent.mkdir()
    write_evtx(log, events(9))
    taken_before = EventMaker.take

    def take(maker: EventMaker, payload: WindowsEvent, *rest: Any) -> bool:
        if payload.record_id == 4:
            raise ZeroDivisionError("a defect")
        return taken_before(maker, payload, *rest)

    monkeypatch.setattr(EventMaker, "take", take)
    monkeypatch.setattr(EventMaker, "again", lambda *_: False)
    report = run_job(Job(evidence=(str(log.parent),), case="C1", to=(f"ecs:{tmp_path / 'out'}",)), Silent())
    [file] = report.files
    assert (file.counts.emitted, file.counts.rejected) == (3, 1)
    assert [line for line in (tmp_path / "out").read_text().splitlines() if '"record_id":"3"' in line]
    assert any("a defect" in reason for reason in report.reasons)

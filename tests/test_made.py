"""What is mapped where it is read, and what is left to go the ordinary way."""

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.cli.progress import Silent
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.evtx import parse
from exporter.job import Job, make_mapper, run_job
from exporter.made import EventMaker, made_by, start
from exporter.records import Parsed, Source
from exporter.sinks.targets import parse_target
from exporter.synthetic.evtx import build_evtx, write_evtx
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


@pytest.mark.parametrize("damaged", [False, True])
def test_outputs_are_those_of_the_ordinary_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool) -> None:
    log = tmp_path / "in" / "Microsoft-Windows-Windows Defender%4Operational.evtx"
    log.parent.mkdir()
    write_evtx(log, events(700))
    if damaged:
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
    assert b"integrity_failed" in found[0][0]["ecs"] if damaged else found[0][0]["ecs"].count(b"\n") >= 700


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

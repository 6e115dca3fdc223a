"""ECS documents as NDJSON."""

import json
from pathlib import Path

from exporter.sinks import Outcome
from exporter.sinks.ecs import EcsSink
from exporter.sinks.targets import SinkSettings, parse_target
from tests.sinks.fakes import TICKS, FakeMapped, events, row


def write(path: Path, records: list[FakeMapped], settings: SinkSettings) -> list[str]:
    sink = EcsSink(parse_target(f"ecs:{path}"), settings)
    sink.check()
    for position, record in enumerate(records, 1):
        sink.write(record, position)
    sink.close()
    return path.read_text(encoding="utf-8").splitlines()


def test_documents_come_in_the_order_given_with_the_time_of_their_batch(tmp_path: Path):
    lines = write(tmp_path / "a.ndjson", events(20), SinkSettings(clock=lambda: TICKS))
    events_found = [json.loads(line)["event"] for line in lines]
    assert [event["id"] for event in events_found] == [record.id for record in events(20)]
    assert {event["ingested"] for event in events_found} == {"2022-12-02T08:00:26.0770946Z"}


def test_a_reproducible_run_has_the_documents_as_they_are(tmp_path: Path):
    lines = write(tmp_path / "a.ndjson", events(20), SinkSettings(reproducible=True))
    assert [line.encode() for line in lines] == [record.document() for record in events(20)]


def test_each_batch_has_its_own_time(tmp_path: Path):
    ticks = iter(range(TICKS, TICKS + 10))
    large = [FakeMapped(str(number), [row(message="x" * 40_000)]) for number in range(4)]
    lines = write(tmp_path / "a.ndjson", large, SinkSettings(clock=lambda: next(ticks)))
    stamps = [json.loads(line)["event"]["ingested"][-4:] for line in lines]
    assert stamps == ["946Z", "946Z", "947Z", "947Z"]


def test_a_document_that_does_not_end_with_its_event_is_dead_and_brings_itself(tmp_path: Path):
    class Broken(FakeMapped):
        def document(self) -> bytes:
            return b'{"event":{"id":"x"},"message":"y"}'

    sink = EcsSink(parse_target(f"ecs:{tmp_path / 'a'}"), SinkSettings())
    [result] = sink.write(Broken("x", []), 1)
    assert (result.outcome, result.document) == (Outcome.DEAD, Broken("x", []).document())

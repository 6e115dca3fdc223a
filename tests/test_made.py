"""What a process that reads a log maps itself, and what it leaves to who asked."""

import io
from collections.abc import Callable

import msgspec
import pytest

from exporter.formats.evtx import parse
from exporter.job import make_mapper
from exporter.made import made_by, start
from exporter.records import Made, Parsed, Source
from exporter.sinks.targets import parse_target
from exporter.synthetic.evtx import build_evtx
from tests.evtx_logs import events
from tests.golden.inputs import THREAT

NOW = 133_500_000_000_000_000
SOURCE = Source("x.evtx", "evidence")


def parsed(**fields: object) -> Parsed:
    item = next(parse(io.BytesIO(build_evtx(events(1, **fields)))))
    assert isinstance(item, Parsed)
    return item


def maker(*targets: str) -> Callable[[Parsed], Made | None]:
    given = made_by(make_mapper("C1", now=NOW).run, "incident", [parse_target(target) for target in targets])
    assert given is not None
    return start(given("WS1").arguments, SOURCE, "evtx")


def test_each_sink_gets_its_own_output() -> None:
    made = maker("ecs:a.ndjson", "timesketch:a.jsonl", "l2tcsv:a.csv")(parsed())
    assert made is not None
    document, [(_, line)], [(_, cells)] = made.outputs
    assert msgspec.json.decode(document)["host"]["name"] == "WS1"
    assert msgspec.json.decode(line)["event_id"].startswith(made.id)
    assert cells.count(b",") == 16


def test_what_an_incident_may_need_is_left_to_who_asked() -> None:
    assert maker("ecs:a.ndjson")(parsed(event_id=1116, data=dict(THREAT))) is None


def test_what_is_incomplete_or_cannot_be_mapped_is_left_to_who_can_tell_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    make = maker("timesketch:a.jsonl")
    assert make(msgspec.structs.replace(parsed(), incomplete="cut off")) is None
    assert make(parsed()) is not None
    monkeypatch.setattr("exporter.sinks.timesketch_keys.MAXIMUM_KEYS", 0)
    assert maker("timesketch:a.jsonl")(parsed()) is None


def test_servers_have_their_documents_made_by_the_process_that_sends_them() -> None:
    targets = [parse_target("ecs:a.ndjson"), parse_target("elasticsearch:http://localhost:9200")]
    assert made_by(make_mapper("C1", now=NOW).run, "incident", targets) is None

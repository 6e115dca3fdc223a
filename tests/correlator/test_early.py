"""Records that are mapped before their incident is known read as if they had been mapped after."""

import json
from collections.abc import Sequence

import msgspec
import pytest

from exporter.correlator import Correlator
from exporter.job import make_mapper
from exporter.made import make_early
from exporter.records import Early, Output, Payload, Record
from exporter.sinks.targets import parse_target
from tests.correlator.build import acted, at, block, detected, entry, history, line, record

TARGETS = [parse_target(text) for text in ("ecs:a.ndjson", "timesketch:a.jsonl", "l2tcsv:a.csv")]
PAYLOADS = (detected(0), line(0.02), acted(1), history(0, last_change_at=at(700)), detected(5, None), block(3), detected(9, 2), entry(2))
MAPPER = make_mapper("case", now=0)
make = make_early(MAPPER, TARGETS)
assert make is not None


def outputs(payloads: Sequence[Payload], *, early: bool) -> tuple[list[tuple[Output, ...]], int]:
    """Of all records, and how many of them were made before the end."""
    correlator = Correlator("case", "HOST", make=make if early else None)
    for number, payload in enumerate(payloads):
        assert correlator.offer(record(payload, number)) == ()
    found = list(correlator.finish())
    assert make is not None
    made = [one if isinstance(one, Early) else make(one) for one in found]
    return [one.outputs for one in made if one], sum(isinstance(one, Early) for one in found)


def test_what_is_made_early_is_what_would_have_been_made_late() -> None:
    early, count = outputs(PAYLOADS, early=True)
    late, none = outputs(PAYLOADS, early=False)
    assert early == late
    assert (count, none) == (4, 0)


def test_each_output_has_the_id_of_the_incident() -> None:
    (document, [(_, line), *_], [(_, cells), *_]), *_ = outputs(PAYLOADS, early=True)[0]
    assert isinstance(document, bytes)
    fields = json.loads(document)["defender"]["correlation"]
    assert json.loads(line)["incident_id"] == fields["incident_id"]
    assert fields["incident_id"].encode() in cells
    assert fields["key"] == f"detection:{PAYLOADS[0].detection_id}"  # type: ignore[attr-defined]


def test_a_record_that_cannot_be_mapped_comes_back_as_it_was() -> None:
    correlator = Correlator("case", "HOST", make=lambda _: None)
    given = record(detected(0))
    correlator.offer(given)
    back, _ = correlator.finish()
    assert isinstance(back, Record)
    assert msgspec.structs.replace(back, correlation=None) == given


@pytest.mark.parametrize("server", ["elasticsearch:http://localhost:9200", "timesketch:http://localhost?sketch=S&timeline=T"])
def test_nothing_is_made_early_for_a_server(server: str) -> None:
    assert make_early(MAPPER, [*TARGETS, parse_target(server)]) is None

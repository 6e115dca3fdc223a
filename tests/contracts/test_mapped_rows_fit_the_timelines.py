"""What the mappings make is what the timelines take: types of keys (T9), their number (T8), nothing refused."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from exporter.data import folder
from exporter.kinds import KINDS
from exporter.mapping.load import load_mappings
from exporter.mapping.mapper import Mapper
from exporter.mapping.references import Run
from exporter.records import Record
from exporter.sinks import Outcome
from exporter.sinks.targets import SinkSettings, open_sink, parse_target
from exporter.sinks.timesketch_keys import FORBIDDEN, INTEGERS, LEFT_OUT, LISTS, OWN_KEYS, RENAMED
from tests.strategies import records

MAPPINGS = load_mappings(folder("mappings"))
NAMES = {rule.field for mapping in MAPPINGS.records.values() if mapping.timestamps for rule in mapping.attributes}


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    return Mapper(MAPPINGS, KINDS, Run(case="C1", version="1.0", now=133_500_000_000_000_000), folder("mappings"))


def test_no_mapping_makes_a_key_that_is_not_for_us_to_write():
    assert not NAMES & FORBIDDEN


def test_the_built_in_kinds_stay_far_below_the_limit_of_keys():
    keys = {RENAMED.get(name, name) for name in NAMES - LEFT_OUT} | OWN_KEYS
    assert len(keys) <= 60, sorted(keys)


def test_the_tables_of_types_have_no_stale_names():
    assert INTEGERS | LISTS <= NAMES


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(record=records())
def test_every_row_of_a_mapping_is_taken_and_its_numbers_and_lists_are_known(record: Record, mapper: Mapper, tmp_path: Path):
    mapped = mapper.map(record)
    for row in mapped.rows():
        assert {
            name: type(value) for name, value in row.own.items() if row.common.own[name] is not object
        }.items() <= row.common.own.items()
        assert {name for name, value in row.attributes.items() if isinstance(value, int)} <= INTEGERS
        assert {name for name, value in row.attributes.items() if isinstance(value, (list, tuple))} <= LISTS | LEFT_OUT
    for target in ("timesketch:case.jsonl", "l2tcsv:case.csv"):
        name, _, file = target.partition(":")
        sink = open_sink(parse_target(f"{name}:{tmp_path / file}"), SinkSettings())
        [result] = sink.write(mapped, 1)
        sink.abort()
        assert result.outcome is (Outcome.WRITTEN if mapped.rows() else Outcome.SKIPPED), result.reason

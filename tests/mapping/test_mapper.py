"""Documents and rows of every kind, for any values."""

import doctest
import importlib
import pkgutil
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import exporter.mapping.transforms
from exporter.correlator.keys import JOINABLE
from exporter.data import folder
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.detection_history import DetectionHistory
from exporter.formats.quarantine import QuarantineReference, QuarantineResource
from exporter.kinds import KINDS
from exporter.mapping.ecs import check_document
from exporter.mapping.explain import explain, flatten
from exporter.mapping.formatter import compile_formatter
from exporter.mapping.mapper import Mapper
from exporter.mapping.references import Run
from exporter.mapping.schema import MappingSet
from exporter.records import Integrity, Messages, Record, Source, Verdict
from exporter.text import clean
from tests.strategies import records

ANY = settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
TIME = 133_144_416_260_770_946


def record(payload, **values) -> Record:
    source = Source("C/x", "case", 1, values.pop("modified_at", None))
    return Record(payload=payload, host="H", source=source, collector="quarantine", key=("k",), hash="00", **values)


@pytest.mark.parametrize("kind", KINDS)
@ANY
@given(data=st.data())
def test_any_record_becomes_a_document_that_keeps_to_ecs(mapper: Mapper, kind: str, data: st.DataObject) -> None:
    mapped = mapper.map(data.draw(records(KINDS[kind])))
    document = mapped.document()
    assert document.endswith(b"}}")
    parsed = orjson.loads(document)
    assert list(parsed)[-1] == "event"
    own = {name: field for name, field in mapper.fields.items() if name.startswith(("defender.", "winlog.", "windows_defender."))}
    assert check_document(parsed, own) == []
    assert parsed["event"]["id"] == mapped.id


@pytest.mark.parametrize("kind", KINDS)
@ANY
@given(data=st.data())
def test_every_field_of_any_document_can_be_explained(mapper: Mapper, kind: str, data: st.DataObject) -> None:
    made = data.draw(records(KINDS[kind]))
    rules = {rule.field for rule in mapper.kinds[kind].mapping.ecs}
    leaves = [name for name, _ in flatten(orjson.loads(mapper.map(made).document()), frozenset(rules))]
    explained = [origin.field for origin in explain(mapper, made) if not origin.field.startswith("timeline:")]
    assert explained == leaves
    assert all(name in rules or name in ("message", "tags") or name.startswith("defender.raw.") for name in leaves)


@ANY
@given(made=records())
def test_rows_have_distinct_usable_times_and_inert_values(mapper: Mapper, made: Record) -> None:
    rows = mapper.map(made).rows()
    assert len({row.ticks for row in rows}) == len(rows)
    for row in rows:
        orjson.dumps(row.attributes)
        assert row.message
        assert "\0" not in row.message


@ANY
@given(made=records())
def test_messages_are_those_of_all_attributes_whatever_rows_have_in_common(mapper: Mapper, made: Record) -> None:
    kind, mapped = mapper.kinds[made.payload.kind], mapper.map(made)
    arguments = (made, made.payload, mapped.moment)
    attributes = kind.rows.shared(*arguments) | kind.rows.attributes(*arguments)
    plaso = compile_formatter(kind.mapping.formatter)
    for row in mapped.rows():
        assert row.message == orjson.loads(mapped.document())["message"]
    for row in mapped.rows(Messages.PLASO):
        assert row.plaso_message == clean(plaso.message(attributes))
        assert row.plaso_short_message == clean(plaso.short_message(attributes))


def test_the_first_usable_time_is_the_document_s_and_an_unusable_one_is_kept_raw(mapper: Mapper) -> None:
    payload = DetectionHistory(detection_id="D", file_name="D", threat_id=1, detected_at=0, last_change_at=TIME)
    document = orjson.loads(mapper.map(record(payload)).document())
    assert document["@timestamp"] == "2022-12-02T08:00:26.0770946Z"
    assert document["defender"]["raw"] == {"detected_at": "0"}
    assert "time_unusable" in document["tags"]
    assert document["defender"]["time"]["basis"] == "record"


@pytest.mark.parametrize(("modified_at", "basis"), [(TIME, "source_mtime"), (None, "ingest"), (0, "ingest")])
def test_a_record_without_a_time_takes_the_file_s_or_now_and_says_so(mapper: Mapper, modified_at: int | None, basis: str) -> None:
    payload = QuarantineReference(resource_id="R", container_size=1, quarantine_ids=())
    mapped = mapper.map(record(payload, modified_at=modified_at))
    document = orjson.loads(mapped.document())
    assert document["defender"]["time"]["basis"] == basis
    assert "no_event_time" in document["tags"]
    assert list(mapped.rows()) == []


def test_a_number_beyond_64_bits_is_kept_as_text(mapper: Mapper) -> None:
    payload = QuarantineResource(quarantine_id="Q", threat_id=2**64 - 1, ordinal=0, resource_type="file", path="C:\\x", raw_path="C:\\x")
    document = orjson.loads(mapper.map(record(payload)).document())
    assert "threat" not in document["defender"]
    assert document["defender"]["raw"]["id"] == str(2**64 - 1)
    assert document["rule"]["id"] == str(2**64 - 1)


def test_failed_integrity_is_a_tag(mapper: Mapper) -> None:
    payload = QuarantineReference(resource_id="R", container_size=1, quarantine_ids=())
    made = record(payload, integrity=Integrity(Verdict.FAILED, "section-crc32"))
    document = orjson.loads(mapper.map(made).document())
    assert "integrity_failed" in document["tags"]
    assert document["defender"]["integrity"] == {"verdict": "failed", "check": "section-crc32"}


def test_a_surrogate_and_a_nul_are_cleaned(mapper: Mapper) -> None:
    payload = QuarantineResource(
        quarantine_id="Q", threat_id=1, ordinal=0, resource_type="file", path="C:\\\ud800\0x", raw_path="C:\\\ud800\0x"
    )
    document = orjson.loads(mapper.map(record(payload)).document())
    assert document["file"]["path"] == "C:\\\ufffd\u2400x"


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(exporter.mapping.transforms.__path__)])
def test_the_examples_of_the_transforms_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"exporter.mapping.transforms.{name}"))
    assert result.failed == 0
    assert result.attempted > 0


def test_rows_of_what_incidents_do_not_need_only_copy_what_is_a_records_own(mapper: Mapper) -> None:
    ordinary = [name for name, kind in KINDS.items() if issubclass(kind, WindowsEvent) and kind not in JOINABLE]
    assert {name for name in ordinary if not mapper.kinds[name].rows.copied} == set()
    assert not mapper.kinds["detection_history"].rows.copied


@pytest.mark.parametrize("change", [{"values": "evtx_event_action"}, {"via": "hex_long"}, {"attributes": ("payload",)}])
def test_rows_that_translate_a_number_of_their_own_do_not_copy_it(mappings: MappingSet, change: dict[str, Any]) -> None:
    known = mappings.records["evtx_event"]
    rules = tuple(msgspec.structs.replace(rule, **change) if rule.field == "record_number" else rule for rule in known.attributes)
    changed = msgspec.structs.replace(mappings, records={"evtx_event": msgspec.structs.replace(known, attributes=rules)})
    run = Run(case="C1", version="1.0", now=TIME)
    assert not Mapper(changed, KINDS, run, folder("mappings")).kinds["evtx_event"].rows.copied

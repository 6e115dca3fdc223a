"""Fields of attributes that change together are looked up together: no record may get what belongs to another."""

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest

from exporter.formats.defender_events import Action, ConfigurationChange, Detection, WindowsEvent
from exporter.formats.resources import Resource
from exporter.kinds import KINDS
from exporter.mapping.mapper import Mapper
from exporter.mapping.writer import _GROUPS
from exporter.records import Correlation, Integrity, Record, Source, Verdict
from tests.mapping.memory import forget

TIME = 133_144_416_260_770_946
HOSTILE = ("", "-", "N/A", "\0", "\ud800", '"}\\', "\u00e9\u2028", "\x7f", "{v}", "Unknown")
OVERSIZED = 2**64 - 1
EVENTS = (Detection, Action, ConfigurationChange, *(KINDS[name] for name in ("evtx_update", "evtx_health", "evtx_scan")))
BASE: dict[str, Any] = {
    "provider_name": "Microsoft-Windows-Windows Defender",
    "channel": "Defender/Operational",
    "computer": "WS1",
    "event_id": 1116,
    "record_id": 1,
    "created_at": TIME,
    "written_at": TIME,
    "data": {"A": "b"},
}
VALUES: dict[str, tuple[Any, Any]] = {
    "detected_at": (TIME, TIME + 10_000_000),
    "resources": ((Resource("file", "C:\\a"),), ()),
    "evidence_paths": (("C:\\a",), ("C:\\b", "C:\\c")),
    "data": ({"A": "b"}, {"A": "b", "Error Description": "it failed"}),
}
"""Two values of attributes that are neither a text nor a small number."""


def made(kind: type[WindowsEvent], which: int) -> Record:
    """A record in which no attribute is missing."""
    hints = msgspec.inspect.type_info(kind)
    assert isinstance(hints, msgspec.inspect.StructType)
    values = {field.name: _value(field, which) for field in hints.fields}
    payload = kind(**{**values, **({} if which else BASE), "created_digits": 7})
    return Record(payload=payload, host="H", source=Source("C/x", "case"), collector="evtx", key=("k", str(which)), hash="00")


def _value(field: msgspec.inspect.Field, which: int) -> Any:
    if field.name in VALUES:
        return VALUES[field.name][which]
    types = getattr(field.type, "types", (field.type,))
    if any(isinstance(one, msgspec.inspect.IntType) for one in types):
        return (TIME if field.name.endswith("_at") else 1) + which
    if any(isinstance(one, msgspec.inspect.BoolType) for one in types):
        return bool(which)
    return (
        None if field.default is None and not any(isinstance(one, msgspec.inspect.StrType) for one in types) else f"C:\\{field.name}{which}"
    )


def alone(mapper: Mapper, record: Record) -> bytes:
    forget(mapper)
    return mapper.map(record).document()


def changed(record: Record, name: str, value: Any) -> Record:
    return msgspec.structs.replace(record, payload=msgspec.structs.replace(record.payload, **{name: value}))


def variants(kind: type[WindowsEvent]) -> Iterator[tuple[Record, Record]]:
    """Pairs of records that differ in a single attribute."""
    first, second = made(kind, 0), made(kind, 1)
    optional = {field.name for field in msgspec.structs.fields(kind) if field.default is None}
    for name in first.payload.__struct_fields__:
        if getattr(first.payload, name) != (other := getattr(second.payload, name)) and name != "created_digits":
            yield first, changed(first, name, other)
            if name in optional:
                yield first, changed(first, name, None)
            if isinstance(other, str):
                yield from ((first, changed(first, name, text)) for text in HOSTILE)
            elif isinstance(other, int) and name != "event_id":
                yield first, changed(first, name, OVERSIZED)


@pytest.mark.parametrize("kind", EVENTS)
def test_a_record_that_differs_in_one_attribute_gets_its_own_document(mapper: Mapper, kind: type[WindowsEvent]) -> None:
    pairs = list(variants(kind))
    expected = {id(other): alone(mapper, other) for _, other in pairs}
    assert len(set(expected.values())) > len(pairs) // 2
    forget(mapper)
    for first, other in pairs:
        mapper.map(first).document()
        assert mapper.map(other).document() == expected[id(other)], other
        assert mapper.map(other).document() == expected[id(other)]


@pytest.mark.parametrize("group", [name for name in _GROUPS if name not in ("incident", "thread")])
@pytest.mark.parametrize("kind", EVENTS)
def test_records_that_share_only_one_group_of_attributes_share_nothing_else(mapper: Mapper, kind: type[WindowsEvent], group: str) -> None:
    first, second = made(kind, 0), made(kind, 1)
    shared = {name: getattr(first.payload, name) for name in first.payload.__struct_fields__ if name in _GROUPS[group]}
    second = msgspec.structs.replace(second, payload=msgspec.structs.replace(second.payload, **shared))
    expected = alone(mapper, second)
    forget(mapper)
    mapper.map(first).document()
    assert mapper.map(second).document() == expected


def test_the_incident_and_the_state_of_a_record_are_its_own(mapper: Mapper) -> None:
    first = made(Detection, 0)
    others = [
        msgspec.structs.replace(first, correlation=Correlation("0" * 40, 1, "detection:X")),
        msgspec.structs.replace(first, correlation=Correlation("1" * 40, 2, "detection:X")),
        msgspec.structs.replace(first, integrity=Integrity(Verdict.FAILED, "crc32")),
        msgspec.structs.replace(first, source=Source("C/y", "case")),
        msgspec.structs.replace(first, host="H2"),
    ]
    expected = [alone(mapper, other) for other in others]
    forget(mapper)
    mapper.map(first).document()
    assert [mapper.map(other).document() for other in others] == expected
    assert len(set(expected)) == len(others)


@pytest.mark.parametrize("name", ["threat_id", "severity_id", "category_id", "detected_at", "process_id"])
def test_what_is_not_usable_is_told_by_every_record_that_has_it(mapper: Mapper, name: str) -> None:
    bad = changed(made(Detection, 0), name, OVERSIZED)
    forget(mapper)
    for record in (made(Detection, 0), bad, bad):
        document = orjson.loads(mapper.map(record).document())
        assert ("raw" in document["defender"]) is (record is bad)
        assert str(OVERSIZED) in document["defender"].get("raw", {"": str(OVERSIZED)}).values()

"""Where every field of a document and every attribute of a timeline row comes from."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from exporter.mapping.mapper import MappedRecord, Mapper, with_kind
from exporter.mapping.references import resolve
from exporter.mapping.schema import Rule
from exporter.records import Record


class FieldOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """One output field: its value, the attributes it is made of with their raw values, how, and the mapping line."""

    field: str
    value: Any
    attributes: tuple[tuple[str, Any], ...]
    how: str
    place: str


def explain(mapper: Mapper, record: Record) -> Iterator[FieldOrigin]:
    """Every field of the ECS document in its order, then the timeline attributes (their names begin with `timeline:`)."""
    mapped = mapper.map(record)
    mapping = with_kind(mapper.kinds[record.payload.kind].mapping, "incident")
    rules = {rule.field: rule for rule in mapping.ecs}
    for field, value in flatten(orjson.loads(mapped.document()), frozenset(rules)):
        yield _origin(field, value, rules.get(field), mapped, mapper, mapping.place)
    rows = mapped.rows()
    attributes = rows[0].attributes if rows else {}
    for rule in mapping.attributes:
        if rule.field in attributes:
            yield _origin(f"timeline:{rule.field}", attributes[rule.field], rule, mapped, mapper, mapping.place)


def flatten(document: Mapping[str, Any], leaves: frozenset[str] = frozenset(), prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; an object that is in `leaves` is one value."""
    for key, value in document.items():
        name = prefix + key
        if isinstance(value, dict) and name not in leaves:
            yield from flatten(value, leaves, f"{name}.")
        else:
            yield name, value


def _origin(field: str, value: Any, rule: Rule | None, mapped: MappedRecord, mapper: Mapper, place: str) -> FieldOrigin:
    if rule is None:
        return FieldOrigin(field=field, value=value, attributes=(), how=_BUILT_IN.get(field, "not usable as it is (C2, C8)"), place=place)
    raw = tuple(_raw(name, mapped, mapper) for name in rule.attributes)
    steps = [step for step in (rule.via, f"values/{rule.values}" if rule.values else None) if step]
    how = " with ".join(steps) or "as it is" if raw else "const"
    return FieldOrigin(field=field, value=value, attributes=raw, how=how, place=rule.place)


def _raw(name: str, mapped: MappedRecord, mapper: Mapper) -> tuple[str, Any]:
    """An attribute and its value; for the primary time, the attribute that it was taken from."""
    if name == "time.text" and mapped.moment.attribute is not None:
        name = mapped.moment.attribute
    return name, resolve(name, mapped.record, mapped.moment, mapper.run)


_BUILT_IN = {"message": "formatter", "tags": "time_unusable: a time of this record is none"}

"""Checks mappings without data: kinds, attributes, fields and their types, transforms, value tables, formatters."""

import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.mapping.ecs import EcsField, allowed_types
from exporter.mapping.formatter import check as check_formatter
from exporter.mapping.mapper import all_fields, with_kind
from exporter.mapping.references import annotation
from exporter.mapping.schema import DIGITS, MappingSet, RecordMapping, Rule
from exporter.mapping.transforms import TRANSFORMS
from exporter.records import Payload

_ALWAYS = (
    "@timestamp", "ecs.version", "event.kind", "event.type", "event.action", "event.dataset", "event.module", "event.provider", "event.id",
    "event.hash", "host.name", "labels.case_id", "agent.type", "agent.version", "log.file.path",
    "defender.source.path", "defender.time.basis",
)  # fmt: skip
"""Fields that every kind must map (sink-contracts E4); `message` is made of the formatter, `event.ingested` by the sink."""
_ANNOTATIONS = {"long": (int,), "date": (int,), "date_nanos": (int,), "boolean": (bool,), "float": (float, int)}
_TEXTS = frozenset(("keyword", "text", "wildcard", "match_only_text", "constant_keyword", "ip"))


def check_mappings(mappings: MappingSet, kinds: Mapping[str, type[Payload]], folder: Path) -> list[str]:
    """Everything that is wrong, each with file and line; empty when all fits."""
    fields = all_fields(mappings, folder)
    found = [f"records/: the kind `{kind}` has no mapping (expected records/{kind}.yaml)" for kind in kinds if kind not in mappings.records]
    for name, mapping in mappings.records.items():
        if name not in kinds:
            found.append(f"{mapping.place}: no record kind is called `{name}`")
        else:
            found += _record(with_kind(mapping, "incident"), kinds[name], mappings, fields)
    return list(dict.fromkeys(found + _shared_data_types(mappings)))


def _shared_data_types(mappings: MappingSet) -> list[str]:
    """plaso has one formatter per data type, so a data type of ours belongs to one kind."""
    owners: dict[str, str] = {}
    found = []
    for name, mapping in mappings.records.items():
        if not mapping.owned_by_plaso and (first := owners.setdefault(mapping.formatter.get("data_type", ""), name)) != name:
            found.append(f"{mapping.place}: its data type is that of `{first}`")
    return found


def _record(mapping: RecordMapping, kind: type[Payload], mappings: MappingSet, fields: Mapping[str, EcsField]) -> Iterator[str]:
    for time in mapping.timestamps:
        for attribute in (time.attribute, time.digits):
            if attribute is not None and attribute not in (*kind.__struct_fields__, *DIGITS):
                yield f"{time.place}: {kind.__name__} has no attribute `{attribute}`"
    for rule in (*mapping.ecs, *mapping.attributes):
        yield from _rule(rule, kind, mappings)
    for rule in mapping.ecs:
        yield from _field(rule, kind, fields)
    mapped = {rule.field for rule in mapping.ecs}
    yield from (f"{mapping.place}: no rule for `{field}`, which every document has" for field in _ALWAYS if field not in mapped)
    yield from _pairs(mapping, mappings)
    yield from _formatter(mapping)


def _rule(rule: Rule, kind: type[Payload], mappings: MappingSet) -> Iterator[str]:
    for reference in rule.attributes:
        try:
            annotation(reference, kind)
        except LookupError as error:
            yield f"{rule.place}: `{rule.field}`: {error.args[0]}"
    if rule.via is not None and rule.via not in TRANSFORMS and rule.via not in DIGITS:
        yield f"{rule.place}: `{rule.field}`: no transform is called `{rule.via}`"
    if rule.values is not None and rule.values not in mappings.values:
        yield f"{rule.place}: `{rule.field}`: there is no values/{rule.values}.yaml"


def _field(rule: Rule, kind: type[Payload], fields: Mapping[str, EcsField]) -> Iterator[str]:
    field = fields.get(rule.field)
    if field is None:
        yield f"{rule.place}: `{rule.field}` is neither in ECS nor in `fields` of common.yaml"
        return
    if rule.const is not None and isinstance(rule.const, list) != field.array:
        yield f"{rule.place}: `{rule.field}` is {'an array' if field.array else 'no array'}"
    if (rule.via and rule.via not in DIGITS) or rule.values or not rule.attributes or rule.attributes[0].startswith("time."):
        return
    try:
        found = annotation(rule.attributes[0], kind)
    except LookupError:
        return
    if not _fits(found, field):
        yield f"{rule.place}: `{rule.field}` is {field.type}{' array' if field.array else ''}, `{rule.attributes[0]}` is {found}"


def _fits(found: Any, field: EcsField) -> bool:
    if field.type in _ANNOTATIONS:
        return found in _ANNOTATIONS[field.type]
    if field.array:
        return found is str or typing.get_origin(found) is tuple
    return field.type not in _TEXTS or (isinstance(found, type) and issubclass(found, str))


def _pairs(mapping: RecordMapping, mappings: MappingSet) -> Iterator[str]:
    """E3, for constants here and for value tables by every row of both."""
    rules = {rule.field: rule for rule in mapping.ecs}
    if "event.category" not in rules:
        return
    for categories, types in _combinations(rules["event.category"], rules["event.type"], mappings):
        allowed = frozenset[str]().union(*(allowed_types(category) for category in categories))
        for kind in types:
            if kind not in allowed:
                yield f"{rules['event.type'].place}: event.type `{kind}` does not go with event.category {categories}"
        for category in categories:
            if not allowed_types(category).intersection(types):
                yield f"{rules['event.type'].place}: none of the event.type {types} goes with event.category `{category}`"


def _combinations(category: Rule, kind: Rule, mappings: MappingSet) -> Iterator[tuple[list[str], list[str]]]:
    tables = [mappings.values.get(rule.values) if rule.values else None for rule in (category, kind)]
    keys: set[Any] = {None}.union(*(table.values for table in tables if table))
    for key in keys:
        row = [table.values.get(key, table.default) if table else rule.const for table, rule in zip(tables, (category, kind), strict=True)]
        yield row[0] or [], row[1] or []


def _formatter(mapping: RecordMapping) -> Iterator[str]:
    definition = {**mapping.formatter, "message": list(mapping.message), "short_message": list(mapping.short_message)}
    for error in check_formatter(definition, owned_by_plaso=mapping.owned_by_plaso):
        yield f"{mapping.place}: formatter: {error}"
    known = {rule.field for rule in mapping.attributes}
    for piece in (*mapping.message, *mapping.short_message):
        for name in re.findall(r"(?<!{){([a-zA-Z_]\w*)", piece):
            if name not in known:
                yield f"{mapping.place}: the message names `{name}`, for which `attributes` has no rule"

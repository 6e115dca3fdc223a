"""What ECS 9.4.0 says: the type of every field, the allowed values of the event fields, and whether a document keeps to them.

The facts are in `mappings/values/ecs-9.4.0.csv` and `ecs-9.4.0-event.csv`; `check_document` is for tests and for `mappings check`.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from exporter.data import folder as installed

VERSION = "9.4.0"
OWN_PREFIXES = ("defender.", "winlog.", "windows_defender.")
"""Below these the fields are ours (or Winlogbeat's); ECS leaves room for such."""
_FREE = ("labels", "winlog.event_data")
"""Objects whose keys are data."""
_RAW = ("winlog.event_data.", "defender.event_data")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_NOTHING: tuple[Any, ...] = (None, "", [], {}, ())
_SAYS_NOTHING: tuple[Any, ...] = ("-", "N/A")


class EcsField(msgspec.Struct, frozen=True):
    """A field's Elasticsearch type, and whether ECS wants it as an array always."""

    type: str
    array: bool = False


@cache
def ecs_fields(folder: Path | None = None) -> Mapping[str, EcsField]:
    """Every ECS field; `folder` is the mappings folder, by default that of this installation."""
    types: dict[str, EcsField] = {}
    fields = {}
    for name, kind in _rows(folder, f"ecs-{VERSION}.csv"):
        if kind not in types:
            types[kind] = EcsField(kind.removesuffix("[]"), kind.endswith("[]"))
        fields[name] = types[kind]
    return MappingProxyType(fields)


def allowed_values(field: str, folder: Path | None = None) -> Mapping[str, frozenset[str]]:
    """The values that `event.kind`, `.category`, `.type` or `.outcome` may have; for a category, with its event types."""
    return _allowed(folder)[field]


def allowed_types(category: str, folder: Path | None = None) -> frozenset[str]:
    """The event types that ECS expects with a category; empty for a category that ECS does not know."""
    return allowed_values("event.category", folder).get(category, frozenset())


def check_document(document: Mapping[str, Any], own: Mapping[str, EcsField] | None = None, folder: Path | None = None) -> list[str]:
    """What is wrong with a document by sink-contracts C8, C9, E1 and E3; an empty list is approval.

    `own` has the types of the fields below our own prefixes; without it these are only checked for absence in disguise.
    """
    fields = {**ecs_fields(folder), **(own or {})}
    problems = list(_walk(document, "", fields, own is not None))
    if document.get("ecs", {}).get("version") != VERSION:
        problems.append(f"ecs.version must be {VERSION}")
    return problems + list(_event(document.get("event", {}), folder))


@cache
def _allowed(folder: Path | None) -> Mapping[str, Mapping[str, frozenset[str]]]:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for field, value, types in _rows(folder, f"ecs-{VERSION}-event.csv"):
        found.setdefault(field, {})[value] = frozenset(types.split())
    return found


def _rows(folder: Path | None, name: str) -> Iterator[list[str]]:
    """The rows below the heading. No cell of these files has a comma in it, and `csv` would cost a tenth of the program's start."""
    text = ((folder or installed("mappings")) / "values" / name).read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return (line.split(",") for line in lines[1:])


def _walk(node: Mapping[str, Any], prefix: str, fields: Mapping[str, EcsField], strict: bool) -> Iterator[str]:
    for key, value in node.items():
        name = prefix + key
        if "." in key:
            yield f"{name}: a dot inside the name `{key}`"
        elif value in _NOTHING:
            yield f"{name}: absent must mean absent, not {value!r}"
        elif name in fields and not (fields[name].type == "object" and isinstance(value, dict)):
            yield from _field(name, value, fields[name])
        elif isinstance(value, dict):
            yield from _walk(value, name + ".", fields, strict)
        elif prefix.removesuffix(".") not in _FREE and (strict or not name.startswith(OWN_PREFIXES)):
            yield f"{name}: no such field"
        else:
            yield from _says_nothing(name, value)


def _field(name: str, value: Any, field: EcsField) -> Iterator[str]:
    if field.array != isinstance(value, list):
        yield f"{name}: must {'' if field.array else 'not '}be an array"
        return
    for item in value if field.array else [value]:
        if not _FITS.get(field.type, _is_text)(item):
            yield f"{name}: {item!r} is not of type {field.type}"
        yield from _says_nothing(name, item)


def _says_nothing(name: str, value: Any) -> Iterator[str]:
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else [value]
    if any(item in _SAYS_NOTHING or item in _NOTHING for item in items) and not name.startswith(_RAW):
        yield f"{name}: absent must mean absent, not {value!r}"


def _event(event: Mapping[str, Any], folder: Path | None) -> Iterator[str]:
    for name in ("kind", "category", "type", "outcome"):
        value = event.get(name, [])
        for item in value if isinstance(value, list) else [value]:
            if item not in allowed_values(f"event.{name}", folder):
                yield f"event.{name}: {item!r} is not an ECS value"
    categories = {category: allowed_types(category, folder) for category in event.get("category", ())}
    types = set(event.get("type", ()))
    for category, expected in categories.items():
        if not types & expected:
            yield f"event.type: none of {sorted(types)} is expected with the category {category}"
    for kind in sorted(types):
        if categories and not any(kind in expected for expected in categories.values()):
            yield f"event.type: {kind} is expected with none of the categories {sorted(categories)}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(bits: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and -(1 << bits - 1) <= value < 1 << bits - 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return isinstance(value, str)


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


_FITS: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "date": _is_date,
    "date_nanos": _is_date,
    "double": _is_number,
    "flattened": _is_table,
    "float": _is_number,
    "geo_point": _is_table,
    "integer": _is_integer(32),
    "ip": _is_address,
    "long": _is_integer(64),
    "nested": _is_table,
    "object": _is_table,
    "scaled_float": _is_number,
}
"""Whether a JSON value fits a type; the types that are not here are texts."""

"""The index template of our documents: exactly the fields that the mappings can emit, in types that every server knows (E15, E16).

`mappings/elasticsearch/template.yaml` has what is not a field; the results are checked in beside it, one for each product.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from exporter.mapping.ecs import EcsField
from exporter.mapping.mapper import all_fields
from exporter.mapping.schema import MappingSet

_SERVED_BY = {"match_only_text": "text", "wildcard": "keyword", "constant_keyword": "keyword", "scaled_float": "float"}
"""What stands for the types that a server may lack (E15)."""
PRODUCTS = ("elasticsearch", "opensearch")


def index_template(mappings: MappingSet, folder: Path, product: str) -> dict[str, Any]:
    """The body of `PUT /_index_template/<name>`, made of the mappings in `folder` for one of PRODUCTS.

    Raises KeyError for a field of template.yaml that neither ECS nor common.yaml has.
    """
    facts = yaml.safe_load((folder / "elasticsearch" / "template.yaml").read_text("utf-8"))
    meta = {"version": facts["version"], "product": "defender-exporter", "name": facts["name"]}
    return {
        "index_patterns": facts["index_patterns"],
        "priority": facts["priority"],
        "version": facts["version"],
        "_meta": meta,
        "template": {
            "settings": facts["settings"],
            "mappings": {
                "_meta": {"version": facts["version"]},
                "dynamic": False,
                "date_detection": False,
                "numeric_detection": False,
                "dynamic_templates": _dynamic_templates(facts),
                "properties": _properties(_served(_fields(facts, mappings, all_fields(mappings, folder)), facts, product), facts["free"]),
            },
        },
    }


def field_types(template: Mapping[str, Any]) -> dict[str, str]:
    """Every searchable name of a template with its type; sub-fields and aliases have names of their own."""
    return dict(_walk("", template["template"]["mappings"]["properties"]))


def render(node: Any, indent: str = "") -> str:
    """JSON for people: an object of scalars stands on one line."""
    if not isinstance(node, dict) or not any(isinstance(value, dict | list) for value in node.values()):
        return orjson.dumps(node).decode()
    inner = indent + "  "
    lines = (f"{inner}{orjson.dumps(key).decode()}: {render(value, inner)}" for key, value in node.items())
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _served(fields: dict[str, dict[str, Any]], facts: Mapping[str, Any], product: str) -> dict[str, dict[str, Any]]:
    """OpenSearch's `flat_object` takes no parameters and refuses long values, so what may be long is only stored there."""
    if product == "elasticsearch":
        return fields
    for name, definition in fields.items():
        if definition["type"] == "flattened":
            fields[name] = {"type": "object", "enabled": False} if name in facts["long_leftovers"] else {"type": "flat_object"}
    return fields


def _fields(facts: Mapping[str, Any], mappings: MappingSet, known: Mapping[str, EcsField]) -> dict[str, dict[str, Any]]:
    """Name to definition of every leaf."""
    names = {rule.field for mapping in mappings.records.values() for rule in mapping.ecs}
    names |= {*mappings.fields, *facts["further"], "event.kind", "message"}
    above = facts["ignore_above"]
    fields = {name: _definition(facts["types"].get(name, known[name].type), above) for name in names if known[name].type != "object"}
    fields |= {f"winlog.event_data.{name}": _definition("keyword", above) for name in mappings.values["event_data"].values}
    fields |= {alias: {"type": "alias", "path": target} for alias, target in facts["aliases"].items()}
    for name in facts["text"]:
        fields[name].setdefault("fields", {})["text"] = _definition("text", above)
    for name in facts["caseless"]:
        fields[name].setdefault("fields", {})["caseless"] = {**_definition("keyword", above), "normalizer": "caseless"}
    return fields


def _definition(kind: str, ignore_above: int) -> dict[str, Any]:
    kind = _SERVED_BY.get(kind, kind)
    if kind in ("keyword", "flattened"):
        return {"type": kind, "ignore_above": ignore_above}
    return {"type": kind, "norms": False} if kind == "text" else {"type": kind}


def _dynamic_templates(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    keyword = _definition("keyword", facts["ignore_above"])
    return [{name.replace(".", "_"): {"path_match": f"{name}.*", "mapping": keyword}} for name, new in facts["free"].items() if new]


def _properties(fields: Mapping[str, dict[str, Any]], free: Mapping[str, bool]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name in sorted(fields):
        *path, leaf = name.split(".")
        node = root
        for depth, part in enumerate(path):
            child = node.setdefault(part, {"properties": {}})
            if (name_of_child := ".".join(path[: depth + 1])) in free:
                child["dynamic"] = free[name_of_child]
            node = child["properties"]
        node[leaf] = fields[name]
    return root


def _walk(prefix: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, definition in properties.items():
        if "type" in definition:
            yield prefix + name, definition["type"]
        yield from _walk(f"{prefix}{name}.", {**definition.get("properties", {}), **definition.get("fields", {})})

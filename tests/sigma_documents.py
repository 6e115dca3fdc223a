"""Our documents as the converted Sigma rules ask them: by the types and aliases of the index template, and by Timesketch's own."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from exporter.data import folder
from tests.lucene import Asked, Keyword, Text, matches
from tests.sigma_rules import queries

TEMPLATE = "index-template-elasticsearch.json"
CHANNEL = "Microsoft-Windows-Windows Defender/Operational"


@lru_cache(1)
def _fields() -> Mapping[str, Mapping[str, Any]]:
    """Each field of the index template by its dotted name, sub-fields too."""
    template = json.loads((folder("mappings") / "elasticsearch" / TEMPLATE).read_text("utf-8"))
    found: dict[str, Mapping[str, Any]] = {}

    def add(properties: Mapping[str, Any], prefix: str) -> None:
        for name, definition in properties.items():
            add(definition.get("properties", {}), f"{prefix}{name}.")
            found[prefix + name] = definition
            for sub, its in definition.get("fields", {}).items():
                found[f"{prefix}{name}.{sub}"] = {**its, "of": prefix + name}

    add(template["template"]["mappings"]["properties"], "")
    return found


def _ask(document: Mapping[str, Any], name: str) -> Asked:
    definition = _fields()[name]
    value: Any = document
    for part in (definition.get("path") or definition.get("of") or name).split("."):
        value = value.get(part) if isinstance(value, dict) else None
    values = [str(one) for one in (value if isinstance(value, list) else [] if value is None else [value])]
    return Keyword(values, caseless="normalizer" in definition)


def of_document(document: Mapping[str, Any]) -> frozenset[str]:
    """The rules whose query, as pySigma writes it, finds an ECS document; KeyError for a field that the index does not have."""
    return frozenset(name for name, query in queries("ecs_windows").items() if asked(query, document))


def asked(query: str, document: Mapping[str, Any]) -> bool:
    """Whether a query finds an ECS document; KeyError for a field that the index does not have."""
    return matches(query, lambda field: _ask(document, field))


def of_row(row: Mapping[str, Any]) -> frozenset[str]:
    """The rules whose query, as Timesketch writes it, finds a line of a timeline."""

    def ask(name: str) -> Asked:
        return Text([str(row[name])]) if name in row else Text([])

    return frozenset(name for name, query in queries("timesketch").items() if matches(query, ask))

"""The index template: the fields that we emit, in types that every server knows."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from exporter.data import folder
from exporter.mapping.mapper import Mapper
from exporter.mapping.schema import MappingSet
from exporter.mapping.template import PRODUCTS, field_types, index_template, render
from exporter.mapping.transforms.events import ALIASES, event_data, unlisted_data
from tests.line import Exported

EVERYWHERE = {"keyword", "text", "long", "date", "date_nanos", "boolean", "ip", "alias"}
"""Types that Elasticsearch 7, 8, 9 and OpenSearch have without plugins."""
LEFTOVERS = {"elasticsearch": {"flattened"}, "opensearch": {"flat_object", "object"}}


@pytest.fixture(scope="module", params=PRODUCTS)
def product(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def template(product: str, mappings: MappingSet) -> dict[str, Any]:
    return index_template(mappings, folder("mappings"), product)


def definitions(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every definition of a field below `node`."""
    found = [node] if isinstance(node.get("type"), str) else []
    return found + [item for value in node.values() if isinstance(value, dict) for item in definitions(value)]


def names(document: Mapping[str, Any], types: Mapping[str, str], prefix: str = "") -> set[str]:
    """The dotted names of the leaves of a document; what has a type is a leaf."""
    found: set[str] = set()
    for key, value in document.items():
        name = prefix + key
        found |= names(value, types, name + ".") if isinstance(value, dict) and name not in types else {name}
    return found


def test_only_types_are_used_that_the_server_knows(template: dict[str, Any], product: str) -> None:
    assert set(field_types(template).values()) == EVERYWHERE | LEFTOVERS[product]


def test_every_field_of_every_mapping_is_there(template: dict[str, Any], mapper: Mapper, mappings: MappingSet) -> None:
    types = field_types(template)
    emitted = {rule.field for mapping in mappings.records.values() for rule in mapping.ecs if mapper.fields[rule.field].type != "object"}
    assert {*emitted, "message", "event.kind", "event.ingested"} <= set(types)


def test_every_field_of_the_exported_case_is_there(template: dict[str, Any], demo: Exported) -> None:
    types = field_types(template)
    assert {name for document in demo.documents for name in names(document, types)} <= set(types)


def test_no_field_is_there_that_nothing_can_emit(template: dict[str, Any], mappings: MappingSet) -> None:
    emitted = {rule.field for mapping in mappings.records.values() for rule in mapping.ecs} | set(mappings.fields)
    facts = yaml.safe_load((folder("mappings") / "elasticsearch" / "template.yaml").read_text("utf-8"))
    known = {*emitted, *facts["further"], "message", "event.kind"}
    leaves = (re.sub(r"\.(text|caseless)$", "", name) for name in field_types(template))
    assert {name for name in leaves if name not in known and not name.startswith("winlog.event_data.")} == set()


def test_no_keyword_can_become_a_term_that_is_too_long(template: dict[str, Any]) -> None:
    for definition in definitions(template["template"]):
        if definition["type"] in ("keyword", "flattened"):
            assert definition["ignore_above"] * 4 <= 32_766


def test_what_may_be_long_is_not_indexed_where_the_server_would_refuse_it(mappings: MappingSet) -> None:
    opensearch = index_template(mappings, folder("mappings"), "opensearch")["template"]["mappings"]["properties"]["defender"]["properties"]
    assert opensearch["quarantine"]["properties"]["other_fields"] == {"type": "object", "enabled": False}
    assert opensearch["detection"]["properties"]["unknown"] == {"type": "object", "enabled": False}
    assert opensearch["raw"] == {"type": "flat_object"}


def test_unknown_fields_are_only_stored_except_for_labels(template: dict[str, Any]) -> None:
    root = template["template"]["mappings"]
    assert root["dynamic"] is False
    assert root["properties"]["labels"]["dynamic"] is True
    assert root["properties"]["winlog"]["properties"]["event_data"]["dynamic"] is False, "said, so that an index of before learns it"
    assert json.dumps(root).count('"dynamic": true') == 1
    assert [body["path_match"] for entry in root["dynamic_templates"] for body in entry.values()] == ["labels.*"]


def test_event_data_of_any_name_is_searchable_and_takes_no_room_for_a_field(template: dict[str, Any], mappings: MappingSet) -> None:
    listed = mappings.values["event_data"].values
    types = field_types(template)
    assert {types[f"winlog.event_data.{name}"] for name in listed} == {"keyword"}
    assert types["defender.event_data"] in ("flattened", "flat_object")
    assert unlisted_data({"Threat Name": "x", "New in 2027": "y", "Empty": ""}, listed) == {"New_in_2027": "y"}
    assert unlisted_data({"Threat Name": "x"}, listed) is None


def test_what_a_flattened_field_gets_fits_into_a_term(mappings: MappingSet) -> None:
    ((name, value),) = (unlisted_data({"𐍈" * 20_000: "𐍈" * 20_000}, mappings.values["event_data"].values) or {}).items()
    assert len(f"defender.event_data.{name}={value}".encode()) <= 32_766


def test_the_template_leaves_the_names_of_elastic_alone_and_says_its_version(template: dict[str, Any]) -> None:
    assert template["index_patterns"] == ["dfir-defender-*"]
    assert template["priority"] == 500
    assert template["version"] == template["_meta"]["version"] == template["template"]["mappings"]["_meta"]["version"]


@pytest.mark.parametrize("name", ["process.executable", "process.name", "file.path", "process.parent.executable"])
def test_paths_and_names_are_searched_by_word_and_without_case(template: dict[str, Any], name: str) -> None:
    types = field_types(template)
    assert (types[name], types[f"{name}.text"], types[f"{name}.caseless"]) == ("keyword", "text", "keyword")


def test_the_names_of_sigma_are_aliases_of_fields_that_are_there(template: dict[str, Any]) -> None:
    data = template["template"]["mappings"]["properties"]["winlog"]["properties"]["event_data"]["properties"]
    aliases = {name: definition["path"] for name, definition in data.items() if definition["type"] == "alias"}
    assert set(aliases) == set(ALIASES)
    assert {field_types(template)[target] for target in aliases.values()} == {"keyword"}
    assert {target.rpartition(".")[2].replace("_", "") for target in aliases.values()} == set(aliases)


@pytest.mark.parametrize("alias", ALIASES)
def test_event_data_never_writes_to_an_alias(alias: str) -> None:
    assert event_data({alias: "a"}) == {f"{alias}_2": "a"}


@pytest.mark.parametrize("blank", ["\t", "\n", "\u3000", "\u00a0\t", ""])
def test_event_data_has_no_name_that_a_server_refuses(blank: str) -> None:
    assert event_data({blank: "a"}) == {"Data": "a"}


def test_the_rendered_template_is_the_template(template: dict[str, Any]) -> None:
    assert json.loads(render(template)) == template
    assert max(map(len, render(template).splitlines())) < 250

"""The saved objects as Kibana's import reads them: shape, references, fields. No Kibana runs here."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from exporter.data import folder
from exporter.mapping.kibana import OBJECTS_FILE
from exporter.mapping.schema import MappingSet
from exporter.mapping.template import field_types, index_template

OBJECTS = [json.loads(line) for line in (folder("mappings") / OBJECTS_FILE).read_text("utf-8").splitlines()]
BY_ID = {item["id"]: item for item in OBJECTS}
KINDS = {"index-pattern": 1, "search": 6, "visualization": 5, "dashboard": 1}


def of_kind(kind: str) -> list[Any]:
    """The objects of one type as test parameters."""
    return [pytest.param(item, id=item["id"]) for item in OBJECTS if item["type"] == kind]


def source(item: Mapping[str, Any]) -> dict[str, Any]:
    """What the object searches."""
    return json.loads(item["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])


def fields_of(query: str) -> set[str]:
    """The fields that a query names."""
    return set(re.findall(r"([A-Za-z_@][\w@.]*):", re.sub(r'"[^"]*"', '""', query)))


@pytest.fixture(scope="module")
def types(mappings: MappingSet) -> dict[str, str]:
    return field_types(index_template(mappings, folder("mappings"), "elasticsearch"))


def test_there_is_one_data_view_and_what_stands_on_it() -> None:
    assert {kind: sum(item["type"] == kind for item in OBJECTS) for kind in KINDS} == KINDS
    assert len(BY_ID) == len(OBJECTS)
    view = OBJECTS[0]["attributes"]
    assert (view["title"], view["timeFieldName"]) == ("dfir-defender-*", "@timestamp")


@pytest.mark.parametrize("item", [pytest.param(item, id=item["id"]) for item in OBJECTS])
def test_every_reference_is_to_an_object_before_it_and_is_used(item: dict[str, Any]) -> None:
    before = {(other["type"], other["id"]) for other in OBJECTS[: OBJECTS.index(item)]}
    text = json.dumps(item["attributes"])
    for reference in item["references"]:
        assert (reference["type"], reference["id"]) in before
        assert reference["name"].rpartition(":")[2] in text
    assert re.fullmatch(r"\d+\.\d+\.\d+", item["typeMigrationVersion"])
    assert item["coreMigrationVersion"] == "8.8.0"


@pytest.mark.parametrize("item", of_kind("search") + of_kind("visualization"))
def test_searches_and_charts_stand_on_the_data_view(item: dict[str, Any]) -> None:
    (reference,) = item["references"]
    assert reference["id"] == OBJECTS[0]["id"]
    assert source(item)["indexRefName"] == reference["name"]
    assert source(item)["query"]["language"] == "kuery"


@pytest.mark.parametrize("item", of_kind("search"))
def test_every_field_of_a_search_is_in_our_mapping(item: dict[str, Any], types: dict[str, str]) -> None:
    named = {*item["attributes"]["columns"], *fields_of(source(item)["query"]["query"]), *(name for name, _ in item["attributes"]["sort"])}
    assert named <= set(types)
    assert fields_of(source(item)["query"]["query"])


@pytest.mark.parametrize("item", of_kind("visualization"))
def test_every_field_of_a_chart_is_in_our_mapping_and_can_be_counted(item: dict[str, Any], types: dict[str, str]) -> None:
    state = json.loads(item["attributes"]["visState"])
    assert state["title"] == item["attributes"]["title"]
    fields = [aggregation["params"]["field"] for aggregation in state["aggs"] if "field" in aggregation["params"]]
    assert fields
    assert all(types[field] in ("keyword", "date_nanos") for field in fields)
    assert fields_of(source(item)["query"]["query"]) <= set(types)
    assert len({aggregation["id"] for aggregation in state["aggs"]}) == len(state["aggs"])


@pytest.mark.parametrize("item", of_kind("search"))
def test_searches_look_at_years_not_at_the_last_minutes(item: dict[str, Any]) -> None:
    assert item["attributes"]["timeRestore"] is True
    assert item["attributes"]["timeRange"] == {"from": "now-15y", "to": "now"}


def test_the_dashboard_shows_every_search_and_chart_once_and_none_covers_another() -> None:
    (dashboard,) = [item for item in OBJECTS if item["type"] == "dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    references = {reference["name"]: reference for reference in dashboard["references"]}
    shown = [references[f"{panel['panelIndex']}:{panel['panelRefName']}"] for panel in panels]
    assert [(item["type"], item["id"]) for item in shown] == [
        (panel["type"], item["id"]) for panel, item in zip(panels, shown, strict=True)
    ]
    assert sorted(item["id"] for item in shown) == sorted(item["id"] for item in OBJECTS if item["type"] in ("search", "visualization"))
    cells = [
        (x, y)
        for grid in (panel["gridData"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 48
    assert dashboard["attributes"]["timeFrom"] == "now-15y"

"""Kibana's saved objects, made of `mappings/kibana/objects.yaml` and checked in beside it as NDJSON, as Kibana's import takes it.

Shapes and migration versions are those of Kibana 8.8, which every later Kibana migrates. A part of each object is JSON inside a string.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

OBJECTS_FILE = "kibana/dfir-defender.ndjson"
_VERSIONS = {"index-pattern": "8.0.0", "search": "8.0.0", "visualization": "8.5.0", "dashboard": "8.7.0"}
_CORE_VERSION = "8.8.0"
_ROW = 48
_INDEX_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
_LARGEST = 10
_COUNT = {"id": "1", "enabled": True, "type": "count", "schema": "metric", "params": {}}
_OVER_TIME = {
    "id": "2",
    "enabled": True,
    "type": "date_histogram",
    "schema": "segment",
    "params": {"field": "@timestamp", "interval": "auto", "useNormalizedEsInterval": True, "min_doc_count": 1, "extended_bounds": {}},
}
_TABLE = {
    "perPage": _LARGEST,
    "showPartialRows": False,
    "showMetricsAtAllLevels": False,
    "showTotal": False,
    "totalFunc": "sum",
    "percentageCol": "",
}
_CATEGORY_AXIS = {
    "id": "CategoryAxis-1",
    "type": "category",
    "position": "bottom",
    "show": True,
    "style": {},
    "scale": {"type": "linear"},
    "labels": {"show": True, "filter": True, "truncate": 100},
    "title": {},
}
_VALUE_AXIS = {
    "id": "ValueAxis-1",
    "name": "LeftAxis-1",
    "type": "value",
    "position": "left",
    "show": True,
    "style": {},
    "scale": {"type": "linear", "mode": "normal"},
    "labels": {"show": True, "rotate": 0, "filter": False, "truncate": 100},
    "title": {"text": "Documents"},
}
_SERIES = {"show": True, "type": "histogram", "mode": "stacked", "data": {"label": "Documents", "id": "1"}, "valueAxis": "ValueAxis-1"}
_BARS = {
    "type": "histogram",
    "grid": {"categoryLines": False},
    "categoryAxes": [_CATEGORY_AXIS],
    "valueAxes": [_VALUE_AXIS],
    "seriesParams": [_SERIES],
    "addTooltip": True,
    "addLegend": True,
    "legendPosition": "right",
    "times": [],
    "addTimeMarker": False,
    "labels": {"show": False},
    "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
}
_SHAPES: Mapping[str, tuple[str, Mapping[str, Any], list[dict[str, Any]], str]] = {
    "bars": ("histogram", _BARS, [_COUNT, _OVER_TIME], "group"),
    "table": ("table", _TABLE, [_COUNT], "bucket"),
}
"""Shape to Kibana's type, its parameters, the aggregations before the one by `field`, and the place of that one."""


def saved_objects(folder: Path) -> list[dict[str, Any]]:
    """The objects, each after those that it refers to."""
    facts = yaml.safe_load((folder / "kibana" / "objects.yaml").read_text("utf-8"))
    return list(_objects(facts))


def ndjson(objects: list[dict[str, Any]]) -> str:
    """One line for each object."""
    return "".join(f"{orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()}\n" for item in objects)


def _objects(facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    prefix, view = facts["prefix"], facts["data_view"]
    yield _saved("index-pattern", prefix, {"title": view["title"], "name": view["name"], "timeFieldName": view["time"]}, [])
    to_view = [{"id": prefix, "name": _INDEX_REFERENCE, "type": "index-pattern"}]
    for search in facts["searches"]:
        yield _saved("search", f"{prefix}-{search['id']}", _search(search, facts), to_view)
    for chart in facts["charts"]:
        yield _saved("visualization", f"{prefix}-{chart['id']}", _chart(chart), to_view)
    kinds = {search["id"]: "search" for search in facts["searches"]} | {chart["id"]: "visualization" for chart in facts["charts"]}
    dashboard = facts["dashboard"]
    panels = list(_panels(dashboard["panels"], kinds))
    references = [
        {"id": f"{prefix}-{name}", "name": f"{panel['panelIndex']}:{panel['panelRefName']}", "type": panel["type"]}
        for (name, _, _), panel in zip(dashboard["panels"], panels, strict=True)
    ]
    yield _saved("dashboard", f"{prefix}-{dashboard['id']}", _dashboard(dashboard, panels, facts), references)


def _saved(kind: str, identity: str, attributes: dict[str, Any], references: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "id": identity,
        "type": kind,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": _CORE_VERSION,
        "typeMigrationVersion": _VERSIONS[kind],
        "managed": False,
    }


def _search(search: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": f"Defender: {search['title']}",
        "description": search["description"],
        "columns": search["columns"],
        "sort": [["@timestamp", "desc"]],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "timeRestore": True,
        "timeRange": {"from": facts["from"], "to": "now"},
        "refreshInterval": {"pause": True, "value": 60000},
        "kibanaSavedObjectMeta": _source(search["query"], indexed=True),
    }


def _chart(chart: Mapping[str, Any]) -> dict[str, Any]:
    title = f"Defender: {chart['title']}"
    kind, parameters, aggregations, place = _SHAPES[chart["shape"]]
    by_field = {
        "id": "3",
        "enabled": True,
        "type": "terms",
        "schema": place,
        "params": {"field": chart["field"], "orderBy": "1", "order": "desc", "size": _LARGEST, "otherBucket": True, "missingBucket": False},
    }
    state = {"title": title, "type": kind, "params": parameters, "aggs": [*aggregations, by_field]}
    return {
        "title": title,
        "description": "",
        "version": 1,
        "uiStateJSON": "{}",
        "visState": _text(state),
        "kibanaSavedObjectMeta": _source(chart["query"], indexed=True),
    }


def _panels(panels: list[list[Any]], kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    x = y = 0
    for number, (name, width, height) in enumerate(panels, 1):
        index = str(number)
        yield {
            "type": kinds[name],
            "panelIndex": index,
            "panelRefName": f"panel_{index}",
            "gridData": {"x": x, "y": y, "w": width, "h": height, "i": index},
            "embeddableConfig": {"enhancements": {}},
        }
        x += width
        if x >= _ROW:
            x, y = 0, y + height


def _dashboard(dashboard: Mapping[str, Any], panels: list[dict[str, Any]], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": dashboard["title"],
        "description": dashboard["description"],
        "version": 1,
        "timeRestore": True,
        "timeFrom": facts["from"],
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60000},
        "optionsJSON": _text(
            {"useMargins": True, "syncColors": False, "syncCursor": True, "syncTooltips": False, "hidePanelTitles": False}
        ),
        "panelsJSON": _text(panels),
        "kibanaSavedObjectMeta": _source("", indexed=False),
    }


def _source(query: str, *, indexed: bool) -> dict[str, str]:
    source: dict[str, Any] = {"query": {"query": query, "language": "kuery"}, "filter": []}
    if indexed:
        source["indexRefName"] = _INDEX_REFERENCE
    return {"searchSourceJSON": _text(source)}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()

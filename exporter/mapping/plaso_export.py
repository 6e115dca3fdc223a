"""The formatter and timeliner definitions in plaso's own files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from exporter.mapping.formatter import export_yaml
from exporter.mapping.schema import MappingSet


def formatter_definitions(mappings: MappingSet) -> list[Mapping[str, Any]]:
    """One definition per kind of ours: each has a data type of its own, and plaso's are not redefined."""
    return [mapping.formatter for mapping in mappings.records.values() if not mapping.owned_by_plaso]


def timeliner_definitions(mappings: MappingSet) -> list[dict[str, Any]]:
    """plaso's timeliner: which attributes of a data type are times, and what they mean."""
    found = {
        mapping.formatter["data_type"]: {time.attribute: time.description for time in mapping.timestamps}
        for mapping in mappings.records.values()
        if not mapping.owned_by_plaso
    }
    return [
        {
            "data_type": name,
            "attribute_mappings": [{"name": key, "description": text} for key, text in times.items()],
            "place_holder_event": True,
        }
        for name, times in found.items()
    ]


def export(mappings: MappingSet, folder: Path) -> list[Path]:
    """Write both files into `folder`, which is made if need be; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    formatters, timeliner = folder / "defender_formatters.yaml", folder / "defender_timeliner.yaml"
    formatters.write_text(export_yaml(formatter_definitions(mappings)), "utf-8", newline="\n")
    timeliner.write_text(yaml.safe_dump_all(timeliner_definitions(mappings), sort_keys=False, explicit_start=True), "utf-8", newline="\n")
    return [formatters, timeliner]

"""The synthetic case: every incident of its truth, with exactly its members, from every artifact."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.correlator.incident import Incident
from exporter.formats.detection_history import parse_detection_history
from exporter.formats.evtx import parse as parse_evtx
from exporter.formats.mpdetection import parse_mpdetection
from exporter.formats.mplog import parse_mplog
from exporter.formats.quarantine import parse_entry, parse_reference
from exporter.formats.resource_data import parse_container
from exporter.records import Item, Parsed, Record, Source
from exporter.synthetic.case import write_case
from tests.correlator.build import joined


def items(path: Path) -> Iterator[Item]:
    name = path.as_posix()
    with path.open("rb") as stream:
        if name.endswith(".evtx"):
            yield from parse_evtx(stream)
        elif "/MPLog" in name:
            yield from parse_mplog(stream)
        elif "/MPDetection" in name:
            yield from parse_mpdetection(stream)
        elif "/DetectionHistory/" in name:
            yield from parse_detection_history(stream.read(), path.name)
        elif "/Entries/" in name:
            yield from parse_entry(stream.read(), path.name)
        elif "/Resources/" in name:
            yield from parse_reference(stream.read(), path.name)
        elif "/ResourceData/" in name:
            yield from parse_container(stream, path.name)


def label(path: str, item: Parsed) -> Any:
    """What the truth calls a record."""
    if path.endswith(".evtx"):
        return item.payload.record_id
    return (item.payload.kind, item.offset) if "/MPLog" in path or "/MPDetection" in path else path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, Any], list[Record], dict[str, Any]]]:
    """For each host its truth, what the correlator gave, and the labels of the records by key."""
    folder = tmp_path_factory.mktemp("case")
    out = []
    for host in write_case(folder)["hosts"].values():
        labels, held = {}, []
        for path in host["files"]:
            for number, item in enumerate(items(folder / path)):
                if isinstance(item, Parsed):
                    key = (path, str(number))
                    labels[key] = label(path, item)
                    source = Source(path, "case")
                    held.append(Record(payload=item.payload, host="HOST", source=source, collector="test", key=key, hash=item.raw_hash))
        out.append((host, joined(*held), labels))
    return out


def test_every_incident_of_the_case_has_exactly_its_members(case: list[tuple[dict[str, Any], list[Record], dict[str, Any]]]) -> None:
    for host, out, labels in case:
        found: dict[str, set[Any]] = {}
        for record in out:
            if record.correlation:
                found.setdefault(record.correlation.incident_id, set()).add(labels[record.key])
        told = [
            {
                *members["evtx"],
                *((one["kind"], one["offset"]) for one in members["mplog"] + members["mpdetection"]),
                *members["detection_history"],
                *members["quarantine"],
            }
            for members in (incident["members"] for incident in host["incidents"])
        ]
        assert sorted(map(repr, map(sorted_labels, found.values()))) == sorted(map(repr, map(sorted_labels, told)))


def sorted_labels(labels: set[Any]) -> list[str]:
    return sorted(map(repr, labels))


def test_every_incident_of_the_case_says_what_happened(case: list[tuple[dict[str, Any], list[Record], dict[str, Any]]]) -> None:
    for host, out, _ in case:
        found = {
            (one.payload.detection_id, one.payload.quarantine_ids, one.payload.threat_id, one.payload.threat_name)
            for one in out
            if isinstance(one.payload, Incident)
        }
        assert found == {
            (one["detection_id"], (one["quarantine_id"],) if one["quarantine_id"] else (), one["threat_id"], one["threat_name"])
            for one in host["incidents"]
        }

import copy
import csv
from pathlib import Path

import pytest

from exporter.mapping.ecs import EcsField, allowed_types, allowed_values, check_document, ecs_fields

GOOD = {
    "@timestamp": "2024-05-01T10:20:30.1234567Z",
    "ecs": {"version": "9.4.0"},
    "event": {"kind": "event", "category": ["malware", "file"], "type": ["info", "deletion"], "outcome": "success", "severity": 73},
    "host": {"name": "PC", "ip": ["10.0.0.1", "fe80::1"]},
    "file": {"path": "C:\\a.exe", "size": 5},
    "labels": {"case_id": "C1"},
    "related": {"hosts": ["PC"]},
    "tags": ["a"],
    "winlog": {"event_data": {"Threat_Name": "-", "Path": "x"}, "version": 0},
    "defender": {"threat": {"id": 5}, "mplog": {"fields": {"a": "b"}}},
}
OWN = {
    "winlog.event_data": EcsField("object"),
    "winlog.version": EcsField("long"),
    "defender.threat.id": EcsField("long"),
    "defender.mplog.fields": EcsField("flattened"),
}


def changed(path, value):
    document = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    node = document
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    return document


def test_a_good_document_passes_with_and_without_the_types_of_our_own_fields():
    assert check_document(GOOD) == []
    assert check_document(GOOD, OWN) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("file/colour", "red", "file.colour: no such field"),
        ("colour", {"red": 1}, "colour.red: no such field"),
        ("file", {}, "file: absent must mean absent"),
        ("file/path", None, "file.path: absent"),
        ("file/path", "", "file.path: absent"),
        ("file/path", "-", "file.path: absent"),
        ("file/path", 5, "file.path: 5 is not of type keyword"),
        ("file/path", ["a"], "file.path: must not be an array"),
        ("file/size", "5", "not of type long"),
        ("file/size", 2**63, "not of type long"),
        ("file/size", True, "not of type long"),
        ("file/created", "2024-05-01 10:20:30", "not of type date"),
        ("file/x.y", "a", "a dot inside"),
        ("host/ip", ["10.0.0.256"], "not of type ip"),
        ("host/ip", "10.0.0.1", "host.ip: must be an array"),
        ("host/boot", {"id": 7}, "not of type keyword"),
        ("related/hosts", [""], "related.hosts: absent"),
        ("labels/case_id", "", "labels.case_id: absent"),
        ("winlog/event_data/Path", "", "winlog.event_data.Path: absent"),
        ("defender/threat/name", "N/A", "defender.threat.name: absent"),
        ("defender/threat/names", ["a", "-"], "defender.threat.names: absent"),
        ("log", {"syslog": {"structured_data": {"a": ""}}}, "log.syslog.structured_data: absent"),
        ("process/env_vars", "a=b", "must be an array"),
        ("risk", {"calculated_score": "7"}, "risk.calculated_score: no such field"),
        ("host/risk", {"calculated_score": float("inf")}, "not of type float"),
        ("ecs/version", "8.11.0", "ecs.version must be 9.4.0"),
        ("event/kind", "evil", "event.kind: 'evil' is not an ECS value"),
        ("event/outcome", "maybe", "event.outcome: 'maybe'"),
        ("event/category", ["file"], ""),
        ("event/category", ["malware"], "deletion is expected with none of the categories ['malware']"),
        ("event/category", ["malware", "file", "library"], "none of ['deletion', 'info'] is expected with the category library"),
    ],
)
def test_what_is_wrong_is_named_once(path, value, problem):
    problems = check_document(changed(path, value))
    assert len(problems) == (1 if problem else 0)
    assert all(problem in told for told in problems)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("defender/threat/id", "5", "not of type long"),
        ("defender/threat/colour", "red", "defender.threat.colour: no such field"),
        ("defender/mplog/fields", "text", "not of type flattened"),
    ],
)
def test_our_own_fields_are_held_against_their_types_where_these_are_given(path, value, problem):
    assert check_document(changed(path, value)) == []
    assert problem in check_document(changed(path, value), OWN)[0]


def test_a_diagnostic_without_category_may_have_any_known_type():
    document = changed("event", {"kind": "pipeline_error", "type": ["error"]})
    assert check_document(document) == []


def test_types_of_a_category_are_those_of_ecs():
    assert allowed_types("malware") == {"info"}
    assert allowed_types("registry") == {"access", "change", "creation", "deletion"}
    assert allowed_types("nonsense") == frozenset()
    assert set(allowed_values("event.outcome")) == {"failure", "success", "unknown"}


@pytest.mark.real_data
def test_the_tables_equal_those_of_the_reference(shared_data):
    def rows(name: str) -> list[dict[str, str]]:
        with Path(shared_data.parent, "reference", name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    reference = {row["name"]: EcsField(row["type"], row["array"] == "true") for row in rows("ecs_fields.csv")}
    assert dict(ecs_fields()) == reference
    assert len(reference) == 2605
    values = {(row["field"], row["value"]): frozenset(row["expected_event_types"].split()) for row in rows("ecs_event_allowed_values.csv")}
    fields = {field for field, _ in values}
    assert {(field, value): types for field in fields for value, types in allowed_values(field).items()} == values

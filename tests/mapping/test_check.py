"""What is wrong with a mapping is named with file and line, before any data."""

import shutil
from pathlib import Path

import pytest

from exporter.data import folder
from exporter.errors import MappingError
from exporter.kinds import KINDS
from exporter.mapping.check import check_mappings
from exporter.mapping.load import load_mappings
from exporter.mapping.schema import MappingSet
from exporter.records import Payload


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(folder("mappings"), tmp_path / "mappings")


def problems(place: Path) -> list[str]:
    return check_mappings(load_mappings(place), KINDS, place)


def replace(place: Path, file: str, old: str, new: str) -> None:
    path = place / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_our_mappings_fit(mappings: MappingSet) -> None:
    assert check_mappings(mappings, KINDS, folder("mappings")) == []


def test_a_kind_without_mapping_is_named(mappings: MappingSet) -> None:
    class Extra(Payload, frozen=True):
        kind = "extra_kind"

    found = check_mappings(mappings, {**KINDS, "extra_kind": Extra}, folder("mappings"))
    assert found == ["records/: the kind `extra_kind` has no mapping (expected records/extra_kind.yaml)"]


def test_a_mapping_without_kind_is_named(mappings: MappingSet) -> None:
    kinds = {name: kind for name, kind in KINDS.items() if name != "incident"}
    assert check_mappings(mappings, kinds, folder("mappings")) == ["incident.yaml:1: no record kind is called `incident`"]


RECORD = "records/quarantine_entry.yaml"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{from: scan_id}", "{from: skan_id}", "`defender.scan.id`: QuarantineEntry has no attribute `skan_id`"),
        ("{from: scan_id}", "{from: scan_id, via: nothing}", "no transform is called `nothing`"),
        ("{from: scan_id}", "{from: scan_id, values: nothing}", "there is no values/nothing.yaml"),
        ("defender.scan.id:", "defender.skan.id:", "`defender.skan.id` is neither in ECS nor in `fields`"),
        ("{from: resource_count}", "{from: scan_id}", "`defender.quarantine.resource_count` is long, `scan_id` is"),
        ("{const: [info]}", "{const: info}", "`event.type` is an array"),
        ("{const: [info]}", "{const: [deletion]}", "event.type `deletion` does not go with event.category ['malware']"),
        ("  event.action: {const: malware-quarantined}\n", "", "no rule for `event.action`, which every document has"),
        ("attribute: quarantined_at", "attribute: quarantined", "QuarantineEntry has no attribute `quarantined`"),
        ("'entry {quarantine_id}'", "'entry {quarantine}'", "the message names `quarantine`"),
        ("'entry {quarantine_id}'", "'{quarantine_id} {threat_name}'", "formatter"),
        ("data_type: av:defender:quarantine:entry", "data_type: windows:evtx:record", "formatter"),
        ("data_type: av:defender:quarantine:entry", "data_type: av:defender:incident", "its data type is that of `incident`"),
    ],
)
def test_a_wrong_rule_is_named(copy: Path, old: str, new: str, expected: str) -> None:
    replace(copy, RECORD, old, new)
    assert any(expected in problem and "quarantine_entry.yaml:" in problem for problem in problems(copy)), problems(copy)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kind: quarantine_entry", "kind: other", "quarantine_entry.yaml:1: `kind` must be the file's name"),
        ("use: [base", "use: [bass", "`use` names the block `bass`"),
        ("{from: scan_id}", "{}", "needs either `const` or `from`"),
        ("{from: scan_id}", "{from: scan_id, when: now}", "unknown key `when`"),
        ("{from: scan_id}", "scan_id", "needs a rule in braces"),
        ("defender.scan.id:", "rule.id:", "`rule.id` already has a rule at common.yaml:"),
        ("ecs:", "ecs: [", "not YAML"),
        ("timestamps:", "times: 1\ntimestamps:", "unknown key `times`"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_with_its_line(copy: Path, old: str, new: str, expected: str) -> None:
    replace(copy, RECORD, old, new)
    with pytest.raises(MappingError, match=expected.replace("[", "\\[").replace("(", "\\(")):
        dict(load_mappings(copy).records)


def test_a_mapping_is_read_when_it_is_asked_for(copy: Path) -> None:
    replace(copy, RECORD, "ecs:", "ecs: [")
    records = load_mappings(copy).records
    assert records["incident"].kind == "incident"
    with pytest.raises(MappingError):
        records["quarantine_entry"]


def test_the_line_named_is_the_rule_s(copy: Path) -> None:
    replace(copy, RECORD, "{from: scan_id}", "{from: skan_id}")
    lines = (copy / RECORD).read_text("utf-8").splitlines()
    expected = next(number for number, line in enumerate(lines, 1) if "skan_id" in line)
    assert problems(copy)[0].startswith(f"quarantine_entry.yaml:{expected}: ")

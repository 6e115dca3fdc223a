"""L8 on what we export: the synthetic case and the real samples read in our L2T CSV as plaso's psort prints the same events."""

import subprocess
from pathlib import Path

import pytest
import yaml

from exporter.data import folder
from exporter.mapping.load import load_mappings
from exporter.mapping.plaso_export import export as export_definitions
from tests.line import export, mapped
from tests.peers.psort import psort, sixteen, table

pytestmark = pytest.mark.peers
TIMELINER = """
import json, sys
from plaso.engine import yaml_timeliner_file
found = yaml_timeliner_file.YAMLTimelinerConfigurationFile().ReadFromFile(sys.argv[1])
print(json.dumps({item.data_type: dict(item.attribute_mappings) for item in found}))
"""


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> Path:
    """The folder that `mappings export-plaso` writes."""
    place = tmp_path_factory.mktemp("definitions")
    export_definitions(load_mappings(folder("mappings")), place)
    return place


def compare(python: Path, evidence: list[Path], definitions: Path, place: Path, dialect: str) -> int:
    """Assert that both say the same; the number of rows."""
    target = place / "ours.csv"
    export(evidence, place, to=(f"l2tcsv:{target}?dialect={dialect}",), dead_letters=place / "lost")
    rows = [row for record in mapped(evidence, place) for row in record.rows()]
    printed = psort(python, rows, (definitions / "defender_formatters.yaml").read_text(encoding="utf-8"), place)
    ours, theirs = sixteen(table(target.read_bytes())), sixteen(printed)
    assert len(ours) == len(theirs) == len(rows)
    different = [[(a, b) for a, b in zip(*pair, strict=True) if a != b] for pair in zip(ours, theirs, strict=True)]
    assert list(filter(None, different)) == []
    return len(rows)


@pytest.mark.parametrize("dialect", ["psort", "safe"])
def test_the_synthetic_case_reads_as_psort_prints_it(peer, case_folder, definitions, tmp_path, dialect):
    assert compare(peer("plaso"), [case_folder], definitions, tmp_path, dialect) > 250


@pytest.mark.real_data
def test_real_samples_read_as_psort_prints_them(peer, shared_data, definitions, tmp_path):
    evidence = [shared_data / name for name in ("evtx", "mplog", "quarantine", "detection_history")]
    assert compare(peer("plaso"), evidence, definitions, tmp_path, "psort") > 200


def test_plaso_reads_our_timeliner_definitions(peer, definitions):
    path = definitions / "defender_timeliner.yaml"
    done = subprocess.run([peer("plaso"), "-c", TIMELINER, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    expected = {item["data_type"]: {one["name"]: one["description"] for one in item["attribute_mappings"]} for item in written}
    assert yaml.safe_load(done.stdout) == expected

"""`mappings`: check, list, export-plaso."""

import yaml

from exporter.kinds import KINDS
from exporter.mapping.formatter import check as check_formatter
from tests.cli.run import invoke


def test_check_finds_nothing_wrong(capsys):
    said = invoke(capsys, "mappings", "check")
    assert said.code == 0
    assert said.out.splitlines() == [f"{len(KINDS)} kinds, 0 problem(s)"]


def test_list_has_every_kind_with_its_data_type(capsys):
    said = invoke(capsys, "mappings", "list")
    listed = {line.split()[0]: line.split()[1] for line in said.out.splitlines()}
    assert listed.keys() == KINDS.keys()
    assert listed["evtx_detection"] == "windows:evtx:record"


def test_export_plaso_writes_definitions_that_plaso_takes(capsys, tmp_path):
    said = invoke(capsys, "mappings", "export-plaso", tmp_path / "plaso")
    assert (said.code, len(said.out.splitlines())) == (0, 2)
    formatters = [item for item in yaml.safe_load_all((tmp_path / "plaso" / "defender_formatters.yaml").read_text("utf-8")) if item]
    timeliner = [item for item in yaml.safe_load_all((tmp_path / "plaso" / "defender_timeliner.yaml").read_text("utf-8")) if item]
    assert {item["data_type"] for item in timeliner} == {item["data_type"] for item in formatters}
    assert all(check_formatter(item) == [] for item in formatters)
    assert all(item["data_type"].startswith("av:defender:") for item in formatters)
    assert "av:defender:detection_history" not in {item["data_type"] for item in formatters}

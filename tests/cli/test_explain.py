"""`explain`: every value of a record with its attribute, its place in the evidence and its mapping line."""

import re

import pytest

from exporter.cli import exit_codes
from exporter.collectors import COLLECTORS
from exporter.data import folder
from exporter.mapping.load import load_mappings
from tests.cli.run import invoke

PLACES = {
    "quarantine": "WS-0142/**/Quarantine/Entries/*",
    "resource_data": "WS-0142/**/Quarantine/ResourceData/*/*",
    "evtx": "WS-0142/**/*.evtx",
    "mplog": "WS-0142/**/MPLog-*.log",
    "mpcmdrun": "SRV-FILES02/**/MpCmdRun.log",
    "mpdetection": "SRV-FILES02/**/MPDetection-*.log",
    "detection_history": "WS-0142/**/DetectionHistory/*/*",
    "etw": "SRV-FILES02/**/MpWppTracing-*.bin",
}
EXPECTED = {
    "quarantine": ("quarantine_entry", "defender.quarantine.entry_id", "quarantine_id"),
    "resource_data": ("quarantine_container", "file.hash.sha256", "sha256"),
    "evtx": ("evtx_", "winlog.channel", "channel"),
    "mplog": ("mplog_session", "defender.mplog.utc_offset_minutes", "utc_offset"),
    "mpcmdrun": ("mpcmdrun_command", "process.command_line", "command_line"),
    "mpdetection": ("mpdetection_service_start", "defender.mpdetection.product", "product"),
    "detection_history": ("detection_history", "defender.detection.id", "detection_id"),
    "etw": ("etw_trace", "defender.etw.utc_offset_minutes", "utc_offset_minutes"),
}
"""By collector: the kind of its first record, and one field with the attribute that it comes from."""
MADE = ("message", "event.kind", "tags")
"""Fields that a mapping file makes as a whole."""
LINE = re.compile(r"^(?P<field>\S+) = (?P<value>.*)  ← (?P<how>.*)  \((?P<file>[\w/.]+\.yaml):(?P<line>\d+)\)$")


def explained(capsys, case_folder, name: str) -> tuple[str, dict[str, re.Match[str]]]:
    """The headline, and the lines by field."""
    path = min(case_folder.glob(PLACES[name]))
    number = 2311 if name == "evtx" else 1
    said = invoke(capsys, "explain", path, "--record", number)
    assert (said.code, said.err) == (0, "")
    head, *lines = said.out.splitlines()
    matches = [LINE.match(line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches, strict=True) if not match]
    return head, {match["field"]: match for match in matches if match}


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_record_of_every_collector_is_explained(capsys, case_folder, name):
    head, fields = explained(capsys, case_folder, name)
    kind, field, attribute = EXPECTED[name]
    assert head.startswith(kind)
    assert min(case_folder.glob(PLACES[name])).name.replace("%254", "%4") in head
    assert re.search(r"offset \d+, integrity (verified|unverifiable)", head)
    told = fields[field]
    assert re.search(rf"\b{attribute} = ", told["how"]), told[0]
    assert re.search(r"← \S.*@\d+", told["how"]), told[0]
    assert len(fields) > 20


@pytest.mark.parametrize("name", COLLECTORS)
def test_every_explained_field_stands_at_its_mapping_line(capsys, case_folder, name):
    _, fields = explained(capsys, case_folder, name)
    files = {path.name: path.read_text(encoding="utf-8").splitlines() for path in folder("mappings").rglob("*.yaml")}
    for field, match in fields.items():
        line = files[match["file"].rpartition("/")[2]][int(match["line"]) - 1]
        assert field in MADE or field.removeprefix("timeline:") in line, (field, line)


def test_the_kinds_explained_here_are_mapped(capsys, case_folder):
    kinds = {explained(capsys, case_folder, name)[0].split()[0] for name in COLLECTORS}
    assert kinds <= set(load_mappings(folder("mappings")).records)


def test_a_number_that_is_not_there_is_told_with_those_that_are(capsys, case_folder):
    said = invoke(capsys, "explain", min(case_folder.glob(PLACES["evtx"])), "--record", "7")
    assert said.code == exit_codes.USAGE
    assert "has no record 7: its records are 2311 to 2358" in said.err

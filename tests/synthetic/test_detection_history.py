"""The DetectionHistory writer: deterministic, in place, readable by plaso."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.formats.detection_history import DetectionHistory, parse_detection_history
from exporter.records import Parsed
from exporter.synthetic.detection_history import file_resource, write_detection_history
from exporter.times import unix_microseconds

STARTED = 133_544_700_000_123_450
"""Whole microseconds: plaso rounds where sink-contracts T2 truncates."""


def write(folder: Path, number: int, **changes: Any) -> dict[str, Any]:
    layout = "header20" if number % 2 else "size"
    threat = {"threat_id": 2147519003, "threat_name": "Virus:DOS/EICAR_Test_File"}
    tracked = {"sig_seq": 5866324352432, "started_at": STARTED + 10 * number, "layout": layout}
    resource = file_resource(f"C:\\Users\\用户\\x{number}.exe", sha256=f"{number:064x}", size=68, **threat, **tracked)
    values: dict[str, Any] = {
        "detection_id": f"{number * 37 % 256:02X}111111-2222-4333-8444-{number:012X}",
        "resources": [resource],
        "detected_at": STARTED,
        "changed_at": STARTED + 10_000_000,
        "remediated_at": STARTED + 10_000_000,
        "user": "LAB\\analyst",
        "remediation_user": "NT AUTHORITY\\SYSTEM",
    }
    return write_detection_history(folder, **(threat | values | changes))


def test_a_file_lies_in_a_folder_of_two_digits_under_its_detection_id(tmp_path: Path) -> None:
    truth = write(tmp_path, 3)
    folder, _, name = truth["file"].partition("/")
    assert (len(folder), folder.isdigit(), name) == (2, True, truth["detection_id"])
    assert (tmp_path / truth["file"]).stat().st_size == truth["size"]


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a", 1)["sha256"] == write(tmp_path / "b", 1)["sha256"]


def test_the_truth_is_what_our_parser_reads(tmp_path: Path) -> None:
    truth = write(tmp_path, 1, quarantine_id="8000891B-0000-0000-0000-000000000001", error_code=0x80508023, status_id=103, state=4)
    parsed = next(iter(parse_detection_history((tmp_path / truth["file"]).read_bytes(), truth["detection_id"])))
    assert isinstance(parsed, Parsed)
    payload = parsed.payload
    assert isinstance(payload, DetectionHistory)
    assert parsed.raw_hash == truth["sha256"]
    for name in set(truth) - {"file", "size", "sha256", "action_ids", "resources"}:
        assert getattr(payload, name) == truth[name], name
    assert list(payload.action_ids) == truth["action_ids"]
    assert [(resource.schema, resource.value) for resource in payload.resources] == truth["resources"]


@pytest.mark.peers
def test_plaso_reads_our_files(tmp_path: Path, peer: Callable[[str], Path]) -> None:
    python = peer("plaso")
    evidence = tmp_path / "evidence"
    truths = [write(evidence, number) for number in range(8)]
    storage, lines = tmp_path / "case.plaso", tmp_path / "case.jsonl"
    quiet = ["--unattended", "--status-view", "none", "--logfile", tmp_path / "log.gz"]
    extract = [python, "-m", "plaso.scripts.log2timeline", *quiet, "--single-process", "--parsers", "windefender_history"]
    subprocess.run([*extract, "--storage-file", storage, evidence], check=True, capture_output=True, cwd=tmp_path)
    psort = [python, "-m", "plaso.scripts.psort", *quiet, "-o", "json_line", "-w", lines, storage]
    subprocess.run(psort, check=True, capture_output=True, cwd=tmp_path)
    events = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    assert {(event["filename"], event["sha256"], event["threat_name"], event["timestamp"]) for event in events} == {
        (f"C:\\Users\\用户\\x{number}.exe", f"{number:064x}", truth["threat_name"], unix_microseconds(STARTED + 10 * number))
        for number, truth in enumerate(truths)
    }

"""The options of event logs, through the whole line."""

from pathlib import Path

import pytest

from exporter.pipeline import Pipeline
from exporter.synthetic.evtx import build_evtx
from tests.evtx_logs import events, log_of, record_offsets, seal
from tests.golden.inputs import OF_ANOTHER_CHANNEL, THREAT
from tests.line import export


@pytest.fixture
def differing(tmp_path: Path) -> Path:
    """A folder with a log in which the engines read one text differently."""
    data = log_of(3)
    place = data.index("HKLM".encode("utf-16-le"), record_offsets(data)[1])
    data[place + 8 : place + 10] = bytes(2)
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "x.evtx").write_bytes(seal(data))
    return evidence


def test_a_cross_check_counts_and_explains_differences_beside_unchanged_documents(differing: Path, tmp_path: Path) -> None:
    plain = export(differing, tmp_path / "plain", reproducible=True)
    checked = export(differing, tmp_path / "checked", reproducible=True, cross_check=True)
    assert checked.evidence == plain.evidence
    assert (plain.report.engine_differences, checked.report.engine_differences) == (None, 1)
    assert (plain.report.damaged, checked.report.damaged) == (False, True)
    (diagnostic,) = [document for document in checked.documents if document not in plain.documents]
    assert diagnostic["defender"]["diagnostic"]["stage"] == "cross-check"
    assert "engines differ in data.New Value" in diagnostic["message"]
    assert [letter["stage"] for letter in checked.letters] == ["cross-check"]


def test_all_events_of_any_channel_are_exported_when_asked_for(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "x.evtx").write_bytes(build_evtx([*events(1), OF_ANOTHER_CHANNEL]))
    plain, everything = (export(evidence, tmp_path / str(flag), reproducible=True, all_events=flag) for flag in (False, True))
    assert plain.evidence == everything.evidence[:1]
    (other,) = everything.evidence[1:]
    assert (other["event"]["code"], other["winlog"]["channel"]) == ("4624", "Security")
    assert other["winlog"]["event_data"] == {"TargetUserName": "ana", "LogonType": "3"}


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log that is worth several processes: cut off, with a threat, and with a record that is damaged."""
    monkeypatch.setattr("exporter.collectors.evtx_workers.WORTH_BYTES", 0)
    monkeypatch.setattr("exporter.collectors.evtx_workers._CHUNKS", 1)
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    threat = events(1, event_id=1116, data={**THREAT, "Path": "file:_C:\\Temp\\x.exe"})
    data = bytearray(build_evtx([*threat, *events(200)[1:]]))
    data[record_offsets(data)[5] + 24 :][:40] = b"\xff" * 40
    data[record_offsets(data)[7] + 200] ^= 1
    (evidence / "x.evtx").write_bytes(data[:-70_000])
    return evidence


def test_several_processes_write_the_same_bytes_as_one(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emitted, original = [], Pipeline._emit_made
    monkeypatch.setattr(Pipeline, "_emit_made", lambda pipeline, made: (emitted.append(made), original(pipeline, made)))
    one, two = (export(large, tmp_path / str(jobs), reproducible=True, jobs=jobs) for jobs in (1, 2))
    assert {kind for made in emitted for kind in made.kinds} == {"evtx_configuration_change"}
    assert sum(made.count for made in emitted) > 200
    for path in sorted(one.folder.iterdir()):
        assert (two.folder / path.name).read_bytes() == path.read_bytes()
    assert two.report.hosts == one.report.hosts

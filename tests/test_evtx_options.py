"""The options of event logs, through the whole line."""

from pathlib import Path

import pytest

from exporter.synthetic.evtx import build_evtx
from tests.evtx_logs import events, log_of, record_offsets, seal
from tests.golden.inputs import OF_ANOTHER_CHANNEL
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

"""`scan`: what is here and what is missing, and nothing is written."""

from exporter.cli import exit_codes
from tests.cli.run import invoke
from tests.evidence.trees import appearance


def test_scan_names_hosts_artifacts_and_what_is_missing(capsys, case_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = appearance(case_folder)
    said = invoke(capsys, "scan", case_folder)
    assert (said.code, said.err) == (exit_codes.COMPLETE, "")
    assert [line.split()[1] for line in said.out.splitlines() if line.startswith("Host ")] == ["SRV-FILES02", "WS-0142"]
    for name in ("quarantine", "resource_data", "evtx", "mplog", "detection_history"):
        assert sum(line.strip().startswith(name) for line in said.out.splitlines()) == 2
    assert [line.strip() for line in said.out.splitlines() if "not there" in line] == ["not there: mpcmdrun, mpdetection, etw"]
    assert appearance(case_folder) == before
    assert list(tmp_path.iterdir()) == []


def test_scan_says_what_usual_artifacts_are_not_there(capsys, case_folder):
    said = invoke(capsys, "scan", min(case_folder.glob("WS-0142/**/Support")))
    assert "not there: quarantine, resource_data, evtx, mpcmdrun, mpdetection, detection_history" in said.out


def test_scan_lists_every_file_on_demand(capsys, case_folder):
    listed = [line.strip() for line in invoke(capsys, "scan", case_folder, "--files").out.splitlines() if line.startswith("    ")]
    assert len(listed) == 44
    assert sum("DetectionHistory/" in path for path in listed) == 13
    assert not any("%3A" in path for path in listed)


def test_scan_takes_the_host_name_it_is_given(capsys, case_folder):
    assert "Host OTHER (option)" in invoke(capsys, "scan", case_folder / "WS-0142", "--host", "OTHER").out


def test_scan_says_what_cannot_be_read(capsys, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    said = invoke(capsys, "scan", tmp_path / "broken.zip")
    assert said.code == exit_codes.DAMAGED
    assert "broken.zip" in said.out + said.err

"""`state`: shows what was delivered, forgets on request, and finds what does not fit."""

import json
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from exporter.state.checkpoint import State
from tests.cli.run import invoke
from tests.evidence.trees import folder


@pytest.fixture
def delivered(tmp_path: Path, case_folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A state folder after one night."""
    share = tmp_path / "share"
    folder(share / "WS-0142", {path.relative_to(case_folder / "WS-0142").as_posix(): path.read_bytes() for path in _files(case_folder)})
    assert _ingest(capsys, tmp_path).code == 0
    return tmp_path / "state"


def _files(case_folder: Path) -> list[Path]:
    return [path for path in (case_folder / "WS-0142").rglob("*") if path.is_file()]


def _ingest(capsys: pytest.CaptureFixture[str], place: Path, *more: object):
    (place / "out").mkdir(exist_ok=True)
    target = f"ecs:{place / 'out' / '{run}.ndjson'}"
    return invoke(
        capsys, "ingest", place / "share", "--state", place / "state", "--case-from", "T1", "--to", target, "--settle", "0", *more
    )


def test_it_shows_deliveries_files_and_collections(capsys, delivered: Path) -> None:
    said = invoke(capsys, "state", "show", delivered, "--files")
    assert said.code == 0
    (output,) = (delivered.parent / "out").iterdir()
    for text in (str(output), "WS-0142: ", "case T1", "MPLog-", " new, 0 known", "delivery 1"):
        assert text in said.out


def test_forgetting_a_collection_reads_it_again_and_writes_nothing_twice(capsys, delivered: Path) -> None:
    said = invoke(capsys, "state", "forget", delivered, "WS-0142")
    assert said.code == 0
    assert "are read again" in said.out
    again = _ingest(capsys, delivered.parent)
    assert "1 read, 0 new event(s)" in again.err
    assert len(list((delivered.parent / "out").iterdir())) == 1
    assert invoke(capsys, "state", "verify", delivered).code == 0


def test_forgetting_everything_delivers_again(capsys, delivered: Path) -> None:
    assert invoke(capsys, "state", "forget", delivered, "--everything").code == 0
    assert _ingest(capsys, delivered.parent).code == 0
    first, second = sorted((delivered.parent / "out").iterdir())
    assert len(first.read_bytes().splitlines()) == len(second.read_bytes().splitlines())


def test_forgetting_wants_a_name_that_is_known(capsys, delivered: Path) -> None:
    assert invoke(capsys, "state", "forget", delivered).code == exit_codes.USAGE
    assert invoke(capsys, "state", "forget", delivered, "nobody").code == exit_codes.CONFIGURATION


def test_verify_names_what_does_not_fit(capsys, delivered: Path) -> None:
    state = State(delivered)
    state.execute("DELETE FROM ids WHERE id IN (SELECT id FROM ids LIMIT 1)")
    state.announce("T1")
    state.close()
    (output,) = (delivered.parent / "out").iterdir()
    output.unlink()
    said = invoke(capsys, "state", "verify", delivered)
    assert said.code == exit_codes.DAMAGED
    assert "2 problem(s)" in said.out
    assert f"note: `{output}`" in said.out


def test_a_folder_without_a_state_is_no_state(capsys, tmp_path: Path) -> None:
    assert invoke(capsys, "state", "show", tmp_path).code == exit_codes.CONFIGURATION
    assert list(tmp_path.iterdir()) == []


def test_the_log_as_json_is_one_ecs_object_a_line_and_metrics_tell_the_exit_code(capsys, delivered: Path) -> None:
    entry = min((delivered.parent / "share").rglob("Entries/*"))
    entry.write_bytes(entry.read_bytes()[:20])
    metrics = delivered.parent / "x.prom"
    said = _ingest(capsys, delivered.parent, "--log-format", "json", "--metrics", metrics)
    assert said.code == exit_codes.DAMAGED
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert {"@timestamp", "log.level", "message", "ecs.version", "event", "service"} <= set.intersection(*map(set, lines))
    assert [line["event"]["action"] for line in lines][-1] == "run-complete"
    assert "rejected" in {line["event"]["action"] for line in lines}
    text = metrics.read_text("utf-8")
    assert "defender_exporter_last_run_exit_code 4" in text
    assert "defender_exporter_rejected_total 1" in text


def test_a_share_that_is_away_is_told_by_the_metrics(capsys, delivered: Path) -> None:
    metrics = delivered.parent / "x.prom"
    (delivered.parent / "share").rename(delivered.parent / "away")
    assert _ingest(capsys, delivered.parent, "--metrics", metrics).code == exit_codes.DAMAGED
    assert "defender_exporter_last_run_exit_code 4" in metrics.read_text("utf-8")
    (delivered.parent / "share").mkdir()
    said = _ingest(capsys, delivered.parent, "--metrics", metrics)
    assert said.code == exit_codes.DAMAGED
    assert "is it mounted?" in said.err
    assert "defender_exporter_last_success_timestamp_seconds 0" in metrics.read_text("utf-8")


@pytest.mark.parametrize(("text", "code"), [("1 week", exit_codes.USAGE), ("-1", exit_codes.USAGE), ("0.1h", exit_codes.CONFIGURATION)])
def test_a_duration_has_a_unit_or_is_in_seconds(capsys, tmp_path: Path, text: str, code: int) -> None:
    said = invoke(capsys, "ingest", tmp_path, "--state", tmp_path / "s", "--case-from", "x", "--to", "ecs:-", "--settle", text)
    assert said.code == code


def test_once_and_every_exclude_each_other(capsys, tmp_path: Path) -> None:
    arguments = ("ingest", tmp_path, "--state", tmp_path / "s", "--case-from", "x", "--to", "ecs:{run}", "--once", "--every", "5m")
    assert invoke(capsys, *arguments).code == exit_codes.USAGE

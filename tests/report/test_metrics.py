"""The Prometheus text file: its format, and that a reader never sees half of it."""

import os
import re
import stat
from pathlib import Path

import pytest

from exporter.errors import SinkRefused
from exporter.report.metrics import render, write_metrics

TOTALS = [
    ("events", "evtx", "ecs", 12),
    ("documents_written", "", "ecs", 11),
    ("documents_dead", "", 'e"c\\s\n', 1),
    ("rejected", "", "", 3),
    ("duplicates", "", "", 0),
]
SAMPLE = re.compile(r'defender_exporter_[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? -?[0-9.]+(e[+-]?\d+)?')


def test_every_line_is_a_sample_or_says_what_follows() -> None:
    lines = render(TOTALS, {"lag_seconds": 12.5, "last_run_exit_code": 4, "last_run_timestamp_seconds": 1_795_266_639.25}).splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples)
    assert 'defender_exporter_events_total{source="evtx",sink="ecs"} 12' in samples
    assert 'defender_exporter_documents_total{sink="ecs",outcome="written"} 11' in samples
    assert r'defender_exporter_documents_total{sink="e\"c\\s\n",outcome="dead"} 1' in samples
    assert "defender_exporter_rejected_total 3" in samples
    assert "defender_exporter_last_run_timestamp_seconds 1795266639" in samples
    for line in samples:
        name = re.match(r"[a-z_]+", line)[0]
        before = lines[: lines.index(line)]
        assert sum(text.startswith(f"# TYPE {name} ") for text in before) == 1
        assert sum(text.startswith(f"# HELP {name} ") for text in before) == 1


def test_the_file_is_replaced_as_a_whole_and_readable_by_its_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.prom"
    before = os.umask(0o077)
    try:
        write_metrics(path, TOTALS, {})
    finally:
        os.umask(before)
    first = path.read_text("utf-8")
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o644

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SinkRefused, match="No space left"):
        write_metrics(path, [], {"lag_seconds": 1})
    assert path.read_text("utf-8") == first

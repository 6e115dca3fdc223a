"""Sorting with bounded memory."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import SinkUnavailable
from exporter.sinks import runs as sorting
from exporter.sinks.runs import Saved, SortedRuns

LINES = st.binary(max_size=5).map(lambda line: line.replace(b"\n", b"") + b"\n")
PAIRS = st.lists(st.tuples(st.binary(min_size=2, max_size=2), LINES), max_size=60)


def sort(pairs: list[tuple[bytes, bytes]], folder: Path, memory_bytes: int, fan_in: int = 3) -> list[bytes]:
    runs = SortedRuns(folder, memory_bytes, fan_in)
    for key, line in pairs:
        runs.add(key, line)
    assert (runs.count, runs.size) == (len(pairs), sum(len(line) for _, line in pairs))
    lines = list(runs.lines())
    runs.close()
    return lines


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pairs=PAIRS, memory_bytes=st.sampled_from([1, 200, 500, 1 << 20]))
def test_lines_come_in_order_of_key_then_line_however_many_runs_there_are(
    pairs: list[tuple[bytes, bytes]], memory_bytes: int, tmp_path: Path
):
    assert sort(pairs, tmp_path, memory_bytes) == [line for _, line in sorted(pairs)]


def test_open_files_stay_few(tmp_path: Path):
    runs = SortedRuns(tmp_path, memory_bytes=1, fan_in=4)
    most = 0
    for number in range(500):
        runs.add((number * 7919 % 500).to_bytes(2, "big"), b"x\n")
        most = max(most, sum(len(level) for level in runs._levels))
    assert most < 4 * 5
    assert len(list(runs.lines())) == 500
    runs.close()


def test_lines_that_come_in_order_are_one_run_and_a_few_late_ones_wait_in_memory(tmp_path: Path):
    runs = SortedRuns(tmp_path, memory_bytes=1000)
    numbers = [number - 90 if number in (100, 500, 900) else number for number in range(1000)]
    for number in numbers:
        runs.add(number.to_bytes(2, "big"), b"%d\n" % number)
    assert [len(level) for level in runs._levels] == [1]
    assert list(runs.lines()) == [b"%d\n" % number for number in sorted(numbers)]
    runs.close()


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path):
    sort([(bytes((number, 0)), b"x\n") for number in range(100)], tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_used_is_named(tmp_path: Path):
    runs = SortedRuns(tmp_path / "nowhere", memory_bytes=1)
    with pytest.raises(SinkUnavailable, match="nowhere"):
        runs.add(b"k", b"line\n")


def save(pairs: list[tuple[bytes, bytes]], path: Path, memory_bytes: int = 1 << 20) -> Saved:
    runs = SortedRuns(path.parent, memory_bytes)
    for key, line in pairs:
        runs.add(key, line)
    saved = runs.save(path)
    runs.close()
    return saved


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(hosts=st.lists(PAIRS, max_size=9), own=PAIRS, memory_bytes=st.sampled_from([1, 200, 1 << 20]), most=st.sampled_from([2, 3, 20]))
def test_saved_runs_come_in_the_same_order_as_if_all_lines_had_been_added(
    hosts: list[list[tuple[bytes, bytes]]], own: list[tuple[bytes, bytes]], memory_bytes: int, most: int, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "SAVED_FAN_IN", most)
        saved = [save(pairs, folder / str(number), memory_bytes) for number, pairs in enumerate(hosts)]
        runs = SortedRuns(folder, memory_bytes, 3)
        for key, line in own:
            runs.add(key, line)
        runs.take(saved)
        every = sorted(own + [pair for pairs in hosts for pair in pairs])
        assert (runs.count, runs.size) == (len(every), sum(len(line) for _, line in every))
        assert list(runs.lines()) == [line for _, line in every]
        runs.close()
    assert len(list(folder.iterdir())) == len(hosts), "saved runs stay, temporary files go"


def test_few_files_are_open_however_many_runs_were_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sorting, "SAVED_FAN_IN", 8)
    saved = [save([(bytes((number, 0)), b"x\n")], tmp_path / str(number)) for number in range(100)]
    runs = SortedRuns(tmp_path, fan_in=4)
    runs.take(saved)
    assert sum(len(level) for level in runs._levels) < 8
    assert len(list(runs.lines())) == 100
    runs.close()


def test_a_saved_run_that_is_gone_is_named(tmp_path: Path):
    runs = SortedRuns(tmp_path)
    with pytest.raises(SinkUnavailable, match="No such file"):
        runs.take([Saved(tmp_path / "gone", 1, 1)])
    runs.close()


def test_lines_stay_in_small_pieces_however_often_they_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sorting, "SAVED_FAN_IN", 8)
    monkeypatch.setattr(sorting, "_BLOCK_BYTES", 1000)
    hosts = [[((10 * number + host % 10).to_bytes(2, "big"), b"%099d\n" % host) for number in range(100)] for host in range(40)]
    runs = SortedRuns(tmp_path, fan_in=3)
    runs.take([save(pairs, tmp_path / str(host)) for host, pairs in enumerate(hosts)])
    pieces = list(runs.pieces())
    assert b"".join(pieces) == b"".join(line for _, line in sorted(pair for pairs in hosts for pair in pairs))
    assert max(map(len, pieces)) < 2000
    runs.close()

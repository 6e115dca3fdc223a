"""The correlator's memory is what its docstring says, however large the records are."""

import gc
import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from exporter.correlator import Correlator
from exporter.records import Payload
from tests.correlator.build import acted, at, detected, line, record

DETECTIONS = 700
BULK = {f"Field {number}": "some value of an event " * 3 for number in range(42)}


def test_a_held_record_costs_less_than_300_bytes_and_1600_while_weak_joins_are_made(tmp_path: Path) -> None:
    correlator = Correlator("case", tmp_path, memory_bytes=100_000)
    tracemalloc.start()
    try:
        for number in range(DETECTIONS):
            path = f"C:\\Users\\analyst\\{number}.exe"
            for payload in (
                detected(60 * number, number, path=path, data=dict(BULK), detected_at=at(60 * number)),
                acted(60 * number + 5, number, path=path, data=dict(BULK)),
                line(60 * number + 0.02, path=path),
            ):
                assert list(correlator.offer(record(payload))) == []
        gc.collect()
        offered = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        count = sum(1 for _ in correlator.finish())
        finished = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 4 * DETECTIONS
    assert offered / (3 * DETECTIONS) < 300
    assert finished / (3 * DETECTIONS) < 1600


@pytest.mark.parametrize(("makes", "offered", "finished"), [((detected,), 400, 500), ((detected, acted), 600, 1000)])
def test_a_distinct_detection_costs_less_than_half_a_kilobyte_and_one_where_its_records_stand_far_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, makes: tuple[Callable[..., Payload], ...], offered: int, finished: int
) -> None:
    monkeypatch.setattr("exporter.correlator.places._OPEN", 100)
    monkeypatch.setattr("exporter.correlator.telling._LIVE", 100)

    def peaks(count: int) -> tuple[int, int]:
        correlator = Correlator("case", tmp_path, memory_bytes=100_000)
        tracemalloc.start()
        try:
            for make, number in product(makes, range(count)):
                path = f"C:\\Users\\analyst\\Downloads\\{number}.exe"
                correlator.offer(record(make(60 * number, number, path=path, detected_at=at(60 * number))))
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            assert sum(1 for _ in correlator.finish()) == (len(makes) + 1) * count
            return before, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peaks(700), peaks(1400)
    assert many[0] - few[0] < offered * 700
    assert many[1] - few[1] < finished * 700

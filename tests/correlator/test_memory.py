"""The correlator's memory is what its docstring says, however large the records are."""

import gc
import tracemalloc
from pathlib import Path

from exporter.correlator import Correlator
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


def test_a_detection_that_is_its_own_incident_costs_less_than_half_a_kilobyte(tmp_path: Path) -> None:
    def peaks(count: int) -> tuple[int, int]:
        correlator = Correlator("case", tmp_path, memory_bytes=100_000)
        tracemalloc.start()
        try:
            for number in range(count):
                path = f"C:\\Users\\analyst\\Downloads\\{number}.exe"
                correlator.offer(record(detected(60 * number, number, path=path, detected_at=at(60 * number))))
            offered = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            assert sum(1 for _ in correlator.finish()) == 2 * count
            return offered, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peaks(1000), peaks(2000)
    assert many[0] - few[0] < 400 * 1000
    assert many[1] - few[1] < 500 * 1000

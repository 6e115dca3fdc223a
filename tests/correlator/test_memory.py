"""The correlator's memory is what its docstring says, however large the records are."""

import gc
import tracemalloc
from pathlib import Path

from exporter.correlator import Correlator
from tests.correlator.build import acted, at, detected, line, record

DETECTIONS = 700
BULK = {f"Field {number}": "some value of an event " * 3 for number in range(42)}


def test_a_held_record_costs_less_than_one_kilobyte_and_two_while_joining(tmp_path: Path) -> None:
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
    assert offered / (3 * DETECTIONS) < 900
    assert finished / (3 * DETECTIONS) < 2000

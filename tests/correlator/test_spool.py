"""The spool: what goes in comes out, beyond memory too."""

import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.correlator.keys import JOINABLE
from exporter.correlator.spool import Spool
from exporter.formats.detection_history import TrackedResource
from exporter.formats.mpdetection import DetectionLine
from exporter.formats.mplog_records import DetectionAdd, DetectionClean
from exporter.records import Integrity, Payload, Source, Verdict
from tests.correlator import build

ONE_OF_EACH: list[Payload] = [
    build.detected(0, data={"Threat ID": "1"}),
    build.acted(1),
    build.failed(2),
    build.changed(3, 1009),
    build.history(
        4,
        tracked=(
            TrackedResource(type="file", location="C:\\x", flags=1, tracking={"a": True, "b": 2**63, "c": "d"}, tracking_layout="size"),
        ),
        unknown={"unknown_a": 0, "last_change_at": "00"},
        tail=(0, "x"),
    ),
    build.entry(5),
    build.resource(6),
    build.reference(),
    build.content(),
    build.line(7),
    build.line(8, DetectionAdd),
    build.line(9, DetectionClean),
    build.line(9, DetectionLine),
    build.block(10),
    build.scan(11),
]


def test_every_payload_comes_back_as_it_was_and_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    records = [build.record(payload, number) for number, payload in enumerate(ONE_OF_EACH)]
    for record in records:
        spool.add(record)
    assert list(spool.records()) == records


def test_the_samples_miss_no_more_than_the_two_rarest_kinds() -> None:
    assert {payload.kind for payload in JOINABLE} - {payload.kind for payload in ONE_OF_EACH} == {
        "evtx_behavior",
        "evtx_unwanted_application",
    }


def test_what_a_record_carries_beside_its_payload_comes_back(tmp_path: Path) -> None:
    record = msgspec.structs.replace(
        build.record(build.detected(0)),
        source=Source("C/\ud800.evtx", "e", 5, 6, "v", ("live", "vss1")),
        offset=7,
        number=8,
        integrity=Integrity(Verdict.FAILED, "chunk-crc32"),
        incomplete="cut",
    )
    spool = Spool(tmp_path)
    spool.add(record)
    assert list(spool.records()) == [record]


@given(
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.integers(),
    st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=5), st.text(max_size=5)),
)
def test_any_text_and_any_number_comes_back(text: str, number: int, data: dict[str, str]) -> None:
    record = build.record(build.detected(0, threat_name=text, severity_id=number, data=data))
    spool = Spool()
    spool.add(record)
    assert list(spool.records()) == [record]


def test_beyond_its_memory_the_spool_is_a_file_that_goes_away(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=10_000)
    records = [build.record(build.detected(number), number) for number in range(200)]
    for record in records:
        spool.add(record)
    assert sys.getsizeof(spool) < 1000
    assert list(spool.records()) == records
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the name of a temporary file is visible there while it is open")
def test_the_file_of_a_spool_that_is_not_read_goes_away_too(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=10)
    spool.add(build.record(build.detected(0)))
    spool.close()
    assert list(tmp_path.iterdir()) == []

"""What a chunk's header may be asked, and when it is not believed."""

from pathlib import Path

import pytest

from exporter.formats.evtx_chunks import CHUNK, FILE_HEADER, last_record_id, walk
from exporter.synthetic.evtx import Event, write_evtx


@pytest.fixture
def chunk(tmp_path: Path) -> bytes:
    events = [
        Event(event_id=5007, record_id=number, created_at=134_190_000_000_000_000, data={"New Value": "x"}, computer="WS-0142")
        for number in (7, 8, 9)
    ]
    write_evtx(tmp_path / "log.evtx", events)
    return (tmp_path / "log.evtx").read_bytes()[FILE_HEADER : FILE_HEADER + CHUNK]


def test_the_last_id_of_a_sound_header_is_that_of_the_walk(chunk: bytes) -> None:
    assert last_record_id(chunk) == 9 == max(record.id for record in walk(chunk).records)


def test_an_unsound_header_is_not_believed(chunk: bytes) -> None:
    changed = chunk[:32] + (500).to_bytes(8, "little") + chunk[40:]
    assert last_record_id(changed) == 9
    assert last_record_id(b"\0" * 8 + changed[8:]) == 9


def test_a_chunk_that_is_cut_off_has_the_last_record_that_is_left(chunk: bytes) -> None:
    third = walk(chunk).records[2]
    assert last_record_id(chunk[: third.offset]) == 8
    assert last_record_id(chunk[:600]) is None

"""What a chunk's header may be asked, and when it is not believed."""

from pathlib import Path

import msgspec
import pytest

from exporter.formats.evtx_chunks import CHUNK, FILE_HEADER, engine_file, last_record_id, newest_alone, newest_by_header, unwalked, walk
from exporter.formats.evtx_engine import ENGINES, render
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


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_newest_record_is_read_without_those_between_it_and_the_first(chunk: bytes, count: int, engine: str) -> None:
    whole = walk(chunk)
    cut = msgspec.structs.replace(whole, records=whole.records[:count], end=whole.records[count - 1].offset + whole.records[count - 1].size)
    found = newest_alone(cut)
    assert [record.id for record in found.records] == [7] * (count > 1) + [6 + count]
    assert list(render(engine_file(found), engine))[-1] == list(render(engine_file(whole), engine))[count - 1]


def test_where_a_frame_is_broken_no_record_is_left_out(chunk: bytes) -> None:
    second = walk(chunk).records[1]
    damaged = walk(chunk[: second.offset] + bytes(8) + chunk[second.offset + 8 :])
    assert newest_alone(damaged) is damaged


def test_a_sound_chunk_is_counted_without_a_walk(chunk: bytes) -> None:
    found = unwalked(chunk)
    assert found is not None
    assert found[0] == len(walk(chunk).records) == 3
    assert (found[1].end, found[1].covered) == (walk(chunk).end, walk(chunk).covered)


@pytest.mark.parametrize("place", [0, 8, 16, 48, 130, 600])
def test_a_chunk_with_a_wrong_byte_has_to_be_walked(chunk: bytes, place: int) -> None:
    changed = bytearray(chunk)
    changed[place] ^= 4
    assert unwalked(bytes(changed)) is None


def test_a_chunk_with_a_record_behind_its_end_has_to_be_walked(chunk: bytes) -> None:
    end = walk(chunk).end
    assert unwalked(chunk[:end] + b"\x2a\x2a\0\0" + chunk[end + 4 :]) is None
    assert unwalked(chunk[:-1]) is None


def test_the_newest_record_is_found_by_the_header(chunk: bytes) -> None:
    found = newest_by_header(chunk)
    assert found is not None
    assert engine_file(found)[FILE_HEADER:] == engine_file(newest_alone(walk(chunk)))[FILE_HEADER:]
    assert newest_by_header(chunk[:40] + b"\1" + chunk[41:]) is None

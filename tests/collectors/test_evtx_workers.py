"""Several processes give what one gives; those that die or do not start cost little, and it is said."""

import io
import logging
import multiprocessing
from functools import partial

import msgspec
import pytest

from exporter.collectors import evtx_workers
from exporter.collectors.evtx_workers import answer_to, read_parallel, with_jobs
from exporter.formats.evtx import parse, read_in_order
from exporter.formats.evtx_reading import DEFAULT, Chunk, Counts, Reading
from exporter.records import Item, Parsed, Rejected, Tally
from exporter.synthetic.evtx import build_evtx
from tests.evtx_logs import CHUNK, HEADER, chunks_of, events, log_of, record_offsets, seal


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evtx_workers, "_CHUNKS", 2)


def with_two(data: bytes, reading: Reading = DEFAULT) -> list[Item]:
    return list(parse(io.BytesIO(data), reading, partial(read_parallel, jobs=2)))


def damaged() -> bytes:
    """Ten chunks with zeros, wrong magics, broken records, other providers' records, and a cut."""
    mixed = [
        *events(100),
        *(event for event in events(300, forwarded=True) if event.record_id > 100),
        *(event for event in events(420, provider="Other", provider_guid=None, channel="App") if event.record_id > 300),
    ]
    data = bytearray(build_evtx(mixed))
    data[HEADER + 2 * CHUNK : HEADER + 3 * CHUNK] = bytes(CHUNK)
    data[HEADER + 3 * CHUNK : HEADER + 3 * CHUNK + 600] = bytes(600)
    data[record_offsets(data)[4] + 24 :][:40] = b"\xff" * 40
    data[record_offsets(data)[7] + 200] ^= 1
    return bytes(data[:-20_000])


@pytest.mark.parametrize("reading", [DEFAULT, Reading(all_events=True, cross_check=True)])
def test_two_processes_give_the_items_of_one_in_the_same_order(small_ranges: None, reading: Reading) -> None:
    data = damaged()
    alone = list(parse(io.BytesIO(data), reading))
    assert with_two(data, reading) == alone
    assert {type(item) for item in alone} == {Parsed, Rejected, Tally}


def test_a_process_that_dies_costs_its_range_only(small_ranges: None, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(log_of(420))
    assert chunks_of(data) > 6
    alone = list(parse(io.BytesIO(data)))
    original, asked = evtx_workers._Worker.answer, []

    def killing(worker: evtx_workers._Worker) -> bytes | None:
        asked.append(worker)
        if len(asked) == 2:
            worker._process.kill()
            worker._process.join()
            worker._pipe.close()
        return original(worker)

    monkeypatch.setattr(evtx_workers._Worker, "answer", killing)
    items = with_two(data)
    (loss,) = [item for item in items if isinstance(item, Rejected)]
    assert (loss.offset, loss.reason) == (HEADER + 2 * CHUNK, "chunks 2 to 3: the process that read them died")
    lost = range(HEADER + 2 * CHUNK, HEADER + 4 * CHUNK)
    assert [item for item in items if isinstance(item, Parsed)] == [
        item for item in alone if isinstance(item, Parsed) and item.offset not in lost
    ]
    tally = items[-1]
    assert isinstance(tally, Tally)
    assert tally.seen == sum(item.units for item in items[:-1])


def test_where_no_process_starts_this_one_reads_and_says_why(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no processes here")

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", refuse)
    data = bytes(log_of(100))
    with caplog.at_level(logging.WARNING):
        assert with_two(data) == list(parse(io.BytesIO(data)))
    assert "read by one process" in caplog.text
    assert "no processes here" in caplog.text


def test_what_has_no_encoding_is_read_by_the_parent() -> None:
    data = log_of(3)
    place = data.index("HKLM".encode("utf-16-le"))
    data[place : place + 2] = b"\x00\xd8"
    chunk = Chunk(0, HEADER, bytes(seal(data)[HEADER:]))
    reading = Reading("python-evtx")
    answer = answer_to(msgspec.msgpack.encode([chunk]), reading)
    assert answer == b""
    first, second = Counts(), Counts()
    wanted = list(read_in_order([chunk], reading, first))
    assert list(evtx_workers._items([chunk], answer, reading, second, None)) == wanted
    assert "\ud800" in wanted[0].payload.data["New Value"]
    assert first == second


def test_only_large_logs_are_worth_it() -> None:
    assert with_jobs(1, 1 << 30) is None
    assert with_jobs(2, None) is None
    assert with_jobs(2, 31 << 20) is None
    assert with_jobs(2, 32 << 20) is not None

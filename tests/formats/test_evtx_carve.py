"""Chunks are found in anything, and records say when they were not in their place."""

import io
import random
import struct
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.formats import evtx_carve
from exporter.formats.evtx_carve import SECTOR, carve, carved_computer_name, find_chunks
from exporter.records import Parsed, Rejected, Tally
from exporter.synthetic.evtx import build_evtx
from tests.evtx_logs import CHUNK, HEADER, chunks_of, events, log_of, read
from tests.line import export

NOISE = random.Random(3).randbytes(1 << 20)


def carved(data: bytes) -> tuple[list[Parsed], list[Rejected]]:
    *items, tally = carve(io.BytesIO(data))
    assert isinstance(tally, Tally)
    assert tally.seen == sum(item.units for item in items) + sum(tally.unparsed.values())
    return [item for item in items if isinstance(item, Parsed)], [item for item in items if isinstance(item, Rejected)]


@pytest.fixture(scope="module")
def chunks() -> list[bytes]:
    data = bytes(log_of(160))
    return [data[HEADER + n * CHUNK : HEADER + (n + 1) * CHUNK] for n in range(chunks_of(data))]


def test_whole_chunks_are_found_at_any_sector_and_labeled(chunks: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    blob = NOISE[: 3 * SECTOR] + chunks[0] + NOISE[: 7 * SECTOR] + b"".join(chunks[1:]) + NOISE[:99]
    offsets = [3 * SECTOR, *(10 * SECTOR + number * CHUNK for number in range(1, len(chunks)))]
    for block in (SECTOR, 5_000, CHUNK + 1, 1 << 20):
        monkeypatch.setattr(evtx_carve, "_BLOCK", block)
        assert [(chunk.offset, chunk.data) for chunk in find_chunks(io.BytesIO(blob))] == list(zip(offsets, chunks, strict=True))
    parsed, rejected = carved(blob)
    assert ([item.payload.record_id for item in parsed], rejected) == (list(range(1, 161)), [])
    assert {(item.payload.origin, str(item.integrity.verdict)) for item in parsed} == {("carved", "verified")}
    assert parsed[0].offset == 3 * SECTOR + 512


def test_chunks_between_sectors_and_bare_magics_are_none(chunks: list[bytes]) -> None:
    assert carved(NOISE[:100] + chunks[0]) == ([], [])
    assert carved(b"ElfChnk\0".ljust(SECTOR, b"x") * 300) == ([], [])


def test_a_chunk_overwritten_by_another_gives_what_is_left(chunks: list[bytes]) -> None:
    parsed, rejected = carved(chunks[0][: 40 * SECTOR] + chunks[1])
    first = [item for item in parsed if item.offset < 40 * SECTOR]
    assert first
    assert {str(item.integrity.verdict) for item in first} == {"unverifiable"}
    assert [item.payload.record_id for item in parsed if item.offset > 40 * SECTOR] == [
        item.payload.record_id for item in carved(chunks[1])[0]
    ]
    assert all(item.offset is not None and item.offset < 40 * SECTOR for item in rejected)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"ElfChnk\0", b"\x2a\x2a\0\0", bytes(512), b"x" * 504, b"ElfChnk\0" + bytes(504) + b"\x2a\x2a\0\0"]), max_size=40
    )
)
def test_any_bytes_are_searched(parts: list[bytes]) -> None:
    carved(b"".join(parts))


def with_count(count: int, flags: int) -> bytearray:
    data = log_of(160)
    struct.pack_into("<H", data, 42, count)
    struct.pack_into("<I", data, 120, flags)
    struct.pack_into("<I", data, 124, zlib.crc32(data[:120]))
    return data


def test_chunks_past_the_count_of_the_header_are_labeled() -> None:
    for flags, origin in ((0, "remnant"), (1, "stale_count")):
        parsed = read(with_count(1, flags)).parsed
        assert len(parsed) == 160
        assert {(item.offset < HEADER + CHUNK, item.payload.origin) for item in parsed} == {(True, None), (False, origin)}
    assert {item.payload.origin for item in read(log_of(160)).parsed} == {None}


def test_a_blob_is_of_the_computer_that_wrote_last(chunks: list[bytes]) -> None:
    moved = [msgspec.structs.replace(one, computer="NEW", created_at=one.created_at + 10**12) for one in events(3)]
    blob = build_evtx(moved)[HEADER:] + NOISE[:SECTOR] + b"".join(chunks)
    assert carved_computer_name(io.BytesIO(blob)) == "NEW"
    assert carved_computer_name(io.BytesIO(blob[CHUNK:])) == "WS-0142"
    assert carved_computer_name(io.BytesIO(NOISE)) is None


def test_a_file_given_by_itself_is_carved_and_those_in_folders_are_not(chunks: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "unallocated.bin").write_bytes(NOISE[:SECTOR] + chunks[0])
    (folder / "x.evtx").write_bytes(log_of(3))
    tree = export(folder, tmp_path / "tree", carve=True, sinks=("ecs",))
    assert [file.path for file in tree.report.files] == ["x.evtx"]
    assert not tree.report.damaged
    alone = export(folder / "unallocated.bin", tmp_path / "alone", carve=True, sinks=("ecs",))
    assert {document["defender"]["source"]["origin"] for document in alone.evidence} == {"carved"}
    assert len(alone.evidence) == 48
    assert [(host.name, host.name_basis) for host in alone.report.hosts] == [("WS-0142", "evtx")]
    assert export(folder / "unallocated.bin", tmp_path / "without", sinks=("ecs",)).report.files == []

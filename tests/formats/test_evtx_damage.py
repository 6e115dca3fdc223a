"""Damage costs itself: it is labeled or named, and nothing else is lost."""

import random
import struct
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.formats.evtx_chunks import FIRST_RECORD, engine_file, walk
from exporter.formats.evtx_form import PROVIDER_GUID
from exporter.formats.evtx_repair import corrected, wrong_bit
from exporter.records import Verdict
from tests import flips
from tests.evtx_logs import CHUNK, HEADER, Log, chunks_of, log_of, read, record_offsets, seal

SERVER = "server2022-aptsimulator/Microsoft-Windows-Windows Defender%4Operational.evtx"


@pytest.fixture(scope="module")
def sound() -> bytes:
    """A log of some hundred records in several chunks."""
    return bytes(log_of(160))


def facts(log: Log) -> dict[int, tuple[object, ...]]:
    """What each record says, by offset."""
    return {item.offset: (item.payload, item.raw_hash) for item in log.parsed}


def changed_silently(before: Log, after: Log) -> list[int]:
    """Offsets of records that are not what they were and are nevertheless called verified."""
    was = facts(before)
    return [
        item.offset
        for item in after.parsed
        if was.get(item.offset) != (item.payload, item.raw_hash) and item.integrity.verdict == Verdict.VERIFIED
    ]


def lost_elsewhere(before: Log, after: Log, place: int) -> list[int]:
    """Offsets of records outside the damaged chunk that are missing or different."""
    chunk = (place - HEADER) // CHUNK
    now = facts(after)
    return [offset for offset, fact in facts(before).items() if (offset - HEADER) // CHUNK != chunk and now.get(offset) != fact]


def check_flip(before: Log, data: bytes, bit: int) -> Log:
    """Flip one bit of a log and read it: nothing silent, nothing lost in other chunks, and every record of the chunk accounted for."""
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    after = read(flipped)
    assert changed_silently(before, after) == []
    assert lost_elsewhere(before, after, bit // 8) == []
    named = {item.offset for item in after.parsed} | {item.offset for item in after.rejected}
    missing = set(facts(before)) - named
    assert len(missing) <= 2 or after.rejected, f"bit {bit} lost {len(missing)} records"
    return after


def test_any_flipped_bit_is_labeled_or_named(sound: bytes) -> None:
    before, choose = read(sound), random.Random(5)
    for _ in range(250):
        check_flip(before, sound, choose.randrange(8 * len(sound)))


@pytest.mark.real_data
def test_any_flipped_bit_of_a_real_log_is_labeled_or_named(shared_data: Path) -> None:
    data = (shared_data / "evtx" / SERVER).read_bytes()
    before, choose = read(data), random.Random(7)
    used = HEADER + 34_328
    for _ in range(250):
        after = check_flip(before, data, choose.randrange(8 * used))
        # a flip in a template takes the records that use it, a flip elsewhere one at most
        assert len(after.parsed) + len(after.rejected) >= 26


def test_random_flips_give_figures_and_no_failure() -> None:
    figures = flips.run(40, seed=11)
    assert figures["flips"] == 40
    assert {name: figures[name] for name in flips.FAILURES} == dict.fromkeys(flips.FAILURES, 0)


def test_a_silent_change_would_be_counted(sound: bytes) -> None:
    """The judge judges: a record changed under a right sum counts as silent, and one lost in another chunk as that."""
    before, data = read(sound), bytearray(sound)
    place = data.index("HKLM".encode("utf-16-le"), record_offsets(sound)[3])
    data[place] ^= 1
    assert flips.judge(before, read(data), place)["changed silently"] == 0
    assert flips.judge(before, read(seal(data)), place)["changed silently"] == 1
    assert flips.judge(before, read(sound[: HEADER + CHUNK]), HEADER)["lost in another chunk"] == 160 - len(record_offsets(sound))


def test_one_wrong_bit_in_what_records_share_costs_none_of_them(sound: bytes) -> None:
    """The first record holds the template of all: the chunk's sum says which bit of it is wrong."""
    before, data = read(sound), bytearray(sound)
    damages = range(record_offsets(sound)[0] + 60, record_offsets(sound)[0] + 1400, 29)
    corrections = 0
    for at in damages:
        data[at] ^= 0x10
        after = read(data)
        data[at] ^= 0x10
        told = [item for item in after.rejected if "one bit is wrong" in item.reason]
        if not told:
            continue
        corrections += 1
        assert [(item.offset, item.units) for item in after.rejected] == [(at, 0)]
        assert {item.offset: item.payload for item in after.parsed} == {item.offset: item.payload for item in before.parsed}
        checks = {(str(item.integrity.verdict), item.integrity.check) for item in after.parsed if item.offset < HEADER + CHUNK}
        assert checks == {("failed", "chunk-crc32-one-bit-corrected")}
        hashes = {item.offset: item.raw_hash for item in before.parsed}
        assert [item.offset for item in after.parsed if item.raw_hash != hashes[item.offset]] == [record_offsets(sound)[0]]
    assert corrections > 5


def test_more_damage_than_one_bit_is_not_guessed_at(sound: bytes) -> None:
    data = bytearray(sound)
    place = record_offsets(sound)[0] + 100
    data[place : place + 200] = bytes(200)
    after = read(data)
    assert len(after.rejected) == len(record_offsets(sound))
    assert len(after.parsed) + len(after.rejected) == 160
    assert {item.integrity.check for item in after.parsed} == {"chunk-crc32"}


def test_a_wrong_sum_over_readable_records_changes_none_of_them(sound: bytes) -> None:
    """As in a log copied while it was in use; even where one bit of a text would make the sum right."""
    data = bytearray(sound)
    place = data.index("HKLM".encode("utf-16-le"), record_offsets(sound)[3])
    data[place] ^= 1
    after = read(data)
    assert after.rejected == []
    assert [item.payload.data["New Value"][:4] for item in after.parsed[:5]] == ["HKLM", "HKLM", "HKLM", "IKLM", "HKLM"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(FIRST_RECORD, 60_000), st.integers(0, 7))
def test_the_sum_of_a_chunk_tells_the_one_wrong_bit(sound: bytes, place: int, bit: int) -> None:
    chunk = sound[HEADER : HEADER + CHUNK]
    place = min(place, struct.unpack_from("<I", chunk, 48)[0] - 1)
    damaged = corrected(chunk, place, bit)
    assert damaged != chunk
    assert wrong_bit(walk(damaged)) == (place, bit)
    assert wrong_bit(walk(chunk)) is None
    assert wrong_bit(walk(corrected(damaged, 100, 0))) is None


def test_a_record_whose_provider_is_damaged_does_not_pass_as_another_providers(sound: bytes) -> None:
    """The name's first letter, and the GUID in the template that all records of the chunk use."""
    data, offset = bytearray(sound), record_offsets(sound)[1]
    data[data.index("Microsoft-Windows-Windows Defender\0".encode("utf-16-le")[:-2], offset)] ^= 1
    assert len(read(data).parsed) == 160
    guid = UUID(PROVIDER_GUID).bytes_le
    data = data.replace(guid, bytes(16))
    after = read(data)
    assert [item.reason for item in after.rejected] == ["chunk 0: its provider's name is damaged"]
    assert (len(after.parsed), after.rejected[0].offset) == (159, offset)


def test_a_damaged_record_frame_loses_no_other_record(sound: bytes) -> None:
    """Magic, size and its copy hold two against one; a record is lost only when it is itself gone."""
    first, second, third = record_offsets(sound)[4:7]
    for place in (second, second + 3, second + 4, second + 6, third - 4, third - 1):
        data = bytearray(sound)
        data[place] ^= 0x41
        after = read(data)
        assert len(after.parsed) == 160
        assert {item.integrity.verdict for item in after.parsed if item.offset == first} == {"failed"}


def test_a_record_without_a_frame_is_one_loss(sound: bytes) -> None:
    start, end = record_offsets(sound)[4:6]
    data = bytearray(sound)
    data[start : start + 8] = bytes(8)
    after = read(data)
    assert [(item.offset, item.reason) for item in after.rejected] == [(start, f"chunk 0: {end - start} bytes are not a record")]
    assert len(after.parsed) == 159


def test_a_torn_record_keeps_those_before_and_behind(sound: bytes) -> None:
    """As after a write that reached only some pages: zeros from the middle of one record to the middle of another."""
    offsets = record_offsets(sound)
    data = bytearray(sound)
    data[offsets[10] + 40 : offsets[20] + 40] = bytes(offsets[20] - offsets[10])
    after = read(data)
    kept = {item.offset for item in after.parsed}
    assert kept >= set(offsets[:10]) | set(offsets[21:])
    assert after.rejected


def test_a_gap_too_small_for_a_record_is_bridged(sound: bytes) -> None:
    """Ten bytes are inserted between two records: no engine would get over them."""
    base, place = HEADER, record_offsets(sound)[5]
    data = bytearray(sound)
    free = struct.unpack_from("<I", data, base + 48)[0]
    tail = data[place : base + free]
    data[place : place + 10] = b"\1" * 10
    data[place + 10 : place + 10 + len(tail)] = tail
    struct.pack_into("<I", data, base + 48, free + 10)
    after = read(seal(data))
    assert (place, "chunk 0: 10 bytes are not a record") in [(item.offset, item.reason) for item in after.rejected]
    assert {item.payload.data["N"] for item in after.parsed} >= {"1", "5"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda chunk: chunk.__setitem__(slice(0, 8), bytes(8)),
        lambda chunk: struct.pack_into("<I", chunk, 48, 0xFFFFFFFF),
        lambda chunk: struct.pack_into("<I", chunk, 48, 600),
        lambda chunk: struct.pack_into("<Q", chunk, 32, 3),
        lambda chunk: struct.pack_into("<I", chunk, 40, 0),
        lambda chunk: chunk.__setitem__(slice(128, 512), b"\xff" * 384),
        lambda chunk: chunk.__setitem__(slice(0, 512), bytes(512)),
    ],
    ids=["magic", "free space beyond the chunk", "free space too small", "last id", "header size", "tables", "whole header"],
)
def test_a_damaged_chunk_header_costs_no_record(sound: bytes, damage: Callable[[bytearray], object]) -> None:
    chunk = bytearray(sound[HEADER : HEADER + CHUNK])
    damage(chunk)
    after = read(sound[:HEADER] + chunk + sound[HEADER + CHUNK :])
    assert (len(after.parsed), after.rejected) == (160, [])
    assert {item.integrity.verdict for item in after.parsed if item.offset < HEADER + CHUNK} == {"failed"}
    assert {item.integrity.verdict for item in after.parsed if item.offset > HEADER + CHUNK} == {"verified"}


def test_records_written_after_the_header_are_read_and_called_unverifiable(sound: bytes) -> None:
    """A log copied from a running machine: the chunk's header is older than its last records."""
    data = bytearray(sound)
    last = record_offsets(sound)[-3] - HEADER
    struct.pack_into("<I", data, HEADER + 48, last)
    seal(data)
    first = [item for item in read(data).parsed if item.offset < HEADER + CHUNK]
    assert [str(item.integrity.verdict) for item in first[-4:]] == ["verified", "unverifiable", "unverifiable", "unverifiable"]


def test_remnants_behind_the_free_space_are_left_alone(sound: bytes) -> None:
    """Older records there belong to the chunk's former life: their templates may be overwritten."""
    data = bytearray(sound)
    offsets = record_offsets(sound)
    struct.pack_into("<I", data, HEADER + 48, offsets[-3] - HEADER)
    struct.pack_into("<Q", data, offsets[-3] + 8, 1)
    after = read(seal(data))
    assert (len(after.parsed), after.rejected) == (157, [])


def test_a_chunk_of_wrong_sum_is_emitted_and_labeled(sound: bytes) -> None:
    data = bytearray(sound)
    data[HEADER + 52] ^= 1
    seal_header = walk(bytes(data[HEADER : HEADER + CHUNK]))
    assert seal_header.header_sound is False
    log = read(data)
    assert len(log.parsed) == 160
    assert log.parsed[0].integrity.check == "chunk-crc32"
    assert log.parsed[0].integrity.verdict == Verdict.FAILED


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_any_bytes_in_a_log_are_read_or_named(sound: bytes, noise: bytes, place: int) -> None:
    data = bytearray(sound[: HEADER + CHUNK])
    data[HEADER + place * 20 : HEADER + place * 20 + len(noise)] = noise
    read(data[: HEADER + CHUNK])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_a_log_or_a_loss(noise: bytes) -> None:
    assert read(noise).tally.seen == 1
    read(b"ElfFile\0".ljust(HEADER, b"\0") + noise)
    read(b"ElfFile\0".ljust(HEADER, b"\0") + (b"ElfChnk\0" + bytes(504) + noise).ljust(CHUNK, b"\1"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200), st.integers(512, 20_000))
def test_the_second_engine_survives_any_bytes(sound: bytes, noise: bytes, place: int) -> None:
    data = bytearray(sound[: HEADER + CHUNK])
    data[HEADER + place : HEADER + place + len(noise)] = noise
    read(data, "python-evtx")


@pytest.mark.parametrize("cut", [0, 1, 100, 511, 512, 600, 5000, 40_000])
def test_a_cut_chunk_gives_its_whole_records(sound: bytes, cut: int) -> None:
    log = read(sound[: HEADER + cut])
    whole = [offset for offset, end in zip(record_offsets(sound), record_offsets(sound)[1:], strict=False) if end <= HEADER + cut]
    assert [item.offset for item in log.parsed] == whole
    assert {item.integrity.verdict for item in log.parsed} <= {Verdict.UNVERIFIABLE}
    assert log.rejected


def test_sizes_that_would_make_a_reader_stand_still_do_not() -> None:
    for size in (0, 1, 27, 0xFFFFFFFF, 0x7FFFFFFF):
        chunk = bytearray(b"ElfChnk\0".ljust(512, b"\0") + (b"\x2a\x2a\0\0" + struct.pack("<I", size)) * 8128)
        struct.pack_into("<I", chunk, 48, CHUNK)
        found = walk(bytes(chunk))
        assert sum(gap.size for gap in found.gaps) + sum(record.size for record in found.records) == CHUNK - 512
        assert len(engine_file(found)) == HEADER + CHUNK


def test_the_engine_sees_the_records_of_the_walk_and_no_others(sound: bytes) -> None:
    """An id equal to the header's last one ends the chunk for the wheel; the header it is given names no such id."""
    data = bytearray(sound)
    offsets = record_offsets(sound)
    last = struct.unpack_from("<Q", data, HEADER + 32)[0]
    struct.pack_into("<Q", data, offsets[2] + 8, last)
    assert len(read(seal(data)).parsed) == 160
    assert chunks_of(data) > 1

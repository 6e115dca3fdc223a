"""DetectionHistory: files cut anywhere, foreign files, any bytes, any values."""

import struct
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.detection_history import DetectionHistory, TrackedResource, looks_like_detection_history
from exporter.records import Parsed, Rejected, Verdict
from exporter.synthetic.detection_history import MAGIC, build_detection_history
from tests.formats.history_texts import history, parsed, read, sample


def test_a_file_cut_anywhere_is_named_and_gives_what_was_read() -> None:
    data = build_detection_history(sample())
    head = data.index(struct.pack("<II", 4, 6))
    for end in range(len(data) - 4):
        (item,) = read(data[:end])
        if end < head - 8:
            assert isinstance(item, Rejected)
            assert item.offset is not None
            assert item.offset <= end
        elif end >= head:
            assert isinstance(item, Parsed)
            assert item.integrity.verdict is Verdict.FAILED
            assert item.incomplete


def test_a_foreign_file_is_rejected_with_reason_and_excerpt() -> None:
    (item,) = read(b"MZ\x90\0" * 100)
    assert isinstance(item, Rejected)
    assert item.reason.startswith("not a DetectionHistory file: ")
    assert item.excerpt == (b"MZ\x90\0" * 8).hex()
    (item,) = read(struct.pack("<II", 16, 0x1E) + bytes(16))
    assert isinstance(item, Rejected)
    assert (item.reason, item.offset) == ("not a DetectionHistory file: threat id is of type 0x1e", 0)


@pytest.mark.parametrize(("place", "length"), list(product(range(0, 400, 4), (0xFFFFFFFF, 0x7FFFFFFF))))
def test_a_huge_length_anywhere_is_an_answer_not_a_hang(place: int, length: int) -> None:
    data = bytearray(build_detection_history(sample()))
    struct.pack_into("<I", data, place, length)
    assert len(read(bytes(data))) == 1


def test_no_more_than_five_losses_are_spelled_out() -> None:
    block = TrackedResource(type="file", location="C:\\a", flags=1, tracking={"a": 1}, tracking_layout="header20")
    item = parsed(build_detection_history(sample(tracked=(block,) * 9)))
    assert item.incomplete is not None
    assert item.incomplete.endswith("; and 4 more")


def test_only_what_begins_like_a_detection_looks_like_one() -> None:
    data = build_detection_history(sample())
    assert looks_like_detection_history(data[:40])
    assert not looks_like_detection_history(data[:39])
    assert not looks_like_detection_history(b"\x08" + bytes(39))
    assert not looks_like_detection_history(b"")


@given(st.binary(max_size=600))
def test_any_bytes_give_one_answer(data: bytes) -> None:
    assert len(read(data)) == 1


@given(st.lists(st.tuples(st.integers(0, 2200), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 2200))
def test_any_damage_to_a_real_layout_gives_one_answer(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(build_detection_history(sample()))
    for place, byte in changes:
        data[place % len(data)] = byte
    assert len(read(bytes(data[: len(data) - cut % 50]))) == 1


WORDS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=12).filter(lambda text: not text.startswith("Magic.Version"))
U32 = st.integers(0, 2**32 - 1)
TICKS = st.integers(0, 2**64 - 1)
TRACKED = st.builds(
    lambda kind, place, flags, pairs, wide: TrackedResource(
        type=kind,
        location=place,
        flags=flags & ~(1 << 28) | wide << 28,
        tracking=pairs,
        tracking_layout="header20" if wide else "size",
    ),
    WORDS,
    WORDS,
    U32,
    st.dictionaries(WORDS, U32 | WORDS | st.booleans(), max_size=4),
    st.integers(0, 1),
)


@given(
    st.builds(
        DetectionHistory,
        detection_id=st.uuids().map(lambda guid: str(guid).upper()),
        file_name=st.just("x"),
        name_matches=st.just(False),
        threat_id=TICKS,
        magic=st.none() | st.just(MAGIC),
        threat_name=st.none() | WORDS,
        severity_id=U32,
        category_id=U32,
        status_id=U32,
        action_ids=st.lists(U32, max_size=4).map(tuple),
        tracked=st.lists(TRACKED, max_size=3).map(tuple),
        last_change_at=TICKS,
        error_code=U32,
        detection_type_id=U32,
        quarantine_id=st.uuids().map(lambda guid: str(guid).upper()),
        execution_id=U32,
        state=U32,
        user=st.none() | WORDS,
        source_id=U32,
        process_name=st.none() | WORDS,
        source_id_2=U32,
        origin_id=U32,
        detected_at=TICKS,
        pre_execution_status=U32,
        remediated_at=TICKS,
        remediation_user=st.none() | WORDS,
        unknown=st.fixed_dictionaries({f"unknown_{letter}": U32 for letter in "abcdefgh"}),
        more_resources=st.lists(TRACKED, max_size=2).map(tuple),
        tail=st.lists(U32, min_size=5, max_size=7).map(tuple),
    )
)
def test_what_is_built_is_parsed_again(payload: DetectionHistory) -> None:
    got = history(parsed(build_detection_history(payload), "x"))
    derived = {"resources", "file_path", "tracking_started_at", "md5", "sha1", "sha256", "file_size", "sig_seq"}
    for name in set(payload.__struct_fields__) - derived:
        assert getattr(got, name) == getattr(payload, name), name

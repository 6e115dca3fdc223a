"""A folder's list in an entry of the MFT, byte by byte."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.formats.ntfs_index import Listed, Node, Value, attribute_list, further_entries, read_block, read_index

I30 = "$I30".encode("utf-16-le")


def resident(kind: int, value: bytes) -> bytes:
    body = (I30 + value).ljust(-(-len(I30 + value) // 8) * 8, b"\0")
    return struct.pack("<IIBBHHHIHH", kind, 24 + len(body), 0, 4, 24, 0, 0, len(value), 24 + len(I30), 0) + body


def elsewhere(kind: int, runs: bytes, size: int, first: int = 0) -> bytes:
    body = (I30 + runs).ljust(-(-len(I30 + runs) // 8) * 8, b"\0")
    head = struct.pack("<IIBBHHHQQHHIQQQ", kind, 64 + len(body), 1, 4, 64, 0, 0, first, 0, 64 + len(I30), 0, 0, size, size, size)
    return head + body


def listed(reference: int, child: int | None = None, *, last: bool = False) -> bytes:
    """An entry of a list; the last one names no file."""
    tail = b"" if child is None else child.to_bytes(8, "little")
    return struct.pack("<QHHHH", reference, 16 + len(tail), 0, (child is not None) + 2 * last, 0) + tail


def node(*entries: bytes) -> bytes:
    data = b"".join(entries)
    return struct.pack("<IIII", 16, 16 + len(data), 16 + len(data), 0) + data


def entry(*attributes: bytes) -> bytes:
    data = b"".join(attributes) + b"\xff\xff\xff\xff\0\0\0\0"
    return (struct.pack("<4sHHQHHHH", b"FILE", 48, 3, 0, 1, 1, 56, 3).ljust(56, b"\0") + data).ljust(1024, b"\0")


ROOT = resident(0x90, struct.pack("<IIII", 0x30, 1, 4096, 1) + node(listed(70, 2), listed(0, 5, last=True)))


def test_a_list_is_read():
    runs = b"\x11\x02\x40\x01\x03\x11\x01\xf0\x00"
    found = read_index([entry(ROOT, elsewhere(0xA0, runs, 24_576), resident(0xB0, b"\x07"))])
    assert found is not None
    assert found.root == Node((Listed(70),), (2, 5), whole=True)
    assert (found.block_bytes, found.used) == (4096, Value(b"\x07"))
    assert found.blocks == Value(None, ((64, 2), (None, 3), (48, 1)), 24_576)


def test_a_list_in_several_entries_is_put_together():
    pieces = [elsewhere(0xA0, b"\x11\x01\x10\x00", 0, first=2), elsewhere(0xA0, b"\x11\x02\x40\x00", 12_288)]
    found = read_index([entry(ROOT), entry(pieces[0], resident(0xB0, b"\x07")), entry(pieces[1])])
    assert found is not None
    assert found.blocks == Value(None, ((64, 2), (16, 1)), 12_288)


def test_the_entries_that_a_list_is_spread_over_are_told():
    told = b"".join(struct.pack("<IHBBQQH6x", 0xA0, 32, 0, 26, 0, (3 << 48) + number, 0) for number in (0, 90, 91, 90))
    assert further_entries(told, 0) == ((3 << 48) + 90, (3 << 48) + 91)
    assert attribute_list(entry(resident(0x20, told))) == Value(told)
    assert attribute_list(entry(ROOT)) == Value(b"")
    assert attribute_list(entry(elsewhere(0x20, b"\x11\x01\x10\x00", 900))) == Value(None, ((16, 1),), 900)


@pytest.mark.parametrize(
    "attributes",
    [(), (resident(0x90, bytes(8)),), (resident(0x90, struct.pack("<IIII", 0x30, 1, 4095, 1) + node()),)],
    ids=["none", "too short", "blocks of no size"],
)
def test_what_is_not_wholly_told_is_no_list(attributes):
    assert read_index([entry(*attributes)]) is None


def block(*entries: bytes, number: int = 3, used: int = 0) -> bytes:
    data = b"".join(entries)
    head = struct.pack("<4sHHQQIIII", b"INDX", 40, 0, 0, number, 16, 16 + len(data) + used, 4072, 0)
    return (head + data).ljust(512, b"\0")


def test_a_block_is_read():
    assert read_block(block(listed(70, 2), listed(71), listed(0, last=True)), 3) == Node((Listed(70), Listed(71)), (2,), whole=True)
    assert read_block(block(listed(0, last=True), number=4), 3) is None
    assert read_block(b"BAAD" + block(listed(0, last=True))[4:], 3) is None


@pytest.mark.parametrize(
    "damaged",
    [block(listed(70)), block(listed(70, last=True), listed(71), listed(0, last=True)), block(listed(0, last=True), used=64), block()],
    ids=["no last", "last too early", "room behind", "empty"],
)
def test_a_block_that_its_entries_do_not_fill_is_not_whole(damaged):
    found = read_block(damaged, 3)
    assert found is not None
    assert not found.whole


@given(st.binary(max_size=600))
@example(entry(ROOT)[:120])
def test_any_bytes_are_a_list_or_none(data):
    for content in (data, entry(ROOT)[:56] + data, entry(resident(0x90, data)), entry(ROOT[:24] + data)):
        read_index([content, data])
    attribute_list(data)
    further_entries(data, 0)
    read_block(data, 0)
    assert read_block(block(data), 3) is not None

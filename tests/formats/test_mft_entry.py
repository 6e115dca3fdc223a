"""What is read from an entry of the MFT itself."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.mft_entry import packing_method

POINT = struct.pack("<IHHIIII", 0x80000017, 16, 0, 1, 2, 1, 3)


@pytest.mark.parametrize("at", [100, 488, 490, 500, 509, 511, 600, 1000])
def test_the_method_is_found_wherever_the_point_lies(at):
    entry = bytearray(1024)
    entry[at : at + 24] = POINT
    entry[:8] = struct.pack("<4sHH", b"FILE", 48, 3)
    for number, end in enumerate((512, 1024), 1):
        entry[48 + 2 * number : 50 + 2 * number] = entry[end - 2 : end]
        entry[end - 2 : end] = entry[48:50] = b"\x17\x00"
    assert packing_method(bytes(entry)) == 3


@given(st.binary(max_size=1100))
def test_any_bytes_are_no_point_or_a_method(entry):
    assert packing_method(entry) is None
    assert packing_method(entry[:50].ljust(64, b"\0") + POINT) == 3

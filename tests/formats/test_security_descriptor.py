import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.security_descriptor import owner_sid, sid_text
from exporter.synthetic.quarantine import build_security_descriptor, build_sid
from tests.quarantine_trees import sids


@given(sids)
def test_the_owner_comes_back_as_it_was_built(sid):
    assert owner_sid(build_security_descriptor(sid)) == sid


def test_an_authority_of_more_than_32_bits_is_written_in_hex():
    assert sid_text(b"\x01\x01" + bytes.fromhex("010000000005") + b"\x07\0\0\0") == "S-1-0x010000000005-7"
    assert sid_text(build_sid("S-1-0xffffffff-1")) == "S-1-4294967295-1"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_owner_or_none(data):
    assert owner_sid(data) is None or owner_sid(data).startswith("S-1-")
    assert owner_sid(b"\x01" + data) is None or owner_sid(b"\x01" + data).startswith("S-1-")


@pytest.mark.parametrize(
    ("what", "descriptor"),
    [
        ("empty", b""),
        ("shorter than its header", build_security_descriptor("S-1-5-18")[:19]),
        ("cut in the owner", build_security_descriptor("S-1-5-18")[:27]),
        ("of another revision", b"\x02" + build_security_descriptor("S-1-5-18")[1:]),
        ("without an owner", b"\x01\0\0\x80" + bytes(16) + build_sid("S-1-5-18")),
        ("with an owner inside its header", b"\x01\0\0\x80\x08\0\0\0" + build_sid("S-1-5-18")),
        ("with an owner of another revision", b"\x01\0\0\x80\x14\0\0\0" + bytes(12) + b"\x02" + build_sid("S-1-5-18")[1:]),
        ("with an owner of too many parts", b"\x01\0\0\x80\x14\0\0\0" + bytes(12) + b"\x01\x10" + bytes(6 + 64)),
    ],
)
def test_no_owner_is_read_from_a_descriptor(what, descriptor):
    assert owner_sid(descriptor) is None

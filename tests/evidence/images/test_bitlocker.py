"""BitLocker volumes that an independent tool made: byte for byte the plain volume, or a reason."""

import importlib.util
import io
import struct
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import EvidenceError
from exporter.evidence.images.bitlocker import is_bitlocker, unlock
from exporter.evidence.images.media import Media
from exporter.evidence.keys import KeyStore
from tests.conftest import missing
from tests.evidence.images.bitlocker_samples import make, plain_volume, store

pytestmark = [pytest.mark.real_data, pytest.mark.images]

GUIDS = [f"{number:08x}-1111-4222-8333-444444444444" for number in range(1, 5)]
KEYS = ["042647-302313-590458-071500-554323-116567-412181-516978", "616319-601744-502117-534017-367994-176748-607299-663201"]


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    if importlib.util.find_spec("pybde") is None:
        missing("the extra `images`", "images")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.ntfs"
    plain_volume(path)
    return path


@pytest.fixture(scope="module")
def suspended(plain, shared_tools, tmp_path_factory):
    """A volume that opens without a key, and where its metadata are."""
    made = tmp_path_factory.mktemp("suspended") / "volume"
    truth = make(shared_tools, plain, made, "--recovery", f"{GUIDS[0]}={KEYS[0]}", "--clear-key")
    return made.read_bytes(), truth["metadata"]


def opened(volume: bytes | Path, keys=None):
    data = volume if isinstance(volume, bytes) else volume.read_bytes()
    return unlock(io.BytesIO(data), keys, "D:")


@pytest.mark.parametrize("method", ["cbc-128", "cbc-256", "xts-128", "xts-256"])
def test_an_unlocked_volume_is_the_plain_one(method, plain, shared_tools, tmp_path):
    truth = make(shared_tools, plain, tmp_path / "volume", "--method", method, "--recovery", f"{GUIDS[0]}={KEYS[0]}")
    found = opened(tmp_path / "volume", store(tmp_path, ("", GUIDS[0], KEYS[0], "")))
    assert (found.state, found.partial, found.reason) == ("encrypted", False, None)
    assert (found.identifier, found.description) == (truth["volume_guid"], truth["description"])
    assert found.stream.read() == plain.read_bytes()


def test_any_of_several_protectors_opens_a_volume(plain, shared_tools, tmp_path):
    options = [f"--recovery={GUIDS[0]}={KEYS[0]}", f"--recovery={GUIDS[1]}={KEYS[1]}"]
    make(shared_tools, plain, tmp_path / "volume", *options, f"--password={GUIDS[3]}=zweites Pa\u00dfwort \U0001f511")
    for row in (
        ("", GUIDS[0], KEYS[0], ""),
        ("", GUIDS[1], KEYS[1], ""),
        ("", GUIDS[3], "", "zweites Pa\u00dfwort \U0001f511"),
    ):
        keys = store(tmp_path, row)
        assert opened(tmp_path / "volume", keys).stream.read() == plain.read_bytes()
        assert sum(keys.derivations.values()) == 1
    locked = opened(tmp_path / "volume")
    assert [tuple(protector) for protector in locked.protectors] == [
        (GUIDS[3], "password"),
        (GUIDS[0], "recovery password"),
        (GUIDS[1], "recovery password"),
    ]
    assert "there is no key for any of its protectors" in locked.reason


def test_one_key_of_a_thousand_is_tried_and_only_once_in_a_process(plain, shared_tools, tmp_path):
    make(shared_tools, plain, tmp_path / "volume", f"--recovery={GUIDS[0]}={KEYS[0]}")
    others = [("", f"{number:08x}-9999-4999-8999-999999999999", KEYS[number % 2], "") for number in range(999)]
    keys = store(tmp_path, *others[:500], ("", GUIDS[0].upper(), KEYS[0], ""), *others[500:])
    assert len(keys) == 1000
    for _ in range(3):
        assert opened(tmp_path / "volume", keys).stream.read() == plain.read_bytes()
    assert list(keys.derivations.values()) == [1]


def test_a_wrong_key_does_not_keep_a_right_one_from_being_tried(plain, shared_tools, tmp_path):
    make(shared_tools, plain, tmp_path / "volume", f"--recovery={GUIDS[0]}={KEYS[0]}", f"--recovery={GUIDS[1]}={KEYS[1]}")
    keys = store(tmp_path, ("", GUIDS[0], KEYS[1], ""), ("", GUIDS[1], KEYS[1], ""))
    assert opened(tmp_path / "volume", keys).stream.read() == plain.read_bytes()


def test_what_opened_a_volume_does_not_stand_for_another_that_calls_itself_the_same(plain, shared_tools, tmp_path):
    first = make(shared_tools, plain, tmp_path / "first", f"--recovery={GUIDS[0]}={KEYS[0]}")
    second = make(shared_tools, plain, tmp_path / "second", f"--recovery={GUIDS[0]}={KEYS[0]}", "--clear-key")
    assert first["volume_guid"] == second["volume_guid"]
    assert first["vmk"] != second["vmk"]
    keys = store(tmp_path, ("", GUIDS[0], KEYS[0], ""))
    for name in ("first", "second", "first"):
        assert opened(tmp_path / name, keys).stream.read() == plain.read_bytes()


def test_what_kept_a_key_from_being_found_is_told_with_the_volume(plain, shared_tools, tmp_path):
    make(shared_tools, plain, tmp_path / "volume", f"--recovery={GUIDS[0]}={KEYS[0]}")
    reason = opened(tmp_path / "volume", store(tmp_path, ("", GUIDS[0], KEYS[0].replace("042647", "042648"), ""))).reason
    assert "line 2 has no usable key: it is mistyped in group 1" in reason
    program = tmp_path / ("ask.cmd" if sys.platform == "win32" else "ask")
    program.write_text("@exit /b 3\r\n" if sys.platform == "win32" else "#!/bin/sh\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    reason = opened(tmp_path / "volume", KeyStore.open(f"command:{program}")).reason
    assert f"for protector {{{GUIDS[0]}}} the key command ended with 3" in reason


@pytest.mark.parametrize(
    ("damage", "state", "reason"),
    [
        ("metadata", "damaged", "none of the copies of its metadata can be read"),
        ("vmk", "encrypted", "is right, but damaged is what is sealed with it"),
        ("fvek", "encrypted", "is right, but damaged is what is sealed with it"),
    ],
)
def test_damage_that_closes_a_volume_is_named(damage, state, reason, plain, shared_tools, tmp_path):
    make(shared_tools, plain, tmp_path / "volume", f"--recovery={GUIDS[0]}={KEYS[0]}", "--damage", damage)
    found = opened(tmp_path / "volume", store(tmp_path, ("", GUIDS[0], KEYS[0], "")))
    assert (found.stream, found.state, found.partial) == (None, state, True)
    assert reason in found.reason


def test_damage_to_the_first_copy_of_the_metadata_costs_nothing(plain, shared_tools, tmp_path):
    make(shared_tools, plain, tmp_path / "volume", f"--recovery={GUIDS[0]}={KEYS[0]}", "--damage", "metadata1")
    found = opened(tmp_path / "volume", store(tmp_path, ("", GUIDS[0], KEYS[0], "")))
    assert (found.state, found.partial) == ("encrypted", False)
    assert found.stream.read() == plain.read_bytes()


def test_one_place_of_the_metadata_leads_to_the_others(suspended, plain):
    volume, places = bytearray(suspended[0]), suspended[1]
    struct.pack_into("<2Q", volume, 176, 1 << 62, 4096)
    volume[places[0] + 200] ^= 1
    assert opened(bytes(volume)).stream.read() == plain.read_bytes()


def test_a_volume_cut_before_its_last_copies_opens_as_far_as_it_goes(suspended, plain):
    volume, places = suspended
    found = opened(volume[: places[1]])
    assert found.stream.read(1 << 17) == plain.read_bytes()[: 1 << 17]


def test_what_cannot_be_read_costs_only_itself(suspended, plain):
    volume, bad, size = suspended[0], 4096 * 120, 512

    def read_at(offset: int, length: int) -> bytes:
        if offset < bad + size and bad < offset + length:
            raise EvidenceError("a damaged chunk")
        return volume[offset : offset + length]

    stream = unlock(Media(read_at, len(volume)), None, "D:").stream
    for place in range(0, len(volume), size):
        stream.seek(place)
        if place == bad:
            with pytest.raises(EvidenceError):
                stream.read(size)
        else:
            assert stream.read(size) == plain.read_bytes()[place : place + size]


@pytest.mark.parametrize("states", [(2, 4), (4, 2), (5, 4), (1, 4), (3, 3), (0, 0)])
def test_a_state_between_plain_and_encrypted_is_refused(states, suspended):
    found = opened(changed(suspended, lambda block: struct.pack_into("<2H", block, 12, *states)))
    assert (found.stream, found.state, found.partial) == (None, "converting", True)


def test_a_hash_that_does_not_hold_is_told_beside_the_data(suspended, plain):
    found = opened(changed(suspended, lambda block: None, lambda check: check.__setitem__(40, check[40] ^ 1)))
    assert "the hash that is sealed in its metadata does not hold" in found.reason
    assert found.partial
    assert found.stream.read() == plain.read_bytes()


def changed(suspended, change, change_check=lambda check: None) -> bytes:
    """The volume with the same change in all copies of its metadata, under a checksum that holds."""
    volume, places = bytearray(suspended[0]), suspended[1]
    for place in places:
        size = struct.unpack_from("<H", volume, place + 8)[0] * 16
        block, check = volume[place : place + size], volume[place + size : place + 65536]
        change(block)
        change_check(check)
        struct.pack_into("<I", check, 4, zlib.crc32(block))
        volume[place : place + 65536] = block + check
    return bytes(volume)


def test_a_flipped_bit_anywhere_in_one_copy_costs_nothing(suspended, plain):
    volume, places = suspended
    expected = plain.read_bytes()
    for at in range(0, 900, 13):
        flipped = bytearray(volume)
        flipped[places[at % 3] + at] ^= 1 << at % 8
        assert opened(bytes(flipped)).stream.read() == expected


def test_a_bit_flipped_in_every_copy_gives_a_reason_or_the_right_data(suspended, plain):
    volume, places = suspended
    expected, refused = plain.read_bytes(), 0
    for at in range(0, 900, 7):
        flipped = bytearray(volume)
        for place in places:
            flipped[place + at] ^= 1 << at % 8
        found = opened(bytes(flipped))
        refused += found.stream is None
        assert found.stream is not None or found.reason
        assert found.stream is None or found.stream.read() == expected
    assert refused > 50


def test_a_bit_flipped_in_the_first_sector_gives_a_reason_or_the_right_data(suspended, plain):
    expected = plain.read_bytes()
    for at in (*range(64), *range(64, 512, 5)):
        flipped = bytearray(suspended[0])
        flipped[at] ^= 1 << at % 8
        if is_bitlocker(io.BytesIO(flipped)):
            found = opened(bytes(flipped))
            assert found.stream is not None or found.reason
            assert found.stream is None or found.stream.read() == expected


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_bytes_as_metadata_give_a_reason_or_a_stream(suspended, data):
    volume, places = bytearray(suspended[0]), suspended[1]
    head = bytes(volume[places[0] : places[0] + 1024])
    for _ in range(data.draw(st.integers(1, 4))):
        at, junk = data.draw(st.integers(0, 900)), data.draw(st.binary(max_size=40))
        head = head[:at] + junk + head[at + len(junk) :]
    if data.draw(st.booleans()):
        size = struct.unpack_from("<H", head, 8)[0] * 16
        if size + 8 <= len(head):
            head = head[: size + 4] + struct.pack("<I", zlib.crc32(head[:size])) + head[size + 8 :]
    for place in places:
        volume[place : place + len(head)] = head
    found = opened(bytes(volume))
    assert (found.stream is None) <= (found.reason is not None)


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_a_volume_or_not(junk):
    for data in (junk, b"\xeb\x58\x90-FVE-FS-" + junk, b"\xeb\x52\x90-FVE-FS-" + junk, b"\xeb\x58\x90MSWIN4.1" + junk):
        if is_bitlocker(io.BytesIO(data)):
            assert opened(data).reason
        assert opened(data).stream is None

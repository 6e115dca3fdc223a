"""Volumes that Windows made: right data with a right key, and never wrong data."""

import importlib.util
import os
import struct

import pytest

from exporter.evidence.images.bitlocker import is_bitlocker, unlock
from exporter.evidence.keys import KeyStore
from tests.conftest import missing
from tests.evidence.images.bitlocker_samples import PASSWORD, Cryptsetup, digest, dissect_volume, store

pytestmark = [pytest.mark.real_data, pytest.mark.images]

FULL = bool(os.environ.get("DEFENDER_EXPORTER_FULL"))
QUICK = (("aes-cbc-elephant-128", "RP"), ("aes-xts-128-two-recovery", "RP2"), ("aes-xts-128-crc", "RP"))
LONG = (
    *((f"aes-{name}", key) for name in ("cbc-128", "cbc-elephant-256", "xts-128", "xts-256") for key in ("RP", "PW")),
    *((f"aes-xts-128-{name}", "RP") for name in ("first-recovery", "new-entry", "smart-card", "startup-key", "startup-key-win11")),
    *((f"aes-xts-128-{name}", "PW") for name in ("first-recovery", "new-entry", "two-recovery", "crc", "unicode", "4k")),
    *((f"togo-aes-{name}", key) for name in ("cbc-128", "xts-128") for key in ("RP", "PW")),
    *(("aes-xts-128-two-recovery", "RP"), ("aes-cbc-256", "RP"), ("aes-cbc-256", "PW"), ("aes-cbc-elephant-128", "PW")),
    *(("aes-cbc-128-4k", "RP"), ("aes-cbc-128-4k", "PW"), ("aes-xts-128-4k", "RP"), ("aes-xts-128-unicode", "RP")),
)
WITH_PASSWORD = ("aes_128_diffuser", "recovery_key")
LONG_WITH_PASSWORD = ("aes-xts_256", "aes-xts_128", "aes_128", "aes_256", "aes_256_diffuser", "startup_key", "recovery_password")


@pytest.fixture(scope="module")
def cryptsetup(shared_data) -> Cryptsetup:
    if importlib.util.find_spec("pybde") is None:
        missing("the extra `images`", "images")
    return Cryptsetup(shared_data)


def key_row(truth, key: str) -> tuple[str, str, str, str]:
    return ("", truth[f"{key}_VMK_GUID"], "" if key == "PW" else truth[key], truth[key] if key == "PW" else "")


@pytest.mark.parametrize(("name", "key"), QUICK + (LONG if FULL else ()))
def test_the_unlocked_volume_is_the_one_that_windows_encrypted(cryptsetup, tmp_path, name, key):
    truth = cryptsetup.truth[f"bitlk-{name}"]
    keys = store(tmp_path, key_row(truth, key))
    found = unlock(cryptsetup.open(f"bitlk-{name}"), keys, name)
    assert (found.state, found.partial, found.reason) == ("encrypted", False, None)
    assert found.identifier == truth["GUID"]
    assert sum(keys.derivations.values()) == 1
    assert digest(found.stream) == truth["SHA256SUM"]


@pytest.mark.parametrize("name", ["startup-key", "startup-key-win11"])
def test_a_startup_key_of_a_folder_of_keys_opens_its_volume_without_a_derivation(cryptsetup, tmp_path, name):
    for file, content in cryptsetup.startup_keys.items():
        (tmp_path / file).write_bytes(content)
    keys = KeyStore.open(str(tmp_path))
    found = unlock(cryptsetup.open(f"bitlk-aes-xts-128-{name}"), keys, name)
    assert (found.state, found.partial, found.reason) == ("encrypted", False, None)
    assert not keys.derivations
    assert digest(found.stream) == cryptsetup.truth[f"bitlk-aes-xts-128-{name}"]["SHA256SUM"]


@pytest.mark.parametrize("name", ["startup_key", "recovery_key"])
def test_a_startup_key_given_by_itself_opens_its_volume(shared_data, name):
    keys = KeyStore.open(str(shared_data / "images" / "bitlocker" / f"{name}.bek"))
    found = unlock(dissect_volume(shared_data, name), keys, name)
    assert (found.state, found.stream.read(11)[3:]) == ("encrypted", b"NTFS    ")


def test_a_startup_key_of_another_volume_under_this_one_s_name_is_told(shared_data, tmp_path):
    folder = shared_data / "images" / "bitlocker"
    right, other = (folder / f"{name}.bek" for name in ("startup_key", "recovery_key"))
    (tmp_path / "x.BEK").write_bytes(right.read_bytes()[:-32] + other.read_bytes()[-32:])
    found = unlock(dissect_volume(shared_data, "startup_key"), KeyStore.open(str(tmp_path)), "C:")
    assert found.stream is None
    assert "the key for startup key {b3411a58-3400-420a-8b7e-9b5f706425c0} is not the key of this volume" in found.reason


@pytest.mark.parametrize(("name", "key"), [("togo-aes-xts-128", "RP"), ("aes-xts-128-4k", "RP"), ("aes-xts-128-unicode", "PW")])
def test_volumes_of_other_shapes_open(cryptsetup, tmp_path, name, key):
    keys = store(tmp_path, key_row(cryptsetup.truth[f"bitlk-{name}"], key))
    found = unlock(cryptsetup.open(f"bitlk-{name}"), keys, name)
    assert found.stream.read(11)[3:] in (b"NTFS    ", b"MSDOS5.0")


def test_without_a_key_every_volume_names_its_protectors(cryptsetup):
    for name in cryptsetup.truth.sections():
        truth = cryptsetup.truth[name]
        volume = cryptsetup.open(name)
        assert is_bitlocker(volume)
        found = unlock(volume, None, name)
        expected = {truth[option] for option in truth if option.endswith("_vmk_guid") and truth[option]}
        assert expected <= {protector.guid for protector in found.protectors}
        assert found.identifier == truth["GUID"]
        if found.stream is None:
            assert all(f"{protector.kind} {{{protector.guid}}}" in found.reason for protector in found.protectors)
            assert name in found.reason


def test_kinds_that_no_key_file_can_serve_are_named(cryptsetup):
    kinds = {
        protector.kind
        for name in ("smart-card", "startup-key", "startup-key-win11")
        for protector in unlock(cryptsetup.open(f"bitlk-aes-xts-128-{name}"), None, name).protectors
    }
    assert kinds == {"smart card", "startup key", "password", "recovery password"}


def test_a_suspended_volume_opens_without_a_key(cryptsetup, shared_data):
    clear = unlock(cryptsetup.open("bitlk-aes-xts-128-clearkey-only"), None, "F:")
    assert (clear.state, clear.partial) == ("suspended", False)
    assert digest(clear.stream) == cryptsetup.truth["bitlk-aes-xts-128-clearkey-only"]["SHA256SUM"]
    suspended = unlock(dissect_volume(shared_data, "suspended"), None, "G:")
    assert (suspended.state, suspended.stream.read(11)[3:]) == ("suspended", b"NTFS    ")


def test_a_decrypted_volume_is_read_as_it_is(shared_data):
    found = unlock(dissect_volume(shared_data, "decrypted"), None, "G:")
    assert (found.state, found.partial, found.reason, found.protectors) == ("decrypted", False, None, ())
    assert found.stream.read(11)[3:] == b"NTFS    "


def test_a_decrypted_volume_whose_metadata_are_damaged_is_refused(shared_data):
    volume = dissect_volume(shared_data, "decrypted")
    with volume.getbuffer() as data:
        for place in struct.unpack_from("<3Q", data, 176):
            data[place + 60] ^= 1
    found = unlock(volume, None, "G:")
    assert (found.stream, found.state) == (None, "decrypted")
    assert "the checksum holds in no copy" in found.reason


@pytest.mark.parametrize("name", ["bitlk-aes-xts-128-eow", "bitlk-partially-encrypted-aes-cbc-128"])
def test_a_volume_under_encryption_is_refused_even_with_the_right_key(cryptsetup, tmp_path, name):
    found = unlock(cryptsetup.open(name), store(tmp_path, key_row(cryptsetup.truth[name], "PW")), name)
    assert (found.stream, found.state, found.partial) == (None, "converting", True)
    assert "it was being encrypted" in found.reason


def test_a_volume_under_encryption_that_libbde_reads_wrongly_is_refused(shared_data, tmp_path):
    volume = dissect_volume(shared_data, "eow_partial", 36 << 20)
    locked = unlock(volume, None, "E:")
    found = unlock(volume, store(tmp_path, (locked.identifier, "", "", PASSWORD)), "E:")
    assert (found.stream, found.state, found.partial) == (None, "converting", True)


def test_a_volume_of_windows_vista_is_named(shared_data, tmp_path):
    keys = store(tmp_path, ("", "b59c92d8-b1b1-485e-a8ff-b7eafba260f3", "517506-503998-044583-576191-587004-635965-501270-087802", ""))
    found = unlock(dissect_volume(shared_data, "vista"), keys, "C:")
    assert (found.stream, found.state, found.partial) == (None, "vista", True)
    assert "Windows Vista" in found.reason
    assert ("b59c92d8-b1b1-485e-a8ff-b7eafba260f3", "recovery password") in found.protectors


@pytest.mark.parametrize("name", WITH_PASSWORD + (LONG_WITH_PASSWORD if FULL else ()))
def test_a_password_opens_a_volume_whose_end_is_cut_off(shared_data, tmp_path, name):
    volume = dissect_volume(shared_data, name)
    identifier = unlock(volume, None, name).identifier
    found = unlock(volume, store(tmp_path, (identifier, "", "", PASSWORD)), name)
    assert (found.state, found.stream.read(11)[3:]) == ("encrypted", b"NTFS    ")


def test_a_wrong_key_is_told_from_damage(cryptsetup, tmp_path):
    truth, other = cryptsetup.truth["bitlk-aes-xts-128"], cryptsetup.truth["bitlk-aes-xts-256"]
    keys = store(tmp_path, ("", truth["RP_VMK_GUID"], other["RP"], ""))
    found = unlock(cryptsetup.open("bitlk-aes-xts-128"), keys, "D:")
    assert (found.stream, found.state) == (None, "encrypted")
    assert "is not the key of this volume" in found.reason
    assert sum(keys.derivations.values()) == 1
    assert other["RP"] not in found.reason

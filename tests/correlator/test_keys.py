"""Which keys a payload has, and which ids are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.correlator.keys import JOINABLE, joins, keys, threat_of_quarantine
from exporter.correlator.paths import digests, is_place, normalize
from exporter.formats.mplog_records import ThreatActions
from exporter.formats.resources import Resource
from tests.correlator.build import EICAR, ZERO, content, detected, detection, entry, history, line, other, quarantine, reference


@pytest.mark.parametrize("threat_id", [None, 0, 0x80000000, 0x565C7B9A7FFFFFFE, 1 << 32])
def test_a_placeholder_or_wide_threat_id_is_no_key(threat_id: int | None) -> None:
    assert not joins(threat_id)


def test_a_real_threat_id_is_a_key() -> None:
    assert joins(EICAR)
    assert joins(17463)


def test_an_event_with_a_placeholder_id_keeps_its_detection_id_alone() -> None:
    found = keys(detected(0, threat_id=0x80000000))
    assert found is not None
    assert (found.anchor, found.threats, found.threat_id) == (("detection", detection(1)), (), 0x80000000)
    assert keys(detected(0, None, threat_id=0x80000000)) is None


@pytest.mark.parametrize("nothing", [ZERO, "", None, "{" + ZERO + "}"])
def test_an_empty_or_zero_id_is_no_key(nothing: str | None) -> None:
    found = keys(detected(0, None, detection_id=nothing))
    assert found is not None
    assert found.anchor is None
    named = keys(history(0, quarantine_id=nothing))
    assert named is not None
    assert named.quarantines == ()


@pytest.mark.parametrize(
    "sha1", [None, "", "0" * 40, "da39a3ee5e6b4b0d3255bfef95601890afd80709", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"]
)
def test_no_hash_and_the_hash_of_nothing_are_no_keys(sha1: str | None) -> None:
    for payload in (history(0, sha1=sha1), content(sha1=sha1)):
        found = keys(payload)
        assert found is not None
        assert found.sha1s == ()


def test_a_hash_is_a_key_in_either_case() -> None:
    found = keys(content(sha1="AB" * 20))
    assert found is not None
    assert found.sha1s == ("ab" * 20,)


def test_the_threat_id_stands_in_the_quarantine_id() -> None:
    assert threat_of_quarantine(quarantine(7)) == EICAR
    assert threat_of_quarantine("not a GUID") is None
    for payload in (entry(0, threat_id=EICAR), reference()):
        found = keys(payload)
        assert found is not None
        assert found.threat_id == EICAR
    damaged = keys(entry(0).__class__(quarantine_id=quarantine(1), file_name="x"))
    assert damaged is not None
    assert damaged.threats == ((EICAR, None),)


def test_what_nothing_joins_has_no_keys() -> None:
    assert keys(other(0)) is None
    assert keys(ThreatActions()) is None


def test_a_name_is_compared_without_case_and_blanks() -> None:
    found = keys(line(0, name=" Virus:DOS/EICAR_Test_File "))
    assert found is not None
    assert found.threats == ((None, "virus:dos/eicar_test_file"),)


@pytest.mark.parametrize(
    "text",
    [
        "C:\\Users\\A\\x.zip",
        "c:/users/a/X.ZIP",
        "\\\\?\\C:\\Users\\A\\x.zip",
        "\\??\\C:\\Users\\A\\x.zip",
        "\\Device\\HarddiskVolume3\\Users\\A\\x.zip",
        "\\\\?\\Device\\HarddiskVolume12\\Users\\A\\x.zip",
        "\\\\?\\HarddiskVolumeShadowCopy1\\Users\\A\\x.zip",
        "file:_C:\\Users\\A\\x.zip",
        "containerfile:_C:\\Users\\A\\x.zip",
        "C:\\Users\\A\\x.zip->inner\\y.exe->(UPX)",
        "C:\\Users\\A\\x.zip|https://example.test/x.zip|pid:42,ProcessStart:1",
    ],
)
def test_every_spelling_of_a_place_is_one_key(text: str) -> None:
    assert normalize(text) == ("users\\a\\x.zip", True)


def test_a_share_keeps_its_server() -> None:
    assert normalize("\\\\server\\share\\x.exe") == normalize("\\\\?\\UNC\\server\\share\\x.exe") == ("server\\share\\x.exe", True)
    assert normalize("\\Device\\Mup\\server\\share\\x.exe") == ("server\\share\\x.exe", True)


def test_places_and_other_resources_are_told_apart() -> None:
    found = digests([Resource("file", "C:\\x"), Resource("process", "pid:1,ProcessStart:2"), Resource("regkey", "HKLM\\x")])
    assert [is_place(digest) for digest in found] == [True, False, False]
    assert len(digests([Resource("file", "C:\\x"), Resource("containerfile", "c:\\X->y")], ["\\\\?\\C:\\x", None, ""])) == 1


def test_every_joinable_kind_is_a_payload_with_a_kind_of_its_own() -> None:
    assert len({payload.kind for payload in JOINABLE}) == len(JOINABLE)


@given(st.text())
def test_any_text_is_a_path(text: str) -> None:
    assert all(0 <= digest < 1 << 64 for digest in digests([Resource("file", text)], [text]))

"""Key files in the shapes that people export, and keys that never show."""

import json
import pickle
import struct
import sys
import traceback
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import ConfigurationError, FormatError
from exporter.evidence import keys as module
from exporter.evidence.keys import PASSWORD, RECOVERY, STARTUP, KeyReference, KeyStore, key_reference
from exporter.formats.bitlocker import entry
from exporter.formats.bitlocker_keys import password_start, recovery_start
from exporter.formats.bitlocker_startup import read_startup_key

GUID, VOLUME = "3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c", "e9726fab-7656-4bc5-bb9e-adf115953328"
KEY = "042647-302313-590458-071500-554323-116567-412181-516978"
DIRECTORY_BYTES = "f963d73fc774904e8fa21f6a2e2b4e0c"
TABLES = {
    "plain": f"KeyID,RecoveryKey\n{GUID},{KEY}\n",
    "columns the other way round": f"RecoveryKey,Device,KeyID\n{KEY},WS-1,{GUID}\n",
    "braces and upper case": f'"KeyID","RecoveryKey"\r\n"{{{GUID.upper()}}}","{KEY}"\r\n',
    "semicolons": f"sep=;\nRecovery Key ID;Recovery Key\n{GUID};{KEY}\n",
    "tabs": f"Key ID\tRecovery Password\n{GUID}\t{KEY}\n",
    "PowerShell": f'#TYPE Selected.Microsoft\n"KeyProtectorId","RecoveryPassword"\n"{{{GUID}}}","{KEY}"\n',
    "Active Directory by name": (
        f'"Name","msFVE-RecoveryGuid","msFVE-RecoveryPassword"\n"2024-02-29T09:00:00-00:00{{{GUID.upper()}}}","System.Byte[]","{KEY}"\n'
    ),
    "Active Directory by csvde": (
        "DN,objectClass,msFVE-RecoveryPassword,msFVE-RecoveryGuid\n"
        f"\"CN=2024,CN=WS-1,DC=lab\",msFVE-RecoveryInformation,{KEY},X'{DIRECTORY_BYTES}'\n"
    ),
    "Entra": f"Id,CreatedDateTime,DeviceId,Key\n{GUID},2024-02-29,{VOLUME},{KEY}\n",
    "Intune": f"Device name,BitLocker Key ID,BitLocker Recovery Key,Drive type\nWS-1,{GUID},{KEY},OS\n",
    "MBAM": f"RecoveryKeyId,VolumeId,RecoveryKey\n{GUID},{VOLUME},{KEY}\n",
    "Active Directory Users and Computers": f"Password ID,Password\n{GUID},{KEY}\n",
    "without dashes": f"KeyID,RecoveryKey\n{GUID},{KEY.replace('-', '')}\n",
    "an empty line and a comma too many": f"KeyID,RecoveryKey\n\n{GUID},{KEY}\n,,\n",
    "JSON lines": f'{{"KeyID": "{GUID}", "RecoveryKey": "{KEY}"}}\n{{"KeyID": "{VOLUME}", "RecoveryKey": "{KEY}"}}\n',
    "a JSON array": json.dumps([{"id": GUID, "key": KEY, "volumeType": 1}], indent=1),
    "one JSON object": json.dumps({"id": GUID, "key": KEY}, indent=1),
    "an answer of Microsoft Graph": json.dumps({"@odata.count": 1, "value": [{"id": GUID, "key": KEY}]}),
    "bytes as PowerShell writes them": json.dumps(
        [{"msFVE-RecoveryGuid": list(bytes.fromhex(DIRECTORY_BYTES)), "msFVE-RecoveryPassword": KEY}]
    ),
}


def store(folder: Path, text: str, encoding: str = "utf-8") -> KeyStore:
    path = folder / "keys"
    path.write_bytes(text.encode(encoding))
    return KeyStore.open(str(path))


@pytest.mark.parametrize("shape", TABLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_key_is_found_by_its_protector(tmp_path, shape, encoding):
    keys = store(tmp_path, TABLES[shape], encoding)
    assert keys.find(GUID, "", RECOVERY).reveal() == recovery_start(KEY)
    assert keys.find(VOLUME.replace("e", "f"), "", RECOVERY) is None
    assert keys.find(GUID, "", PASSWORD) is None


def test_a_password_is_found_by_protector_or_by_volume(tmp_path):
    keys = store(tmp_path, f"VolumeID,KeyID,Password\n,{GUID},one\n{VOLUME},,\"two, 'three'\"\n")
    assert keys.find(GUID, "", PASSWORD).reveal() == password_start("one")
    assert keys.find("", VOLUME, PASSWORD).reveal() == password_start("two, 'three'")
    assert keys.find("", VOLUME, RECOVERY) is None


def test_bad_lines_are_named_by_number_and_not_quoted(tmp_path):
    wrong_digits = KEY.replace("042647", "042648")
    rows = [f"{GUID},{KEY}", f"{VOLUME},{wrong_digits}", f"nothing,{KEY}", f"{VOLUME},secret-word", f"{VOLUME},", f"{GUID},{KEY},x"]
    other = KEY.replace("042647", "042658")
    keys = store(tmp_path, "\n".join(["KeyID,RecoveryKey", *rows, f"{GUID},{other}"]))
    assert keys.problems == [
        "line 3 has no usable key: it is mistyped in group 1: each group is divisible by 11 and below 720896",
        "line 4 does not say which protector or volume its key is for",
        "line 5 has no usable key: it has not 8 groups of 6 digits",
        "line 6 has no key",
        "line 7 has more or fewer cells than the header",
        "line 8 has another key than line 2 for the same protector; the first is taken",
    ]
    assert len(keys) == 1
    assert keys.find(GUID, "", RECOVERY).reveal() == recovery_start(KEY)


def test_bad_json_lines_are_named(tmp_path):
    keys = store(tmp_path, f'{{"KeyID": "{GUID}", "RecoveryKey": "{KEY}"}}\n{{"KeyID": "{GUID}", "Recov\n[1]\n{{}}\n')
    assert keys.problems == ["line 2 is not a JSON object", "line 3 is not a JSON object", "line 4 has no key"]
    assert len(keys) == 1


@pytest.mark.parametrize("group", ["720907", "999999", "000001", "123456"])
def test_a_mistyped_group_is_refused(tmp_path, group):
    keys = store(tmp_path, f"KeyID,RecoveryKey\n{GUID},{KEY.replace('071500', group)}\n")
    assert not len(keys)
    assert "group 4" in keys.problems[0]
    assert group not in keys.problems[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"Host,Serial\nWS-1,1234\n", "no header with a column KeyID"),
        (b"KeyID,Comment\n" + GUID.encode() + b",x\n", "no header with a column KeyID"),
        (b"\xff\xfe\x00", "neither UTF-8 nor UTF-16"),
        (b"\x89PNG\xff\xfe", "neither UTF-8 nor UTF-16"),
        (b"[1, 2]", "no JSON object"),
    ],
)
def test_a_file_that_holds_no_keys_is_refused(tmp_path, content, reason):
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason):
        KeyStore.open(str(tmp_path / "keys"))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        KeyStore.open(str(tmp_path / "none"))


def startup_key(guid: str, key: bytes) -> bytes:
    """What Windows writes as GUID.BEK."""
    name = uuid.UUID(guid).bytes_le
    inside = entry(0, 2, "ExternalKey\0".encode("utf-16-le")) + entry(0, 1, struct.pack("<I", 0x2002) + key)
    body = entry(6, 9, name + bytes(8) + inside)
    return struct.pack("<IIII16sIII", 48 + len(body), 1, 48, 48 + len(body), name, 1, 0, 0).ljust(48, b"\0") + body


def test_a_startup_key_is_found_by_its_protector(tmp_path):
    (tmp_path / "usb").write_bytes(startup_key(GUID, bytes(range(32))))
    keys = KeyStore.open(str(tmp_path / "usb"))
    assert keys.find(GUID, "", STARTUP).reveal() == bytes(range(32))
    assert keys.find(GUID, "", RECOVERY) is None
    assert bytes(range(32)).hex() not in str(vars(keys))


def test_a_folder_of_startup_keys_and_tables_is_one_store(tmp_path):
    (tmp_path / f"{VOLUME.upper()}.BEK").write_bytes(startup_key(VOLUME, bytes(32)))
    (tmp_path / "Keys.CSV").write_text(TABLES["plain"] + "nothing,x\n", encoding="utf-8")
    (tmp_path / "hosts.csv").write_text("Host\nWS-1\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    keys = KeyStore.open(str(tmp_path))
    assert len(keys) == 2
    assert keys.find(GUID, "", RECOVERY).reveal() == recovery_start(KEY)
    assert keys.problems == ["`Keys.CSV`, line 3 does not say which protector or volume its key is for", keys.problems[1]]
    assert "hosts.csv" in keys.problems[1]


def test_a_damaged_startup_key_of_a_folder_is_told_of_its_protector(tmp_path):
    (tmp_path / f"{VOLUME.upper()}.BEK").write_bytes(startup_key(VOLUME, bytes(32))[:-1])
    (tmp_path / "keys.csv").write_text(TABLES["plain"], encoding="utf-8")
    assert "it ends at byte 155 of 156" in KeyStore.open(str(tmp_path)).complaint(VOLUME, "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin like a startup key"),
        (startup_key(GUID, bytes(16)), "no key of 32 bytes"),
        (startup_key(GUID, bytes(32))[:100], "ends at byte 100 of 156"),
    ],
)
def test_a_file_that_calls_itself_a_startup_key_and_is_none_is_refused(tmp_path, content, reason):
    (tmp_path / "x.bek").write_bytes(content)
    for path in (tmp_path / "x.bek", tmp_path):
        with pytest.raises(ConfigurationError, match=reason):
            KeyStore.open(str(path))


def test_a_folder_without_keys_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no startup key"):
        KeyStore.open(str(tmp_path))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_startup_key_or_a_format_error(data):
    for content in (data, startup_key(GUID, bytes(32))[:48] + data):
        try:
            assert len(read_startup_key(content).key) == 32
        except FormatError:
            continue


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_keys_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any-keys"
    for content in (data, b"KeyID,RecoveryKey,Password\n" + data, b'{"KeyID": "' + data):
        path.write_bytes(content)
        try:
            keys = KeyStore.open(str(path))
        except ConfigurationError:
            continue
        assert len(keys) + len(keys.problems) >= 0


def test_nothing_shows_a_key(tmp_path):
    keys = store(tmp_path, f"KeyID,RecoveryKey,Password\n{GUID},{KEY},\n{VOLUME},,hunter2\n")
    secret = keys.find(GUID, "", RECOVERY)
    shown = [repr(keys), str(keys), repr(secret), f"{secret}", repr(keys.reference), str(vars(keys))]
    for one in (keys, secret):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(one)
        shown.append("".join(traceback.format_exception(caught.value)))
    for text in shown:
        assert not any(hidden in text for hidden in (KEY, KEY[:20], "hunter2", secret.reveal().hex(), repr(secret.reveal())))


def test_a_reference_travels_and_opens_the_same_store(tmp_path, monkeypatch):
    store(tmp_path, TABLES["plain"])
    monkeypatch.chdir(tmp_path)
    reference = pickle.loads(pickle.dumps(key_reference("keys")))
    assert reference == KeyReference("file", str(tmp_path / "keys"))
    monkeypatch.chdir("/")
    assert KeyStore.open(reference).find(GUID, "", RECOVERY).reveal() == recovery_start(KEY)


def command(folder: Path, code: str) -> KeyStore:
    """A store that asks a Python program."""
    script = folder / "ask.py"
    script.write_text(code, encoding="utf-8")
    if sys.platform == "win32":
        program = folder / "ask.cmd"
        program.write_text(f'@"{sys.executable}" "{script}" %*\r\n', encoding="utf-8")
    else:
        program = folder / "ask"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return KeyStore.open(f"command:{program}")


def test_a_command_is_asked_once_per_protector(tmp_path):
    code = f"import sys; open({str(tmp_path / 'log')!r}, 'a').write(repr(sys.argv[1:])); print({KEY!r} if sys.argv[1] == {GUID!r} else '')"
    keys = command(tmp_path, code)
    for _ in range(2):
        assert keys.find(GUID, VOLUME, RECOVERY).reveal() == recovery_start(KEY)
        assert keys.find(VOLUME, "", RECOVERY) is None
    assert (tmp_path / "log").read_text(encoding="utf-8") == f"['{GUID}']['{VOLUME}']"
    assert keys.find("startup", "", STARTUP) is None
    assert keys.problems == []


def test_a_command_may_print_a_password(tmp_path):
    assert command(tmp_path, "print('correct horse')").find(GUID, "", PASSWORD).reveal() == password_start("correct horse")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('hunter2'); print('hunter3', file=sys.stderr); sys.exit(3)", "ended with 3"),
        ("print('hunter2')", "printed no usable key: it has not 8 groups of 6 digits"),
        ("import time; print('hunter2', flush=True); time.sleep(30)", "did not answer within 0 s"),
    ],
)
def test_a_command_that_fails_is_named_without_what_it_said(tmp_path, capfd, monkeypatch, code, reason):
    if "sleep" in code:
        monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.3)
    keys = command(tmp_path, code)
    assert keys.find(GUID, "", RECOVERY) is None
    assert keys.problems == [f"for protector {{{GUID}}} the key command {reason}"]
    assert "hunter" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("text", ["command:", "command:/nowhere/ask"])
def test_a_command_that_is_not_there_is_refused(text):
    with pytest.raises(ConfigurationError):
        KeyStore.open(text)

"""The whole line over BitLocker volumes: with a key what the folder gives, without one a reason, and the key itself nowhere."""

import time
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from tests.cli.run import command, invoke, start
from tests.evidence.images.build import LOG, read, write_tree
from tests.evidence.images.test_snapshots import CREATED, logs
from tests.line import Exported, export
from tests.test_images_line import same_but_for_origin

pytestmark = [pytest.mark.images, pytest.mark.real_data]

GUID, KEY = "3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c", "042647-302313-590458-071500-554323-116567-412181-516978"
OTHER = "616319-601744-502117-534017-367994-176748-607299-663201"


@pytest.fixture(scope="module")
def encrypted(case_folder, image_tool, tmp_path_factory) -> Path:
    """The synthetic case: NTFS in BitLocker in a GPT in an E01."""
    folder = tmp_path_factory.mktemp("encrypted")
    image_tool("make_image", case_folder, folder / "case.ntfs", "--table", "none")
    image_tool("make_bitlocker", folder / "case.ntfs", folder / "case.bde", "--method", "xts-256", f"--recovery={GUID}={KEY}")
    image_tool("make_image", folder / "case.bde", folder / "case.E01", "--table", "gpt")
    return folder / "case.E01"


@pytest.fixture(scope="module")
def from_folder(case_folder, tmp_path_factory) -> Exported:
    return export(case_folder, tmp_path_factory.mktemp("folder"), reproducible=True)


def key_file(folder: Path, key: str = KEY, guid: str = GUID) -> Path:
    path = folder / "keys.csv"
    path.write_text(f'"Recovery Key","KeyID"\r\n"{key}","{{{guid.upper()}}}"\r\n', encoding="utf-16")
    return path


def test_an_encrypted_image_gives_what_its_folder_gives(encrypted, case_folder, from_folder, tmp_path):
    run = export(encrypted, tmp_path / "out", reproducible=True, keys=str(key_file(tmp_path)))
    assert not run.report.damaged
    same_but_for_origin(run, from_folder, "p1", encrypted.name, case_folder.name)


@pytest.mark.parametrize(
    ("key", "guid", "reason"),
    [
        (OTHER, GUID, f"the key for recovery password {{{GUID}}} is not the key of this volume"),
        (KEY, GUID.replace("3f", "4f"), "there is no key for any of its protectors"),
        (KEY.replace("042647", "042648"), GUID, "line 2 has no usable key: it is mistyped in group 1"),
        (None, GUID, "there is no key for any of its protectors"),
    ],
)
def test_a_volume_that_stays_locked_is_explained_and_the_rest_is_read(
    encrypted, case_folder, from_folder, tmp_path, capsys, monkeypatch, key, guid, reason
):
    monkeypatch.chdir(tmp_path)
    keys = ["--keys", key_file(tmp_path, key, guid).name] if key else []
    out = tmp_path / "out"
    out.mkdir()
    said = invoke(capsys, "export", case_folder, encrypted, "--case", "T1", "--to", f"ecs:{out / 'case.ndjson'}", *keys)
    assert said.code == exit_codes.DAMAGED
    letters = (out / "dead-letters.ndjson").read_text(encoding="utf-8")
    assert reason in letters
    assert f"recovery password {{{GUID}}}" in letters
    assert len(from_folder.documents) < len((out / "case.ndjson").read_bytes().splitlines())


def test_scan_names_state_and_protectors(encrypted, tmp_path, capsys):
    locked = invoke(capsys, "scan", encrypted)
    assert locked.code == exit_codes.DAMAGED
    assert "BitLocker: encrypted" in locked.out
    assert f"protector {GUID} (recovery password)" in locked.out
    opened = invoke(capsys, "scan", encrypted, "--keys", key_file(tmp_path))
    assert opened.code == exit_codes.COMPLETE
    assert " ntfs" in opened.out


def test_bad_lines_of_the_key_file_are_said_before_anything_is_read(case_folder, tmp_path, capsys):
    said = invoke(capsys, "scan", case_folder, "--keys", key_file(tmp_path, "hunter2"))
    assert "key file: line 2 has no usable key" in said.err
    assert "hunter2" not in said.out + said.err


def test_a_key_file_that_is_none_is_refused(case_folder, tmp_path, capsys):
    (tmp_path / "keys.csv").write_text("a,b\nhunter2,x\n", encoding="utf-8")
    said = invoke(capsys, "scan", case_folder, "--keys", tmp_path / "keys.csv")
    assert said.code == exit_codes.CONFIGURATION
    assert "no header with a column KeyID" in said.err
    assert "hunter2" not in said.err


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_the_key_is_nowhere(encrypted, tmp_path, key):
    """In outputs, summary, manifest, dead letters, progress, and while it runs in nobody's command line."""
    out, keys = tmp_path / "out", key_file(tmp_path, key)
    out.mkdir()
    targets = ["--to", f"ecs:{out / 'c.ndjson'}", "--to", f"timesketch:{out / 'c.jsonl'}", "--to", f"l2tcsv:{out / 'c.csv'}"]
    arguments = command("export", encrypted, "--case", "T1", *targets, "--manifest", out / "m.json", "--keys", keys, "--progress", "json")
    process = start(arguments, tmp_path)
    seen = set()
    while process.poll() is None:
        seen.update(_command_lines())
        time.sleep(0.02)
    said = b"".join(process.communicate())
    assert process.returncode == (exit_codes.COMPLETE if key == KEY else exit_codes.DAMAGED), said
    written = [path.read_bytes() for path in out.iterdir()]
    assert len(written) >= 4
    hidden = [key.encode(), key.replace("-", "").encode(), key[:20].encode()]
    assert not [text for text in (said, *written, *seen) if any(secret in text for secret in hidden)]
    assert str(keys).encode() in (out / "m.json").read_bytes()
    assert not seen or any(b"--keys" in line for line in seen)


def _command_lines() -> list[bytes]:
    """Those of all processes that are to be seen; none where there is no /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def test_shadow_copies_inside_an_encrypted_volume_are_read(image_tool, tmp_path):
    states = []
    for day, content in enumerate((b"one", b"one two", b"one two three")):
        tree = write_tree(tmp_path / f"tree{day}", {LOG: content, "Windows/System32/x": b"", "Users/Public/y": b""})
        states.append(tmp_path / f"{day}.ntfs")
        image_tool("make_image", tree, states[-1], "--table", "none", "--size", "24M")
    image_tool("make_vss", *states, tmp_path / "case.ntfs", *(word for when in CREATED for word in ("--created", when)))
    image_tool("make_bitlocker", tmp_path / "case.ntfs", tmp_path / "case.bde", "--method", "cbc-128", "--clear-key")
    image_tool("make_image", tmp_path / "case.bde", tmp_path / "case.E01", "--table", "gpt")
    found, losses, image = read(tmp_path / "case.E01", vss="all")
    assert not losses
    assert image.volumes[0].encryption == "suspended"
    assert logs(found) == {f"p1/{LOG}": b"one two three", f"vss1 {CREATED[0]}:p1/{LOG}": b"one", f"vss2 {CREATED[1]}:p1/{LOG}": b"one two"}


def test_ingest_and_explain_take_keys_too(encrypted, tmp_path, capsys):
    share = tmp_path / "share"
    share.mkdir()
    (share / encrypted.name).hardlink_to(encrypted)
    options = ["--state", tmp_path / "state", "--case-from", "T1", "--to", f"ecs:{tmp_path}/{{case}}-{{run}}.ndjson", "--settle", "0"]
    said = invoke(capsys, "ingest", share, *options, "--keys", key_file(tmp_path))
    assert said.code == exit_codes.COMPLETE, said.err
    (delivered,) = tmp_path.glob("T1-*.ndjson")
    assert delivered.stat().st_size > 10_000
    said = invoke(capsys, "explain", encrypted, "--record", "1", "--keys", tmp_path / "keys.csv")
    assert "p1/" in said.out + said.err

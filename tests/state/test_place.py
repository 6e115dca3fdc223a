"""Where a state may lie, and that one run holds it."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.errors import ConfigurationError, LockHeld
from exporter.state import place
from exporter.state.lock import FILE_NAME, Lock
from tests.cli.run import ENVIRONMENT

MOUNTS = rb"""/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
filer:/export /mnt/with\040space nfs4 rw,vers=4.2 0 0
//filer/share /mnt/smb cifs rw 0 0
/dev/sdb1 /mnt/smb/local ext4 rw 0 0
broken line
"""
HOLD = """
import sys, time
from pathlib import Path
from exporter.state.lock import Lock
Lock(Path(sys.argv[1]))
print('held', flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="mounts of POSIX")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/x", None),
        ("/mnt/with space", "nfs4"),
        ("/mnt/with space/state", "nfs4"),
        ("/mnt/with spaces", None),
        ("/mnt/smb/state", "cifs"),
        ("/mnt/smb/local/state", None),
    ],
)
def test_a_network_file_system_is_known_by_the_innermost_mount(tmp_path: Path, path: str, kind: str | None) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_bytes(MOUNTS)
    assert place.network_kind(Path(path), mounts) == kind


def test_a_network_file_system_is_refused_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "network_kind", lambda _: "nfs4")
    with pytest.raises(ConfigurationError, match="nfs4"):
        place.prepare(tmp_path / "state")
    assert place.prepare(tmp_path / "state", force_network=True).is_dir()


def test_where_the_system_does_not_say_nothing_is_refused(tmp_path: Path) -> None:
    assert place.network_kind(tmp_path, tmp_path / "missing") is None


def test_one_holds_the_lock_and_the_others_are_told_at_once(tmp_path: Path) -> None:
    with Lock(tmp_path):
        for _ in range(3):
            with pytest.raises(LockHeld):
                Lock(tmp_path)
    Lock(tmp_path).release()


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, env=ENVIRONMENT)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"held"
    with pytest.raises(LockHeld):
        Lock(tmp_path)
    process.kill()
    process.communicate()
    Lock(tmp_path).release()


def test_a_file_that_is_no_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else" * 100)
    with pytest.raises(ConfigurationError, match="not the lock"):
        Lock(tmp_path)

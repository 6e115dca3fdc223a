"""The folder of a state: on a local disk, and for its owner only."""

import os
import stat
import sys
from pathlib import Path

from exporter.errors import ConfigurationError

_NETWORK = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
        *("gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf"),
    }
)
"""Types of file systems, as `/proc/self/mounts` names them, whose locks and memory maps SQLite cannot rely on."""
_MOUNTS = Path("/proc/self/mounts")
_REMOTE_DRIVE = 4


def prepare(folder: Path, *, force_network: bool = False) -> Path:
    """The folder, real and usable, made with mode 0700 if it was not there. Raises ConfigurationError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        real = folder.resolve(strict=True)
        status = real.stat()
    except OSError as error:
        raise ConfigurationError(f"the state folder `{folder}` cannot be used: {error.strerror}") from error
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o022:
        raise ConfigurationError(f"others may write to the state folder `{folder}`: it must be its owner's alone (chmod 700)")
    kind = network_kind(real)
    if kind is not None and not force_network:
        raise ConfigurationError(
            f"the state folder `{folder}` is on a network file system ({kind}), where locks cannot be trusted: use a local disk"
        )
    return real


def network_kind(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the network file system that a real path lies on; None for a local one, and where the system does not say."""
    if sys.platform == "win32":
        return _windows_kind(path)
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return None
    inside = os.fsencode(path)
    found: tuple[int, str] = (-1, "")
    for line in lines:
        _, point, kind, *_ = [*line.split(b" "), b"", b"", b""]
        place = point.replace(b"\\040", b" ").replace(b"\\011", b"\t").replace(b"\\012", b"\n").replace(b"\\134", b"\\")
        if inside == place or inside.startswith(place.rstrip(b"/") + b"/"):
            found = max(found, (len(place), kind.decode("ascii", "replace")), key=lambda mount: mount[0])
    return found[1] if found[1] in _NETWORK else None


def _windows_kind(path: Path) -> str | None:
    import ctypes

    if path.drive.startswith("\\\\"):
        return "share"
    windll = getattr(ctypes, "windll", None)
    return "network drive" if windll and windll.kernel32.GetDriveTypeW(f"{path.drive}\\") == _REMOTE_DRIVE else None

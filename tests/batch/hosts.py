"""Synthetic hosts by the hundred: small, the same on every run, every twentieth broken in a way of its own."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from exporter.synthetic import case
from exporter.synthetic.case_hosts import SERVER, WORKSTATION

_DEFENDER = "C/ProgramData/Microsoft/Windows Defender"
_KINDS = ("quarantine", "log", "history", "packed")
BREAK_EVERY = 20


def write_models(folder: Path) -> None:
    """The two hosts of the synthetic case, of whose files the others are made."""
    case.write_case(folder, hosts=(WORKSTATION, SERVER))


def write_hosts(share: Path, models: Path, number: int) -> None:
    """`number` collections `HOST-0000`..., each with some files of the models. A folder's name is its host's."""
    drive = models / WORKSTATION.name / _DEFENDER
    for host in range(number):
        name = f"HOST-{host:04d}"
        kind = _KINDS[host % len(_KINDS)]
        folder = share / name
        if kind == "quarantine":
            shutil.copytree(drive / "Quarantine", folder / _DEFENDER / "Quarantine")
        elif kind == "history":
            shutil.copytree(drive / "Scans", folder / _DEFENDER / "Scans")
        else:
            shutil.copytree(drive / "Support", folder / _DEFENDER / "Support")
        if kind == "packed":
            _pack(folder)
        if host % BREAK_EVERY == BREAK_EVERY - 1:
            WAYS[host // BREAK_EVERY % len(WAYS)](share, name)


def _pack(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    shutil.rmtree(folder)


def _place(share: Path, name: str) -> Path:
    """The folder or archive of a host, emptied."""
    for path in (share / name, share / f"{name}.zip"):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    return share / name


def _garbage_archive(share: Path, name: str) -> None:
    _place(share, name).with_suffix(".zip").write_bytes(b"PK\3\4" + bytes(range(256)) * 4)


def _cut_archive(share: Path, name: str) -> None:
    path = share / f"{name}.zip"
    if not path.exists():
        _pack(share / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _broken_log(share: Path, name: str) -> None:
    folder = _place(share, name) / "C/Windows/System32/winevt/Logs"
    folder.mkdir(parents=True)
    (folder / "Microsoft-Windows-Windows Defender%4Operational.evtx").write_bytes(b"ElfFile\0" + bytes(500))


def _broken_entries(share: Path, name: str) -> None:
    folder = _place(share, name) / _DEFENDER / "Quarantine/Entries"
    folder.mkdir(parents=True)
    (folder / "{80008A1B-0000-0000-7065-3EA2B161B275}").write_bytes(b"garbage" * 20)


def _nothing(share: Path, name: str) -> None:
    (_place(share, name) / "C/Users").mkdir(parents=True)


def _dead_link(share: Path, name: str) -> None:
    _place(share, name).with_suffix(".zip").symlink_to(share / "nowhere.zip")


WAYS: tuple[Callable[[Path, str], None], ...] = (_garbage_archive, _cut_archive, _broken_log, _broken_entries, _nothing, _dead_link)


def write_bombs(share: Path, marks: Path) -> None:
    """Three hosts whose files `tests.batch.bombs` knows."""
    for name in ("crash", "hang", "once"):
        folder = share / f"X-{name.upper()}"
        folder.mkdir()
        (folder / f"{name}.bomb").write_text(str(marks / f"{name}.mark"), "utf-8")

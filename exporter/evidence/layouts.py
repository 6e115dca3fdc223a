"""What the collectors of evidence (formats-logs 4.1) put around the files of a host."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")
_DRIVE = re.compile(r"(\\\\[.?]\\)?([a-z]:?|globalroot\\device\\harddiskvolumeshadowcopy\d+)|vss\d+|windows\.old(\.\d+)?|\[root\]|sysvol")
_ACCESSORS = {"auto", "ntfs", "file", "sparse", "lazy_ntfs", "ntfs_vss", "data"}
_SYSTEM_FOLDERS = {"windows", "users", "documents and settings", "programdata", "program files", "program files (x86)", "$recycle.bin"}
_BELOW_SYSTEM = {
    "programdata": {"microsoft"},
    "windows": {"system32", "sysnative", "syswow64", "temp", "serviceprofiles", "microsoft antimalware"},
}
_OF_DEFENDER = {"microsoft", "windows defender", "microsoft antimalware", "quarantine", "entries", "resources", "resourcedata"} | {
    "support", "scans", "history", "service", "detectionhistory", "winevt", "logs", "system32",
}  # fmt: skip


def collection(folder: Sequence[str], before: Sequence[str] | None = None) -> tuple[str, ...]:
    """The folder of a host's collection, of the folder that one of its files lies in: all that Windows or a drive adds is taken off.

    `before` is what the file's tail leaves; it counts where no Windows folder is recognized (a bare `Entries` folder).
    """
    windows = windows_root(folder)
    if windows is not None:
        return _stripped(folder[:windows], set())
    return _stripped(folder if before is None else before, _OF_DEFENDER)


def telling_name(folder: Sequence[str]) -> str | None:
    """The last name of a path that is neither Windows' own nor a drive's; None if there is none."""
    rest = _stripped(folder, _OF_DEFENDER | {"programdata", "windows"})
    return rest[-1] if rest else None


def _stripped(folder: Sequence[str], names: set[str]) -> tuple[str, ...]:
    rest = tuple(folder)
    while rest:
        last = rest[-1].casefold()
        if len(rest) > 1 and rest[-2].casefold() == "uploads" and last in _ACCESSORS:
            rest = rest[:-2]
        elif last in names or _DRIVE.fullmatch(last):
            rest = rest[:-1]
        else:
            break
    return rest


def windows_root(folder: Sequence[str]) -> int | None:
    """How many components lead to the Windows drive that this folder lies on; None if it does not look like one.

    The last such place counts, so that an analyst's own folder named Windows does no harm.
    """
    names = [name.casefold() for name in folder]
    for index in range(len(names) - 1, -1, -1):
        below = names[index + 1 :]
        if below and below[0] in _BELOW_SYSTEM.get(names[index], ()):
            return index
        if names[index] in ("users", "documents and settings") and below[1:2] in (["appdata"], ["local settings"]):
            return index
    return None


def of_a_host(folder: Sequence[str]) -> bool:
    """Whether files here are a host's own: an archive among them is the host's, not a collection to be read."""
    names = [name.casefold() for name in folder]
    uploads = any(first == "uploads" and second in _ACCESSORS for first, second in pairwise(names))
    return uploads or windows_root(folder) is not None or any(":" in name and _DRIVE.fullmatch(name) for name in names)


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name stands at the root of a Windows drive."""
    return name.casefold() in _SYSTEM_FOLDERS


def looks_like_drive(folders: Iterable[str]) -> bool:
    """Whether a folder with these folders in it is the root of a Windows drive."""
    return len(_SYSTEM_FOLDERS.intersection(name.casefold() for name in folders)) > 1


def without_suffix(name: str) -> str:
    """An archive's name without its suffix; other names as they are."""
    suffixes = [suffix for suffix in ARCHIVE_SUFFIXES if name.casefold().endswith(suffix) and len(name) > len(suffix)]
    return name[: -len(max(suffixes, key=len))] if suffixes else name


def is_archive(name: str) -> bool:
    """Whether a file of this name is opened as an archive."""
    return name.casefold().endswith(ARCHIVE_SUFFIXES)

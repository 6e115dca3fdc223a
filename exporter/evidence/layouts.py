"""What the collectors of evidence (formats-logs 4.1) put around the files of a host."""

import re
from collections.abc import Iterable, Sequence

SUPPORT_CABINET = "mpsupportfiles.cab"
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", SUPPORT_CABINET)
"""Of cabinets, which Windows has many of, only those that `MpCmdRun -GetFiles` makes; any is read that is given as evidence by itself."""
IMAGE_SUFFIXES = (
    *(".e01", ".ex01", ".s01", ".vmdk", ".vhd", ".vhdx", ".qcow2", ".qcow"),
    *(".raw", ".dd", ".img", ".001"),
)
"""Of disk images; of those in several files, of the first one."""
_OF_SEVERAL = re.compile(r"(?P<stem>.+?)(-(flat|delta|ctk|sesparse|[sf]\d{3}))?\.([es]x?(\d\d|[a-z]{2})|\d{3,}|vmdk)", re.IGNORECASE)
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


def collection(folder: Sequence[str]) -> tuple[str, ...]:
    """The folder of a host's collection: a path without all that a drive or one of Defender's own folders adds at its end."""
    return _stripped(folder, _OF_DEFENDER)


def without_drive(folder: Sequence[str]) -> tuple[str, ...]:
    """A path without what names a drive or its place in a collection at its end."""
    return _stripped(folder, set())


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


def drive(folder: Sequence[str]) -> int | None:
    """How many components lead to the root of the Windows drive that this folder lies on; None if it does not look like one.

    What a collector of evidence makes (`C:`, `uploads/auto`) is certain. Else the last place that looks like Windows counts, so that an
    analyst's own folder named Windows does no harm.
    """
    names = [name.casefold() for name in folder]
    for index, name in enumerate(names):
        if ":" in name and _DRIVE.fullmatch(name):
            return index + 1
        if name == "uploads" and index + 1 < len(names) and names[index + 1] in _ACCESSORS:
            return index + 2 + any(map(_DRIVE.fullmatch, names[index + 2 : index + 3]))
    for index in range(len(names) - 1, -1, -1):
        below = names[index + 1 :]
        if below and below[0] in _BELOW_SYSTEM.get(names[index], ()):
            return index
        if names[index] in ("users", "documents and settings") and below[1:2] in (["appdata"], ["local settings"]):
            return index
    return None


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name stands at the root of a Windows drive."""
    return name.casefold() in _SYSTEM_FOLDERS


def looks_like_drive(folders: Iterable[str]) -> bool:
    """Whether a folder with these folders in it is the root of a Windows drive."""
    return len(_SYSTEM_FOLDERS.intersection(name.casefold() for name in folders)) > 1


def without_suffix(name: str) -> str:
    """An archive's or image's name without its suffix; other names as they are."""
    known = (*ARCHIVE_SUFFIXES, *IMAGE_SUFFIXES)
    suffixes = [suffix for suffix in known if name.casefold().endswith(suffix) and len(name) > len(suffix)]
    return name[: -len(max(suffixes, key=len))] if suffixes else name


def is_archive(name: str) -> bool:
    """Whether a file of this name is opened as an archive."""
    return name.casefold().endswith(ARCHIVE_SUFFIXES)


def is_image(name: str) -> bool:
    """Whether a file of this name is meant to be a disk image, or the first file of one; not the data files of a VMDK."""
    folded = name.casefold()
    part = _OF_SEVERAL.fullmatch(folded)
    return folded.endswith(IMAGE_SUFFIXES) and not (part and part[2])


def image_stem(name: str) -> str | None:
    """What the names of all files of one image begin with; None for a name that no file of such an image has."""
    part = _OF_SEVERAL.fullmatch(name)
    return part["stem"].casefold() if part else None

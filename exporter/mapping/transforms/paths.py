r"""Windows paths taken apart, whatever system this runs on. `->` goes into an archive: `C:\a.zip->inner.exe`."""

import ntpath

FILE_TYPES = frozenset(("file", "containerfile", "startup"))
REGISTRY_TYPES = frozenset(("regkey", "regkeyvalue", "runkey", "clsid", "service", "uninstall", "contextmenu", "shellextapproved"))
_NO_PROCESS = frozenset(("Unknown", "N/A", "-"))


def file_name(path: str) -> str:
    r"""
    >>> file_name(r"C:\Temp\a.zip->inner.exe")
    'inner.exe'
    """
    return ntpath.basename(path.rpartition("->")[2])


def file_directory(path: str) -> str | None:
    r"""
    >>> file_directory(r"C:\Temp\x.exe")
    'C:\\Temp'
    """
    return ntpath.dirname(path.partition("->")[0]) or None


def file_extension(path: str) -> str | None:
    r"""What follows the last dot of the name (sink-contracts E11).

    >>> file_extension(r"C:\Temp\x.tar.GZ")
    'GZ'
    """
    return file_name(path).rpartition(".")[2] if "." in file_name(path) else None


def known(name: str) -> str | None:
    """Without the words that Defender writes for "no process".

    >>> known("Unknown")
    """
    return None if name in _NO_PROCESS else name


def known_file_name(path: str) -> str | None:
    r"""
    >>> known_file_name(r"C:\Windows\explorer.exe")
    'explorer.exe'
    """
    return file_name(path) if known(path) else None


def path_of_file(resource_type: str, path: str) -> str | None:
    """The path of a resource that is a file; see `REGISTRY_TYPES` for those that are not."""
    return path if resource_type in FILE_TYPES else None


def name_of_file(resource_type: str, path: str) -> str | None:
    """`file_name` of a file resource."""
    return file_name(path) if resource_type in FILE_TYPES else None


def directory_of_file(resource_type: str, path: str) -> str | None:
    """`file_directory` of a file resource."""
    return file_directory(path) if resource_type in FILE_TYPES else None


def extension_of_file(resource_type: str, path: str) -> str | None:
    """`file_extension` of a file resource."""
    return file_extension(path) if resource_type in FILE_TYPES else None


def drive_of_file(resource_type: str, path: str) -> str | None:
    """`drive_letter` of a file resource."""
    return drive_letter(path) if resource_type in FILE_TYPES else None


def path_of_registry(resource_type: str, path: str) -> str | None:
    """The path of a registry resource."""
    return path if resource_type in REGISTRY_TYPES else None


def drive_letter(path: str) -> str | None:
    r"""
    >>> drive_letter(r"c:\x")
    'C'
    """
    return path[0].upper() if path[1:2] == ":" and path[0].isalpha() and path[0].isascii() else None


def plain_path(path: str) -> str:
    r"""Without the `\\?\` of the Win32 file namespace.

    >>> plain_path("\\\\?\\C:\\x")
    'C:\\x'
    """
    return path.removeprefix("\\\\?\\")

r"""Windows paths taken apart, whatever system this runs on. `->` goes into an archive: `C:\a.zip->inner.exe`."""

import ipaddress
import ntpath
import re
from urllib.parse import urlsplit

FILE_TYPES = frozenset(("file", "containerfile", "startup"))
REGISTRY_TYPES = frozenset(("regkey", "regkeyvalue", "runkey", "clsid", "service", "uninstall", "contextmenu", "shellextapproved"))
_OWNER = re.compile(
    r"(?:^|/)(?:users|documents and settings|serviceprofiles)/([^/]+)/(?:appdata/local|local settings)/temp(?:/[0-9]+)?/", re.IGNORECASE
)
_NO_PROCESS = frozenset(("Unknown", "N/A", "-"))


def file_name(path: str) -> str:
    r"""
    >>> file_name(r"C:\Temp\a.zip->inner.exe")
    'inner.exe'
    """
    inner = path.rpartition("->")[2]
    return inner.rpartition("\\")[2] if _is_usual(inner) else ntpath.basename(inner)


def _is_usual(path: str) -> bool:
    """True for a path on a drive without slashes: `ntpath` takes ten times as long, since it has to know of all others."""
    return path[1:3] == ":\\" and "/" not in path


def file_directory(path: str) -> str | None:
    r"""
    >>> file_directory(r"C:\Temp\x.exe")
    'C:\\Temp'
    """
    outer = path.partition("->")[0]
    folder = outer.rpartition("\\")[0]
    if _is_usual(outer) and not folder.endswith("\\"):
        return folder if len(folder) > 2 else f"{folder}\\"
    return ntpath.dirname(outer) or None


def file_extension(path: str) -> str | None:
    r"""What follows the last dot of the name (sink-contracts E11).

    >>> file_extension(r"C:\Temp\x.tar.GZ")
    'GZ'
    """
    _, dot, extension = file_name(path).rpartition(".")
    return extension if dot else None


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


def absolute_path(path: str) -> str | None:
    r"""A path with a root; None for a bare name.

    >>> absolute_path("C:\\x.exe"), absolute_path("x.exe")
    ('C:\\x.exe', None)
    """
    return path if ntpath.isabs(path) else None


def owner_of_temporary(path: str) -> str | None:
    """The account whose temporary folder a path of the evidence lies in; None for the system's.

    >>> owner_of_temporary("C/Users/ana/AppData/Local/Temp/MpCmdRun.log"), owner_of_temporary("C/Windows/Temp/MpCmdRun.log")
    ('ana', None)
    """
    match = _OWNER.search(path)
    return match[1] if match else None


def owners_of_temporary(path: str) -> list[str] | None:
    """`owner_of_temporary` as a list.

    >>> owners_of_temporary("C/Windows/ServiceProfiles/NetworkService/AppData/Local/Temp/MpCmdRun.log")
    ['NetworkService']
    """
    owner = owner_of_temporary(path)
    return [owner] if owner else None


def plain_path(path: str) -> str:
    r"""Without the `\\?\` of the Win32 file namespace.

    >>> plain_path("\\\\?\\C:\\x")
    'C:\\x'
    """
    return path.removeprefix("\\\\?\\")


def url(destination: str) -> str | None:
    """
    >>> url("https://example.test/x"), url("example.test")
    ('https://example.test/x', None)
    """
    return destination if "://" in destination else None


def host_name(destination: str) -> str | None:
    """The host of a URL or of `host:port`; None for an address.

    >>> host_name("https://example.test:8443/x"), host_name("example.test"), host_name("192.0.2.7:443")
    ('example.test', 'example.test', None)
    """
    name = host(destination)
    return name if name and not _is_address(name) else None


def host_address(destination: str) -> str | None:
    """
    >>> host_address("http://192.0.2.7/x"), host_address("[2001:db8::1]:80"), host_address("example.test")
    ('192.0.2.7', '2001:db8::1', None)
    """
    name = host(destination)
    return name if name and _is_address(name) else None


def host(destination: str) -> str | None:
    """Name or address.

    >>> host("https://example.test:8443/x"), host("192.0.2.7:443")
    ('example.test', '192.0.2.7')
    """
    try:
        return urlsplit(destination if "://" in destination else f"//{destination}").hostname
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host

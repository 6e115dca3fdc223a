"""Where Windows keeps what collectors read: looked up by path, so that a volume is never walked.

`*` stands for every folder there. What lies deeper than `below` folders under a place is not looked at.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """A folder, in the spelling of Windows, and how many levels of folders below it are searched."""

    path: tuple[str, ...]
    below: int = 0


def _place(path: str, below: int = 0) -> Place:
    return Place(tuple(path.split("/")) if path else (), below)


_PROGRAM_DATA = ("ProgramData", "Documents and Settings/All Users/Application Data")
_OF_DEFENDER = ("Microsoft/Windows Defender", "Microsoft/Microsoft Antimalware")
_TEMPORARY = "/AppData/Local/Temp"
_OF_SESSIONS = tuple(f"{_TEMPORARY}/{number}" for number in range(1, 10))
"""Remote sessions have folders of their own there."""
_OF_USERS = ("", "/Desktop", "/Documents", "/Downloads", _TEMPORARY, *_OF_SESSIONS)
_BY_ITSELF = (
    ("Quarantine", 2), ("Entries", 0), ("Resources", 1), ("ResourceData", 1), ("Support", 0), ("Windows Defender", 6),
    ("Microsoft Antimalware", 6), ("DetectionHistory", 1), ("Logs", 0), ("winevt/Logs", 0), ("Temp", 0),
)  # fmt: skip

PLACES: tuple[Place, ...] = (
    *(_place(f"{data}/{defender}", 6) for data in _PROGRAM_DATA for defender in _OF_DEFENDER),
    _place("ProgramData/Microsoft/Windows Security Health/Logs"),
    _place("Windows/System32/winevt/Logs", 1),
    _place("Windows/System32/config"),
    _place("Windows/System32/LogFiles/WMI", 1),
    _place("Windows/Temp"),
    _place("Windows/Microsoft Antimalware", 2),
    _place(f"Windows/ServiceProfiles/*{_TEMPORARY}"),
    *(_place(f"Users/*{folder}") for folder in _OF_USERS),
    _place(""),
    *(_place(path, below) for path, below in _BY_ITSELF),
)
"""Of a volume, and of the drive of an earlier Windows (`Windows.old`) on it."""

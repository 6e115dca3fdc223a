"""What reading an event gives: its values in one order, and the form that tells what its Data are."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

PROVIDER = "Microsoft-Windows-Windows Defender"
PROVIDER_GUID = "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78"
SERVICES, SECURITY, LEGACY = "Service Control Manager", "Microsoft-Windows-Security-Auditing", "Microsoft Antimalware"
SIDE_EVENTS: Mapping[str, frozenset[int]] = {SERVICES: frozenset((7036, 7040, 7045)), SECURITY: frozenset((5460,)), LEGACY: frozenset()}
"""Other providers that tell of Defender, and with which ids; none stands for all. See `side_events`."""
Values: TypeAlias = tuple[Any, ...]
"""What an event's System says and its `data`, in the order of `NAMES`."""
NAMES = (
    "event_id", "record_id", "channel", "provider_name", "provider_guid", "computer", "level", "opcode", "task", "version", "keywords",
    "activity_id", "process_id", "thread_id", "user_sid", "created_at", "created_digits", "written_at", "data",
)  # fmt: skip
"""The first fields of `WindowsEvent`."""


class Form:
    """What events of one id and with Data of the same names have in common; `build`, for who wants to keep it, makes payloads of them."""

    __slots__ = ("build", "event_id", "names")

    def __init__(self, event_id: int, names: tuple[str, ...]) -> None:
        self.event_id = event_id
        self.names = names
        self.build: Callable[..., Any] | None = None

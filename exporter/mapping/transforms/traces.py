"""What ETW traces need."""

from collections.abc import Iterable, Sequence
from typing import Any


def provider_counts(providers: Iterable[Any]) -> list[str]:
    """`name: events` of each provider, with its GUID where it has no name that we know."""
    return [f"{provider.name or provider.guid}: {provider.events}" for provider in providers]


def trace_detail(session: str | None, events: int, lost_events: int | None, lost_buffers: int | None, running: bool) -> str:
    """
    >>> trace_detail("AMSITraceSession", 21, 3, 0, True)
    'AMSITraceSession, 21 events, 3 lost, copied while running'
    """
    words = [session or "without a name", f"{events} events"]
    words += [f"{lost_events} lost"] if lost_events else []
    words += [f"{lost_buffers} buffers lost"] if lost_buffers else []
    return ", ".join([*words, "copied while running"] if running else words)


def message_detail(source: str | None, number: int, strings: Sequence[str]) -> str:
    r"""
    >>> message_detail("D5AE0D06-0E90-3D8C-6714-2015E82A98E1", 306, ("C:\\Temp",))
    'D5AE0D06-0E90-3D8C-6714-2015E82A98E1 number 306: C:\\Temp'
    """
    return f"{source or 'unknown source'} number {number}: {', '.join(strings)}"


def event_detail(strings: Sequence[str], *fields: str | None) -> str | None:
    """The first field that says something; of an event that is not decoded the texts found in it.

    >>> event_detail(("a", "b"), None, None)
    'a, b'
    """
    return next((field for field in fields if field), None) or ", ".join(strings) or None


def scan_detail(strings: Sequence[str], result: int | None) -> str | None:
    """
    >>> scan_detail((), 32768)
    'result 32768'
    """
    return event_detail(strings, None if result is None else f"result {result}")

"""An event rendered as XML again, in the order of Windows: Timesketch's Sigma rules search `xml_string` (sigma_windefend.md)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from exporter.times import iso


def event_xml(event: Any) -> str:
    """A `WindowsEvent` as one line of XML; what is absent is left out. Never read back by us."""
    head = _head(event.provider_guid, event.provider_name, event.event_id, event.version, event.level, event.task, event.opcode)
    keywords = "" if event.keywords is None else f"<Keywords>{_escape(event.keywords)}</Keywords>"
    created = "" if event.created_at is None else f'<TimeCreated SystemTime="{_time(event)}"/>'
    tail = _tail(event.channel, event.computer, event.user_sid)
    values = event.data.values()
    text = "".join(values)
    if "&" in text or "<" in text or ">" in text:
        values = map(_escape, values)
    data = _template(tuple(event.data))(*values)
    return f"{head}{keywords}{created}<EventRecordID>{event.record_id}</EventRecordID>{tail}<EventData>{data}</EventData></Event>"


@lru_cache(1024)
def _head(guid: str | None, name: str, number: int, *levels: int | None) -> str:
    provider = f" Guid={_quoted('{' + guid.lower() + '}')}" if guid else ""
    named = zip(("Version", "Level", "Task", "Opcode"), levels, strict=True)
    rest = "".join(f"<{element}>{value}</{element}>" for element, value in named if value is not None)
    return f"<Event><System><Provider Name={_quoted(name)}{provider}/><EventID>{number}</EventID>{rest}"


@lru_cache(1024)
def _tail(channel: str, computer: str | None, user_sid: str | None) -> str:
    computer_name = f"<Computer>{_escape(computer)}</Computer>" if computer else ""
    security = f"<Security UserID={_quoted(user_sid)}/>" if user_sid else ""
    return f"<Channel>{_escape(channel)}</Channel>{computer_name}{security}</System>"


@lru_cache(1024)
def _template(names: tuple[str, ...]) -> Callable[..., str]:
    """What makes the Data elements of these names from their values."""
    quoted = (_quoted(name).replace("{", "{{").replace("}", "}}") for name in names)
    return "".join(f"<Data Name={name}>{{}}</Data>" for name in quoted).format


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")


def _quoted(text: str) -> str:
    """`text` as an attribute's value with its quotes: single ones where it has double ones only."""
    text = _escape(text).replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")
    if '"' not in text:
        return f'"{text}"'
    return f"'{text}'" if "'" not in text else f'"{text.replace(chr(34), "&quot;")}"'


def _time(event: Any) -> str:
    try:
        return iso(event.created_at, event.created_digits)
    except OverflowError:
        return str(event.created_at)

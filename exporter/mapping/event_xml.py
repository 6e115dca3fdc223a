"""An event rendered as XML again, in the order of Windows: Timesketch's Sigma rules search `xml_string` (sigma_windefend.md)."""

from functools import lru_cache
from typing import Any

from exporter.times import iso


def event_xml(event: Any) -> str:
    """A `WindowsEvent` as one line of XML; what is absent is left out. Never read back by us."""
    data = event.data
    values = data.values()
    text = "\0".join(values)
    if "&" in text or "<" in text or ">" in text:
        escaped = _escape(text).split("\0")
        values = escaped if len(escaped) == len(data) else map(_escape, values)
    head = (event.provider_guid, event.provider_name, event.event_id, event.version, event.level, event.task, event.opcode)
    pieces = [*_frame(*head, event.keywords, event.channel, event.computer, event.user_sid, *data)]
    created = "" if event.created_at is None else f'<TimeCreated SystemTime="{_time(event)}"/>'
    pieces[1::2] = (created, str(event.record_id), *values)
    return "".join(pieces)


@lru_cache(1024)
def _frame(guid: str | None, name: str, number: int, *rest: Any) -> tuple[str, ...]:
    """What the events of one id in a log have in common; between the pieces is room for time, record number and values."""
    levels, (keywords, channel, computer, user_sid, *names) = rest[:4], rest[4:]
    provider = f" Guid={_quoted('{' + guid.lower() + '}')}" if guid else ""
    named = zip(("Version", "Level", "Task", "Opcode"), levels, strict=True)
    elements = "".join(f"<{element}>{value}</{element}>" for element, value in named if value is not None)
    head = f"<Event><System><Provider Name={_quoted(name)}{provider}/><EventID>{number}</EventID>{elements}"
    head += "" if keywords is None else f"<Keywords>{_escape(keywords)}</Keywords>"
    tail = f"<Channel>{_escape(channel)}</Channel>" + (f"<Computer>{_escape(computer)}</Computer>" if computer else "")
    tail += f"<Security UserID={_quoted(user_sid)}/>" if user_sid else ""
    begins = (*(f"<Data Name={_quoted(name)}>" for name in names), "</EventData></Event>")
    ends = (f"</EventRecordID>{tail}</System><EventData>", *("</Data>" for _ in names))
    texts = (head, "<EventRecordID>", *map("".join, zip(ends, begins, strict=True)))
    return tuple(piece for text in texts for piece in (text, ""))[:-1]


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

"""An event rendered as XML again, in the order of Windows: Timesketch's Sigma rules search `xml_string` (sigma_windefend.md)."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from exporter.times import iso


def event_xml(event: Any) -> str:
    """A `WindowsEvent` as one line of XML; what is absent is left out. Never read back by us."""
    guid = f" Guid={quoteattr('{' + event.provider_guid.lower() + '}')}" if event.provider_guid else ""
    system = [f"<Provider Name={quoteattr(event.provider_name)}{guid}/>", f"<EventID>{event.event_id}</EventID>"]
    system += [
        f"<{name}>{escape(str(value))}</{name}>"
        for name, value in (
            ("Version", event.version),
            ("Level", event.level),
            ("Task", event.task),
            ("Opcode", event.opcode),
            ("Keywords", event.keywords),
        )
        if value is not None
    ]
    if event.created_at is not None:
        system.append(f"<TimeCreated SystemTime={quoteattr(_time(event))}/>")
    system += [f"<EventRecordID>{event.record_id}</EventRecordID>", f"<Channel>{escape(event.channel)}</Channel>"]
    if event.computer:
        system.append(f"<Computer>{escape(event.computer)}</Computer>")
    if event.user_sid:
        system.append(f"<Security UserID={quoteattr(event.user_sid)}/>")
    data = "".join(f"<Data Name={quoteattr(name)}>{escape(value)}</Data>" for name, value in event.data.items())
    return f"<Event><System>{''.join(system)}</System><EventData>{data}</EventData></Event>"


def _time(event: Any) -> str:
    try:
        return iso(event.created_at, event.created_digits)
    except OverflowError:
        return str(event.created_at)

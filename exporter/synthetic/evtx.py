"""Windows event logs from nothing, as Defender writes them: System with typed values, EventData as a template instance inside it."""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from exporter.synthetic import evtx_file
from exporter.synthetic.evtx_binxml import (
    BINARY_XML,
    FILETIME,
    GUID,
    HEX_INT64,
    NULL,
    SID,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Element,
    Slot,
    Template,
    Value,
    Writer,
)
from exporter.synthetic.quarantine import build_sid
from exporter.times import iso

NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
PROVIDER = "Microsoft-Windows-Windows Defender"
PROVIDER_GUID = "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78"
CHANNEL = "Microsoft-Windows-Windows Defender/Operational"
_BINARY = 0x0E
_ABSENT_QUALIFIERS: Value = (0, bytes(2))
_ABSENT_GUID: Value = (0, bytes(16))
"""Windows leaves room for these two where they are absent, and none for others."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `created_at` is in ticks; GUIDs are without braces; None leaves the attribute out.

    `data` becomes the Data elements in its order, without their names where `named` is False, and `binary` the Binary element of classic
    providers. Levels: 2 error, 3 warning, 4 information. `forwarded`: written as by Windows Event Forwarding, all values as texts.
    """

    event_id: int
    record_id: int
    created_at: int
    data: Mapping[str, str] = {}
    named: bool = True
    binary: bytes = b""
    level: int = 4
    computer: str = "WS-0142"
    channel: str = CHANNEL
    provider: str = PROVIDER
    provider_guid: str | None = PROVIDER_GUID
    version: int = 0
    task: int = 0
    opcode: int = 0
    keywords: int = 0x8000_0000_0000_0000
    activity_id: str | None = None
    process_id: int = 2056
    thread_id: int = 2312
    user_sid: str | None = "S-1-5-18"
    forwarded: bool = False


def write_evtx(target: Path | BinaryIO, events: Iterable[Event]) -> int:
    """Write a log to a file or to a seekable stream, return the number of records; memory is one chunk of 64 KiB.

    Raises ValueError for an event that no chunk can hold, whose values do not fit their fields, or whose record id does not increase.
    """
    records = ((event.record_id, event.created_at, lambda writer, event=event: _event(writer, event)) for event in events)
    if not isinstance(target, Path):
        return evtx_file.write_file(target, records)
    with target.open("wb") as stream:
        return evtx_file.write_file(stream, records)


def build_evtx(events: Iterable[Event]) -> bytes:
    """The bytes of a log; errors as `write_evtx`."""
    stream = BytesIO()
    write_evtx(stream, events)
    return stream.getvalue()


def _event(writer: Writer, event: Event) -> None:
    writer.fragment()
    if event.forwarded:
        writer.element(_forwarded(event))
        writer.end()
        return
    values = [(STRING, _text(value) + b"\0\0") for value in event.data.values()]
    if event.binary:
        values.append((_BINARY, event.binary))
    try:
        template = _data_template(tuple(event.data), event.named, bool(event.binary))
        writer.nested(template, values, _system_values(event), _system_template(event.computer))
    except (struct.error, ValueError, OverflowError) as error:
        raise ValueError(f"record {event.record_id}: {error}") from None
    writer.end()


def _forwarded(event: Event) -> Element:
    """The whole event as a collector has it: without templates, which it gets as text (measured on a public log)."""

    def simple(name: str, value: object) -> Element:
        return Element(name, (), (str(value),))

    guid = None if event.provider_guid is None else f"{{{event.provider_guid.lower()}}}"
    activity = None if event.activity_id is None else f"{{{event.activity_id}}}"
    system = (
        Element("Provider", _said(Name=event.provider, Guid=guid)),
        *(simple("EventID", event.event_id), simple("Version", event.version), simple("Level", event.level)),
        *(simple("Task", event.task), simple("Opcode", event.opcode), simple("Keywords", f"0x{event.keywords:x}")),
        Element("TimeCreated", _said(SystemTime=iso(event.created_at))),
        simple("EventRecordID", event.record_id),
        Element("Correlation", _said(ActivityID=activity)),
        Element("Execution", _said(ProcessID=str(event.process_id), ThreadID=str(event.thread_id))),
        *(simple("Channel", event.channel), simple("Computer", event.computer)),
        Element("Security", _said(UserID=event.user_sid)),
    )
    data = (Element("Data", _said(Name=name if event.named else None), (value,) if value else ()) for name, value in event.data.items())
    return Element("Event", (("xmlns", NAMESPACE),), (Element("System", (), system), Element("EventData", (), tuple(data))))


def _said(**attributes: str | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in attributes.items() if value is not None)


def _system_values(event: Event) -> list[Value]:
    """Values of slots 0 to 16; the numbers are those of `_system_template`."""
    return [
        (UINT8, struct.pack("<B", event.level)),
        (UINT8, struct.pack("<B", event.opcode)),
        (UINT16, struct.pack("<H", event.task)),
        (UINT16, struct.pack("<H", event.event_id)),
        _ABSENT_QUALIFIERS,
        (HEX_INT64, struct.pack("<Q", event.keywords)),
        (FILETIME, struct.pack("<Q", event.created_at)),
        _ABSENT_GUID if event.activity_id is None else _guid(event.activity_id),
        (UINT32, struct.pack("<I", event.process_id)),
        (UINT32, struct.pack("<I", event.thread_id)),
        (UINT64, struct.pack("<Q", event.record_id)),
        (UINT8, struct.pack("<B", event.version)),
        NULL if event.user_sid is None else (SID, build_sid(event.user_sid)),
        NULL,
        (STRING, _text(event.provider)),
        NULL if event.provider_guid is None else _guid(event.provider_guid),
        (STRING, _text(event.channel)),
    ]


@lru_cache(maxsize=256)
def _system_template(computer: str) -> Template:
    """Event and System; the computer's name is a text of the template, as Windows has it."""

    def simple(name: str, slot: int, kind: int) -> Element:
        return Element(name, (), (Slot(slot, kind),), slot)

    system = Element(
        "System",
        (),
        (
            Element("Provider", (("Name", Slot(14, STRING)), ("Guid", Slot(15, GUID)))),
            Element("EventID", (("Qualifiers", Slot(4, UINT16)),), (Slot(3, UINT16),), 3),
            simple("Version", 11, UINT8),
            simple("Level", 0, UINT8),
            simple("Task", 2, UINT16),
            simple("Opcode", 1, UINT8),
            simple("Keywords", 5, HEX_INT64),
            Element("TimeCreated", (("SystemTime", Slot(6, FILETIME)),)),
            simple("EventRecordID", 10, UINT64),
            Element("Correlation", (("ActivityID", Slot(7, GUID)), ("RelatedActivityID", Slot(13, GUID)))),
            Element("Execution", (("ProcessID", Slot(8, UINT32)), ("ThreadID", Slot(9, UINT32)))),
            simple("Channel", 16, STRING),
            Element("Computer", (), (computer,)),
            Element("Security", (("UserID", Slot(12, SID)),)),
        ),
    )
    return _template(Element("Event", (("xmlns", NAMESPACE),), (system, Slot(17, BINARY_XML)), 17))


@lru_cache(maxsize=1024)
def _data_template(names: tuple[str, ...], named: bool, binary: bool) -> Template:
    """EventData with one Data element per value; an empty one for an event without data, as libevtx wants it."""
    elements = [Element("Data", (("Name", name),) if named else (), (Slot(n, STRING, False),)) for n, name in enumerate(names)]
    if binary:
        elements.append(Element("Binary", (), (Slot(len(names), _BINARY, False),)))
    return _template(Element("EventData", (), tuple(elements)))


def _template(root: Element) -> Template:
    """The same tree always has the same GUID."""
    return Template(uuid5(NAMESPACE_URL, msgspec.json.encode(root).decode("utf-8", "surrogatepass")), root)


def _guid(text: str) -> Value:
    return GUID, UUID(text).bytes_le


def _text(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")

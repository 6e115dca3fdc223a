"""Events and messages of a trace as payloads.

| offset | size | event header (types 18 and 19) |
|---|---|---|
| 4 | 2 | flags: 1 extended data follows the header, 0x20 pointers of 4 bytes, 0x40 of 8 |
| 16 | 8 | time, in the trace's clock |
| 24 | 16 | provider |
| 40 | 2 | event id; then version, channel, level, opcode: 1 each |
| 46 | 2 | task |
| 48 | 8 | keywords |
| 80 | | extended data, then the payload |

Extended data: u16 size with this header, u16 type, u16 (bit 0: another one follows), u16 size of the data; the data.

A WPP message: u16 size, u16 marker 0x90XX, u16 number, u16 flags; then as the flags say 1 u32 sequence, 2 GUID (4 u32 component instead),
8 or 16 u64 time, 32 u32 thread and u32 process.
"""

import hashlib
import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.formats.etl_header import LogHeader
from exporter.formats.etl_layouts import AMSI, AMSI_TRACE, LAYOUTS, PROVIDERS, decode, guid_text, wide_text
from exporter.formats.etl_records import EtwAmsi, EtwEvent, EtwMessage, EtwRecord
from exporter.formats.etl_split import EVENT, Span
from exporter.formats.etl_trace_logging import Event, read

_HEADER_BYTES = EVENT.length
_SCHEMA = 11
_HASH_BYTES = 32
_AMSI_SCAN = 1101
_UNDECODED = "undecoded"
_MOST_STRINGS, _LONGEST_STRING = 16, 1024
_WIDE_STRING = re.compile(rb"(?:[\x20-\x7e\xa0-\xff]\x00|[\x01-\xff][\x01-\x06]){4,}")
"""Four or more UTF-16 units of ASCII, Latin, Greek, Cyrillic, Hebrew, Arabic: other scripts cannot be told from numbers."""


class Message(NamedTuple):
    """The parts of a WPP message."""

    number: int
    guid: str | None
    counter: int
    thread_id: int | None
    process_id: int | None
    payload: bytes


def strings_in(data: bytes) -> tuple[str, ...]:
    """Texts in UTF-16 that end in NUL or with the data, with three or more ASCII characters: at most 16 of at most 1,024 characters."""
    found = []
    for match in _WIDE_STRING.finditer(data):
        text = match[0].decode("utf-16-le", "surrogatepass")
        whole = match.end() == len(data) or data[match.end() : match.end() + 2] == b"\0\0"
        if whole and sum(" " < character <= "~" for character in text) >= 3:
            found.append(text[:_LONGEST_STRING])
    return tuple(found[:_MOST_STRINGS])


def read_message(span: Span) -> Message | None:
    """The parts of a WPP message; None where its flags ask for more than it has."""
    data = span.data
    number, flags = struct.unpack_from("<HH", data, 4)
    place, guid, counter, thread_id, process_id = 8, None, 0, None, None
    place += 4 if flags & 1 else 0
    identity = 16 if flags & 2 else 4 if flags & 4 else 0
    stamp = 8 if flags & 0x18 else 0
    system = 8 if flags & 0x20 else 0
    if place + identity + stamp + system > len(data):
        return None
    if identity == 16:
        guid = guid_text(data[place : place + 16])
    place += identity
    if stamp:
        counter = int.from_bytes(data[place : place + 8], "little")
    place += stamp
    if system:
        thread_id, process_id = struct.unpack_from("<II", data, place)
    return Message(number, guid, counter, thread_id, process_id, data[place + system :])


def message_record(message: Message, header: LogHeader | None) -> EtwMessage | None:
    """A message that holds texts, else None."""
    strings = strings_in(message.payload)
    if not strings:
        return None
    common = _common(header, message.guid, message.counter, message.process_id, message.thread_id, message.payload)
    return EtwMessage(**common, number=message.number, strings=strings)


def event_record(span: Span, header: LogHeader | None) -> EtwRecord | None:
    """A scan of AMSI, or an event of Defender that has a layout; None for all others."""
    provider = guid_text(span.data[24:40])
    event_id = int.from_bytes(span.data[40:42], "little")
    if provider in (AMSI, AMSI_TRACE):
        return _amsi(span, provider, event_id, header)
    return _event(span, provider, event_id, header) if (provider, event_id) in LAYOUTS else None


def _event(span: Span, provider: str, event_id: int, header: LogHeader | None) -> EtwEvent:
    data = span.data
    payload = data[_extended(data)[1] :]
    layout = LAYOUTS[provider, event_id]
    version, _, level, opcode, task, keywords = struct.unpack_from("<4BHQ", data, 42)
    found = decode(layout, payload) if version == 0 else None
    return EtwEvent(
        **_of_event(span, provider, payload, header),
        event_id=event_id,
        version=version,
        level=level,
        opcode=opcode,
        task=task,
        keywords=keywords,
        name=layout.name,
        decoding=_UNDECODED if found is None else None,
        data=found or {},
        strings=strings_in(payload) if found is None else (),
    )


def _amsi(span: Span, provider: str, event_id: int, header: LogHeader | None) -> EtwAmsi:
    extended, end = _extended(span.data)
    payload = span.data[end:]
    common = _of_event(span, provider, payload, header)
    event = read(extended[_SCHEMA], payload) if _SCHEMA in extended else None
    if event is not None:
        return EtwAmsi(**common, event_id=event_id, event_name=event.name, **_script(event, payload))
    wide = not struct.unpack_from("<H", span.data, 4)[0] & 0x20 and span.wide
    found = _scan(payload, wide) if event_id == _AMSI_SCAN else None
    return EtwAmsi(**common, event_id=event_id, **(found or {"decoding": _UNDECODED, "strings": strings_in(payload)}))


def _script(event: Event, payload: bytes) -> dict[str, Any]:
    """The event `AmsiScript`: what scanned, and the script twice, as text and as it came."""
    values = event.values
    content = values.get("Raw Script", values.get("Script"))
    if content is None:
        return {"decoding": _UNDECODED, "strings": strings_in(payload)}
    engine = values.get("Engine", b"")
    name = engine[: len(engine) & ~1].decode("utf-16-le", "surrogatepass")
    return {"app_name": name or None, "content_sha256": hashlib.sha256(content).hexdigest(), "content_bytes": len(content)}


def _scan(data: bytes, wide: bool) -> dict[str, Any] | None:
    """Event 1101: session, status, result, application, content name, size, original size, content, hash, filtered."""
    place = 8 if wide else 4
    if place + 5 > len(data):
        return None
    status, result = struct.unpack_from("<BI", data, place)
    app = wide_text(data, place + 5)
    name = None if app is None else wide_text(data, app[1])
    if app is None or name is None or name[1] + 8 > len(data):
        return None
    size, original = struct.unpack_from("<II", data, name[1])
    start = name[1] + 8
    rest = data[start + size :]
    if start + size > len(data) or len(rest) not in (0, _HASH_BYTES, _HASH_BYTES + 4):
        return None
    return {
        "scan_status": status,
        "scan_result": result,
        "app_name": app[0] or None,
        "content_name": name[0] or None,
        "content_bytes": size,
        "original_bytes": original,
        "content_sha256": hashlib.sha256(data[start : start + size]).hexdigest(),
        "reported_hash": rest[:_HASH_BYTES].hex() or None,
        "filtered": bool(rest[_HASH_BYTES]) if len(rest) > _HASH_BYTES else None,
    }


def _extended(data: bytes) -> tuple[Mapping[int, bytes], int]:
    """Extended data by type, and where the payload begins. An item that does not fit ends them."""
    found: dict[int, bytes] = {}
    place = _HEADER_BYTES
    more = data[4] & 1
    while more and place + 8 <= len(data):
        size, kind, more, length = struct.unpack_from("<4H", data, place)
        if size < 8 + length or place + size > len(data):
            break
        found[kind] = data[place + 8 : place + 8 + length]
        place, more = place + size, more & 1
    return found, place


def _of_event(span: Span, provider: str, payload: bytes, header: LogHeader | None) -> dict[str, Any]:
    thread_id, process_id, counter = struct.unpack_from("<IIQ", span.data, 8)
    return _common(header, provider, counter, process_id, thread_id, payload)


def _common(
    header: LogHeader | None, guid: str | None, counter: int, process_id: int | None, thread_id: int | None, payload: bytes
) -> dict[str, Any]:
    return {
        "session": header.session if header else None,
        "provider_guid": guid,
        "provider_name": PROVIDERS.get(guid or ""),
        "at": header.clock.ticks(counter) if counter and header and header.clock else None,
        "counter": counter,
        "process_id": process_id,
        "thread_id": thread_id,
        "payload_bytes": len(payload),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
    }

"""What an ETW trace tells: one summary per trace, Defender's own events, AMSI scans, and texts of messages nobody can decode."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from exporter.records import Payload


class ProviderCount(msgspec.Struct, frozen=True):
    """How many events a provider wrote; `name` only where it is known."""

    guid: str
    name: str | None
    events: int


class EtwTrace(Payload, frozen=True, kw_only=True):
    """One trace. Times are ticks; `bias` is the machine's time zone as Windows counts it, in minutes to be added to local time for UTC.

    `events` counts every record in the file, also those without a provider (`records` has them by type of header). `ended_at` is None
    while the trace runs. `buffers` are those found, `buffers_written` those the header promises.
    """

    kind: ClassVar[str] = "etw_trace"
    session: str | None = None
    log_file: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    booted_at: int | None = None
    first_event_at: int | None = None
    last_event_at: int | None = None
    bias: int | None = None
    utc_offset_minutes: int | None = None
    clock: str | None = None
    pointer_bytes: int | None = None
    lost_buffers: int | None = None
    lost_events: int | None = None
    buffers_written: int | None = None
    buffers: int = 0
    empty_buffers: int = 0
    buffer_bytes: int | None = None
    events: int = 0
    messages: int = 0
    message_guids: int = 0
    circular: bool = False
    running: bool = False
    providers: tuple[ProviderCount, ...] = ()
    records: Mapping[str, int] = {}


class EtwRecord(Payload, frozen=True, kw_only=True):
    """What all events and messages have. `counter` is the time as written, in the trace's clock; `at` is None where unknown."""

    session: str | None = None
    provider_guid: str | None = None
    provider_name: str | None = None
    at: int | None = None
    counter: int
    process_id: int | None = None
    thread_id: int | None = None
    payload_bytes: int
    payload_sha256: str


class EtwEvent(EtwRecord, frozen=True, kw_only=True):
    """An event of Defender's own providers. It has `data` where its layout is certain; else `decoding` says so, with `strings`."""

    kind: ClassVar[str] = "etw_event"
    event_id: int
    version: int
    level: int
    opcode: int
    task: int
    keywords: int
    name: str | None = None
    decoding: str | None = None
    data: Mapping[str, str] = {}
    strings: tuple[str, ...] = ()


class EtwAmsi(EtwRecord, frozen=True, kw_only=True):
    """Content that a program gave to AMSI. The content itself is not kept: `content_sha256` is that of the bytes in the trace.

    `original_bytes` larger than `content_bytes`: Windows kept the beginning only. `reported_hash` is Windows' own (of the whole content).
    """

    kind: ClassVar[str] = "etw_amsi"
    event_id: int
    event_name: str | None = None
    decoding: str | None = None
    app_name: str | None = None
    content_name: str | None = None
    content_sha256: str | None = None
    content_bytes: int | None = None
    original_bytes: int | None = None
    reported_hash: str | None = None
    scan_status: int | None = None
    scan_result: int | None = None
    filtered: bool | None = None
    strings: tuple[str, ...] = ()


class EtwMessage(EtwRecord, frozen=True, kw_only=True):
    """A WPP message: its sentence is in files that Microsoft does not publish, so only texts found in its parameters are given.

    `provider_guid` is that of the message's source, `number` the message's number there.
    """

    kind: ClassVar[str] = "etw_message"
    number: int
    decoding: str | None = "undecoded"
    strings: tuple[str, ...] = ()

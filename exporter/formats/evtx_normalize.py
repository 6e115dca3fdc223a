"""One event from whatever an engine rendered: the only place that knows the renderings.

Native logs under `evtx` 0.14 have numbers, upper-case GUIDs and six-digit times; forwarded and exported logs, newer cores of `evtx` and
our walk over python-evtx have texts, GUIDs in braces, seven or nine digits, repeated Data as lists and absent instead of null elements.
"""

import json
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from exporter import times
from exporter.errors import FormatError

_Attributes = TypeVar("_Attributes")


class _Element(msgspec.Struct, Generic[_Attributes]):
    attributes: _Attributes = msgspec.field(name="#attributes")


class _Content(msgspec.Struct):
    text: int = msgspec.field(name="#text")


class _Provider(msgspec.Struct):
    name: str | None = msgspec.field(name="Name", default=None)
    guid: str | None = msgspec.field(name="Guid", default=None)


class _Created(msgspec.Struct):
    time: str | None = msgspec.field(name="SystemTime", default=None)


class _Execution(msgspec.Struct):
    process: int | None = msgspec.field(name="ProcessID", default=None)
    thread: int | None = msgspec.field(name="ThreadID", default=None)


class _Security(msgspec.Struct):
    sid: str | None = msgspec.field(name="UserID", default=None)


class _Correlation(msgspec.Struct):
    activity: str | None = msgspec.field(name="ActivityID", default=None)


class _System(msgspec.Struct, rename="pascal"):
    event_id: int | _Content = msgspec.field(name="EventID")
    event_record_id: int | None = msgspec.field(name="EventRecordID", default=None)
    provider: _Element[_Provider] | None = None
    time_created: _Element[_Created] | None = None
    execution: _Element[_Execution] | None = None
    security: _Element[_Security] | None = None
    correlation: _Element[_Correlation] | None = None
    channel: str | None = None
    computer: str | None = None
    level: int | None = None
    opcode: int | None = None
    task: int | None = None
    version: int | None = None
    keywords: str | int | None = None


_NO_PROVIDER = _Provider()
_NO_EXECUTION = _Execution()


class _PlainEvent(msgspec.Struct):
    system: _System = msgspec.field(name="System")
    data: dict[str, str] | None = msgspec.field(name="EventData")


class _AnyEvent(msgspec.Struct):
    system: _System = msgspec.field(name="System")
    event_data: Any = msgspec.field(name="EventData", default=None)
    user_data: Any = msgspec.field(name="UserData", default=None)
    binary_data: Any = msgspec.field(name="BinaryEventData", default=None)
    error_data: Any = msgspec.field(name="ProcessingErrorData", default=None)


class _Plain(msgspec.Struct):
    event: _PlainEvent = msgspec.field(name="Event")


class _Any(msgspec.Struct):
    event: _AnyEvent = msgspec.field(name="Event")


# not strict: forwarded and exported logs hold their numbers as text
_decode_plain = msgspec.json.Decoder(_Plain, strict=False).decode


class Normalizer:
    """Normalizes the records of one chunk."""

    def __init__(self) -> None:
        self._unique: set[tuple[object, ...]] = set()

    def fields(self, rendering: str | dict[str, Any], header_id: int, header_time: int) -> dict[str, Any]:
        """The System fields and `data` under the names of `WindowsEvent`; raises FormatError where there is no event in it.

        `header_id` and `header_time` (ticks) are those of the record's header. Times follow sink-contracts E2: six digits of SystemTime
        are completed from the header where the two agree; `written_at` is None where the header belongs to an exported log and lies.
        """
        system, data = self._parts(rendering)
        record_id = header_id if system.event_record_id is None else system.event_record_id
        provider = system.provider.attributes if system.provider else _NO_PROVIDER
        execution = system.execution.attributes if system.execution else _NO_EXECUTION
        created_at, digits = _created(system.time_created.attributes.time if system.time_created else None, header_time)
        honest = header_time == created_at or _honest(header_id, header_time, record_id, created_at)
        return {
            "event_id": system.event_id.text if isinstance(system.event_id, _Content) else system.event_id,
            "record_id": record_id,
            "channel": system.channel or "",
            "provider_name": provider.name or "",
            "provider_guid": guid(provider.guid),
            "computer": system.computer or None,
            "level": system.level,
            "opcode": system.opcode,
            "task": system.task,
            "version": system.version,
            "keywords": _keywords(system.keywords),
            "activity_id": guid(system.correlation.attributes.activity) if system.correlation else None,
            "process_id": execution.process,
            "thread_id": execution.thread,
            "user_sid": system.security.attributes.sid if system.security else None,
            "created_at": created_at,
            "created_digits": digits,
            "written_at": header_time if honest else None,
            "data": data,
        }

    def _parts(self, rendering: str | dict[str, Any]) -> tuple[_System, dict[str, str]]:
        if isinstance(rendering, str):
            try:
                plain = _decode_plain(rendering).event
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                return _any_parts(_load(rendering))
            if plain.data is None or self._has_unique_names(rendering, plain):
                return plain.system, plain.data or {}
            rendering = _load(rendering)
        return _any_parts(rendering)

    def _has_unique_names(self, text: str, event: _PlainEvent) -> bool:
        """False where two Data elements may share a name: a decoder would keep the last one only.

        Counting keys costs as much as all of the normalizing, so one record of each shape is counted in a chunk.
        """
        assert event.data is not None
        shape = (*event.data, event.system.event_id if isinstance(event.system.event_id, int) else None)
        if shape in self._unique:
            return True
        if text.count('":', text.find('"EventData":')) != len(event.data) + 1:
            return False
        self._unique.add(shape)
        return True


def _load(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_merge, strict=False)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the rendering is not JSON: {error}") from None


def _merge(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    repeated: dict[str, list[Any]] = {}
    for name, value in pairs:
        if name in repeated:
            repeated[name].append(value)
        elif name in merged:
            merged[name] = repeated[name] = [merged[name], value]
        else:
            merged[name] = value
    return merged


def _any_parts(rendering: Any) -> tuple[_System, dict[str, str]]:
    try:
        event = msgspec.convert(rendering, _Any, strict=False).event
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(f"the rendering is not an event: {error}") from None
    data = _Data()
    for part in (event.event_data, event.user_data, event.binary_data, event.error_data):
        data.add("Data", part)
    return event.system, data.values


class _Data:
    """Collects Data elements, raw and in order; `#attributes` other than Name do not count."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._next: dict[str, int] = {}

    def add(self, name: str, value: Any) -> None:
        if isinstance(value, dict):
            attributes = value.get("#attributes")
            named = attributes.get("Name") if isinstance(attributes, dict) and "#text" in value else None
            for key, child in value.items():
                if key == "#text":
                    self.add(named if isinstance(named, str) and named else name, child)
                elif key != "#attributes":
                    self.add(key, child)
        elif isinstance(value, list):
            for child in value:
                self.add(name, child)
        elif value is not None:
            self.values[self._free(name)] = _scalar(value)

    def _free(self, name: str) -> str:
        free = name
        while free in self.values:
            self._next[name] = self._next.get(name, 0) + 1
            free = f"{name}_{self._next[name]}"
        return free


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def number(value: int | str | None) -> int | None:
    """An integer given as number, decimal text or `0x…` text; None for anything else."""
    return number_of(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def number_of(text: str) -> int | None:
    """An integer given as decimal or `0x…` text; None for anything else."""
    if len(text) > 20 or not text.isascii() or "_" in text:
        return None
    try:
        return int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def guid(text: str | None) -> str | None:
    """A GUID in upper case without braces; None for an empty text."""
    return text.strip("{} ").upper() or None if text else None


@lru_cache(maxsize=256)
def _keywords(value: int | str | None) -> str | None:
    bits = number(value)
    return None if bits is None else f"0x{bits:x}"


def iso_ticks(text: str) -> tuple[int, int]:
    """Ticks and known fraction digits (at most 7) of an ISO 8601 time; raises ValueError. Quick for the form that Windows writes."""
    fraction = text[20:-1]
    digits = text[17:19] + fraction
    if text[19:20] != "." or text[-1:] != "Z" or not digits.isdecimal() or digits >= "6" or not 2 < len(digits) <= 11:
        return times.from_iso(text)
    known = len(fraction)
    return _minute(text[:17]) + int(digits) * 10**7 // 10**known, min(known, 7)


@lru_cache(maxsize=4096)
def _minute(text: str) -> int:
    return times.from_iso(f"{text}00Z")[0]


def _created(text: str | None, header_time: int) -> tuple[int | None, int]:
    if not text:
        return None, 7
    try:
        ticks, digits = iso_ticks(text)
    except (ValueError, OverflowError):
        return None, 7
    return (header_time, 7) if digits == 6 and ticks // 10 == header_time // 10 else (ticks, digits)


def _honest(header_id: int, header_time: int, record_id: int, created_at: int | None) -> bool:
    """True where the header's time may be believed: it agrees with SystemTime, or has the record's own number and is not earlier."""
    if created_at is None:
        return header_id == record_id
    return header_time // 10 == created_at // 10 or (header_id == record_id and header_time >= created_at)

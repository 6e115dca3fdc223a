"""One event from whatever an engine rendered: the only place that knows the renderings.

Native logs under `evtx` 0.14 have numbers, upper-case GUIDs and six-digit times; forwarded and exported logs, newer cores of `evtx` and
our walk over python-evtx have texts, GUIDs in braces, seven or nine digits, repeated Data as lists and absent instead of null elements.
"""

import json
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from exporter.errors import FormatError
from exporter.formats.evtx_form import NAMES, Form, Values
from exporter.formats.evtx_quick import Outline, completed, learn
from exporter.formats.evtx_times import created, is_honest
from exporter.formats.known import Known

_Attributes = TypeVar("_Attributes")


class _Element(msgspec.Struct, Generic[_Attributes], gc=False):
    attributes: _Attributes = msgspec.field(name="#attributes")


class _Content(msgspec.Struct, frozen=True, gc=False):
    text: int = msgspec.field(name="#text")


class _Provider(msgspec.Struct, gc=False):
    name: str | None = msgspec.field(name="Name", default=None)
    guid: str | None = msgspec.field(name="Guid", default=None)


class _Created(msgspec.Struct, gc=False):
    time: str | None = msgspec.field(name="SystemTime", default=None)


class _Execution(msgspec.Struct, gc=False):
    process: int | None = msgspec.field(name="ProcessID", default=None)
    thread: int | None = msgspec.field(name="ThreadID", default=None)


class _Security(msgspec.Struct, gc=False):
    sid: str | None = msgspec.field(name="UserID", default=None)


class _Correlation(msgspec.Struct, gc=False):
    activity: str | None = msgspec.field(name="ActivityID", default=None)


class _System(msgspec.Struct, rename="pascal", gc=False):
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


class _PlainEvent(msgspec.Struct, gc=False):
    system: _System = msgspec.field(name="System")
    data: dict[str, str] | None = msgspec.field(name="EventData")


class _AnyEvent(msgspec.Struct):
    system: _System = msgspec.field(name="System")
    event_data: Any = msgspec.field(name="EventData", default=None)
    user_data: Any = msgspec.field(name="UserData", default=None)
    binary_data: Any = msgspec.field(name="BinaryEventData", default=None)
    error_data: Any = msgspec.field(name="ProcessingErrorData", default=None)


class _Plain(msgspec.Struct, gc=False):
    event: _PlainEvent = msgspec.field(name="Event")


class _Any(msgspec.Struct):
    event: _AnyEvent = msgspec.field(name="Event")


# not strict: forwarded and exported logs hold their numbers as text
_decode_plain = msgspec.json.Decoder(_Plain, strict=False).decode


class Normalizer:
    """Normalizes the records of one chunk."""

    def __init__(self) -> None:
        self._forms: dict[tuple[int, tuple[str, ...]], Form] = {}

    def fields(self, rendering: str | dict[str, Any], header_id: int, header_time: int) -> dict[str, Any]:
        """What `read` gives, by name."""
        return dict(zip(NAMES, self.read(rendering, header_id, header_time)[0], strict=True))

    def read(self, rendering: str | dict[str, Any], header_id: int, header_time: int, known: Outline | None = None) -> tuple[Values, Form]:
        """The System fields and `data`, and the form; raises FormatError where there is no event in it.

        `header_id` and `header_time` (ticks) are those of the record's header. Times follow sink-contracts E2: six digits of SystemTime
        are completed from the header where the two agree; `written_at` is None where the header belongs to an exported log and lies.
        `known` is the rendering's outline, where it has one.
        """
        if known is not None and (found := completed(known)) is not None:
            return found
        values, form = self._read(rendering, header_id, header_time)
        if isinstance(rendering, str):
            learn(rendering, header_id, header_time, values, form)
        return values, form

    def _read(self, rendering: str | dict[str, Any], header_id: int, header_time: int) -> tuple[Values, Form]:
        system, data, form = self._parts(rendering)
        record_id = system.event_record_id
        if record_id is None:
            record_id = header_id
        provider = system.provider.attributes if system.provider else _NO_PROVIDER
        execution = system.execution.attributes if system.execution else _NO_EXECUTION
        user = system.security.attributes.sid if system.security else None
        key = (provider.name, provider.guid, system.channel, system.computer, system.keywords, user)
        channel, name, identifier, computer, keywords, user = _TEXTS.get(key) or _learn_texts(key)
        created_at, digits = created(system.time_created.attributes.time if system.time_created else None, header_time)
        honest = header_time == created_at or is_honest(header_id, header_time, record_id, created_at)
        activity = guid(system.correlation.attributes.activity) if system.correlation else None
        return (
            form.event_id, record_id, channel, name, identifier, computer, system.level, system.opcode, system.task, system.version,
            keywords, activity, execution.process, execution.thread, user, created_at, digits, header_time if honest else None, data,
        ), form  # fmt: skip

    def _parts(self, rendering: str | dict[str, Any]) -> tuple[_System, dict[str, str], Form]:
        if rendering.__class__ is not str:
            return _any_parts(rendering)
        try:
            event = _decode_plain(rendering).event
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return _any_parts(_load(rendering))
        system, data = event.system, event.data or {}
        shape = _number_of(system.event_id), (*data,)
        form = self._forms.get(shape)
        # a decoder keeps the last of two Data elements of one name; records of one form are alike in a chunk, so one is counted
        if form is None and data and rendering.count('":', rendering.find('"EventData":')) != len(data) + 1:
            return _any_parts(_load(rendering))
        if form is None:
            form = self._forms[shape] = Form(*shape)
        return system, data, form


def _number_of(event_id: int | _Content) -> int:
    return event_id.text if isinstance(event_id, _Content) else event_id


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


def _any_parts(rendering: Any) -> tuple[_System, dict[str, str], Form]:
    try:
        event = msgspec.convert(rendering, _Any, strict=False).event
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(f"the rendering is not an event: {error}") from None
    data = _Data()
    for part in (event.event_data, event.user_data, event.binary_data, event.error_data):
        data.add("Data", part)
    return event.system, data.values, Form(_number_of(event.system.event_id), (*data.values,))


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


def number_of(text: str) -> int | None:
    """An integer given as decimal or `0x…` text; None for anything else."""
    if len(text) > 20 or not text.isascii() or "_" in text:
        return None
    try:
        return int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    except ValueError:
        return None


NUMBERS = Known(number_of, 4096)
"""`number_of`, kept."""


def guid(text: str | None) -> str | None:
    """A GUID in upper case without braces; None for an empty text."""
    return text.strip("{} ").upper() or None if text else None


_Texts: TypeAlias = tuple[str | None, str | None, str | None, str | None, str | int | None, str | None]
_TEXTS: dict[_Texts, _Texts] = {}
_MOST_TEXTS = 256


def _learn_texts(key: _Texts) -> _Texts:
    """What `_TEXTS` keeps: the few texts of System that all records of a log share, as values of `NAMES`."""
    name, identifier, channel, computer, keywords, user = key
    bits = number(keywords)
    found = (channel or "", name or "", guid(identifier), computer or None, None if bits is None else f"0x{bits:x}", user)
    if len(_TEXTS) >= _MOST_TEXTS:
        _TEXTS.clear()
    _TEXTS[key] = found
    return found

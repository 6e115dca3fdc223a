"""Pieces of a document as JSON text: cleaned (C7 to C9), and those that repeat from record to record made once."""

from collections.abc import Callable, Mapping
from json.encoder import encode_basestring as quoted
from typing import Any

import orjson

from exporter.text import cleaned

_NOTHING = ("", "-", "N/A")
_NOTHING_SET = frozenset(_NOTHING)
_KEPT = 256
_LONGEST = 8192


class Kept:
    """The JSON of some pieces of a kind's documents, kept for each set of values of the attributes that they are made of.

    `make` gives them from record, payload and moment; what it cannot use it adds to a further dictionary.
    """

    __slots__ = ("_known", "_make", "get")

    def __init__(self, make: Callable[..., tuple[bytes, ...]]) -> None:
        self._make = make
        self._known: dict[tuple[Any, ...], tuple[bytes, ...]] = {}
        self.get = self._known.get

    def learn(self, key: tuple[Any, ...], record: Any, payload: Any, moment: Any, raw: dict[str, str]) -> tuple[bytes, ...]:
        """The pieces for a key that `get` does not know."""
        unusable: dict[str, str] = {}
        pieces = self._make(record, payload, moment, unusable)
        if unusable:
            raw.update(unusable)
        elif sum(map(len, pieces)) <= _LONGEST:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = pieces
        return pieces


def fields_json(fields: dict[str, Any]) -> bytes:
    """`,"name":value` for each field, without those that say nothing."""
    try:
        encoded = orjson.dumps(fields)
    except TypeError:  # lone surrogates, or integers beyond 64 bits
        encoded = b""
    if not encoded or _to_clean(encoded):
        encoded = orjson.dumps(without_nothing(cleaned(fields)))
    return b"," + encoded[1:-1] if len(encoded) > 2 else b""


def field_text(name: str, value: Any) -> str:
    """`,"name":value` for one field, empty where it says nothing; most are short texts of ASCII."""
    if value.__class__ is str and value.isascii() and "\0" not in value:
        return "" if value in _NOTHING_SET else f',"{name}":{quoted(value)}'
    return fields_json({name: value}).decode()


def is_plain(value: Any) -> bool:
    """True for a text that says something and that JSON writes as it is between two quotes."""
    return value.__class__ is str and value not in _NOTHING_SET and value.isprintable() and quoted(value) == f'"{value}"'


def field_list(name: str, values: Any) -> str:
    """The same of a field that is an array always; a single text is one item."""
    items = [values] if values.__class__ is str else values
    try:
        text = "".join(items)
    except TypeError:
        text = "\0"
    if text.isascii() and "\0" not in text and _NOTHING_SET.isdisjoint(items):
        return f',"{name}":[{",".join(map(quoted, items))}]'
    return fields_json({name: items}).decode()


def event_data_json(name: str, values: Mapping[str, str], text: str) -> bytes:
    """`,"name":{…}` for event data without empty texts, quicker than `fields_json`: they are most of a document.

    `text` are all values in one: to look into it costs a tenth of what a look at the JSON costs.
    """
    if "\0" in text:
        return fields_json({name: values})
    try:
        return b"".join((b',"', name.encode(), b'":', orjson.dumps(values)))
    except TypeError:
        return fields_json({name: values})


def with_raw(document: bytes, raw: dict[str, str]) -> bytes:
    """The document with values that are not usable as they are (C2, C8) below `defender.raw`, and a tag that tells it."""
    fields = orjson.loads(document)
    fields.setdefault("defender", {})["raw"] = raw
    fields["tags"] = [*fields.get("tags", ()), "time_unusable"]
    for last in ("message", "event"):
        fields[last] = fields.pop(last)
    return orjson.dumps(fields)


def _to_clean(encoded: bytes) -> bool:
    """Whether there is what C7 and C9 forbid: rare, so one look at the bytes spares a look at every value."""
    return b'""' in encoded or b"\\u0000" in encoded or b'"-"' in encoded or b'"N/A"' in encoded


def without_nothing(value: Any, *, raw: bool = False) -> Any:
    """Without texts that say nothing (C9); in event data, which is raw, only empty ones go."""
    if isinstance(value, dict):
        items = ((key, without_nothing(item, raw=raw or key == "event_data")) for key, item in value.items())
        return {key: item for key, item in items if not _says_nothing(item, raw)}
    if isinstance(value, list):
        return [item for item in value if not _says_nothing(item, raw)]
    return value


def _says_nothing(value: Any, raw: bool) -> bool:
    return value in ("", [], {}) if raw or not isinstance(value, str) else value in _NOTHING

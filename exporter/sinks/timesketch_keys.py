"""Which attributes may be keys of a Timesketch line, and of which JSON type (T4 to T9).

An index takes a key's type from the first line that has it and refuses lines that differ, so each key has one type for ever: integer or
list of texts where a table below says so, text everywhere else. What does not fit an integer key goes, as text, to `<key>_text`.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from exporter.sinks.timeline import RowRefused

INTEGERS = frozenset(
    {
        *("correlation_tier", "event_identifier", "event_level", "event_version", "message_identifier", "offset"),
        *("record_number", "size", "threat_id", "utc_offset"),
    }
)
LISTS = frozenset(["resources", "strings"])
RENAMED = {"md5": "md5_hash", "sha1": "sha1_hash", "sha256": "sha256_hash"}
"""Timesketch's analyzers look for these names (T6)."""
LEFT_OUT = frozenset(["container_filenames", "filename", "host_and_user", "web_filenames"])
"""plaso's words for its own formatter; the same values stand in `path`, `username` and `resources`, and keys are few (T8)."""
OWN_KEYS = frozenset(
    {
        *("message", "datetime", "timestamp", "timestamp_desc", "filetime", "data_type", "source_short", "source_long"),
        *("display_name", "parser", "event_id", "tag"),
    }
)
"""Made from the row itself; `hostname` and `username` too, but attributes may repeat those."""
FORBIDDEN = OWN_KEYS | {"hash", "label", "lang", "timesketch_label"}
"""Besides ours, those that Timesketch writes itself, as it does everything that starts with `_` (T7)."""
MAXIMUM_KEYS = 150
"""From about 330 text keys on Timesketch accepts a file and indexes nothing of it (T8)."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_SHAPES = 4096


class KeyRules:
    """Applies the rules to the attributes of a row; knows, for one file, the keys so far and the shapes that need no change.

    A shape is the names and types of a row's attributes. Elements of lists are looked at only when their shape is new.
    """

    def __init__(self) -> None:
        self._keys = {"hostname", "username"}
        self._shapes: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def apply(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The keys and values to write. Raises RowRefused for a key that must not be written."""
        integers = self._shapes.get((*attributes, *map(type, attributes.values())))
        if integers is None:
            return self._fit(attributes)
        for name in integers:
            if not _SMALLEST <= attributes[name] <= _LARGEST:
                return self._fit(attributes)
        return attributes

    def _fit(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        fitted = dict(fit(name, value) for name, value in attributes.items() if name not in LEFT_OUT)
        for name in fitted.keys() - self._keys:
            self._admit(name)
        if all(fitted.get(name) is value for name, value in attributes.items()):
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            self._shapes[(*attributes, *map(type, attributes.values()))] = tuple(INTEGERS & attributes.keys())
        return fitted

    def _admit(self, name: str) -> None:
        if name in FORBIDDEN or not _NAME.fullmatch(name):
            raise RowRefused(f"the key `{name}` is not for us to write")
        if len(self._keys) + len(OWN_KEYS) >= MAXIMUM_KEYS:
            raise RowRefused(f"the key `{name}` would be one more than {MAXIMUM_KEYS}")
        self._keys.add(name)


def fit(name: str, value: Any) -> tuple[str, Any]:
    """The key and the value of the key's type; the very same value where it fits.

    >>> fit("threat_id", 2147519003), fit("threat_id", "none"), fit("md5", "00"), fit("resources", "a"), fit("tail", [1, {}])
    (('threat_id', 2147519003), ('threat_id_text', 'none'), ('md5_hash', '00'), ('resources', ['a']), ('tail', '[1,{}]'))
    """
    name = RENAMED.get(name, name)
    if name in LISTS:
        values = value if type(value) is list else list(value) if isinstance(value, tuple) else [value]
        return name, values if all(isinstance(item, str) for item in values) else [
            item if isinstance(item, str) else _text(item) for item in values
        ]
    if name in INTEGERS:
        if type(value) is int and _SMALLEST <= value <= _LARGEST:
            return name, value
        name = f"{name}_text"
    return name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value, default=str).decode()

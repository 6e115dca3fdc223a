"""Which attributes may be keys of a Timesketch line, and of which JSON type (T4 to T9).

An index takes a key's type from the first line that has it and refuses lines that differ, so each key has one type for ever: integer or
list of texts where a table below says so, text everywhere else. What does not fit an integer key goes, as text, to `<key>_text`.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from exporter.sinks.timeline import RowRefused
from exporter.text import LONG_MAX, LONG_MIN

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


class KeyRules:
    """Applies the rules to the attributes of rows; knows, for one file, the keys so far."""

    def __init__(self) -> None:
        self._keys = {"hostname", "username"}

    def apply(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The keys and values to write. Raises RowRefused for a key that must not be written."""
        fitted = dict(fit(name, value) for name, value in attributes.items() if name not in LEFT_OUT)
        for name in fitted.keys() - self._keys:
            self._admit(name)
        return fitted

    def admit(self, types: Mapping[str, type]) -> bool:
        """True when attributes with these names and types are written as they are, but for integers beyond 64 bits."""
        if not all(_fits(name, found) for name, found in types.items()):
            return False
        try:
            for name in types.keys() - self._keys:
                self._admit(name)
        except RowRefused:
            return False
        return True

    def _admit(self, name: str) -> None:
        if name in FORBIDDEN or not _NAME.fullmatch(name):
            raise RowRefused(f"the key `{name}` is not for us to write")
        if len(self._keys) + len(OWN_KEYS) >= MAXIMUM_KEYS:
            raise RowRefused(f"the key `{name}` would be one more than {MAXIMUM_KEYS}")
        self._keys.add(name)


def _fits(name: str, found: type) -> bool:
    kept = name not in LEFT_OUT and name not in RENAMED
    return kept and found is (list if name in LISTS else int if name in INTEGERS else str)


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
        if type(value) is int and LONG_MIN <= value <= LONG_MAX:
            return name, value
        name = f"{name}_text"
    return name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value, default=str).decode()

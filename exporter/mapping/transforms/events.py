"""EventData."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import compress
from typing import Any

from exporter.text import clean

ALIASES = ("SourceName", "ThreatName", "ProcessName", "NewValue", "OldValue")
"""Names that the index template gives to fields of other names; a document that writes to an alias is refused (measured)."""

_LONGEST_NAME, _LONGEST_VALUE = 1000, 7000
"""Characters, of at most 4 bytes."""


def event_data(data: Mapping[str, str]) -> dict[str, str]:
    """EventData under Elastic's names: spaces and dots become underscores (E9); empty values are absent (C9).

    >>> event_data({"Threat Name": "x", "Unused": ""})
    {'Threat_Name': 'x'}
    """
    names, values = _ready(data)
    return dict(compress(zip(names.fields, values, strict=True), values))


def unlisted_data(data: Mapping[str, str], listed: Mapping[str, str]) -> dict[str, str] | None:
    """EventData under names that the index has no field for, once more: for a field that takes any name and needs no room for it (E15).

    Names and values are cut to what a term may hold, together 32,766 bytes; `event_data` has them whole.

    >>> unlisted_data({"Threat Name": "x", "Brand new": "y"}, {"Threat_Name": "keyword"})
    {'Brand_new': 'y'}
    """
    names, values = _ready(data)
    places = names.outside(listed)
    if not places:
        return None
    pairs = ((names.fields[place], values[place]) for place in places)
    return {name[:_LONGEST_NAME]: value[:_LONGEST_VALUE] for name, value in pairs if value} or None


class _Names:
    """The names of event data as `fields`, and which of them a table does not list."""

    __slots__ = ("_listed", "_outside", "fields")

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields
        self._listed: Mapping[str, str] | None = None
        self._outside: tuple[int, ...] = ()

    def outside(self, listed: Mapping[str, str]) -> tuple[int, ...]:
        if listed is not self._listed:
            self._outside = tuple(place for place, field in enumerate(self.fields) if field not in listed)
            self._listed = listed
        return self._outside


_latest: tuple[Mapping[str, str], tuple[_Names, tuple[str, ...]]] = ({}, (_Names(()), ()))


def _ready(data: Mapping[str, str]) -> tuple[_Names, tuple[str, ...]]:
    """The names and the values of event data, taken apart once for all transforms of one document, which follow each other."""
    global _latest
    latest, found = _latest
    if latest is not data:
        found = _names((*data,)), (*data.values(),)
        _latest = data, found
    return found


@lru_cache(2048)
def _names(names: tuple[str, ...]) -> _Names:
    return _Names(_field_names(names))


def _field_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Logs repeat few sets of names, so each set is renamed once; names that become equal are numbered.

    A name of white space alone is none: servers refuse it.
    """
    seen = dict.fromkeys(ALIASES, 1)
    result = []
    for name in names:
        field = clean(name.replace(" ", "_").replace(".", "_"))
        field = field if field.strip() else "Data"
        seen[field] = number = seen.get(field, 0) + 1
        result.append(field if number == 1 else f"{field}_{number}")
    return tuple(result)


def parameter_texts(data: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str] | None:
    """What the references to Defender's message file (`%%818`) in EventData say, under the names of `event_data`.

    >>> parameter_texts({"Source Name": "%%818", "Process Name": "x"}, {"%%818": "Real-Time Protection"})
    {'Source_Name': 'Real-Time Protection'}
    """
    if "%%" not in "".join(data.values()):
        return None
    names, values = _ready(data)
    return {name: texts[value] for name, value in zip(names.fields, values, strict=True) if value in texts} or None


def parameter_text(value: str, texts: Mapping[str, str]) -> str:
    """One text, looked up where it is such a reference.

    >>> parameter_text("%%818", {"%%818": "Real-Time Protection"}), parameter_text("x", {})
    ('Real-Time Protection', 'x')
    """
    return texts.get(value, value)


def parameter_details(*arguments: Any) -> str | None:
    """The texts that are there, looked up, as one.

    >>> parameter_details("%%886", None, "1", {"%%886": "Network Inspection System"})
    'Network Inspection System; 1'
    """
    *values, texts = arguments
    return "; ".join(parameter_text(value, texts) for value in values if value) or None


def rule_title(rule_id: str, names: Mapping[str, str]) -> str:
    """A rule's name, or its id where it has none that we know.

    >>> rule_title("D4F940AB", {"D4F940AB": "Block it"}), rule_title("X", {})
    ('Block it', 'X')
    """
    return names.get(rule_id, rule_id)


def for_rule(rule_id: str | None, number: int | None, modes: Mapping[int, str]) -> str | None:
    """The mode that a number sets, where it is set for a rule.

    >>> for_rule("D4F940AB", 1, {1: "block"}), for_rule(None, 1, {1: "block"})
    ('block', None)
    """
    return None if rule_id is None or number is None else modes.get(number)


def failure_message(error_code: int | None, description: str | None) -> str | None:
    """The description of a code that is not success.

    >>> failure_message(0x80070002, "not found"), failure_message(0, "The operation completed successfully.")
    ('not found', None)
    """
    return description if error_code and description else None


def event_strings(data: Mapping[str, str]) -> list[str]:
    """The values in order, as plaso's `strings`."""
    return list(data.values())

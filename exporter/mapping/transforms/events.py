"""EventData."""

from collections.abc import Mapping
from functools import lru_cache

ALIASES = ("SourceName", "ThreatName", "ProcessName", "NewValue", "OldValue")
"""Names that the index template gives to fields of other names; a document that writes to an alias is refused (measured)."""


def event_data(data: Mapping[str, str]) -> dict[str, str]:
    """EventData under Elastic's names: spaces and dots become underscores (E9); empty values are absent (C9).

    >>> event_data({"Threat Name": "x", "Unused": ""})
    {'Threat_Name': 'x'}
    """
    return {key: value for key, value in zip(_field_names(tuple(data)), data.values(), strict=True) if value}


@lru_cache(2048)
def _field_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Logs repeat few sets of names, so each set is renamed once; names that become equal are numbered.

    A name of white space alone is none: servers refuse it.
    """
    seen = dict.fromkeys(ALIASES, 1)
    result = []
    for name in names:
        field = name.replace(" ", "_").replace(".", "_")
        field = field if field.strip() else "Data"
        seen[field] = number = seen.get(field, 0) + 1
        result.append(field if number == 1 else f"{field}_{number}")
    return tuple(result)


def event_strings(data: Mapping[str, str]) -> list[str]:
    """The values in order, as plaso's `strings`."""
    return list(data.values())

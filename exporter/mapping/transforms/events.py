"""EventData."""

from collections.abc import Mapping
from functools import lru_cache


def event_data(data: Mapping[str, str]) -> dict[str, str]:
    """EventData under Elastic's names: spaces and dots become underscores (E9); empty values are absent (C9).

    >>> event_data({"Threat Name": "x", "Unused": ""})
    {'Threat_Name': 'x'}
    """
    return {key: value for key, value in zip(_field_names(tuple(data)), data.values(), strict=True) if value}


@lru_cache(2048)
def _field_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Logs repeat few sets of names, so each set is renamed once; names that become equal are numbered."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        field = name.replace(" ", "_").replace(".", "_") or "Data"
        seen[field] = number = seen.get(field, 0) + 1
        result.append(field if number == 1 else f"{field}_{number}")
    return tuple(result)


def event_strings(data: Mapping[str, str]) -> list[str]:
    """The values in order, as plaso's `strings`."""
    return list(data.values())

"""Several values as one, one value as several."""

from collections.abc import Iterable, Mapping
from typing import Any

_ACTIONS = {1: "Clean", 2: "Quarantine", 3: "Remove", 6: "Allow", 8: "User defined", 9: "No action", 10: "Block"}


def first(*values: Any) -> Any:
    """The first value that is there.

    >>> first(None, "", 3)
    3
    """
    return next((value for value in values if value not in (None, "", ())), None)


def ruleset(*threat: Any) -> str | None:
    """Whose rules a threat is of, where there is one.

    >>> ruleset(None, "Virus:DOS/EICAR_Test_File")
    'Microsoft Defender Antivirus'
    """
    return None if first(*threat) is None else "Microsoft Defender Antivirus"


def collect(*values: Any) -> list[str]:
    """All values and the items of all lists, each once, in order, as text.

    >>> collect("a", None, ("b", "a"))
    ['a', 'b']
    """
    found: dict[str, None] = {}
    for value in values:
        for item in (value,) if isinstance(value, (str, int)) else value or ():
            if item not in (None, ""):
                found[str(item)] = None
    return list(found)


def details(*values: str | None) -> str | None:
    """What is there, as one text.

    >>> details(None, "a", "b")
    'a; b'
    """
    return "; ".join(value for value in values if value) or None


def change(setting: str | None, old: str | None, new: str | None) -> str | None:
    """
    >>> change("x", None, "1")
    'x from [] to [1]'
    """
    return f"{setting or ''} from [{old or ''}] to [{new or ''}]".lstrip() if setting or old or new else None


def joined(values: Iterable[str]) -> str:
    """
    >>> joined(("a", "b"))
    'a, b'
    """
    return ", ".join(values)


def texts(values: Iterable[object]) -> list[str]:
    """
    >>> texts((1, 2))
    ['1', '2']
    """
    return [str(value) for value in values]


def schemas(resources: Iterable[Any]) -> list[str]:
    """`schema:value` of each resource."""
    return [f"{resource.schema}:{resource.value}" for resource in resources]


def resource_values(resources: Iterable[Any]) -> list[str]:
    """`value` of each resource."""
    return [resource.value for resource in resources]


def container_paths(resources: Iterable[Any]) -> list[str]:
    """Values of the `containerfile` resources."""
    return [resource.value for resource in resources if resource.schema == "containerfile"]


def web_paths(resources: Iterable[Any]) -> list[str]:
    """Values of the `webfile` resources."""
    return [resource.value for resource in resources if resource.schema == "webfile"]


def first_action(actions: Iterable[int]) -> str | None:
    """Name of the first action of a DetectionHistory file: the one that was taken in 13 of 13 files with one (formats-quarantine 3.3)."""
    return _ACTIONS.get(next(iter(actions), 0))


def flat_fields(fields: Iterable[Any]) -> dict[str, str]:
    """Unknown fields of a quarantined resource: `id_type` to value."""
    return {f"0x{field.id:02x}_{field.type}": str(field.value) for field in fields}


def named_numbers(numbers: Mapping[str, int]) -> dict[str, str]:
    """
    >>> named_numbers({"unknown_a": 0})
    {'unknown_a': '0'}
    """
    return {key: str(value) for key, value in numbers.items()}

"""What a mapping file says, as typed values."""

from collections.abc import Mapping
from typing import Any

import msgspec

DIGITS = {"seconds": 0, "milliseconds": 3, "microseconds": 6}
"""What `via` may say of a date, and `digits` of a timestamp: how exact the source is (E2); FILETIME's seven digits otherwise."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How one field gets its value: `const`, or attributes (`from`) through an optional value table (`values`) or transform (`via`).

    Where there are both, the transform gets the table after the attributes.
    """

    field: str
    place: str
    const: Any = None
    attributes: tuple[str, ...] = ()
    values: str | None = None
    via: str | None = None


class Time(msgspec.Struct, frozen=True, kw_only=True):
    """One of a record's times in plaso's words; `digits` names the attribute that says how exact it is, or says it (see `DIGITS`)."""

    attribute: str
    description: str
    place: str
    digits: str | None = None


class ValueTable(msgspec.Struct, frozen=True, kw_only=True):
    """Number or text to text (or list); `default` stands for what is not listed (`{}` in it for that value)."""

    name: str
    values: Mapping[Any, Any]
    default: Any = None


class RecordMapping(msgspec.Struct, frozen=True, kw_only=True):
    """One `mappings/records/<kind>.yaml` with the blocks that it uses."""

    kind: str
    place: str
    timestamps: tuple[Time, ...]
    formatter: Mapping[str, Any]
    owned_by_plaso: bool
    message: tuple[str, ...]
    short_message: tuple[str, ...]
    ecs: tuple[Rule, ...]
    attributes: tuple[Rule, ...]
    alert: str | None = None


class MappingSet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything below `mappings/`: per kind, the value tables, and the types of our own fields."""

    records: Mapping[str, RecordMapping]
    values: Mapping[str, ValueTable]
    fields: Mapping[str, str]

"""What `from` may name: an attribute of the payload, or `record.`, `source.`, `integrity.`, `correlation.`, `run.`, `time.` and a name."""

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from exporter.records import Correlation, Integrity, Payload, Record, Source


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for every document of a run."""

    case: str
    version: str
    now: int


class Moment(msgspec.Struct, frozen=True, gc=False):
    """A record's primary time as text, its `basis` (`record`, `source_mtime`, `ingest`) and attribute, the document's id and tags."""

    id: str
    text: str
    basis: str
    tags: tuple[str, ...]
    attribute: str | None = None


NAMESPACES: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "record": ("r", Record),
    "source": ("r.source", Source),
    "integrity": ("r.integrity", Integrity),
    "correlation": ("r.correlation", Correlation),
    "run": ("run", Run),
    "time": ("t", Moment),
}


def expression(reference: str, kind: type[Payload]) -> str:
    """Python for the reference, in terms of the record `r`, its payload `p`, the moment `t` and `run`; raises LookupError."""
    annotation(reference, kind)
    if reference == "payload":
        return "p"
    head, _, rest = reference.partition(".")
    if head == "correlation" and rest:
        return f"(None if r.correlation is None else r.correlation.{rest})"
    if head in NAMESPACES and rest:
        return f"{NAMESPACES[head][0]}.{rest}"
    return f"p.{head}.get({rest!r})" if rest else f"p.{head}"


@cache
def annotation(reference: str, kind: type[Payload]) -> Any:
    """The type that the reference has, without None; raises LookupError when there is no such attribute."""
    if reference == "payload":
        return kind
    head, _, rest = reference.partition(".")
    owner: type = NAMESPACES[head][1] if head in NAMESPACES and rest else kind
    name = rest if owner is not kind else head
    hints = hints_of(owner)
    if name not in hints or name not in owner.__struct_fields__:  # type: ignore[attr-defined]
        raise LookupError(f"{owner.__name__} has no attribute `{name}`")
    found = without_none(hints[name])
    if owner is kind and rest:
        if typing.get_origin(found) is not Mapping:
            raise LookupError(f"`{head}` of {owner.__name__} has no names below it")
        return typing.get_args(found)[1]
    return found


@cache
def hints_of(owner: type) -> dict[str, Any]:
    """The types of a class's attributes."""
    return typing.get_type_hints(owner)


def without_none(hint: Any) -> Any:
    """`X` for `X | None`."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        kept = [item for item in typing.get_args(hint) if item is not type(None)]
        return kept[0] if len(kept) == 1 else hint
    return hint


def resolve(reference: str, record: Record, moment: Moment, run: Run) -> Any:
    """The value of a reference: what the generated code does, one step at a time (for `explain`)."""
    head, _, rest = reference.partition(".")
    if reference == "payload":
        return record.payload
    places: dict[str, Any] = {
        "record": record, "source": record.source, "integrity": record.integrity,
        "correlation": record.correlation, "run": run, "time": moment,
    }  # fmt: skip
    if head in places and rest:
        return None if places[head] is None else getattr(places[head], rest)
    value = getattr(record.payload, head)
    return value.get(rest) if rest else value

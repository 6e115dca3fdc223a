"""Hypothesis strategies for records of every kind: each attribute by its annotation, hostile values included."""

import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st

from exporter.kinds import KINDS
from exporter.mapping.references import without_none
from exporter.records import Correlation, Integrity, Payload, Record, Source, Verdict

TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(codec=None, categories=None), max_size=8),
    st.sampled_from(["\0", "\ud800", "a\r\nb", "=cmd()", "\x1b[31m", "C:\\x\\y.exe", "LAB\\ana", "Unknown", '"', "%s{}%", "a;b, c"]),
)
INTEGERS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 130),
    st.integers(1000, 1200),
    st.integers(133_000_000_000_000_000, 133_900_000_000_000_000),
    st.sampled_from([0, 2**63, 2**64 - 1]),
)
_CLOSED = {"created_digits": st.sampled_from([6, 7]), "outcome": st.sampled_from(["success", "failure", "unknown"])}


@cache
def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation."""
    plain = without_none(hint)
    if plain is not hint:
        return st.none() | values(plain)
    if hint is int:
        return INTEGERS
    if hint is str:
        return TEXTS
    if hint is bool:
        return st.booleans()
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXTS, values(arguments[1]), max_size=4)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return structs(hint)
    return st.one_of([values(argument) for argument in arguments])


@cache
def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Instances of a Struct."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: values(hints[name]) for name in kind.__struct_fields__})


@cache
def payloads(kind: type[Payload]) -> st.SearchStrategy[Any]:
    """Payloads of a kind; attributes with a closed list of values keep to it."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: _CLOSED[name] if name in _CLOSED else values(hints[name]) for name in kind.__struct_fields__})


@st.composite
def records(draw: st.DrawFn, kind: type[Payload] | None = None) -> Record:
    """Records with every origin."""
    chosen = kind or draw(st.sampled_from(list(KINDS.values())))
    return Record(
        payload=draw(payloads(chosen)),
        host=draw(st.sampled_from(["WS-01", "srv.example.test", "名前"])),
        source=Source("C/x.log", "case", 10, draw(st.none() | INTEGERS)),
        collector="mplog",
        key=("x", str(draw(st.integers(0, 10**9)))),
        hash="ab" * 32,
        offset=draw(st.none() | st.integers(0, 2**40)),
        integrity=Integrity(draw(st.sampled_from(list(Verdict))), "check"),
        incomplete=draw(st.none() | TEXTS),
        correlation=draw(st.none() | st.builds(Correlation, st.just("c" * 40), st.integers(1, 4), st.just("detection"))),
    )

"""Python expressions of the pieces of a document, as the generated code joins them.

A piece is a constant (`b'…'`) or the name of a variable: `u…` holds a text, all others bytes; `w…` and `k…` are text and bytes of what is
the record's own.
"""

import ast
import typing
from collections.abc import Iterator
from enum import Enum
from functools import cache
from itertools import groupby
from types import UnionType
from typing import Any

import msgspec

from exporter.mapping.schema import Rule


def usable_field(variable: str, value: str, condition: str, template: str, raw_name: str) -> list[str]:
    """Statements for a number or a time; one that is not usable goes to `raw`."""
    return [
        f"    v = {value}",
        f"    if v is None: {variable} = ''",
        f"    elif {condition}: {variable} = f{template!r}",
        f"    else: {variable}, raw[{raw_name!r}] = '', str(v)",
    ]


def taken_apart(pieces: list[str]) -> tuple[list[str], str]:
    """What stands around the pieces that are a record's own, each joined, and the expression of the whole with these as `a0`, `a1` …"""
    found: list[str] = []
    whole = []
    for own, group in groupby(pieces, is_own):
        if own:
            whole += [f"{text([*part])}.encode()" if is_text else ", ".join(part) for is_text, part in groupby(group, _is_text)]
        else:
            whole.append(f"a{len(found)}")
            found.append(joined([*group]))
    return found, f"b''.join(({', '.join(whole)},))"


def is_own(piece: str) -> bool:
    """True for a piece of what is the record's own."""
    return piece[0] in "wk"


def _is_text(piece: str) -> bool:
    return sort_of(piece) != ""


def rules_of(node: dict[str, Any]) -> Iterator[Rule]:
    """All rules of a tree of fields."""
    for child in node.values():
        if isinstance(child, Rule):
            yield child
        else:
            yield from rules_of(child)


def joined(pieces: list[str]) -> str:
    """One bytes expression; texts and constants that stand together become one piece."""
    made: list[str] = []
    for is_text, group in groupby(pieces, _is_text):
        together = list(group)
        if "text" in map(sort_of, together):
            made.append(f"{text(together)}.encode()")
        else:
            made += [" ".join(together)] if is_text else together
    return made[0] if len(made) == 1 else f"b''.join(({', '.join(made)},))"


def text(pieces: list[str]) -> str:
    """One text expression of texts and constants."""
    if len(pieces) == 1 and sort_of(pieces[0]) == "text":
        return pieces[0]
    return "f'" + "".join(f"{{{piece}}}" if sort_of(piece) == "text" else literal(piece) for piece in pieces) + "'"


def literal(constant: str) -> str:
    """A constant as it stands in an f-string between single quotes."""
    value: str = ast.literal_eval(constant).decode()
    return repr('"' + value)[2:-1].replace("{", "{{").replace("}", "}}")


def sort_of(piece: str) -> str:
    """`text`, `constant`, or nothing for other bytes."""
    return "text" if piece[0] in "uw" else "constant" if piece.startswith(("b'", 'b"')) else ""


@cache
def is_hashable(hint: Any) -> bool:
    """True for a type whose values may be keys."""
    origin = typing.get_origin(hint)
    if origin in (tuple, typing.Union, UnionType):
        return all(item is Ellipsis or item is type(None) or is_hashable(item) for item in typing.get_args(hint))
    if not isinstance(hint, type):
        return False
    if issubclass(hint, msgspec.Struct):
        return hint.__struct_config__.frozen and all(map(is_hashable, typing.get_type_hints(hint).values()))
    return issubclass(hint, (str, int, float, Enum))

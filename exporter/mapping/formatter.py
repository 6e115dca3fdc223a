"""plaso's `conditional` event formatter, re-implemented: one definition becomes functions from attributes to text.

The language (plaso 20260720, from its documentation and its behavior; the differential test renders both):

    message         pieces joined by `separator` (default: one space); a piece whose attribute is absent or None is left out
    short_message   the same; `['']` means the pieces of `message`
    boolean_helpers, enumeration_helpers, flags_helpers
                    in this order, each writes one attribute from another before the pieces are rendered

CR and LF vanish from the result; commas and other controls stay (they are the business of plaso's output modules). The short message is cut
by plaso's formatter, not by its output modules: over 80 characters it becomes the first 77 and `...`. So it is here.
Values print as `str.format` prints them, a list of strings therefore as `['a', 'b']`; a tuple prints as a list, since plaso's storage
knows lists only. A format that does not fit the value (`{x:04x}` of a text) raises ValueError or TypeError, as in plaso.
"""

import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, TypeAlias

from exporter.mapping.formatter_check import HELPERS, KEYS, check, structure

__all__ = ["Formatter", "check", "compile_formatter", "export_yaml"]

Render: TypeAlias = Callable[[Mapping[str, object]], str]
_Helper: TypeAlias = Callable[[dict[str, object]], None]
_SHORT = 80


class Formatter:
    """A compiled definition: `message(attributes)` and `short_message(attributes)` give an event's texts.

    `used` names the attributes that the message depends on, helpers' inputs included. `shared` names those that many events have in common:
    with `bind` what depends on these alone is rendered once.
    """

    __slots__ = ("_long", "_short", "data_type", "message", "short_source", "source", "used")

    def __init__(self, definition: Mapping[str, Any], shared: frozenset[str] = frozenset()) -> None:
        long, short = definition["message"], definition["short_message"]
        self.data_type: str = definition["data_type"].lower()
        self.short_source: str = definition["short_source"]
        self.source: str = definition["source"]
        self._long = _Template(definition, long, shared)
        self.message: Render = self._long.render
        self._short = self._long if list(short) == [""] else _Template(definition, short, shared)
        inputs = {item["input_attribute"] for key in HELPERS for item in definition.get(key) or ()}
        self.used: frozenset[str] = frozenset(filter(None, map(_name, long))) | inputs

    def short_message(self, attributes: Mapping[str, object]) -> str:
        """The short one, at most 80 characters."""
        return _cut(self._short.render(attributes))

    def bind(self, shared: Mapping[str, object]) -> "Bound":
        """The texts of events that have these values of shared attributes."""
        message, begin = self._long.bind(shared), self._short.begin(shared)
        if len(begin) > _SHORT:
            return Bound(message, _cut(begin), None)
        return Bound(message, None, None if self._short is self._long else self._short.bind(shared))


class Bound:
    """`message(own)` gives a message from the attributes that are not shared, `texts(own)` the short one too."""

    __slots__ = ("_begin", "_short", "message")

    def __init__(self, message: Render, begin: str | None, short: Render | None) -> None:
        self.message = message
        self._begin = begin
        self._short = short

    def texts(self, own: Mapping[str, object]) -> tuple[str, str]:
        """Message and short message: what is beyond its end is not rendered, and nothing is rendered twice."""
        message = self.message(own)
        return message, self._begin or _cut(message if self._short is None else self._short(own))


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def compile_formatter(definition: Mapping[str, Any], shared: frozenset[str] = frozenset()) -> Formatter:
    """Compile a definition; raises ValueError naming what is wrong with it (data types are not judged, see `check`)."""
    if problems := structure(definition):
        raise ValueError("; ".join(problems))
    return Formatter(definition, shared)


def export_yaml(definitions: Iterable[Mapping[str, Any]]) -> str:
    """The definitions as a stream that psort loads (`--custom_formatter_definitions`); raises ValueError for one that `check` refuses."""
    import yaml

    documents = []
    for definition in definitions:
        if problems := check(definition):
            raise ValueError("; ".join(problems))
        documents.append({key: _plain(definition[key]) for key in KEYS if key in definition})
    return yaml.safe_dump_all(documents, explicit_start=True, sort_keys=False, allow_unicode=True, width=140)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


class _Template:
    """The pieces of a message as generated functions: twice as fast as a loop over pieces, and every document and row needs its texts.

    `fixed` gives a list of texts for each run of pieces that are made of shared attributes, `row` takes these and the attributes.
    """

    __slots__ = ("_fixed", "_helpers", "_leads", "_row", "_separator", "render")

    def __init__(self, definition: Mapping[str, Any], pieces: Sequence[str], shared: frozenset[str]) -> None:
        self._helpers = [make(item) for key, make in _MAKERS.items() for item in definition.get(key) or ()]
        self._separator = definition.get("separator", " ")
        shared = frozenset() if self._helpers else shared
        self._leads = bool(pieces) and _name(pieces[0]) in shared
        fixed, row, runs = list[str](), list[str](), list[str]()
        for is_shared, group in groupby(pieces, lambda piece: _name(piece) in shared):
            statements = [line for piece in group for line in _statements(piece)]
            if is_shared:
                runs.append(f"f{len(runs)}, ")
                fixed += ["    parts = []", "    add = parts.append", *statements, "    yield parts"]
                statements = [f"    parts += {runs[-1][:-2]}"]
            row += statements
        scope = self._compiled(fixed, row, "".join(runs))
        self._fixed, self._row = scope["fixed"], scope["row"]
        self.render: Render = (lambda attributes: self.bind(attributes)(attributes)) if runs else self._row

    def _compiled(self, fixed: list[str], row: list[str], runs: str) -> dict[str, Any]:
        lines = ["def fixed(a):", "    get = a.get", *fixed, "    yield from ()", f"def row({runs}a):"]
        if self._helpers:
            lines += ["    a = dict(a)", "    for helper in helpers: helper(a)"]
        lines += ["    get = a.get", "    parts = []", "    add = parts.append", *row]
        lines += ["    return separator.join(parts).replace('\\r', '').replace('\\n', '')"]
        scope: dict[str, Any] = {"helpers": self._helpers, "separator": self._separator}
        exec("\n".join(lines), scope)  # noqa: S102 (names and formats have passed `structure`, all other text stands in literals)
        return scope

    def bind(self, shared: Mapping[str, object]) -> Render:
        """The text as a function of the attributes that are not shared."""
        if self._helpers:
            return lambda own: self._row({**shared, **own})
        return partial(self._row, *self._fixed(shared))

    def begin(self, shared: Mapping[str, object]) -> str:
        """What every text with these shared attributes begins with."""
        return self._separator.join(next(self._fixed(shared))).replace("\r", "").replace("\n", "") if self._leads else ""


def _statements(piece: str) -> Iterator[str]:
    name = _name(piece)
    if not name:
        yield f"    add({piece.format()!r})"
        return
    template = ""
    for literal, field, spec, conversion in string.Formatter().parse(piece):
        template += literal.replace("{", "{{").replace("}", "}}")
        if field is not None:
            template += "{v" + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
    yield f"    v = get({name!r})"
    yield "    if v is not None:"
    yield "        if v.__class__ is tuple: v = list(v)"
    yield f"        add(f{template!r})"


def _name(piece: str) -> str | None:
    return next((field for _, field, _, _ in string.Formatter().parse(piece) if field is not None), None)


def _boolean(item: Mapping[str, Any]) -> _Helper:
    source, target, true, false = item["input_attribute"], item["output_attribute"], item.get("value_if_true"), item.get("value_if_false")

    def apply(attributes: dict[str, object]) -> None:
        attributes[target] = true if attributes.get(source) else false

    return apply


def _enumeration(item: Mapping[str, Any]) -> _Helper:
    source, target, values, default = item["input_attribute"], item["output_attribute"], item["values"], item.get("default_value")

    def apply(attributes: dict[str, object]) -> None:
        if (value := attributes.get(source)) is not None:
            attributes[target] = values.get(value, value if default is None else default)

    return apply


def _flags(item: Mapping[str, Any]) -> _Helper:
    source, target, values = item["input_attribute"], item["output_attribute"], item["values"]

    def apply(attributes: dict[str, Any]) -> None:
        if (value := attributes.get(source)) is not None:
            attributes[target] = ", ".join([text for flag, text in values.items() if flag & value])

    return apply


_MAKERS: dict[str, Callable[[Mapping[str, Any]], _Helper]] = {
    "boolean_helpers": _boolean,
    "enumeration_helpers": _enumeration,
    "flags_helpers": _flags,
}

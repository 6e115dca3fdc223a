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
from typing import Any, TypeAlias

from exporter.mapping.formatter_check import HELPERS, KEYS, check, structure

__all__ = ["Formatter", "check", "compile_formatter", "export_yaml"]

Render: TypeAlias = Callable[[Mapping[str, object]], str]
_Helper: TypeAlias = Callable[[dict[str, object]], None]


class Formatter:
    """A compiled definition: `message(attributes)` and `short_message(attributes)` give an event's texts.

    `used` names the attributes that the message depends on, helpers' inputs included.
    """

    __slots__ = ("_same", "data_type", "message", "short_message", "short_source", "source", "used")

    def __init__(self, definition: Mapping[str, Any]) -> None:
        long, short = definition["message"], definition["short_message"]
        self.data_type: str = definition["data_type"].lower()
        self.short_source: str = definition["short_source"]
        self.source: str = definition["source"]
        self.message: Render = _render(definition, long, "text")
        self.short_message: Render = _render(
            definition, long if list(short) == [""] else short, "text if len(text) <= 80 else text[:77] + '...'"
        )
        self._same = list(short) == [""]
        inputs = {item["input_attribute"] for key in HELPERS for item in definition.get(key) or ()}
        self.used: frozenset[str] = frozenset(filter(None, map(_name, long))) | inputs

    def texts(self, attributes: Mapping[str, object]) -> tuple[str, str]:
        """Message and short message; where both have the same pieces, these are rendered once."""
        message = self.message(attributes)
        if self._same:
            return message, message if len(message) <= 80 else message[:77] + "..."
        return message, self.short_message(attributes)


def compile_formatter(definition: Mapping[str, Any]) -> Formatter:
    """Compile a definition; raises ValueError naming what is wrong with it (data types are not judged, see `check`)."""
    if problems := structure(definition):
        raise ValueError("; ".join(problems))
    return Formatter(definition)


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


def _render(definition: Mapping[str, Any], pieces: Sequence[str], result: str) -> Render:
    """Generate the function: twice as fast as a loop over pieces, and every document and row needs its texts."""
    helpers = [make(item) for key, make in _MAKERS.items() for item in definition.get(key) or ()]
    lines = ["def render(a):"]
    if helpers:
        lines += ["    a = dict(a)", "    for helper in helpers: helper(a)"]
    lines += ["    get = a.get", "    parts = []", "    add = parts.append"]
    for piece in pieces:
        lines += _statements(piece)
    lines += ["    text = separator.join(parts).replace('\\r', '').replace('\\n', '')", f"    return {result}"]
    scope: dict[str, Any] = {"helpers": helpers, "separator": definition.get("separator", " ")}
    exec("\n".join(lines), scope)  # noqa: S102 (names and formats have passed `structure`, all other text stands in literals)
    render: Render = scope["render"]
    return render


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

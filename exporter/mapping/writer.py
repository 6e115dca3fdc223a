"""Generates the function that writes a kind's documents as JSON text.

What may differ in every record (ids, hashes, times, what happened) is written field by field. What lies between are runs of fields that
repeat from record to record: the JSON of each is made by a function of its own and kept for each set of attributes (`fragments.Kept`).
Runs that change together are kept together: those of the log, of the thread that wrote the event, of the incident. So they cost a look-up
each instead of one statement for each field.
"""

import ast
import typing
from collections.abc import Iterator
from enum import Enum
from itertools import groupby, takewhile
from types import UnionType
from typing import Any, Protocol

import msgspec
import orjson

from exporter.mapping.fragments import fields_json
from exporter.mapping.references import annotation, expression
from exporter.mapping.schema import Rule
from exporter.records import Payload
from exporter.text import LONG_MAX, LONG_MIN
from exporter.times import UNIX_EPOCH, USABLE_END

_GROUPS: dict[str, frozenset[str]] = {
    "log": frozenset(
        (
            *("record.host", "record.collector", "record.incomplete", "time.tags", "time.basis", "integrity.verdict", "integrity.check"),
            *("source.path", "source.evidence", "source.volume", "source.snapshot", "engine", "origin", "channel", "provider_name"),
            *("provider_guid", "event_id", "computer", "level", "opcode", "task", "version", "keywords", "user_sid"),
        )
    ),
    "thread": frozenset(("activity_id", "process_id", "thread_id")),
    "incident": frozenset(("correlation.incident_id", "correlation.tier", "correlation.key", "correlation.others")),
}
"""Attributes that change together: what the records of a log, or of one event id in it, have in common, and so on."""
_PLAIN = frozenset(("record.hash", "time.id", "time.text"))
_DATES = ("date", "date_nanos")
NUMBERS = frozenset(("long", "integer", "short", "float", "double", "scaled_float", "boolean"))
_DATA = ("event_data", "parameter_texts", "unlisted_data")
"""Transforms of all event data."""
_Node: typing.TypeAlias = dict[str, Any]


class Statements(Protocol):
    """What the compiler knows of rules."""

    fields: Any

    def is_constant(self, rule: Rule) -> bool: ...
    def constant(self, rule: Rule) -> Any: ...
    def build(self, node: _Node, kind: type[Payload], name: str) -> Iterator[str]: ...
    def value(self, rule: Rule, kind: type[Payload]) -> str: ...
    def digits(self, rule: Rule, kind: type[Payload]) -> str: ...


class DocumentWriter:
    """`document` gives the source; `kept` names for each group of runs their functions, and whether one comes first in its object."""

    def __init__(self, compiler: Statements, kind: type[Payload]) -> None:
        self._compiler = compiler
        self._kind = kind
        self._functions: list[str] = []
        self._lines: list[str] = []
        self._names = 0
        self._groups: dict[str, list[tuple[str, list[str]]]] = {}
        self.kept: dict[str, list[tuple[str, bool]]] = {}

    def document(self, opening: bytes, tree: _Node, message_rules: list[Rule]) -> list[str]:
        """`document(r, p, t)`: `opening` is the JSON of constant fields or empty, `tree` all other rules, `message_fields` the message."""
        event = tree.pop("event")
        pieces = self._pieces(tree, first=False)
        pieces.append(self._run("message_fields", message_rules, first=False))
        pieces += self._child("event", event, first=False)
        joined = _joined([repr(opening), *pieces, repr(b"}")])
        end = [f"    found = {joined}"] if opening else [f"    found = b'{{' + {joined}[1:]"]
        end += ["    return with_raw(found, raw) if raw else found"]
        body = ["    raw = {}", *self._look_ups(), *self._data_text(tree), *self._lines, *end]
        return [*self._functions, *self._log_pieces(), "def document(r, p, t, log=None):", *body]

    def _log_pieces(self) -> Iterator[str]:
        """`log_pieces(r, p, t)`: what `document` need not look up for another record of the same log; None where it has to."""
        yield "def log_pieces(r, p, t):"
        if "log" in self._groups:
            yield f"    k, raw = ({self._key('log')}), {{}}"
            yield "    found = known_log(k) or learn_log(k, r, p, t, raw)"
            yield "    if not raw: return found"

    def _key(self, group: str) -> str:
        attributes = dict.fromkeys(attribute for _, names in self._groups[group] for attribute in names)
        return "r.correlation, " if group == "incident" else "".join(f"{expression(name, self._kind)}, " for name in attributes)

    def _data_text(self, tree: _Node) -> Iterator[str]:
        """`x`: all of `data` in one text, by which its rules see at once what there is to do."""
        if any(rule.via in _DATA for rule in _rules(tree)):
            yield "    x = ''.join(p.data.values())"

    def _look_ups(self) -> Iterator[str]:
        for group, runs in self._groups.items():
            yield f"    found = {'log or ' if group == 'log' else ''}known_{group}(k := ({self._key(group)}))"
            yield f"    if found is None: found = learn_{group}(k, r, p, t, raw)"
            yield f"    {''.join(f'{variable}, ' for variable, _ in runs)}= found"

    def _pieces(self, node: _Node, *, first: bool) -> list[str]:
        """Expressions of the pieces of an object's inside: `b…` and calls are bytes, names that begin with `u` are texts."""
        compiler = self._compiler
        constant = {key: child for key, child in node.items() if isinstance(child, Rule) and compiler.is_constant(child)}
        pieces: list[str] = []
        run: _Node = constant
        for key, child in node.items():
            if key in constant:
                continue
            if (group := self._group(child)) and (not run or group == self._group(run) or run.keys() <= constant.keys()):
                run[key] = child
                continue
            pieces += self._repeating(run, first=first and not pieces)
            run = {key: child} if group else {}
            if not group:
                pieces += self._child(key, child, first=first and not pieces)
        return pieces + self._repeating(run, first=first and not pieces)

    def _child(self, key: str, child: Any, *, first: bool) -> list[str]:
        if isinstance(child, Rule):
            return [self._single(key, child)]
        comma = b"" if first else b","
        opening = comma + orjson.dumps(key) + b":{"
        if self._certain(child):
            return [repr(opening), *self._pieces(child, first=True), repr(b"}")]
        pieces = self._pieces(child, first=False)
        if all(map(_sort, pieces)):
            name, inside = self._name("u"), _text(pieces)
            self._lines += [f"    {name} = {inside}", f"    if {name}: {name} = f'{_literal(repr(opening))}{{{name}[1:]}}}}}}'"]
            return [name]
        name = self._name("o")
        self._lines += [f"    {name} = {_joined(pieces)}", f"    if {name}: {name} = {opening!r} + {name}[1:] + b'}}'"]
        return [name]

    def _certain(self, node: Any) -> bool:
        """True where the first piece of an object is never empty: constants come first, else the run that its first rule begins."""
        if isinstance(node, Rule):
            return self._compiler.is_constant(node)
        children = list(node.values())
        if any(map(self._is_constant, children)):
            return True
        if not isinstance(children[0], Rule):
            return self._certain(children[0])
        group = self._group(children[0])
        run = takewhile(lambda child: isinstance(child, Rule) and self._group(child) == group, children)
        return bool(group) and any(map(self._always, run))

    def _always(self, rule: Rule) -> bool:
        """True for the text of a number that no payload of the kind lacks."""
        return rule.via == "text" and typing.get_type_hints(self._kind).get(rule.attributes[0]) is int

    def _is_constant(self, child: Any) -> bool:
        return isinstance(child, Rule) and self._compiler.is_constant(child)

    def _group(self, child: Any) -> str:
        """The group of attributes that a rule, or all rules of an object, depend on; empty for what is written by itself."""
        rules = [rule for rule in (_rules(child) if isinstance(child, dict) else (child,)) if not self._is_constant(rule)]
        if not all(self._compiler.fields[rule.field].type not in _DATES and self._can_be_kept([rule]) for rule in rules):
            return ""
        return self._name_group(rules)

    def _name_group(self, rules: list[Rule]) -> str:
        names = {name for rule in rules for name in rule.attributes}
        return next((group for group, attributes in _GROUPS.items() if names <= attributes), "")

    def _can_be_kept(self, rules: list[Rule]) -> bool:
        return all(_hashable(annotation(name, self._kind)) for rule in rules for name in rule.attributes)

    def _repeating(self, run: _Node, *, first: bool) -> list[str]:
        if not run:
            return []
        rules = list(_rules(run))
        if all(map(self._is_constant, rules)):
            fragment = fields_json(self._constants(run))
            return [repr(fragment[1:] if first else fragment)]
        name = self._name("run")
        self._functions += [f"def {name}(r, p, t, raw):", *self._compiler.build(run, self._kind, "doc"), "    return doc"]
        return [self._run(name, [rule for rule in rules if not self._is_constant(rule)], first=first)]

    def _constants(self, node: _Node) -> dict[str, Any]:
        return {key: self._compiler.constant(child) if isinstance(child, Rule) else self._constants(child) for key, child in node.items()}

    def _run(self, function: str, rules: list[Rule], *, first: bool) -> str:
        """The variable that holds what `function` gives for these rules."""
        name = self._name("f")
        if not self._can_be_kept(rules):
            self._lines.append(f"    {name} = fields_json({function}(r, p, t, raw)){'[1:]' if first else ''}")
            return name
        group = self._name_group(rules) or "message"
        self.kept.setdefault(group, []).append((function, first))
        self._groups.setdefault(group, []).append((name, [attribute for rule in rules for attribute in rule.attributes]))
        return name

    def _single(self, key: str, rule: Rule) -> str:
        """The variable that holds `,"key":value`, or nothing."""
        compiler, reference = self._compiler, rule.attributes[0]
        field, value = compiler.fields[rule.field], compiler.value(rule, self._kind)
        name = orjson.dumps(key).decode()
        if field.type in _DATES and not reference.startswith("time."):
            digits = compiler.digits(rule, self._kind)
            return self._text(value, f"{UNIX_EPOCH} <= v < {USABLE_END}", f',{name}:"{{iso(v, {digits})}}"', reference)
        if field.type == "long":
            return self._text(value, f"{LONG_MIN} <= v <= {LONG_MAX}", f",{name}:{{v}}", key)
        if self._is_plain(rule) and not field.array:
            variable, template = self._name("u"), f',{name}:"{{v}}"'
            self._lines += [f"    v = {value}", f"    {variable} = f{template!r} if v else ''"]
            return variable
        if rule.via in _DATA:
            variable, value = self._name("b"), f"{value} if '%%' in x else None" if rule.via == "parameter_texts" else value
            call = f"event_data_json({key!r}, v, x)" if rule.via == "event_data" else f"fields_json({{{key!r}: v}})"
            self._lines += [f"    v = {value}", f"    {variable} = {call} if v else b''"]
            return variable
        variable, there = self._name("u"), "v is not None" if field.type in NUMBERS else "v"
        call = f"fields_json({{{key!r}: [v] if v.__class__ is str else v}}).decode()" if field.array else f"field_text({key!r}, v)"
        self._lines += [f"    v = {value}", f"    {variable} = {call} if {there} else ''"]
        return variable

    def _is_plain(self, rule: Rule) -> bool:
        """True for texts of characters that JSON does not escape: those that we made ourselves, and numbers."""
        reference = rule.attributes[0]
        if rule.via == "text":
            return len(rule.attributes) == 1 and annotation(reference, self._kind) is int
        return reference in _PLAIN and not rule.via and not rule.values

    def _text(self, value: str, condition: str, template: str, raw_name: str) -> str:
        """A number or a time; one that is not usable goes to `raw`."""
        variable = self._name("u")
        self._lines += [
            f"    v = {value}",
            f"    if v is None: {variable} = ''",
            f"    elif {condition}: {variable} = f{template!r}",
            f"    else: {variable}, raw[{raw_name!r}] = '', str(v)",
        ]
        return variable

    def _name(self, letter: str) -> str:
        self._names += 1
        return f"{letter}{self._names}"


def _rules(node: _Node) -> Iterator[Rule]:
    for child in node.values():
        if isinstance(child, Rule):
            yield child
        else:
            yield from _rules(child)


def _joined(pieces: list[str]) -> str:
    """One bytes expression; texts and constants that stand together become one piece."""
    made = []
    for is_text, group in groupby(pieces, lambda piece: bool(_sort(piece))):
        together = list(group)
        if "text" in map(_sort, together):
            made.append(f"{_text(together)}.encode()")
        else:
            made.append(" ".join(together) if is_text else ", ".join(together))
    return f"b''.join(({', '.join(made)},))"


def _text(pieces: list[str]) -> str:
    """One text expression of texts and constants."""
    return "f'" + "".join(f"{{{piece}}}" if _sort(piece) == "text" else _literal(piece) for piece in pieces) + "'"


def _literal(constant: str) -> str:
    """A constant as it stands in an f-string between single quotes."""
    text: str = ast.literal_eval(constant).decode()
    return repr('"' + text)[2:-1].replace("{", "{{").replace("}", "}}")


def _sort(piece: str) -> str:
    return "text" if piece.startswith("u") else "constant" if piece.startswith(("b'", 'b"')) else ""


def _hashable(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (tuple, typing.Union, UnionType):
        return all(item is Ellipsis or item is type(None) or _hashable(item) for item in typing.get_args(hint))
    if not isinstance(hint, type):
        return False
    if issubclass(hint, msgspec.Struct):
        return hint.__struct_config__.frozen and all(map(_hashable, typing.get_type_hints(hint).values()))
    return issubclass(hint, (str, int, float, Enum))

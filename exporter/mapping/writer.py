"""Generates the function that writes a kind's documents as JSON text.

What may differ in every record (ids, hashes, times, what happened) is written field by field. What lies between are runs of fields that
repeat from record to record: the JSON of each is made by a function of its own and kept for each set of attributes (`fragments.Kept`).
Runs that change together are kept together: those of the log, of the thread that wrote the event, of the incident. So they cost a look-up
each instead of one statement for each field.

Where nothing forbids it, the function is two: `around` writes what is not the record's own, and `document` puts in the rest. A record of
the same log that says the same as another needs but the second.
"""

import typing
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Protocol

import orjson

from exporter.mapping.fragments import fields_json
from exporter.mapping.pieces import is_hashable, is_own, joined, literal, rules_of, sort_of, taken_apart, text, usable_field
from exporter.mapping.references import annotation, expression, hints_of
from exporter.mapping.schema import Rule
from exporter.records import Payload
from exporter.text import LONG_MAX, LONG_MIN
from exporter.times import UNIX_EPOCH, USABLE_END

_OWN = frozenset(
    (
        *("record.hash", "record.offset", "record.number", "time.id", "time.text", "record_id", "created_at", "created_digits"),
        *("written_at", "activity_id", "process_id", "thread_id"),
    )
)
"""What two records of a log differ in whose System and Data say the same."""
_GROUPS: dict[str, frozenset[str]] = {
    "log": frozenset(
        (
            *("record.host", "record.collector", "record.incomplete", "time.tags", "time.basis", "integrity.verdict", "integrity.check"),
            *("source.path", "source.evidence", "source.volume", "source.snapshot", "engine", "origin", "channel", "provider_name"),
            *("provider_guid", "event_id", "computer", "level", "opcode", "task", "version", "keywords", "user_sid"),
        )
    ),
    "thread": frozenset(("activity_id", "process_id", "thread_id")),
    "account": frozenset(("user", "user_sid")),
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
        self._own_lines: list[str] = []
        self._apart = True
        self._names = 0
        self._groups: dict[str, list[tuple[str, list[str]]]] = {}
        self.kept: dict[str, list[tuple[str, bool]]] = {}

    def document(self, opening: bytes, tree: _Node, message_rules: list[Rule]) -> list[str]:
        """`document(r, p, t)`: `opening` is the JSON of constant fields or empty, `tree` all other rules, `message_fields` the message."""
        event = tree.pop("event")
        pieces = [repr(opening), *self._pieces(tree, first=False)]
        pieces.append(self._run("message_fields", message_rules, first=False))
        pieces += [*self._child("event", event, first=False), repr(b"}")]
        around = [*self._look_ups(own=False), *self._data_text(tree), *self._lines]
        own = [*self._look_ups(own=True), *self._own_lines]
        last = [*([] if opening else ["    found = b'{' + found[1:]"]), "    return with_raw(found, raw) if raw else found"]
        document = ["def document(r, p, t, log=None, known=None):", "    raw = {}"]
        if self._apart:
            found, whole = taken_apart(pieces)
            names = "".join(f"a{number}, " for number in range(len(found)))
            around = ["def around(r, p, t, raw, log=None):", *around, f"    return ({''.join(f'{piece}, ' for piece in found)})"]
            document += [f"    {names}= known or around(r, p, t, raw, log)", *own, f"    found = {whole}", *last]
        else:
            document += [*around, *own, f"    found = {joined(pieces)}", *last]
            around = ["around = None"]
        return [*self._functions, *self._log_pieces(), *around, *document]

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
        if any(rule.via in _DATA for rule in rules_of(tree)):
            yield "    x = ''.join(p.data.values())"

    def _look_ups(self, *, own: bool) -> Iterator[str]:
        for group, runs in self._groups.items():
            if own is not is_own(runs[0][0]):
                continue
            yield f"    found = {'log or ' if group == 'log' else ''}known_{group}(k := ({self._key(group)}))"
            yield f"    if found is None: found = learn_{group}(k, r, p, t, raw)"
            yield f"    {''.join(f'{variable}, ' for variable, _ in runs)}= found"

    def _pieces(self, node: _Node, *, first: bool) -> list[str]:
        """Expressions of the pieces of an object's inside: `b…` and calls are bytes, names that begin with `u` are texts.

        `k…` and `w…` are the same of what is a record's own.
        """
        compiler = self._compiler
        constant = {key: child for key, child in node.items() if isinstance(child, Rule) and compiler.is_constant(child)}
        pieces: list[str] = []
        run: _Node = dict(constant)
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
        own = any(map(is_own, pieces))
        if own and not all(is_own(piece) or sort_of(piece) == "constant" for piece in pieces):
            self._apart = False
        lines = self._own_lines if own else self._lines
        if all(map(sort_of, pieces)):
            name, inside = self._name("w" if own else "u"), text(pieces)
            lines += [f"    {name} = {inside}", f"    if {name}: {name} = f'{literal(repr(opening))}{{{name}[1:]}}}}}}'"]
            return [name]
        name = self._name("k" if own else "o")
        lines += [f"    {name} = {joined(pieces)}", f"    if {name}: {name} = {opening!r} + {name}[1:] + b'}}'"]
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
        return rule.via == "text" and hints_of(self._kind).get(rule.attributes[0]) is int

    def _is_constant(self, child: Any) -> bool:
        return isinstance(child, Rule) and self._compiler.is_constant(child)

    def _group(self, child: Any) -> str:
        """The group of attributes that a rule, or all rules of an object, depend on; empty for what is written by itself."""
        rules = [rule for rule in (rules_of(child) if isinstance(child, dict) else (child,)) if not self._is_constant(rule)]
        if not all(self._compiler.fields[rule.field].type not in _DATES and self._can_be_kept([rule]) for rule in rules):
            return ""
        return self._name_group(rules)

    def _name_group(self, rules: list[Rule]) -> str:
        names = {name for rule in rules for name in rule.attributes}
        return next((group for group, attributes in _GROUPS.items() if names <= attributes), "")

    def _can_be_kept(self, rules: list[Rule]) -> bool:
        return all(is_hashable(annotation(name, self._kind)) for rule in rules for name in rule.attributes)

    def _repeating(self, run: _Node, *, first: bool) -> list[str]:
        if not run:
            return []
        rules = list(rules_of(run))
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
        lines, name = self._place(rules, "k", "f")
        if not self._can_be_kept(rules):
            lines.append(f"    {name} = fields_json({function}(r, p, t, raw)){'[1:]' if first else ''}")
            return name
        group = self._name_group(rules) or "message"
        self.kept.setdefault(group, []).append((function, first))
        self._groups.setdefault(group, []).append((name, [attribute for rule in rules for attribute in rule.attributes]))
        return name

    def _single(self, key: str, rule: Rule) -> str:
        """The variable that holds `,"key":value`, or nothing."""
        compiler, reference = self._compiler, rule.attributes[0]
        lines, variable = self._place([rule], "w", "u")
        field, value = compiler.fields[rule.field], compiler.value(rule, self._kind)
        name = orjson.dumps(key).decode()
        if field.type in _DATES and not reference.startswith("time."):
            digits = compiler.digits(rule, self._kind)
            lines += usable_field(variable, value, f"{UNIX_EPOCH} <= v < {USABLE_END}", f',{name}:"{{iso(v, {digits})}}"', reference)
            return variable
        if field.type == "long":
            lines += usable_field(variable, value, f"{LONG_MIN} <= v <= {LONG_MAX}", f",{name}:{{v}}", key)
            return variable
        if self._is_plain(rule) and not field.array:
            template = f',{name}:"{{v}}"'
            lines += [f"    v = {value}", f"    {variable} = f{template!r} if v else ''"]
            return variable
        if rule.via in _DATA:
            variable, value = self._name("b"), f"{value} if '%%' in x else None" if rule.via == "parameter_texts" else value
            call = f"event_data_json({key!r}, v, x)" if rule.via == "event_data" else f"fields_json({{{key!r}: v}})"
            lines += [f"    v = {value}", f"    {variable} = {call} if v else b''"]
            return variable
        there = "v is not None" if field.type in NUMBERS else "v"
        call = f"field_{'list' if field.array else 'text'}({key!r}, v)"
        lines += [f"    v = {value}", f"    {variable} = {call} if {there} else ''"]
        return variable

    def _place(self, rules: list[Rule], own: str, other: str) -> tuple[list[str], str]:
        """The statements among which those for these rules stand, and their variable."""
        names = {name for rule in rules for name in rule.attributes}
        if "payload" in names:
            self._apart = False
        return (self._own_lines, self._name(own)) if names & _OWN else (self._lines, self._name(other))

    def _is_plain(self, rule: Rule) -> bool:
        """True for texts of characters that JSON does not escape: those that we made ourselves, and numbers."""
        reference = rule.attributes[0]
        if rule.via == "text":
            return len(rule.attributes) == 1 and annotation(reference, self._kind) is int
        return reference in _PLAIN and not rule.via and not rule.values

    def _name(self, letter: str) -> str:
        self._names += 1
        return f"{letter}{self._names}"

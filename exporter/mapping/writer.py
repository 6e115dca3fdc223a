"""Generates the function that writes a kind's documents as JSON text.

What may differ in every record (ids, hashes, times, what happened) is written field by field. What else repeats from record to record,
though the record as a whole does not, is made by a function for each group of attributes that change together, and kept for each set of
their values (`fragments.Kept`): what the log says, the thread that wrote the event, the threat, what was done about it. So all fields of
a group, wherever they stand in the document, cost one look-up instead of a statement each.

Where nothing forbids it, the function is two: `around` writes what is not the record's own, and `document` puts in the rest. A record of
the same log that says the same as another needs but the second.
"""

import typing
from collections.abc import Iterator
from itertools import count, takewhile
from typing import Any, NamedTuple, Protocol

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
    "account": frozenset(("user", "user_sid", "detection_user", "remediation_user")),
    "incident": frozenset(("correlation.incident_id", "correlation.tier", "correlation.key", "correlation.others")),
    "detection": frozenset(("detection_id", "detected_at", "sig_seq", "file_path", "resources", "evidence_paths")),
    "threat": frozenset(("threat_id", "threat_name", "severity_id", "category_id", "reference")),
    "course": frozenset(
        (
            *("status_code", "type_id", "origin_id", "source_id", "execution_id", "state", "action_id", "error_code", "event_id"),
            *("data.Error Description", "update_type_id", "update_source_id", "update_state_id"),
        )
    ),
    "versions": frozenset(("product_version", "engine_version", "signature_version", "new_platform_version")),
    "process": frozenset(("process_name",)),
    "setting": frozenset(("setting_kind", "setting_target", "target_type", "rule_id", "setting")),
    "story": frozenset(("outcome", "states", "gaps", "member_kinds", "member_tiers", "member_count", "content_verified")),
}
"""Attributes that change together: what the records of a log, or of one event id in it, have in common, and so on.

A field belongs to the first group that has all attributes it is made of."""
_PLAIN = frozenset(("record.hash", "time.id", "time.text"))
_DATES = ("date", "date_nanos")
NUMBERS = frozenset(("long", "integer", "short", "float", "double", "scaled_float", "boolean"))
_DATA = ("event_data", "parameter_texts", "unlisted_data")
"""Transforms of all event data."""
_Node: typing.TypeAlias = dict[str, Any]
_AROUND, _RECORD = "", "record"
"""Where statements stand that belong to no group: in `around`, or, of what is the record's own, in `document`."""


class Statements(Protocol):
    """What the compiler knows of rules."""

    fields: Any

    def is_constant(self, rule: Rule) -> bool: ...
    def constant(self, rule: Rule) -> Any: ...
    def is_plain(self, rule: Rule) -> bool: ...
    def value(self, rule: Rule, kind: type[Payload]) -> str: ...
    def digits(self, rule: Rule, kind: type[Payload]) -> str: ...


class _Piece(NamedTuple):
    """An expression, and the group whose statements make it; None for a constant."""

    code: str
    group: str | None


class _Group:
    """Statements, the attributes that they depend on, and, of a group of the table, the variables that it gives with their expressions."""

    def __init__(self) -> None:
        self.names = count(1)
        self.lines: list[str] = []
        self.attributes: dict[str, None] = {}
        self.given: dict[str, str] = {}


class DocumentWriter:
    """`document` gives the source, and `makers` for each group the function whose pieces it looks up by `known_…` and `learn_…`."""

    def __init__(self, compiler: Statements, kind: type[Payload], message: str) -> None:
        self._compiler = compiler
        self._kind = kind
        self._apart = True
        self._message = message
        self._names = count(1)
        self._groups: dict[str, _Group] = {_AROUND: _Group(), _RECORD: _Group()}

    @property
    def _kept(self) -> list[str]:
        return [name for name, group in self._groups.items() if group.given]

    def makers(self) -> dict[str, str]:
        """The sources of `make(r, p, t, raw)`: kinds that say the same of their attributes have the same."""
        return {name: "\n".join(self._maker(self._groups[name])) for name in self._kept}

    def _maker(self, group: _Group) -> Iterator[str]:
        yield "def make(r, p, t, raw):"
        yield from group.lines
        yield f"    return ({''.join(f'{made}.encode(), ' for made in group.given.values())})"

    def document(self, opening: bytes, tree: _Node, message_rules: list[Rule]) -> list[str]:
        """`document(r, p, t)`: `opening` is the JSON of constant fields or empty, `tree` all other rules."""
        event = tree.pop("event")
        pieces = [_constant(opening), *self._pieces(tree, first=False), self._message_text(message_rules)]
        codes = self._settled([*pieces, *self._child("event", event, first=False), _constant(b"}")])
        around = [*self._look_ups(own=False), *self._data_text(tree), *self._groups[_AROUND].lines]
        own = [*self._look_ups(own=True), *self._groups[_RECORD].lines]
        last = [*([] if opening else ["    found = b'{' + found[1:]"]), "    return with_raw(found, raw) if raw else found"]
        document = ["def document(r, p, t, log=None, known=None):", "    raw = {}"]
        if self._apart:
            found, whole = taken_apart(codes)
            names = "".join(f"a{number}, " for number in range(len(found)))
            around = ["def around(r, p, t, raw, log=None):", *around, f"    return ({''.join(f'{piece}, ' for piece in found)})"]
            document += [f"    {names}= known or around(r, p, t, raw, log)", *own, f"    found = {whole}", *last]
        else:
            document += [*around, *own, f"    found = {joined(codes)}", *last]
            around = ["around = None"]
        return [*self._log_pieces(), *around, *document]

    def _log_pieces(self) -> Iterator[str]:
        """`log_pieces(r, p, t)`: what `document` need not look up for another record of the same log; None where it has to."""
        yield "def log_pieces(r, p, t):"
        if "log" in self._kept:
            yield f"    k, raw = ({self._key('log')}), {{}}"
            yield "    found = known_log(k) or learn_log(k, r, p, t, raw)"
            yield "    if not raw: return found"

    def _key(self, name: str) -> str:
        if name == "incident":
            return "r.correlation, "
        return "".join(f"{expression(attribute, self._kind)}, " for attribute in self._groups[name].attributes)

    def _data_text(self, tree: _Node) -> Iterator[str]:
        """`x`: all of `data` in one text, by which its rules see at once what there is to do."""
        if any(rule.via in _DATA for rule in rules_of(tree)):
            yield "    x = ''.join(p.data.values())"

    def _look_ups(self, *, own: bool) -> Iterator[str]:
        for name in self._kept:
            if own is not self._is_own(name):
                continue
            yield f"    found = {'log or ' if name == 'log' else ''}known_{name}(k := ({self._key(name)}))"
            yield f"    if found is None: found = learn_{name}(k, r, p, t, raw)"
            yield f"    {''.join(f'{variable}, ' for variable in self._groups[name].given)}= found"

    def _is_own(self, name: str) -> bool:
        return name == _RECORD or not _OWN.isdisjoint(self._groups[name].attributes)

    def _pieces(self, node: _Node, *, first: bool) -> list[_Piece]:
        """The pieces of an object's inside; constants stand before all others. With `first`, the first of them begins without a comma."""
        constants = {key: child for key, child in node.items() if isinstance(child, Rule) and self._compiler.is_constant(child)}
        children = {key: child for key, child in node.items() if key not in constants}
        pieces: list[_Piece] = []
        if constants:
            fields = fields_json({key: self._compiler.constant(child) for key, child in constants.items()})
            pieces.append(_constant(fields[1:] if first else fields))
        elif first and isinstance(next(iter(children.values())), Rule):
            run = self._first_run(list(children.values()))
            keys = list(children)[: len(run)]
            pieces.append(self._without_comma([self._single(key, children.pop(key)) for key in keys]))
        for key, child in children.items():
            pieces += self._child(key, child, first=first and not pieces)
        return pieces

    def _without_comma(self, pieces: list[_Piece]) -> _Piece:
        group = typing.cast(str, pieces[0].group)
        name = self._name("u", group)
        self._groups[group].lines.append(f"    {name} = {text([piece.code for piece in pieces])}[1:]")
        return _Piece(name, group)

    def _child(self, key: str, child: Any, *, first: bool) -> list[_Piece]:
        if isinstance(child, Rule):
            return [self._single(key, child)]
        comma = b"" if first else b","
        opening = comma + orjson.dumps(key) + b":{"
        if self._certain(child):
            return [_constant(opening), *self._pieces(child, first=True), _constant(b"}")]
        return [self._uncertain(opening, self._pieces(child, first=False))]

    def _uncertain(self, opening: bytes, pieces: list[_Piece]) -> _Piece:
        """An object that is not written where it has no field."""
        groups = {piece.group for piece in pieces if piece.group is not None}
        group = groups.pop() if len(groups) == 1 else None
        codes = [piece.code for piece in pieces] if group is not None else self._settled(pieces)
        if group is None:
            own = any(map(is_own, codes))
            if own and not all(is_own(code) or sort_of(code) == "constant" for code in codes):
                self._apart = False
            group = _RECORD if own else _AROUND
        lines = self._groups[group].lines
        if all(map(sort_of, codes)):
            name = self._name("w" if group == _RECORD else "u", group)
            inside = codes[0] if len(codes) == 1 else name
            if inside is name:
                lines.append(f"    {name} = {text(codes)}")
            lines.append(f"    {name} = f'{literal(repr(opening))}{{{inside}[1:]}}}}}}' if {inside} else ''")
        else:
            name = self._name("k" if group == _RECORD else "o")
            lines += [f"    {name} = {joined(codes)}", f"    if {name}: {name} = {opening!r} + {name}[1:] + b'}}'"]
        return _Piece(name, group)

    def _settled(self, pieces: list[_Piece]) -> list[str]:
        """The expressions, in `around` and `document`, of pieces; those of a group that stand together are given by it as one."""
        runs: list[tuple[str | None, list[str]]] = []
        for code, group in pieces:
            if len(runs) > 1 and runs[-1][0] is None and runs[-2][0] == group and group:
                runs[-2][1].extend(runs.pop()[1])
            if not runs or runs[-1][0] != group:
                runs.append((group, []))
            runs[-1][1].append(code)
        return [code for group, codes in runs for code in (self._given(group, codes) if group and group != _RECORD else codes)]

    def _given(self, name: str, codes: list[str]) -> list[str]:
        variable = self._name("k" if self._is_own(name) else "f")
        self._groups[name].given[variable] = text(codes)
        return [variable]

    def _certain(self, node: Any) -> bool:
        """True where the first piece of an object is never empty: constants come first, else the run that its first rule begins."""
        if isinstance(node, Rule):
            return self._compiler.is_constant(node)
        children = list(node.values())
        if any(map(self._is_constant, children)):
            return True
        if not isinstance(children[0], Rule):
            return self._certain(children[0])
        return any(map(self._always, self._first_run(children)))

    def _first_run(self, children: list[Any]) -> list[Rule]:
        """Rules of one group that an object begins with."""
        group = self._group_of([children[0]])
        return list(takewhile(lambda child: isinstance(child, Rule) and self._group_of([child]) == group, children)) if group else []

    def _always(self, rule: Rule) -> bool:
        """True for the text of a number that no payload of the kind lacks."""
        return rule.via == "text" and hints_of(self._kind).get(rule.attributes[0]) is int

    def _is_constant(self, child: Any) -> bool:
        return isinstance(child, Rule) and self._compiler.is_constant(child)

    def _group_of(self, rules: list[Rule]) -> str:
        """The group of attributes that rules depend on; empty for what is written by itself."""
        names = {name for rule in rules for name in rule.attributes}
        if not self._can_be_kept(rules):
            return ""
        return next((group for group, attributes in _GROUPS.items() if names <= attributes), "")

    def _can_be_kept(self, rules: list[Rule]) -> bool:
        return all(is_hashable(annotation(name, self._kind)) for rule in rules for name in rule.attributes)

    def _message_text(self, rules: list[Rule]) -> _Piece:
        rules = [rule for rule in rules if not self._is_constant(rule)]
        name = self._group_of(rules) or ("message" if self._can_be_kept(rules) else "")
        return self._made(rules, name, lambda variable: [f"    {variable} = field_text('message', {self._message}(r, p, t))"])

    def _single(self, key: str, rule: Rule) -> _Piece:
        """The variable that holds `,"key":value`, or nothing."""
        return self._made([rule], self._group_of([rule]), lambda variable: self._statements(variable, key, rule), data=rule.via in _DATA)

    def _made(self, rules: list[Rule], name: str, statements: typing.Callable[[str], list[str]], *, data: bool = False) -> _Piece:
        """The variable that statements of these rules make, among those of a group or, where it is empty, of `around` or `document`."""
        names = [attribute for rule in rules for attribute in rule.attributes]
        if "payload" in names:
            self._apart = False
        name = name or (_AROUND if _OWN.isdisjoint(names) else _RECORD)
        group = self._groups.setdefault(name, _Group())
        variable = self._name("b" if data else "w" if name == _RECORD else "u", name)
        group.attributes.update(dict.fromkeys(names))
        group.lines += statements(variable)
        return _Piece(variable, name)

    def _statements(self, variable: str, key: str, rule: Rule) -> list[str]:
        compiler, reference = self._compiler, rule.attributes[0]
        field, value = compiler.fields[rule.field], compiler.value(rule, self._kind)
        name = orjson.dumps(key).decode()
        if field.type in _DATES and not reference.startswith("time."):
            digits = compiler.digits(rule, self._kind)
            return usable_field(variable, value, f"{UNIX_EPOCH} <= v < {USABLE_END}", f',{name}:"{{iso(v, {digits})}}"', reference)
        if field.type == "long":
            return usable_field(variable, value, f"{LONG_MIN} <= v <= {LONG_MAX}", f",{name}:{{v}}", key)
        if self._is_plain(rule) and not field.array:
            template = f',{name}:"{{v}}"'
            return [f"    v = {value}", f"    {variable} = f{template!r} if v else ''"]
        if rule.via in _DATA:
            value = f"{value} if '%%' in x else None" if rule.via == "parameter_texts" else value
            call = f"event_data_json({key!r}, v, x)" if rule.via == "event_data" else f"fields_json({{{key!r}: v}})"
            return [f"    v = {value}", f"    {variable} = {call} if v else b''"]
        there = "v is not None" if field.type in NUMBERS else "v"
        call = f"field_{'list' if field.array else 'text'}({key!r}, v)"
        return [f"    v = {value}", f"    {variable} = {call} if {there} else ''"]

    def _is_plain(self, rule: Rule) -> bool:
        """True for texts of characters that JSON does not escape: those that we made ourselves, and numbers."""
        reference = rule.attributes[0]
        if rule.via == "text":
            return len(rule.attributes) == 1 and annotation(reference, self._kind) is int
        if rule.values and not rule.via:
            return self._compiler.is_plain(rule)
        return reference in _PLAIN and not rule.via and not rule.values

    def _name(self, letter: str, group: str = _AROUND) -> str:
        return f"{letter}{next(self._names if group in (_AROUND, _RECORD) else self._groups[group].names)}"


def _constant(fields: bytes) -> _Piece:
    return _Piece(repr(fields), None)

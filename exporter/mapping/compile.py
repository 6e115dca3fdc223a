"""Compiles the rules of a kind to Python functions, once at the start: an interpreter per field would cost two thirds of the speed.

The generated code is short and readable (`source` of `CompiledKind`). What is the same for every document of the run is encoded
beforehand; `writer` says how the rest is written.
"""

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import orjson

from exporter.mapping.ecs import EcsField
from exporter.mapping.fragments import Kept, event_data_json, field_list, field_text, fields_json, is_plain, with_raw
from exporter.mapping.references import Run, annotation, expression, without_none
from exporter.mapping.schema import DIGITS, RecordMapping, Rule, ValueTable
from exporter.mapping.transforms import TRANSFORMS
from exporter.mapping.writer import DocumentWriter
from exporter.records import Payload
from exporter.times import iso

_HELPERS = (iso, fields_json, field_list, field_text, event_data_json, with_raw)
_CONSTANT_NAMESPACE = "run."
_SHARED = frozenset(
    (
        *("record.host", "record.collector", "integrity.verdict", "integrity.check", "source.path", "source.volume", "source.snapshot"),
        *("channel", "provider_name", "provider_guid", "event_id", "computer", "level", "opcode", "task", "version", "user_sid", "user"),
    )
)
"""Attributes that many records of a log have in common."""
_OWN = frozenset(
    (
        *("record.hash", "record.offset", "record.number", "time.id", "time.text", "record_id", "created_at", "created_digits"),
        *("written_at", "activity_id", "process_id", "thread_id", "payload"),
    )
)
"""What two records of a log differ in whose System and Data say the same."""


class CompiledKind(msgspec.Struct, frozen=True):
    """`document(record, payload, moment)` gives the whole document as JSON, `event` last.

    A further argument `log`, what `log_pieces` gives of the same three, spares a look-up for another record of the same log and event id.
    So does `known`, what `around` gives of them and of a dictionary that stays empty, all of it for one with the same data besides.
    """

    document: Callable[..., bytes]
    log_pieces: Callable[..., tuple[bytes, ...] | None]
    around: Callable[..., tuple[bytes, ...]] | None
    source: str


class CompiledRows(msgspec.Struct, frozen=True):
    """The attributes of a kind's timeline rows: `shared` gives those that depend on nothing but what `shared_key` gives of the same three,
    `attributes` the others, which are of the types `own`. `copied` is True where what two records differ in that say the same is put into
    rows as it is, at most as a part of `event_xml`: then it depends on nothing else what stands around it.
    """

    attributes: Callable[..., dict[str, Any]]
    own: Mapping[str, type]
    shared: Callable[..., dict[str, Any]]
    shared_key: Callable[..., tuple[Any, ...]]
    copied: bool


class Compiler:
    """Turns the mappings of one run into functions. `fields` has the type of every field (ECS and ours)."""

    def __init__(self, values: Mapping[str, ValueTable], fields: Mapping[str, EcsField], run: Run) -> None:
        self.fields = fields
        self._run = run
        self._scope: dict[str, Any] = {function.__name__: function for function in _HELPERS}
        self._scope.update({f"via_{name}": call for name, call in TRANSFORMS.items()})
        self._values = values
        self._kept: dict[str, Kept] = {}
        """What kinds have in common is written once for all of them: a detection, and what was done about it, name the same file."""

    def compile(
        self, mapping: RecordMapping, kind: type[Payload], message_names: frozenset[str], message: Callable[[Mapping[str, Any]], str]
    ) -> CompiledKind:
        """The functions of one kind; `message` makes the document's from the attributes it names. The mapping must have passed `check`."""
        constants, varying = self._split(mapping.ecs)
        needed = [rule for rule in mapping.attributes if rule.field in message_names]
        message_text = f"message_of_{mapping.kind}"
        lines = [
            f"def {message_text}(r, p, t):",
            "    a = {}",
            *self._attributes(needed, kind),
            f"    return message(a) or {mapping.kind!r}",
        ]
        writer = DocumentWriter(self, kind, message_text)
        lines += writer.document(orjson.dumps(_nested(constants))[:-1] if constants else b"", _tree(varying, constants), needed)
        source, makers = "\n".join(lines), writer.makers()
        scope = {**self._scope, **self._tables(mapping), "message": message}
        exec(compile(source, f"<mapping of {mapping.kind}>", "exec"), scope)  # noqa: S102 (made from checked names only)
        for group, maker in makers.items():
            kept = self._kept.get(maker) or self._kept.setdefault(maker, self._made(maker, group, scope))
            scope.update({f"known_{group}": kept.get, f"learn_{group}": kept.learn})
        source = "\n".join((*(f"# {group}\n{maker}" for group, maker in makers.items()), source))
        return CompiledKind(scope["document"], scope["log_pieces"], scope["around"], source)

    def _made(self, source: str, group: str, scope: dict[str, Any]) -> Kept:
        own = dict(scope)
        exec(compile(source, f"<mapping of {group}>", "exec"), own)  # noqa: S102 (made from checked names only)
        return Kept(own["make"])

    def compile_rows(self, mapping: RecordMapping, kind: type[Payload]) -> CompiledRows:
        """The functions of a kind's rows."""
        shared = [rule for rule in mapping.attributes if self.is_constant(rule) or _SHARED.issuperset(rule.attributes)]
        own = [rule for rule in mapping.attributes if rule not in shared]
        lines = ["def attributes(r, p, t):", "    a = {}", *self._attributes(own, kind), "    return a"]
        lines += ["def shared(r, p, t):", "    a = {}", *self._attributes(shared, kind), "    return a"]
        references = dict.fromkeys(name for rule in shared if not self.is_constant(rule) for name in rule.attributes)
        key = ("r.host, r.source.path, r.collector, t.tags", *(expression(name, kind) for name in references))
        lines += ["def shared_key(r, p, t):", f"    return ({', '.join(key)})"]
        scope = {**self._scope, **self._tables(mapping)}
        exec(compile("\n".join(lines), f"<rows of {mapping.kind}>", "exec"), scope)  # noqa: S102 (made from checked names only)
        types = {rule.field: self._type(rule, kind) for rule in own}
        copied = all(_is_copied(rule) or _OWN.isdisjoint(rule.attributes) for rule in mapping.attributes)
        copied = copied and [time.attribute for time in mapping.timestamps] == ["created_at"]
        return CompiledRows(scope["attributes"], types, scope["shared"], scope["shared_key"], copied)

    def _type(self, rule: Rule, kind: type[Payload]) -> type:
        """The type of an attribute's values; `object` where it is not known beforehand."""
        if rule.values and not rule.via:
            table = self._values[rule.values]
            types = {type(value) for value in (*table.values.values(), table.default) if value is not None}
            return types.pop() if len(types) == 1 else object
        hints = {annotation(name, kind) for name in rule.attributes}
        if rule.via and rule.via != "first":
            hints = {without_none(typing.get_type_hints(TRANSFORMS[rule.via])["return"])}
        found = typing.get_origin(hint := hints.pop()) or hint
        return found if not hints and isinstance(found, type) else object

    def _tables(self, mapping: RecordMapping) -> dict[str, Any]:
        """The value tables that the mapping names, as the generated code knows them."""
        found: dict[str, Any] = {}
        for name in {rule.values for rule in (*mapping.ecs, *mapping.attributes) if rule.values}:
            table = self._values[name]
            found |= {f"values_{name}": table.values.get, f"default_{name}": table.default, f"table_{name}": table.values}
        return found

    def _split(self, rules: tuple[Rule, ...]) -> tuple[dict[str, Any], list[Rule]]:
        """Top-level fields that are constant as a whole, and the rules of all others."""
        varying_tops = {rule.field.partition(".")[0] for rule in rules if not self.is_constant(rule)} | {"event"}
        constants = {rule.field: self.constant(rule) for rule in rules if rule.field.partition(".")[0] not in varying_tops}
        return constants, [rule for rule in rules if rule.field.partition(".")[0] in varying_tops]

    def is_constant(self, rule: Rule) -> bool:
        """True for a rule that gives every document of the run the same value."""
        return not rule.attributes or (rule.attributes[0].startswith(_CONSTANT_NAMESPACE) and not rule.via and not rule.values)

    def constant(self, rule: Rule) -> Any:
        """The value of such a rule."""
        return getattr(self._run, rule.attributes[0].removeprefix(_CONSTANT_NAMESPACE)) if rule.attributes else rule.const

    def is_plain(self, rule: Rule) -> bool:
        """True for the texts of a value table that JSON writes as they are."""
        table = self._values[rule.values or ""]
        return all(map(is_plain, filter(None, (*table.values.values(), table.default))))

    def digits(self, rule: Rule, kind: type[Payload]) -> str:
        """How exact a date is: `via`, or a second attribute, or FILETIME's seven digits."""
        if len(rule.attributes) > 1:
            return expression(rule.attributes[1], kind)
        return str(DIGITS[rule.via] if rule.via else 7)

    def value(self, rule: Rule, kind: type[Payload]) -> str:
        """The expression of a field's value."""
        sources = [expression(reference, kind) for reference in rule.attributes]
        if rule.values and not rule.via and "{}" in str(self._values[rule.values].default):
            return f"values_{rule.values}(w := {sources[0]}) or default_{rule.values}.format(w)"
        if rule.values and not rule.via:
            return f"values_{rule.values}({sources[0]}, default_{rule.values})"
        if not rule.via or rule.via in DIGITS:
            return sources[0]
        table = f", table_{rule.values}" if rule.values else ""
        if len(sources) > 1:
            return f"via_{rule.via}({', '.join(sources)}{table})"
        return f"None if (w := {sources[0]}) is None else via_{rule.via}(w{table})"

    def _attributes(self, rules: tuple[Rule, ...] | list[Rule], kind: type[Payload]) -> Iterator[str]:
        for rule in rules:
            if self.is_constant(rule):
                yield f"    a[{rule.field!r}] = {self.constant(rule)!r}"
            else:
                yield f"    v = {self.value(rule, kind)}"
                yield f"    if v or v == 0: a[{rule.field!r}] = v"


def _is_copied(rule: Rule) -> bool:
    return rule.via == "event_xml" or (rule.attributes != ("payload",) and not rule.via and not rule.values)


def _tree(rules: list[Rule], constants: dict[str, Any]) -> dict[str, Any]:
    assert not {field.partition(".")[0] for field in constants} & {rule.field.partition(".")[0] for rule in rules}
    return _nested({rule.field: rule for rule in rules})


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as levels."""
    tree: dict[str, Any] = {}
    for field, value in flat.items():
        *path, leaf = field.split(".")
        node = tree
        for name in path:
            node = node.setdefault(name, {})
        node[leaf] = value
    return tree

"""Records of every kind with values that nobody expects, fast enough for a hundred thousand. Seeded: the same each time."""

import random
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from exporter.kinds import KINDS
from exporter.mapping.references import without_none
from exporter.records import Integrity, Payload, Record, Source, Verdict

TEXTS = (
    "\0", "\ud800", "a\r\nb", "=cmd()", "\x1b[31m", "C:\\x\\y.exe", "LAB\\ana", '"', "%s{}%", "a;b, c", "\u3000", "\t", "-", "N/A", "null",
    "2024-13-45T99:99:99Z", "1e999", "{}", "[]", "\u202e", "😀", "\uffff", "ẞİ", "٣", "true", "", " ", ".", "..", "a.b", "*", "_id",
    "@timestamp", "10.0.0.256", "::1",
)  # fmt: skip
LONG = ("x" * 8191, "€" * 8192, "x" * 32_766, "𐍈" * 20_000)
_LONG_SHARE = 0.005
NAMES = (*TEXTS, "_source", "SourceName", "ThreatName", "ProcessName", "NewValue", "OldValue", "Path", "a.b.c", "n" * 5000)
NUMBERS = (0, 1, -1, 130, 1116, 133_500_000_000_000_000, 2**31, 2**63 - 1, 2**63, 2**64 - 1, 2**70, -(2**63) - 1)
_CLOSED = {"created_digits": (6, 7), "outcome": ("success", "failure", "unknown")}


def records(count: int, seed: int = 1) -> Iterator[Record]:
    """That many records, each with a key of its own."""
    chance = random.Random(seed)
    kinds = list(KINDS.values())
    for number in range(count):
        kind = chance.choice(kinds)
        yield Record(
            payload=payload(kind, chance),
            host=chance.choice(TEXTS[:20]),
            source=Source(chance.choice(TEXTS), chance.choice(TEXTS), 1, chance.choice(NUMBERS)),
            collector="hostile",
            key=("hostile", str(number)),
            hash="ab" * 32,
            offset=chance.choice(NUMBERS),
            integrity=Integrity(chance.choice(list(Verdict)), "check"),
            incomplete=chance.choice((None, *TEXTS)),
        )


def payload(kind: type[Payload], chance: random.Random) -> Payload:
    """One payload; attributes with a closed list of values keep to it."""
    return kind(**{name: chance.choice(_CLOSED[name]) if name in _CLOSED else make(chance) for name, make in _makers(kind)})


@cache
def _makers(kind: type[msgspec.Struct]) -> list[tuple[str, Callable[[random.Random], Any]]]:
    hints = typing.get_type_hints(kind)
    return [(name, _maker(hints[name])) for name in kind.__struct_fields__]


def _maker(hint: Any) -> Callable[[random.Random], Any]:
    plain = without_none(hint)
    if plain is not hint:
        inner = _maker(plain)
        return lambda chance: None if chance.random() < 0.2 else inner(chance)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is str:
        return lambda chance: chance.choice(LONG if chance.random() < _LONG_SHARE else TEXTS)
    if hint in (int, bool):
        values: tuple[Any, ...] = {int: NUMBERS, bool: (True, False)}[hint]
        return lambda chance: chance.choice(values)
    if origin is tuple:
        item = _maker(arguments[0])
        return lambda chance: tuple(item(chance) for _ in range(chance.randrange(4)))
    if origin is Mapping:
        value = _maker(arguments[1])
        return lambda chance: {chance.choice(NAMES): value(chance) for _ in range(chance.randrange(6))}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return lambda chance: hint(**{name: make(chance) for name, make in _makers(hint)})
    choices = [_maker(argument) for argument in arguments]
    return lambda chance: chance.choice(choices)(chance)

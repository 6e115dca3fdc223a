"""Golden files against what the program says now: equal, or the difference in a few lines and what to do about it."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_SHOWN = 12
_WIDTH = 160
ADVICE = """
If you meant to change this, write the golden files anew with

    make golden

then read `git diff tests/golden` line by line and say in the commit why it changed. Do NOT refresh to make a test pass whose change you
cannot explain, nor when an `event.id` changed: ids must stay the same between versions (sink-contracts C5), or every earlier import of
a case is doubled by the next one.
"""


def check(path: Path, found: bytes, *, refresh: bool) -> None:
    """Fail with a short difference; with `refresh`, write the file instead."""
    if refresh:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != found:
            path.write_bytes(found)
        return
    name = "/".join(path.parts[-4:])
    assert path.exists(), f"{name} is missing\n{ADVICE}"
    expected = path.read_bytes()
    if expected != found:
        lines = list(itertools.islice(differences(expected, found, path.suffix), _SHOWN + 1))
        more = "\n  …" if len(lines) > _SHOWN else ""
        raise AssertionError(f"{name} is not what the program writes now:\n  " + "\n  ".join(lines[:_SHOWN]) + more + "\n" + ADVICE)


def differences(expected: bytes, found: bytes, suffix: str) -> Iterator[str]:
    """What differs, field by field where both have the same rows; `-` is the golden value, `+` the new one."""
    old, new = (rows(data.decode("utf-8"), suffix) for data in (expected, found))
    if len(old) != len(new):
        yield f"{len(old)} rows before, {len(new)} now"
    for number, (before, after) in enumerate(zip(old, new, strict=False), 1):
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                yield f"row {number}, {name}:"
                yield from (f"{sign} {shown(row[name])}" for sign, row in (("  -", before), ("  +", after)) if name in row)
    if old == new:
        yield "the same values, written in another way (order of keys, spaces, line ends)"


def rows(text: str, suffix: str) -> list[dict[str, Any]]:
    """Flat rows of a CSV, of a file with one object a line, or of one object."""
    if suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text, newline=""), quoting=csv.QUOTE_NONE, quotechar=None))
    objects = [json.loads(text)] if suffix == ".json" else map(json.loads, text.splitlines())
    return [dict(flat(item)) for item in objects]


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values, into lists of objects too."""
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict) or (isinstance(item, list) and item and isinstance(item[0], dict)):
            yield from flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def shown(value: Any) -> str:
    """The beginning of a value."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}… ({len(text)} characters)"

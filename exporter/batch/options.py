"""What a batch is told: the command line, CASE.yaml and the configuration file together."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporter.batch.case_file import CaseFile, Lines, read_case
from exporter.batch.plan import Row, items, matches
from exporter.batch.task import Item
from exporter.collectors import COLLECTORS, ReadingOptions
from exporter.deliveries import slug
from exporter.errors import ConfigurationError
from exporter.sinks.targets import parse_target

_OFFSET = re.compile(r"([+-])(\d\d):?([0-5]\d)", re.ASCII)
_NO_VSS = "none"
_COMMAND = "command:"
_WIDEST_MINUTES = 14 * 60


class Batch(ReadingOptions, frozen=True, kw_only=True):
    """A whole batch. `items` are its hosts, in order; `only` are the numbers (from 0) of those that are to be read now, None for all.

    `results` is a path, or `-` for standard output.
    `jobs` hosts are read at once. `silence` is in seconds. `work` is where hosts leave their parts: a folder that all processes see.
    """

    case: str
    items: tuple[Item, ...]
    to: tuple[str, ...]
    state: Path
    work: Path
    sources: tuple[str, ...] = ()
    alerts: str = "incident"
    runner: str = "local"
    silence: float = 600.0
    scheduler: str | None = None
    worker_memory: str = "2GiB"
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    only: tuple[int, ...] | None = None
    read: bool = True
    resume: bool = False
    retry_failed: bool = False
    force: bool = False
    reproducible: bool = False
    manifest: Path | None = None
    dead_letters: Path | None = None
    results: str | None = None
    temporary: Path | None = None


def batch(path: Path | None, given: dict[str, Any]) -> Batch:
    """The batch of CASE.yaml and of what the command line gives, which wins. Raises ConfigurationError, with file and line."""
    case, lines = read_case(path) if path is not None else (CaseFile(), Lines(Path(), {}))
    base = (path.parent if path is not None else Path()).absolute()
    rows = [*_given_rows(given.pop("evidence")), *_rows(case, lines, base)]
    name = given.pop("case") or case.case
    if not name:
        raise ConfigurationError("a case id is needed: `case:` in CASE.yaml, or --case")
    to = given.pop("to") or tuple(_target(text, base, lines, number) for number, text in enumerate(case.sinks))
    if not to:
        raise ConfigurationError("a sink is needed: `sinks:` in CASE.yaml, or --to")
    if not rows:
        raise ConfigurationError("a host is needed: `hosts:` or `evidence:` in CASE.yaml, or --evidence")
    state = given.pop("state") or base / (case.state or f"{slug(name)}.batch")
    plan = tuple(items(rows, base))
    only = given.pop("only")
    if given.get("keys") is None and case.keys is not None:
        given["keys"] = _keys(case.keys, base)
    if case.vss is not None and given.get("vss", _NO_VSS) == _NO_VSS:
        given["vss"] = case.vss
    return Batch(
        case=name,
        items=plan,
        to=to,
        state=state,
        work=given.pop("work") or (base / case.work if case.work else state / "work"),
        sources=_sources(given.pop("sources") or tuple(case.sources), lines),
        jobs=given.pop("jobs") or case.jobs or 1,
        runner=given.pop("runner") or case.runner or "local",
        only=tuple(_number(text, plan) for text in only) if only else None,
        **given,
    )


def _given_rows(patterns: Sequence[str]) -> list[Row]:
    rows = []
    for pattern in patterns:
        found = matches(pattern, Path.cwd())
        if not found:
            raise ConfigurationError(f"--evidence `{pattern}` matches nothing")
        rows += [Row((path,)) for path in found]
    return rows


def _rows(case: CaseFile, lines: Lines, base: Path) -> list[Row]:
    rows = []
    for number, host in enumerate(case.hosts):
        if not host.evidence:
            raise lines.error(f"$.hosts[{number}].evidence", "a host has at least one path")
        rows.append(Row(tuple(host.evidence), host.name, _offset(host.utc_offset, f"$.hosts[{number}].utc_offset", lines)))
    for number, pattern in enumerate(case.evidence):
        found = matches(pattern, base)
        if not found:
            raise lines.error(f"$.evidence[{number}]", f"`{pattern}` matches nothing")
        rows += [Row((path,)) for path in found]
    return rows


def _offset(value: str | int | None, place: str, lines: Lines) -> int | None:
    """Minutes east of UTC; `+10:00` without quotes is a number of minutes already, by the rules of YAML 1.1."""
    if value is None:
        return None
    minutes = value if isinstance(value, int) else _minutes(value)
    if minutes is None or abs(minutes) > _WIDEST_MINUTES:
        raise lines.error(place, f"`{value}` is no offset from UTC: write +02:00 or -05:30")
    return minutes


def _minutes(text: str) -> int | None:
    found = _OFFSET.fullmatch(text)
    return None if found is None else (int(found[2]) * 60 + int(found[3])) * (-1 if found[1] == "-" else 1)


def _target(text: str, base: Path, lines: Lines, number: int) -> str:
    """A target of CASE.yaml, whose path is relative to it."""
    try:
        target = parse_target(text)
    except ConfigurationError as error:
        raise lines.error(f"$.sinks[{number}]", str(error)) from None
    if target.path is None or target.path.is_absolute():
        return text
    query = text.partition("?")[1:]
    return f"{target.name}:{base / target.path}{''.join(query)}"


def _keys(text: str, base: Path) -> str:
    """The reference of CASE.yaml, whose path is relative to it."""
    command = _COMMAND if text.startswith(_COMMAND) else ""
    return f"{command}{base / text.removeprefix(_COMMAND)}"


def _sources(names: Sequence[str], lines: Lines) -> tuple[str, ...]:
    for number, name in enumerate(names):
        if name not in COLLECTORS:
            raise lines.error(f"$.sources[{number}]", f"there is no source `{name}` (known: {', '.join(COLLECTORS)})")
    return tuple(sorted(set(names)))


def _number(text: str, plan: Sequence[Item]) -> int:
    """The place of an item: by its label, by its host name, or by its number from 1."""
    for number, item in enumerate(plan):
        if text in (item.label, item.name):
            return number
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= len(plan):
        return int(text) - 1
    raise ConfigurationError(f"no host of the plan is called `{text}`, and it is no number from 1 to {len(plan)}")

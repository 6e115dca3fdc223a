"""From the values of a Windows event to its payload, by the tables of `defender_fields` and the functions of `defender_parts`.

For each form of event (an id and the names of its Data) a function is written once that takes each value by its position and gives the
payload's fields in order: fields by keyword cost several times as much, and so does every look at a name.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, get_type_hints

from exporter.formats.defender_events import DefenderEvent, ThreatEvent, WindowsEvent
from exporter.formats.defender_fields import CLASSES, COMMON, FIELDS, POSITIONS, THREAT
from exporter.formats.defender_parts import ERROR_CODES, part_of, user_of
from exporter.formats.evtx_form import NAMES, Form, Values
from exporter.formats.evtx_normalize import NUMBERS, guid

_GUIDS = frozenset(("scan_id", "rule_id"))


def type_event(fields: Mapping[str, Any]) -> WindowsEvent:
    """The payload of a Defender event, from fields by their names in `WindowsEvent`; see `typed`."""
    defaults = {"created_digits": 7}
    values = tuple(fields.get(name, defaults.get(name)) for name in NAMES)
    form = Form(fields["event_id"], tuple(fields["data"]))
    return typed(values, form, fields.get("engine"), fields.get("origin"))


def typed(values: Values, form: Form, engine: str | None = None, origin: str | None = None) -> WindowsEvent:
    """The payload of a Defender event, from what `evtx_normalize` gives.

    `data` stays as it is: every Data element raw and in order under its own name, blanks included; a repeated name gets `_1`, `_2`, …,
    elements without a name are `Data`, `Data_1`, … Ids and codes that are no numbers, and empty texts, are None in the typed fields.
    """
    build = form.build
    if build is None:
        form.build = build = _builder(form.event_id, form.names)
    event: WindowsEvent = build(values, engine, origin)
    return event


@lru_cache(2048)
def _builder(event_id: int, names: tuple[str, ...]) -> Callable[..., WindowsEvent]:
    """`build(values, engine, origin)` for one form of event."""
    event_class = CLASSES.get(event_id, DefenderEvent)
    older = POSITIONS.get(event_id, ())
    if "Data" in names and len(older) == len(names):
        names = older
    part = part_of(event_class)
    scope: dict[str, Any] = {"event_class": event_class, "numbers": NUMBERS, "codes": ERROR_CODES, "guid": guid, "user_of": user_of}
    lines = ["def build(values, engine, origin):", "    v = [*values[-1].values()]"]
    fields = {"engine": "engine", "origin": "origin", **dict(_by_table(event_class, names))}
    if part is not None:
        scope["make"] = part.make
        lines.append(f"    {''.join(f'{name}, ' for name in part.fields)}= make({', '.join(_sources(part.sources, fields, names))})")
        fields.update(zip(part.fields, part.fields, strict=True))
    defaults = dict(zip(event_class.__struct_fields__, _defaults(event_class), strict=True))
    rest = [fields.get(name, repr(defaults[name])) for name in event_class.__struct_fields__[len(NAMES) :]]
    lines.append(f"    return event_class(*values, {', '.join(rest)})")
    exec("\n".join(lines), scope)  # noqa: S102 (made of names in our tables, and of positions)
    build: Callable[..., WindowsEvent] = scope["build"]
    return build


def _defaults(event_class: type[WindowsEvent]) -> tuple[Any, ...]:
    given = event_class.__struct_defaults__
    return (*(None for _ in range(len(event_class.__struct_fields__) - len(given))), *given)


def _by_table(event_class: type[WindowsEvent], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Fields and the expressions of their values."""
    table = {**COMMON, **(THREAT if issubclass(event_class, ThreatEvent) else {}), **FIELDS.get(event_class, {})}
    hints = _hints(event_class)
    found = dict(_matches(table, names))
    for field, name in found.items():
        value = f"v[{names.index(name)}]"
        if field in _GUIDS:
            yield field, f"guid({value})"
        elif hints[field] == str | None:
            yield field, f"{value} or None"
        elif hints[field] == int | None and field != "detected_at":
            yield field, f"numbers[{value}]"
    for name in dict(_matches({"errorcode": "error_code"}, names)).values():
        yield "error_code", f"codes[v[{names.index(name)}]]"
    if "Domain" in names and "User" in names:
        yield "user", f"user_of(v[{names.index('Domain')}], v[{names.index('User')}], v[{names.index(found['user'])}] or None)"


_hints = cache(get_type_hints)


def _sources(sources: tuple[str, ...], fields: Mapping[str, str], names: tuple[str, ...]) -> Iterator[str]:
    """The expressions of a part's sources."""
    for source in sources:
        if source[0] == "=":
            places = [place for place, name in enumerate(names) if name == source[1:]]
        elif source[0] == "~":
            places = [place for place, name in enumerate(names) if _plain(name) == source[1:]]
        else:
            yield fields.get(source, "None")
            continue
        yield f"v[{places[0]}]" if places else "None"


def _matches(table: Mapping[str, str], names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Field and Data name, one name for each field: the first in the table's order."""
    plain = {_plain(name): name for name in reversed(names)}
    found: dict[str, str] = {}
    for key, field in table.items():
        if key in plain:
            found.setdefault(field, plain[key])
    return tuple(found.items())


def _plain(name: str) -> str:
    return name.replace(" ", "").lower().replace("securityintelligence", "signature")

"""What is wrong with a formatter definition, told at the start: plaso tells when it renders the first event (sink-contracts P1 to P6)."""

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

KEYS = (
    "type", "data_type", "boolean_helpers", "enumeration_helpers", "flags_helpers",
    "message", "separator", "short_message", "short_source", "source",
)  # fmt: skip
"""The keys that we use, in the order in which they are exported; plaso also knows `custom_helpers`, which need code inside plaso."""
HELPERS = {
    "boolean_helpers": {"input_attribute", "output_attribute", "value_if_true", "value_if_false"},
    "enumeration_helpers": {"input_attribute", "output_attribute", "values", "default_value"},
    "flags_helpers": {"input_attribute", "output_attribute", "values"},
}
PLASO_OWN = frozenset({"av:defender:detection_history", "windows:evtx:record"})
DATA_STREAM_NAMES = frozenset({"md5_hash", "sha1_hash", "sha256_hash", "file_entropy", "yara_match"})
"""psort takes these from the file that was parsed, not from the event: they would print as null."""
_OURS = re.compile(r"av:defender:[a-z_]+(:[a-z_]+)*")
_NAME = re.compile(r"[a-z][a-zA-Z0-9_]*")
_SPEC = re.compile(r"[\w .,<>=^+\-#%*]*", re.ASCII)
_PLASO_SEES = re.compile(r"\{([a-z][a-zA-Z0-9_]*)[^}]*\}")
"""How plaso finds the attribute of a piece: also inside `{{text}}`, where `str.format` sees none."""
_SAMPLES: dict[type, object] = {int: 0, float: 0.0, bool: True, str: "", list: [], tuple: []}


def check(definition: Mapping[str, Any], *, owned_by_plaso: bool = False, types: Mapping[str, type] | None = None) -> list[str]:
    """Everything wrong with a definition; an empty list is approval.

    `owned_by_plaso` admits the data types of `mappings/plaso/known.yaml`. `types` (attribute to int, float, bool, str or list) lets it
    check that each format and each helper's keys fit the attribute.
    """
    problems = structure(definition)
    data_type = definition.get("data_type")
    if isinstance(data_type, str):
        if owned_by_plaso and data_type not in PLASO_OWN:
            problems.append(f"data_type `{data_type}` is not one of plaso's")
        if not owned_by_plaso and (data_type in PLASO_OWN or not _OURS.fullmatch(data_type)):
            problems.append(f"data_type `{data_type}` must begin with `av:defender:` and not be one of plaso's own")
    if not problems and types:
        problems += _unfit(definition, types)
    return problems


def structure(definition: Mapping[str, Any]) -> list[str]:
    """What would keep the definition from being compiled, or from meaning the same in plaso."""
    return list(_structure(definition))


def _structure(definition: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(set(map(str, definition)) - set(KEYS)):
        yield f"unknown key `{key}`"
    if definition.get("type") != "conditional":
        yield "type must be `conditional`"
    for key in ("data_type", "short_source", "source"):
        if not isinstance(definition.get(key), str) or not definition[key]:
            yield f"{key} must be a text"
    separator = definition.get("separator", " ")
    if not isinstance(separator, str) or set(separator) & set("{}"):
        yield "separator must be a text without braces"
    for key in ("message", "short_message"):
        yield from _list_problems(key, definition.get(key))
    for key, allowed in HELPERS.items():
        for helper in definition.get(key) or ():
            yield from (f"{key}: {problem}" for problem in _helper_problems(key, helper, allowed))


def _list_problems(key: str, pieces: object) -> Iterator[str]:
    if not isinstance(pieces, (list, tuple)) or not pieces:
        yield f"{key} must be a list of pieces"
        return
    for piece in pieces:
        yield from (f"{key} piece {piece!r}: {problem}" for problem in _piece_problems(piece))


def _piece_problems(piece: object) -> Iterator[str]:
    if not isinstance(piece, str):
        yield "must be a text"
        return
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(piece) if name is not None]
    except ValueError as error:
        yield str(error)
        return
    names = {name for name, _, _ in fields}
    if len(names) > 1:
        yield "at most one attribute in a piece"
    bad_names = [problem for name in sorted(names) for problem in _name_problems(name)]
    yield from bad_names
    if not bad_names and set(_PLASO_SEES.findall(piece)) != names:
        yield "plaso would take what stands in doubled braces for an attribute"
    for _, spec, conversion in fields:
        if conversion not in (None, "r", "s", "a"):
            yield f"unknown conversion `!{conversion}`"
        if spec and not (_SPEC.fullmatch(spec) and any(_formats(sample, spec) for sample in _SAMPLES.values())):
            yield f"no value has the format `{spec}`"


def _name_problems(name: object) -> Iterator[str]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"attribute name `{name}` must match [a-z][a-zA-Z0-9_]*"
    elif name in DATA_STREAM_NAMES:
        yield f"`{name}` is a name of plaso's data streams; use `md5`, `sha1`, `sha256`"


def _helper_problems(key: str, helper: object, allowed: set[str]) -> Iterator[str]:
    if not isinstance(helper, Mapping):
        yield "each helper is a table"
        return
    for name in sorted(set(map(str, helper)) - allowed):
        yield f"unknown key `{name}`"
    for name in ("input_attribute", "output_attribute"):
        yield from _name_problems(helper.get(name))
    for name in ("value_if_true", "value_if_false", "default_value"):
        if not isinstance(helper.get(name), str | None):
            yield f"{name} must be a text"
    if "values" in allowed:
        values = helper.get("values")
        if not isinstance(values, Mapping) or not values or not all(isinstance(text, str) for text in values.values()):
            yield "values must be a table of texts"
            return
        kinds = {type(value) for value in values}
        if len(kinds) != 1 or not kinds <= ({int} if key == "flags_helpers" else {int, str}):
            yield f"the keys of values must all be {'integers' if key == 'flags_helpers' else 'integers or all be texts'}"


def _unfit(definition: Mapping[str, Any], types: Mapping[str, type]) -> Iterator[str]:
    made = {helper["output_attribute"]: str for key in HELPERS for helper in definition.get(key) or ()}
    for key in ("enumeration_helpers", "flags_helpers"):
        for helper in definition.get(key) or ():
            source = helper["input_attribute"]
            expected = type(next(iter(helper["values"])))
            if source in types and types[source] is not expected:
                yield f"{key}: `{source}` is {types[source].__name__}, the keys of its values are {expected.__name__}"
    for key in ("message", "short_message"):
        for piece in definition[key]:
            for _, name, spec, conversion in string.Formatter().parse(piece):
                sample = _SAMPLES.get({**types, **made}.get(name or "", object))
                if spec and sample is not None and not _formats(str(sample) if conversion else sample, spec):
                    yield f"{key} piece {piece!r}: the format does not fit `{name}`"


def _formats(sample: object, spec: str) -> bool:
    try:
        format(sample, spec)
    except (TypeError, ValueError, OverflowError):
        return False
    return True

"""CASE.yaml: what belongs to a case, in one file. Paths in it are relative to it."""

import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from exporter.errors import ConfigurationError

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")


class CaseHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One host: `evidence` are paths or patterns, read together; `name` where the evidence does not say it.

    `utc_offset` (`+01:00`) is for logs of local time that do not say their own.
    """

    evidence: list[str]
    name: str | None = None
    utc_offset: str | int | None = None


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Every match of `evidence` is a host; every entry of `hosts` is one."""

    case: str | None = None
    hosts: list[CaseHost] = []
    evidence: list[str] = []
    sinks: list[str] = []
    sources: list[str] = []
    keys: str | None = None
    vss: Literal["none", "latest", "all"] | None = None
    state: str | None = None
    work: str | None = None
    jobs: int | None = None
    runner: str | None = None


class Lines(msgspec.Struct, frozen=True):
    """Where in a file something stands: `$.hosts[3].name` to its line."""

    path: Path
    numbers: dict[str, int]

    def error(self, place: str, what: str) -> ConfigurationError:
        """An error that names file and line."""
        while place not in self.numbers and place != "$":
            place = place.rpartition("." if place.rfind(".") > place.rfind("[") else "[")[0]
        return ConfigurationError(f"{self.path}:{self.numbers.get(place, 1)}: {what}")


def read_case(path: Path) -> tuple[CaseFile, Lines]:
    """The case, and where everything stands. Raises ConfigurationError with file and line."""
    lines = Lines(path, {})
    try:
        node = yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
        value = _value(node, "$", lines, ()) if node is not None else {}
        return msgspec.convert(value, CaseFile), lines
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text at byte {error.start}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or error
        raise ConfigurationError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {what}") from error
    except msgspec.ValidationError as error:
        raise _invalid(lines, str(error)) from None


def _invalid(lines: Lines, text: str) -> ConfigurationError:
    match = _PLACE.match(text)
    assert match is not None
    place = match["path"] or "$"
    unknown = _UNKNOWN.search(match["what"])
    if unknown:
        return lines.error(f"{place}.{unknown['name']}", f"`{unknown['name']}` is not known here")
    return lines.error(place, f"`{place.removeprefix('$.')}`: {match['what']}")


def _value(node: yaml.Node, place: str, lines: Lines, above: tuple[yaml.Node, ...]) -> Any:
    """The node as Python has it; every place's line is noted."""
    lines.numbers.setdefault(place, node.start_mark.line + 1)
    if node in above:
        raise lines.error(place, "an alias that holds itself")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, f"{place}[{number}]", lines, (*above, node)) for number, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, lines, (*above, node))
    return yaml.SafeLoader("").construct_object(node)


def _mapping(node: yaml.MappingNode, place: str, lines: Lines, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in node.value:
        name = str(key.value)
        lines.numbers[f"{place}.{name}"] = key.start_mark.line + 1
        if name in found:
            raise lines.error(f"{place}.{name}", f"`{name}` is there twice")
        found[name] = _value(item, f"{place}.{name}", lines, above)
    return found

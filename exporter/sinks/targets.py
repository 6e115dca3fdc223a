"""What stands after `--to`: `name:target?option=value`, and the sink that it names."""

import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl

import msgspec

from exporter.errors import ConfigurationError
from exporter.sinks import SINKS, Sink
from exporter.times import from_unix_ns


class SinkTarget(msgspec.Struct, frozen=True):
    """One `--to`: the sink's name, its target (a path, `-` for standard output, later an address), its options."""

    name: str
    target: str
    options: Mapping[str, str] = {}

    def allow(self, names: Iterable[str]) -> None:
        """Raise ConfigurationError for an option that is not one of `names`."""
        for name in sorted(set(self.options) - set(names)):
            known = ", ".join(f"`{known}`" for known in sorted(names)) or "none"
            raise ConfigurationError(f"the sink `{self.name}` has no option `{name}` (known: {known})")


def wall_clock() -> int:
    """Now, in ticks."""
    return from_unix_ns(time.time_ns())


class SinkSettings(msgspec.Struct, frozen=True):
    """What all sinks of a run share.

    `force` replaces existing targets; `reproducible` leaves out what differs between two runs; `temporary_directory` is where timelines
    too large for memory are sorted (None: the folder of the target, where the result must fit anyway); `clock` gives ticks.
    """

    force: bool = False
    reproducible: bool = False
    temporary_directory: Path | None = None
    clock: Callable[[], int] = wall_clock


def parse_target(text: str) -> SinkTarget:
    r"""`timesketch:case.jsonl?x=y` in its parts; Windows paths such as `ecs:C:\x.ndjson` are whole. Raises ConfigurationError."""
    name, colon, rest = text.partition(":")
    if name not in SINKS:
        known = ", ".join(f"`{known}`" for known in SINKS)
        raise ConfigurationError(f"unknown sink in `{text}`: a target is `name:path`, with one of the names {known}")
    target, question, query = rest.partition("?")
    if not colon or not target:
        raise ConfigurationError(f"`{text}` names no target: write `{name}:path`, or `{name}:-` for standard output")
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if question else {}
    except ValueError:
        raise ConfigurationError(f"the options of `{text}` are not of the form `name=value&name=value`") from None
    return SinkTarget(name, target, options)


def open_sink(target: SinkTarget, settings: SinkSettings) -> Sink:
    """The sink that `target` names; nothing is touched before its `check`. Raises ConfigurationError for its options."""
    module, _, name = SINKS[target.name].partition(":")
    return cast(Sink, getattr(import_module(module), name)(target, settings))

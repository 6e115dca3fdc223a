"""What stands after `--to`: `name:target?option=value`, and the sink that it names."""

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl

import msgspec

from exporter.errors import ConfigurationError
from exporter.sinks import ADDRESSES, SERVERS, SINKS, Sink
from exporter.times import from_unix_ns

_USER_IN_ADDRESS = re.compile(r"://.*@", re.DOTALL)
_SECRETS = frozenset(("api_key", "apikey", "bearer", "bearer_token", "passphrase", "passwd", "password", "secret", "token"))


class SinkTarget(msgspec.Struct, frozen=True):
    """One `--to`: the sink's name, its target (a path, `-` for standard output, an address), its options."""

    name: str
    target: str
    options: Mapping[str, str] = {}

    @property
    def server(self) -> bool:
        """True for what is reached over the network."""
        return self.name in SERVERS or self.target.startswith(("http://", "https://"))

    @property
    def path(self) -> Path | None:
        """The file or device that it names; None for standard output and servers."""
        return None if self.server or self.target == "-" else Path(self.target)

    def number(self, name: str, default: int, most: int | None = None) -> int:
        """An option that is a whole number above 0; raises ConfigurationError."""
        text = self.options.get(name, str(default))
        if not (text.isascii() and text.isdecimal()) or int(text) < 1 or (most is not None and int(text) > most):
            limit = "above 0" if most is None else f"from 1 to {most}"
            raise ConfigurationError(f"the option `{name}` of `{self.name}` is a number {limit}, not `{text}`")
        return int(text)

    def allow(self, names: Iterable[str]) -> None:
        """Raise ConfigurationError for an option that is not one of `names`."""
        for name in sorted(set(self.options) - set(names)):
            known = ", ".join(f"`{known}`" for known in sorted(names)) or "none"
            raise ConfigurationError(f"the sink `{self.name}` has no option `{name}` (known: {known})")


def yes_or_no(target: SinkTarget, name: str, *, default: bool) -> bool:
    """An option that is `yes` or `no`; raises ConfigurationError."""
    text = target.options.get(name, "yes" if default else "no")
    if text not in ("yes", "no"):
        raise ConfigurationError(f"the option `{name}` of `{target.name}` is `yes` or `no`, not `{text}`")
    return text == "yes"


def wall_clock() -> int:
    """Now, in ticks."""
    return from_unix_ns(time.time_ns())


class SinkSettings(msgspec.Struct, frozen=True):
    """What all sinks of a run share.

    `force` replaces existing targets; `reproducible` leaves out what differs between two runs; `temporary_directory` is where timelines
    too large for memory are sorted (None: the folder of the target, where the result must fit anyway); `clock` gives ticks. `case` names
    the default index, `spool` is where timelines wait for their upload, each in a folder that `lock` keeps for one run. With
    `own_timeline` an uploaded timeline's name is this delivery's alone: what else is in it, a failed attempt left there.
    Waiting for a server is measured by `monotonic`, done by `sleep` and spread by `random`.
    """

    force: bool = False
    reproducible: bool = False
    temporary_directory: Path | None = None
    clock: Callable[[], int] = wall_clock
    case: str = ""
    spool: Path = Path("timesketch-spool")
    lock: Callable[[Path], AbstractContextManager[object]] = nullcontext
    own_timeline: bool = False
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


def parse_target(text: str) -> SinkTarget:
    r"""`timesketch:case.jsonl?x=y` in its parts; Windows paths such as `ecs:C:\x.ndjson` are whole.

    Raises ConfigurationError; for a secret, which everybody on the machine could read in the list of processes, without repeating it.
    """
    name, colon, rest = text.partition(":")
    if _USER_IN_ADDRESS.search(text):
        raise ConfigurationError(
            "an address carries a user or a password: give `user=` and `password_file=`, or the environment (an `@` in an option is `%40`)"
        )
    target, question, query = rest.partition("?")
    if name not in SINKS:
        known = ", ".join(f"`{known}`" for known in SINKS)
        raise ConfigurationError(f"unknown sink in `{name}{colon}{target}`: a target is `name:path`, with one of the names {known}")
    if not colon or not target:
        raise ConfigurationError(f"`{name}{colon}` names no target: write `{name}:path`, or `{name}:-` for standard output")
    return SinkTarget(name, target, _options(f"{name}:{target}", query) if question else {})


def _options(where: str, query: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise ConfigurationError(f"the options of `{where}` are not of the form `name=value&name=value`") from None
    for option in sorted(_SECRETS & set(map(str.lower, options))):
        raise ConfigurationError(f"`{option}` of `{where}` is a secret: give it in a file (`{option}_file`) or in the environment")
    return options


def open_sink(target: SinkTarget, settings: SinkSettings) -> Sink:
    """The sink that `target` names; nothing is touched before its `check`. Raises ConfigurationError for its options."""
    table = {**SINKS, **ADDRESSES} if target.server else SINKS
    module, _, name = table[target.name].partition(":")
    return cast(Sink, getattr(import_module(module), name)(target, settings))

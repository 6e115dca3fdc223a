"""What `ingest` says while it works: lines for a person, or ECS-shaped JSON for a collector of logs; always on standard error."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable

from exporter import __version__
from exporter.text import printable
from exporter.times import from_unix_ns, iso


def _say(line: str) -> None:
    """A log that nobody reads any more is no reason to stop delivering."""
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 (this is the output)
    except OSError:
        with contextlib.suppress(OSError):  # what is left in the buffer goes nowhere: Python would fail at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class TextLog:
    """`level: sentence`; from `info` on."""

    def __call__(self, level: str, action: str, message: str, **facts: object) -> None:
        prefix = "" if level == "info" else f"{level}: "
        _say(printable(f"{prefix}{message}"))


class JsonLog:
    """One object a line, with the field names of ECS; what is ours stands below `defender_exporter`."""

    def __call__(self, level: str, action: str, message: str, **facts: object) -> None:
        line = {
            "@timestamp": iso(from_unix_ns(time.time_ns()), 6),
            "log.level": level,
            "message": message,
            "ecs.version": "9.4.0",
            "event": {"action": action, "module": "defender_exporter", "dataset": "defender_exporter.log"},
            "service": {"name": "defender-exporter", "version": __version__},
            **({"defender_exporter": facts} if facts else {}),
        }
        _say(json.dumps(line, default=str))


LOGS: dict[str, Callable[[], TextLog | JsonLog]] = {"text": TextLog, "json": JsonLog}

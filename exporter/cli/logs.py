"""What `ingest` says while it works: lines for a person, or ECS-shaped JSON for a collector of logs; always on standard error."""

import json
import sys
import time
from collections.abc import Callable

from exporter import __version__
from exporter.text import printable
from exporter.times import from_unix_ns, iso


class TextLog:
    """`level: sentence`; from `info` on."""

    def __call__(self, level: str, action: str, message: str, **facts: object) -> None:
        prefix = "" if level == "info" else f"{level}: "
        print(printable(f"{prefix}{message}"), file=sys.stderr, flush=True)  # noqa: T201 (this is the output)


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
        print(json.dumps(line, default=str), file=sys.stderr, flush=True)  # noqa: T201 (this is the output)


LOGS: dict[str, Callable[[], TextLog | JsonLog]] = {"text": TextLog, "json": JsonLog}

"""What the three emitted blocks have in common: lines come in, a payload comes out, and a limit keeps hostile ones small."""

from enum import Enum
from typing import Protocol

from exporter.formats.mplog_clock import Clock
from exporter.formats.mplog_records import LogRecord

LINES_LIMIT = 1 << 16
CHARACTERS_LIMIT = 1 << 22
"""A block above either limit is cut there; real ones have some hundred lines."""


class Step(Enum):
    """What a line is to the open block."""

    MORE = "its own, and not its last"
    LAST = "its own, and its last"
    FOREIGN = "not its own: the block has ended before"


class Block(Protocol):
    """A record of several lines that is being read."""

    def feed(self, text: str, kind: str) -> Step:
        """Take a line (no stamp, no terminator) that begins no other record."""
        ...

    def payload(self, clock: Clock) -> LogRecord | None:
        """What the lines say; None when they say nothing."""
        ...

    def lacking(self) -> str | None:
        """What the block should have had and has not."""
        ...

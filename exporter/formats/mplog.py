"""MPLog: Windows Defender's main log, read as a stream (formats-logs.md chapter 1).

Detection lines and the session, scan and threat-action blocks become payloads; every other line is counted under its kind. One unit is
one line: one LF, or what stands after the last one.
"""

from collections.abc import Iterator
from typing import BinaryIO

from exporter.formats.mplog_clock import NO_HINTS
from exporter.formats.mplog_reader import Reader
from exporter.formats.mplog_records import (
    ActedResource,
    DetectionAdd,
    DetectionClean,
    DetectionEvent,
    LogRecord,
    ResourceScan,
    ScanResult,
    Session,
    ThreatAction,
    ThreatActions,
)
from exporter.formats.text_lines import TextLines
from exporter.formats.time_zone import ClockHints
from exporter.records import Item

__all__ = [
    "ActedResource",
    "DetectionAdd",
    "DetectionClean",
    "DetectionEvent",
    "LogRecord",
    "ResourceScan",
    "ScanResult",
    "Session",
    "ThreatAction",
    "ThreatActions",
    "parse_mplog",
]


def parse_mplog(stream: BinaryIO, hints: ClockHints = NO_HINTS) -> Iterator[Item]:
    """The six `mplog_…` payloads, what could not be read, and a Tally in lines.

    Order is that of the file. `raw_hash` is that of a line without its terminator, or of all lines of a block without the last one's
    terminator; `number` is the number of the first line, from 1. `hints` say what local times mean where no session header does. Memory
    is bounded by the limits of `text_lines` and `mplog_blocks`.
    """
    return Reader(TextLines(stream), hints).items()

"""The session header of an MPLog, which gives the UTC offset of everything below it.

    <product, localised> (<guid>) Service Log
    Started On <local>
    ************************************************************
    OS install time: <UTC> UTC
    Current time: <UTC> UTC (<n> ms since boot)

Whether the shutdown before was a clean one stands in stamped lines after it.
"""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from exporter.formats import mplog_kinds as kinds
from exporter.formats.mplog_blocks import Step
from exporter.formats.mplog_clock import Clock, header_ticks, local_ticks
from exporter.formats.mplog_lines import number
from exporter.formats.mplog_records import Session
from exporter.formats.text_lines import Chunk, TextLines

_STARTED = "Started On "
_INSTALLED = "OS install time: "
_CURRENT = "Current time: "
_STARS = "****"
_DIRTY = "DirtyShutdownDetected: "


def session_offsets(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Of each session header: the wall clock at its start, in ticks as if it were UTC, and the offset in minutes.

    For whoever wants nothing else of a log; headers whose clocks are not both there, or disagree, are passed over.
    """
    clock, started = Clock(), None
    for chunk in TextLines(stream):
        for text in chunk.texts if isinstance(chunk, Chunk) else ():
            if text.startswith(_STARTED):
                started = text.removeprefix(_STARTED)
            elif started is not None and text.startswith(_CURRENT):
                clock.begin_session(started, header_ticks(text.removeprefix(_CURRENT)))
                local = local_ticks(started)
                if local is not None and clock.utc_offset is not None:
                    yield local, clock.utc_offset
                started = None


class SessionBlock:
    """A header being read; its first line is the product's, or `Started On` where that one is lost."""

    def __init__(self, text: str) -> None:
        self._product, self._guid = _title(text)
        self._started: str | None = None
        self._installed_at: int | None = None
        self._current: int | None = None
        self._since_boot: int | None = None
        self.feed(text, kinds.SESSION)

    def feed(self, text: str, kind: str) -> Step:
        if text.startswith(_STARTED) and self._started is None:
            self._started = text.removeprefix(_STARTED).strip()
        elif text.startswith(_INSTALLED):
            self._installed_at = header_ticks(text.removeprefix(_INSTALLED))
        elif text.startswith(_CURRENT):
            self._current = header_ticks(text.removeprefix(_CURRENT))
            self._since_boot = number(text.partition("(")[2].partition(" ms since boot")[0])
            return Step.LAST
        elif kind != kinds.SESSION_DETAIL and not text.startswith(_STARS):
            return Step.FOREIGN
        return Step.MORE

    def payload(self, clock: Clock) -> Session | None:
        """The session; moves `clock` into it."""
        clock.begin_session(self._started, self._current)
        logged_at, basis = clock.of_line(stamped=self._current is not None)
        return Session(
            logged_at=logged_at,
            time_basis=basis,
            **clock.session_offset,
            product=self._product,
            product_guid=self._guid,
            started_local=self._started,
            os_installed_at=self._installed_at,
            milliseconds_since_boot=self._since_boot,
        )

    def lacking(self) -> str | None:
        if self._current is None:
            return "no `Current time`: the offset of local times is unknown"
        return "no `Started On`: the offset of local times is unknown" if self._started is None else None


def with_shutdown(session: Session, text: str, kind: str) -> Session:
    """The session with what a line after its header says about the shutdown before."""
    if kind == kinds.UNEXPECTED_STOP:
        return msgspec.structs.replace(session, dirty_shutdown=True)
    flag = text.partition(_DIRTY)[2][:1]
    if flag in ("0", "1") and session.dirty_shutdown is None:
        return msgspec.structs.replace(session, dirty_shutdown=flag == "1")
    return session


def _title(text: str) -> tuple[str | None, str | None]:
    if not kinds.is_session_title(text):
        return None, None
    product, _, guid = text.rstrip().removesuffix(") Service Log").rpartition("(")
    return product.strip() or None, guid.upper() or None

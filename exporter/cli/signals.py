"""Signals that end a run: it tidies up as after Ctrl-C, and its exit code names the signal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from exporter.cli import exit_codes

_ENDING = ("SIGTERM", "SIGHUP")
_BY_SIGNAL = 128


class Ended(KeyboardInterrupt):
    """Another signal than that of Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = _BY_SIGNAL + number


def code_of(error: BaseException | None) -> int:
    """130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP: what a shell says of a program that the signal ended."""
    return error.code if isinstance(error, Ended) else exit_codes.INTERRUPTED


@contextmanager
def endable() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Ended meanwhile; one that is ignored (`nohup`) stays so."""
    numbers = [number for name in _ENDING if (number := getattr(signal, name, None)) and signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, _end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise Ended(number)

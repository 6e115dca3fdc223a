"""A process of the local runner: does tasks until its pipe is closed, and ends when its parent is gone."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection, wait

import msgspec

from exporter.batch.work import Quiet, work

READY, OUTCOME, LAST, PROGRESS = b"r", b"o", b"l", b"p"
"""What a message begins with: one that says no more, an outcome, the last outcome of this process, bytes read since the message before."""
HOSTS_PER_PROCESS = 500
LARGEST_MEMORY_MB = 1024
_TELL_SECONDS = 0.25


class Telling(Quiet):
    """Progress as messages to the parent, a few a second."""

    def __init__(self, pipe: Connection, silence: float) -> None:
        super().__init__(silence)
        self._pipe = pipe
        self._read = 0
        self._told_at = 0.0

    def advance(self, size: int) -> None:
        """Tell what was read."""
        super().advance(size)
        self._read += size
        now = time.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._pipe.send_bytes(PROGRESS + self._read.to_bytes(8, "big"))
            self._read = 0


def serve(pipe: Connection) -> None:
    """Do what comes through the pipe. Nothing is written to standard output here: it may be a sink's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        pipe.send_bytes(READY)
        for done in range(1, HOSTS_PER_PROCESS + 1):
            task = pipe.recv_bytes()
            silence = msgspec.msgpack.decode(task, type=_Silence).silence
            outcome = msgspec.msgpack.encode(work(task, Telling(pipe, silence)))
            last = done == HOSTS_PER_PROCESS or _memory_mb() > LARGEST_MEMORY_MB
            pipe.send_bytes((LAST if last else OUTCOME) + outcome)
            if last:
                return
    except (EOFError, OSError):
        return


class _Silence(msgspec.Struct):
    silence: float = 600.0


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _memory_mb() -> float:
    """The peak of this process, where the system tells it."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform != "darwin" else 1 << 20)

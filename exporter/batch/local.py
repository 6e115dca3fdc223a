"""The runner of this machine: supervised processes, each with one host at a time.

A process serves host after host, and is replaced when it dies, hangs, has served many hosts or has grown large. A process for every host
was measured and not taken: starting one and reading its first mappings costs 0.4 s of CPU, twenty times what a small host takes. What the
separation is for does not suffer: a crash costs the host that was being read, and nothing of an earlier one, which is on the disk by then.
(`ProcessPoolExecutor` gives up as a whole when one of its processes dies.)
"""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

import msgspec

from exporter.batch.child import LAST, PROGRESS, READY, serve
from exporter.batch.runners import RunnerSettings
from exporter.batch.task import Outcome, Task, failed, packed
from exporter.errors import ConfigurationError

_MOST_DEATHS = 2
_MOST_UNBORN = 20
_END_SECONDS = 5.0
_decode = msgspec.msgpack.Decoder(Outcome).decode


class LocalRunner:
    """See `Runner`. `run` raises ConfigurationError when no process comes up."""

    def __init__(self, settings: RunnerSettings) -> None:
        self._silence = settings.silence
        self._unborn = 0
        self._children = [_Child() for _ in range(settings.jobs)]

    def run(self, tasks: Iterable[Task], advance: Callable[[int], None]) -> Iterator[Outcome]:
        """Outcomes as they come. A host whose process died is tried again after all others: what killed it may have passed by then."""
        waiting = iter(tasks)
        again: deque[Task] = deque()
        deaths: dict[str, int] = {}
        while True:
            for child in self._children:
                if child.task is None and (task := next(waiting, None) or (again.popleft() if again else None)) is not None:
                    child.start(task)
            busy = [child for child in self._children if child.task is not None]
            if not busy:
                return
            for child in self._heard(busy):
                outcome = child.hear(advance)
                if outcome is None and child.died is not None:
                    outcome = self._after_death(child, again, deaths)
                if outcome is not None:
                    yield outcome
            yield from filter(None, (self._given_up(child) for child in busy))

    def _heard(self, busy: list["_Child"]) -> list["_Child"]:
        """Those that have something to say, or died; after a while none."""
        first = min(child.since for child in busy) + self._silence
        ready = wait([child.pipe for child in busy], timeout=max(0.0, first - time.monotonic()))
        return [child for child in busy if child.pipe in ready]

    def _after_death(self, child: "_Child", again: deque[Task], deaths: dict[str, int]) -> Outcome | None:
        task, reason = child.abandon(), child.died
        self._unborn = 0 if child.ready else self._unborn + 1
        if self._unborn == _MOST_UNBORN:
            raise ConfigurationError(f"the processes that read hosts do not start: {reason}")
        if not child.ready:
            again.append(task)
            return None
        deaths[task.item.id] = deaths.get(task.item.id, 0) + 1
        if deaths[task.item.id] < _MOST_DEATHS:
            again.append(task)
            return None
        return failed(task.item, f"the process that read it died {_MOST_DEATHS} times: {reason}")

    def _given_up(self, child: "_Child") -> Outcome | None:
        waited = time.monotonic() - child.since
        if child.task is None or waited < self._silence:
            return None
        child.end()
        return failed(child.abandon().item, f"given up: it was not read on for {self._silence:g} seconds", seconds=round(waited, 3))

    def close(self) -> None:
        """End all processes, also those that do not listen."""
        for child in self._children:
            child.end()


class _Child:
    """A process, its pipe, and what it does: `since` is the last sign of life, `ready` one that it has come up, `died` how it ended."""

    def __init__(self) -> None:
        self._process: Any = None
        self._closed = True
        self.pipe: Connection
        self.task: Task | None = None
        self.since = 0.0
        self.died: str | None = None
        self.ready = False

    def start(self, task: Task) -> None:
        """Give it a task; a process that is not there, or died while it had nothing to do, is replaced."""
        data = packed(task)
        if self._closed or not self._sent(data):
            self.end()
            self._open()
            self._sent(data)
        self.task, self.since, self.died = task, time.monotonic(), None

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._closed = self.ready = False
        self._process = context.Process(target=serve, args=(theirs,), daemon=True, name="defender-exporter-batch")
        try:
            self._process.start()
        finally:
            theirs.close()

    def _sent(self, data: bytes) -> bool:
        try:
            self.pipe.send_bytes(data)
        except OSError:
            return False
        return True

    def hear(self, advance: Callable[[int], None]) -> Outcome | None:
        """The outcome of its task, or None: it told its progress, or died."""
        try:
            message = self.pipe.recv_bytes()
        except (EOFError, OSError):
            self._process.join(_END_SECONDS)
            self.died = _how(self._process.exitcode)
            self.end()
            return None
        self.since = time.monotonic()
        self.ready = True
        if message[:1] == READY:
            return None
        if message[:1] == PROGRESS:
            advance(int.from_bytes(message[1:], "big"))
            return None
        if message[:1] == LAST:
            self.end()
        self.task = None
        return _decode(message[1:])

    def abandon(self) -> Task:
        """Take its task away."""
        task, self.task = self.task, None
        assert task is not None
        return task

    def end(self) -> None:
        """Be rid of the process."""
        if self._closed:
            return
        self._closed = True
        self.pipe.close()
        if self._process is not None and self._process.pid is not None:
            self._process.terminate()
            self._process.join(_END_SECONDS)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join(_END_SECONDS)


def _how(code: int | None) -> str:
    if code is None:
        return "it closed its pipe"
    return f"signal {-code}" if code < 0 else f"exit code {code}"

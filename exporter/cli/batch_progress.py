"""How far a batch is: hosts, bytes, and how long the rest may take."""

import json
import sys
import time
from collections.abc import Callable

from exporter.batch.run import Teller
from exporter.batch.task import Outcome

_INTERVAL_SECONDS = 0.5
_HOST_BYTES = 2_000_000
"""What a host takes besides its bytes, as bytes."""


class Silent:
    """Says nothing."""

    def start(self, hosts: int, size: int) -> None:
        pass

    def advance(self, size: int) -> None:
        pass

    def done(self, outcome: Outcome) -> None:
        pass

    def close(self) -> None:
        pass


class Count:
    """Hosts and bytes, and an estimate; `say` shows it."""

    def __init__(self, say: Callable[["Count"], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self.hosts = self.hosts_total = self.size = self.size_total = self.failed = 0
        self._began = self._said_at = 0.0

    def start(self, hosts: int, size: int) -> None:
        """The totals."""
        self.hosts_total, self.size_total = hosts, size
        self._began = self._clock()
        self._tell(always=True)

    def advance(self, size: int) -> None:
        """Bytes read: more than planned where archives are unpacked."""
        self.size = min(self.size + size, self.size_total)
        self._tell()

    def done(self, outcome: Outcome) -> None:
        """A host more."""
        self.hosts += 1
        self.failed += outcome.state != "complete"
        self._tell(always=self.hosts == self.hosts_total)

    def close(self) -> None:
        """The last word."""

    @property
    def seconds_left(self) -> float | None:
        """By what was done so far, with something for each host besides its bytes; None before there is anything to go by."""
        done = self.size + self.hosts * _HOST_BYTES
        whole = self.size_total + self.hosts_total * _HOST_BYTES
        return None if not done else (self._clock() - self._began) * (whole - done) / done

    def _tell(self, *, always: bool = False) -> None:
        now = self._clock()
        if always or now - self._said_at >= _INTERVAL_SECONDS:
            self._said_at = now
            self._say(self)


def _json(count: Count) -> None:
    left = count.seconds_left
    facts = {
        "hosts": count.hosts,
        "hosts_total": count.hosts_total,
        "not_complete": count.failed,
        "bytes": count.size,
        "bytes_total": count.size_total,
        "seconds_left": None if left is None else round(left),
    }
    print(json.dumps({"progress": facts}), file=sys.stderr, flush=True)  # noqa: T201 (this is the output)


class Terminal(Count):
    """A bar of hosts, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("hosts"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rest]}"))
        self._bar = Bar(*columns, console=Console(stderr=True, markup=False, highlight=False), transient=True)
        self._task = self._bar.add_task("", rest="")
        super().__init__(self._show)

    def start(self, hosts: int, size: int) -> None:
        """The totals."""
        self._bar.start()
        super().start(hosts, size)

    def close(self) -> None:
        """Clear the bar."""
        self._bar.stop()

    def _show(self, count: Count) -> None:
        left = count.seconds_left
        rest = f"{count.size / 1e6:,.0f} of {count.size_total / 1e6:,.0f} MB, {count.failed} not complete"
        rest += "" if left is None else f", {_spoken(left)} left"
        self._bar.update(self._task, total=count.hosts_total, completed=count.hosts, rest=rest)


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def make(kind: str) -> Teller:
    """`auto` (a terminal gets a bar if rich is there), `json`, or `none`."""
    if kind == "json":
        return Count(_json)
    if kind == "auto" and sys.stderr.isatty():
        try:
            return Terminal()
        except ImportError:
            pass
    return Silent()

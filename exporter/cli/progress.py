"""How far a run is: on a terminal by rich, as JSON lines for schedulers, or not at all."""

import sys
import time
from typing import Any

from exporter.pipeline import Progress
from exporter.text import printable

_INTERVAL_SECONDS = 0.5


class Silent:
    """Says nothing."""

    def start(self, files: int, size: int) -> None:
        pass

    def file(self, host: str, path: str) -> None:
        pass

    def advance(self, size: int) -> None:
        pass

    def close(self) -> None:
        pass


class JsonLines:
    """One object a line on standard error, at most two a second: files, bytes, current file."""

    def __init__(self) -> None:
        self._state: dict[str, Any] = {"files": 0, "files_total": 0, "bytes": 0, "bytes_total": 0}
        self._said_at = 0.0

    def start(self, files: int, size: int) -> None:
        """The totals, as far as sizes are known."""
        self._state.update(files_total=files, bytes_total=size)
        self._say(always=True)

    def file(self, host: str, path: str) -> None:
        """The file that is being read now."""
        self._state.update(files=self._state["files"] + 1, host=host, file=path)
        self._say()

    def advance(self, size: int) -> None:
        """Bytes read."""
        self._state["bytes"] += size
        self._say()

    def close(self) -> None:
        """The last word."""
        self._say(always=True)

    def _say(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._said_at >= _INTERVAL_SECONDS:
            import json

            self._said_at = now
            print(json.dumps({"progress": self._state}), file=sys.stderr, flush=True)  # noqa: T201 (this is the output)


class Terminal:
    """A bar of bytes and the current file, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.fields[host]}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[name]}"),
        )
        self._bar = Bar(*columns, console=Console(stderr=True, markup=False, highlight=False), transient=True)
        self._task = self._bar.add_task("", host="", name="")

    def start(self, files: int, size: int) -> None:
        """The total of bytes, as far as sizes are known."""
        self._bar.update(self._task, total=size)
        self._bar.start()

    def file(self, host: str, path: str) -> None:
        """The file that is being read now; hostile names stay inert."""
        from rich.markup import escape

        name = printable(path.rpartition("/")[2])[:60]
        self._bar.update(self._task, host=escape(printable(host)[:30]), name=escape(name))

    def advance(self, size: int) -> None:
        """Bytes read."""
        self._bar.update(self._task, advance=size)

    def close(self) -> None:
        """Clear the bar."""
        self._bar.stop()


def make(kind: str) -> Progress:
    """`auto` (a terminal gets a bar if rich is there), `json`, or `none`."""
    if kind == "json":
        return JsonLines()
    if kind == "auto" and sys.stderr.isatty():
        try:
            return Terminal()
        except ImportError:
            pass
    return Silent()

"""`timesketch:https://host?sketch=NAME&timeline=NAME`: the JSONL parts of `timesketch`, uploaded into one timeline."""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, ClassVar

import msgspec

from exporter.errors import ConfigurationError, SinkUnavailable
from exporter.records import Mapped
from exporter.sinks import Outcome, Result
from exporter.sinks.index_names import slug
from exporter.sinks.retry import PATIENCE_SECONDS
from exporter.sinks.runs import Saved
from exporter.sinks.targets import SinkSettings, SinkTarget, yes_or_no
from exporter.sinks.timeline import Timeline
from exporter.sinks.timesketch import PART_BYTES, PART_LINES, Encoder
from exporter.sinks.timesketch_delivery import Delivery, Destination
from exporter.sinks.timesketch_server import OPTIONS, TimesketchServer
from exporter.sinks.timesketch_spool import Spool, fill, make_folder

_OPTIONS = ("sketch", "timeline", "spool", "keep", "part_bytes", "part_lines", "patience", *OPTIONS)
_LONGEST_NAME = 255


class TimesketchUpload:
    """A timeline is all or nothing: its order is known at the end, so `flush` ends it and uploads it.

    Options: `sketch` (a name, made when there is none, or a number) and `timeline`, both the case when they are not given; `spool`, the
    folder in which the parts wait; `keep=yes` leaves them there afterwards; `patience`, in seconds, is how long the server may take for a
    part. The same command again continues a failed upload. When the server had every part before, the records are duplicates.
    """

    name: ClassVar[str] = "timesketch"

    def __init__(self, target: SinkTarget, settings: SinkSettings) -> None:
        target.allow(_OPTIONS)
        self.target = target.target
        destination = Destination(_named(target, "sketch", settings.case), _named(target, "timeline", settings.case))
        self._limits = (target.number("part_bytes", PART_BYTES), target.number("part_lines", PART_LINES))
        self._keep = yes_or_no(target, "keep", default=False)
        self._timeline_name = destination.timeline
        self._server = TimesketchServer(target)
        self._spool = Path(target.options.get("spool") or settings.spool) / _folder(self._server.address, destination)
        self._lock = settings.lock
        self._own = settings.own_timeline
        self._held = contextlib.ExitStack()
        self._delivery = Delivery(self._server, destination, settings, target.number("patience", PATIENCE_SECONDS))
        temporary = settings.temporary_directory or self._spool
        self._timeline = Timeline("-", msgspec.structs.replace(settings, temporary_directory=temporary), Encoder().encode)
        self._written = _Written(temporary)
        self._delivered: Spool | None = None
        self._acknowledged = 0
        self.sent = True

    def check(self) -> None:
        """Log in, look at the sketch and the timeline, make the spool folder."""
        make_folder(self._spool)
        self._held.enter_context(self._lock(self._spool))
        self._server.login()
        self._delivery.check()

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take the rows of one record. What is written is told by `flush`: until then nothing is."""
        if self._delivered is not None:
            raise SinkUnavailable("the timeline was uploaded before this record came")
        results = self._timeline.write(event, position)
        return [result for result in results if not self._written.take(result)]

    def merge(self, saved: Sequence[Saved]) -> None:
        """Take rows that processes of a batch have saved, in place of records."""
        self._timeline.runs.take(saved)

    def flush(self) -> Iterable[Result]:
        """Write the parts, upload them, and wait until the server has indexed every row."""
        runs = self._timeline.runs
        if runs.count and self._delivered is None:
            self._delivered = fill(self._spool, runs.blocks(), self._limits, self._server.address, self._timeline_name)
            runs.close()
            self._server.close()
            self._server.login()  # the run may have lasted longer than the session
            self.sent = bool(self._delivery.deliver(self._delivered))
            self._acknowledged = self._timeline.position
            return self._written.results(Outcome.WRITTEN if self.sent else Outcome.DUPLICATE)
        return ()

    @property
    def acknowledged(self) -> int:
        """0 until the timeline is complete."""
        return self._acknowledged

    def close(self) -> list[str]:
        """The parts, where they are kept."""
        self._acknowledged = self._timeline.position
        if self._delivered is not None and not self._keep:
            self._delivered.remove_parts()
            if self._own:
                shutil.rmtree(self._spool, ignore_errors=True)
        self._release()
        if self._delivered is not None and self._keep:
            return [str(self._delivered.part(part)) for part in self._delivered.journal.parts]
        return []

    def abort(self) -> None:
        """Parts that are complete stay in the spool."""
        self._release()

    def discard(self) -> None:
        """Instead of `check` and all that follows: take away what an earlier delivery to this timeline left, here and there."""
        try:
            self._server.login()
            self._delivery.discard()
        finally:
            self._release()
        shutil.rmtree(self._spool, ignore_errors=True)

    def _release(self) -> None:
        self._server.close()
        self._written.close()
        self._timeline.runs.close()
        self._held.close()


class _Written:
    """The results that wait for the server, in a temporary file: `position rows id`, a line each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def take(self, result: Result) -> bool:
        """True when the result waits."""
        if result.outcome is not Outcome.WRITTEN:
            return False
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=self._folder)  # noqa: SIM115 (`close`)
            self._file.write(f"{result.position} {result.rows} {result.id}\n")
        except OSError as error:
            raise SinkUnavailable(f"no room for temporary files: {error.strerror}") from error
        return True

    def results(self, outcome: Outcome) -> Iterator[Result]:
        """What waited, with its outcome; once."""
        if self._file is None:
            return
        try:
            self._file.seek(0)
        except OSError as error:
            raise SinkUnavailable(f"no room for temporary files: {error.strerror}") from error
        for line in self._file:
            position, rows, identity = line.rstrip("\n").split(" ", 2)
            yield Result(int(position), identity, outcome, "", int(rows))
        self.close()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _folder(address: str, destination: Destination) -> str:
    """A name for the folder of a destination, the same on every run."""
    identity = hashlib.sha256("\0".join((address, *destination)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug(destination.timeline)}-{identity[:8]}"


def _named(target: SinkTarget, option: str, case: str) -> str:
    name = target.options.get(option) or case
    if not name or not name.isprintable() or len(name) > _LONGEST_NAME or name != name.strip():
        raise ConfigurationError(f"`{option}` of `timesketch` is a name of 1 to {_LONGEST_NAME} visible characters")
    return name

"""ECS documents as NDJSON, one per record, in the order in which they come."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, cast

from exporter import records
from exporter.errors import SinkUnavailable
from exporter.records import Mapped
from exporter.sinks import Outcome, Result
from exporter.sinks.atomic import Output, PartFile, output_for
from exporter.sinks.ingested import END, ending
from exporter.sinks.runs import Saved
from exporter.sinks.targets import SinkSettings, SinkTarget

_BATCH_BYTES = 1 << 16
"""Larger ones are given back to the system and asked for again, page by page, which costs more than all else here."""
_TAKEN = 8
"""Documents that are taken without a look at what there is already."""
_WRITTEN = Outcome.WRITTEN


class EcsSink:
    """`ecs:FILE.ndjson`. `event.ingested` is the wall clock of the batch's flush (E5); `--reproducible` leaves it out.

    With `output` the documents go there.
    """

    name: ClassVar[str] = "ecs"

    def __init__(self, target: SinkTarget, settings: SinkSettings, output: Output | None = None) -> None:
        target.allow(())
        self.target = target.target
        self._settings = settings
        self._output = output or output_for(target.target, settings.force)
        self._batch: list[bytes] = []
        self._size = 0
        self._position = 0
        self._acknowledged = 0

    def check(self) -> None:
        """Open the target for writing."""
        self._output.open()

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take one document."""
        document = event.document()
        self._position = position
        if not document.endswith(END):
            return (Result(position, event.id, Outcome.DEAD, "the document does not end with its `event` object", 0, document),)
        self._batch.append(document[: -len(END)])
        self._size += len(document)
        if self._size >= _BATCH_BYTES:
            self._send()
        return (Result(position, event.id, _WRITTEN),)

    def take(self, outputs: Sequence[records.Output], position: int) -> Iterable[Result]:
        """Take documents that were made elsewhere."""
        self._position = position
        documents, cut = cast(Sequence[bytes], outputs), -len(END)
        for first in range(0, len(documents), _TAKEN):
            some = documents[first : first + _TAKEN]
            self._batch += [document[:cut] for document in some]
            self._size += sum(map(len, some))
            if self._size >= _BATCH_BYTES:
                self._send()
        return (Result(position, "", _WRITTEN, "", len(outputs), records=len(outputs)),)

    def merge(self, saved: Sequence[Saved]) -> None:
        """Append documents that processes of a batch have saved. Raises SinkUnavailable."""
        for part in saved:
            try:
                with part.path.open("rb") as file:
                    while piece := file.read(_BATCH_BYTES):
                        self._output.write(piece)
            except OSError as error:
                raise SinkUnavailable(f"`{part.path}` cannot be read: {error.strerror}") from error

    @property
    def takes_hosts_early(self) -> bool:
        """True for a file: what a stream got cannot be taken back when the batch is stopped."""
        return isinstance(self._output, PartFile)

    def flush(self) -> Iterable[Result]:
        """Hand over what is buffered."""
        self._send()
        self._output.flush()
        return ()

    @property
    def acknowledged(self) -> int:
        """A document is safe when the file has its name: after `close`."""
        return self._acknowledged

    def close(self) -> list[str]:
        """Complete the file."""
        self._send()
        paths = self._output.commit()
        self._acknowledged = self._position
        return paths

    def abort(self) -> None:
        """Leave no file."""
        self._batch.clear()
        self._output.abort()

    def _send(self) -> None:
        if not self._batch:
            return
        end = ending(None if self._settings.reproducible else self._settings.clock()) + b"\n"
        self._batch.append(b"")
        self._output.write(end.join(self._batch))
        self._batch.clear()
        self._size = 0

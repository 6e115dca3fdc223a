"""Where a batch writes to, and what it remembers of that."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from exporter.batch.merge import Output
from exporter.batch.options import Batch
from exporter.batch.results import STANDARD_OUTPUT
from exporter.batch.store import LETTERS
from exporter.errors import ConfigurationError
from exporter.job import keep_apart, place_of
from exporter.report.run import SinkReport
from exporter.sinks import STREAMING, Sink
from exporter.sinks.atomic import PartFile, refuse_existing
from exporter.sinks.targets import SinkSettings, open_sink, parse_target
from exporter.state.lock import Lock

_NOTE = "batch.json"


class Note(msgspec.Struct, kw_only=True):
    """What a batch remembers of itself: `begun` when its outputs are its own to replace, `finished` is the digest of what they hold.

    `places` are those of its outputs: elsewhere nothing is its own. `outputs` are the files that it has written, `now` is in ticks.
    """

    now: int
    places: tuple[str, ...] = ()
    begun: bool = False
    finished: str = ""
    outputs: tuple[str, ...] = ()


def read_note(folder: Path) -> Note | None:
    """The note in a state folder; None when there is none."""
    try:
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=Note)
    except (OSError, msgspec.MsgspecError):
        return None


def write_note(folder: Path, note: Note) -> None:
    """Replace the note; raises SinkError."""
    file = PartFile(folder / _NOTE, force=True)
    try:
        file.write(msgspec.json.encode(note))
        file.commit()
    finally:
        file.abort()


class Outputs:
    """The targets of a batch and the files beside them. Raises ConfigurationError for two at one place, and for one in the evidence."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.targets = [parse_target(text) for text in batch.to]
        paths = [path for target in self.targets if (path := target.path) is not None]
        self.letters = batch.dead_letters or (paths[0].parent if paths else batch.state) / LETTERS
        further = [str(path) for path in (batch.manifest, batch.results) if path is not None]
        keep_apart([*map(place_of, self.targets), str(self.letters), *further])
        results = None if batch.results in (None, STANDARD_OUTPUT) else Path(batch.results)
        files = [path for path in (*paths, self.letters, batch.manifest, results) if path is not None]
        self.places = tuple(str(path.resolve()) for path in files)
        self._keep_out_of_evidence([*files, batch.state, batch.work, batch.temporary])

    def _keep_out_of_evidence(self, outputs: Sequence[Path | None]) -> None:
        roots = {Path(path).resolve() for item in self._batch.items for path in item.evidence}
        for output in filter(None, outputs):
            real = output.resolve()
            for root in (real, *real.parents):
                if root in roots:
                    raise ConfigurationError(f"`{output}` lies inside the evidence `{root}`, which is never written to")

    def reports(self) -> list[SinkReport]:
        """An empty report for each target."""
        return [SinkReport(name=target.name, target=target.target, server=target.server) for target in self.targets]

    def open(self, reports: Sequence[SinkReport], opened: contextlib.ExitStack, *, force: bool) -> list[Output]:
        """The sinks that merge, open until `opened` ends; servers that hosts go to one by one are asked whether they will have it.

        Raises SinkError and ConfigurationError.
        """
        batch = self._batch
        for path in filter(None, (self.letters, batch.manifest)):
            refuse_existing(path, force)
        settings = SinkSettings(
            force=force,
            reproducible=batch.reproducible,
            temporary_directory=batch.temporary,
            case=batch.case,
            spool=(batch.manifest or self.letters).parent / "timesketch-spool",
            lock=Lock,
        )
        outputs = []
        for number, (target, report) in enumerate(zip(self.targets, reports, strict=True)):
            sink: Sink = open_sink(target, settings)
            opened.callback(sink.abort)
            sink.check()
            if target.name in STREAMING:
                sink.abort()
            else:
                outputs.append(Output(number, sink, report))
        return outputs

    def are_there(self) -> bool:
        """True when every file is, whole or in parts; what went to a stream is nowhere."""
        files = [target.path for target in self.targets if not target.server]
        return all(map(_is_there, [*files, self._batch.manifest] if self._batch.manifest else files))


def _is_there(path: Path | None) -> bool:
    return path is not None and (path.is_file() or path.with_name(f"{path.stem}-manifest.json").is_file())

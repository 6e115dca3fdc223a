"""What a delivery of `ingest` leaves that was killed or failed: it was never acknowledged, so the next run takes it away."""

from collections.abc import Iterable
from pathlib import Path

from exporter.sinks import STREAMING
from exporter.sinks.targets import SinkSettings, SinkTarget
from exporter.sinks.timesketch_parts import manifest_path
from exporter.state.checkpoint import Unfinished


def remove_files(left: Unfinished) -> None:
    """Files under final names. Only those that bear the name of the delivery: a state that somebody wrote to removes no other."""
    for path in map(Path, left.outputs):
        if left.stamp in path.name and path.parent.is_dir():
            parts = path.parent.glob(f"{path.stem}-[0-9][0-9][0-9][0-9]{path.suffix}*")
            for old in (path, path.with_name(f"{path.name}.part"), manifest_path(path), *parts):
                old.unlink(missing_ok=True)


def remove_timelines(targets: Iterable[SinkTarget], settings: SinkSettings) -> None:
    """Timelines that are there in part or as a whole; what servers took document by document they know by its id. Raises SinkError."""
    for target in targets:
        if target.server and target.name not in STREAMING:
            from exporter.sinks.timesketch_upload import TimesketchUpload

            TimesketchUpload(target, settings).discard()

"""What a host's traces say about its local times, asked before its logs are read."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import msgspec

from exporter.collectors import Settings
from exporter.errors import EvidenceError, FormatError, SourceGone
from exporter.evidence import EvidenceFile
from exporter.formats.time_zone import TracedZone

_MOST_TRACES = 64
_HEAD_BYTES = 1 << 16
_OURS = "mpwpp"


def with_zones(settings: Settings, files: Iterable[tuple[str, EvidenceFile]]) -> Settings:
    """The settings for one host, of its files and the names of their collectors.

    Reads the heads of at most 64 traces, Defender's own first, and of none where no log has local times. Raises SourceGone.
    """
    listed = list(files)
    if all(name != "mplog" for name, _ in listed):
        return settings
    traces = sorted((file for name, file in listed if name == "etw"), key=lambda file: (not _is_ours(file), file.path))
    zones = dict.fromkeys(_zones(traces[:_MOST_TRACES]))
    return msgspec.structs.replace(settings, zones=tuple(zones))


def _is_ours(file: EvidenceFile) -> bool:
    return PurePosixPath(file.path).name.lower().startswith(_OURS)


def _zones(traces: Iterable[EvidenceFile]) -> Iterator[TracedZone]:
    from exporter.formats.etl import traced_zone

    for file in traces:
        try:
            with file.open() as stream:
                zone = traced_zone(stream.read(_HEAD_BYTES))
        except SourceGone:
            raise
        except (EvidenceError, FormatError, OSError):  # told when the trace itself is read
            continue
        if zone is not None:
            yield zone

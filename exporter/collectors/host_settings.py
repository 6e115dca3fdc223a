"""How the files of one host are read: what its traces and MPLogs say about its local times is asked before its logs are read."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import PurePosixPath

import msgspec

from exporter.collectors import Settings
from exporter.errors import EvidenceError, FormatError, SourceGone
from exporter.evidence import EvidenceFile
from exporter.evidence.hosts import Host
from exporter.formats.time_zone import TracedZone

CLOCKS = frozenset(("etw", "mplog"))
"""Collectors of files that say what local times mean, also when these files are not to be read again."""
_WITH_LOCAL_TIMES = frozenset(("mplog", "mpcmdrun"))
_WITHOUT_SESSIONS = "mpcmdrun"
_MOST_TRACES = 64
_MOST_LOGS = 64
_MOST_SESSIONS = 100_000
_HEAD_BYTES = 1 << 16
_OURS = "mpwpp"


def settings_of(settings: Settings, host: Host) -> Settings:
    """The settings for the files of one host. Raises SourceGone."""
    if host.name_basis == "option":
        settings = msgspec.structs.replace(settings, one_host=True)
    return with_zones(settings, (*host.files, *host.earlier_clocks))


def with_zones(settings: Settings, files: Iterable[tuple[str, EvidenceFile]]) -> Settings:
    """The settings with what files say of local times, each with the name of its collector.

    Reads the heads of at most 64 traces, Defender's own first, and of none where no log has local times; and at most 64 MPLogs, where a log
    has local times that tells of no sessions. Raises SourceGone.
    """
    listed = list(files)
    names = {name for name, _ in listed}
    if names.isdisjoint(_WITH_LOCAL_TIMES):
        return settings
    if _WITHOUT_SESSIONS in names:
        logs = sorted((file for name, file in listed if name == "mplog"), key=lambda file: file.path)
        sessions = sorted(set(islice(_sessions(logs[:_MOST_LOGS]), _MOST_SESSIONS)))
        settings = msgspec.structs.replace(settings, sessions=tuple(sessions))
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


def _sessions(logs: Iterable[EvidenceFile]) -> Iterator[tuple[int, int]]:
    from exporter.formats.mplog_session import session_offsets

    for file in logs:
        try:
            with file.open() as stream:
                yield from session_offsets(stream)
        except SourceGone:
            raise
        except (EvidenceError, OSError):  # told when the log itself is read
            continue

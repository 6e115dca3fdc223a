"""Logs of MpCmdRun, which lie in the temporary folder of each account that called it."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from exporter.collectors import Settings
from exporter.evidence import EvidenceFile
from exporter.records import Item, Parsed

_OLDER = ".bak"
_NAMES = ("mpcmdrun.log", "mpcmdrun.log.bak")


class MpcmdrunCollector:
    """`Temp\\MpCmdRun.log` of the system, of users and of service accounts, the same in `Microsoft Antimalware\\Tmp`, and by its name."""

    name = "mpcmdrun"
    tails = tuple(f"{folder}{name}" for folder in ("temp/", "microsoft antimalware/tmp/", "") for name in _NAMES)

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        from exporter.formats.mpcmdrun import parse_mpcmdrun
        from exporter.formats.time_zone import ClockHints

        with file.open() as stream:
            yield from parse_mpcmdrun(stream, ClockHints(settings.zones, settings.utc_offset, settings.sessions))

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """A log keeps its content when it becomes `.bak`, so its runs keep their ids."""
        return "mpcmdrun", PurePosixPath(file.path).name.lower().removesuffix(_OLDER), str(parsed.offset), parsed.raw_hash

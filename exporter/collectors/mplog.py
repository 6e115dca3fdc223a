"""MPLog files: Defender's main log, also of Microsoft Security Essentials and System Center Endpoint Protection."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from exporter.collectors import Settings
from exporter.evidence import EvidenceFile
from exporter.records import Item, Parsed


class MplogCollector:
    """`Windows Defender\\Support\\MPLog-*.log`, and the same name in a folder of copies."""

    name = "mplog"
    tails = ("windows defender/support/mplog-*.log", "microsoft antimalware/support/mplog-*.log", "mplog-*.log")

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        from exporter.formats.mplog import parse_mplog
        from exporter.formats.time_zone import ClockHints

        with file.open() as stream:
            yield from parse_mplog(stream, ClockHints(settings.zones, settings.utc_offset))

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        return "mplog", PurePosixPath(file.path).name.lower(), str(parsed.offset), parsed.raw_hash

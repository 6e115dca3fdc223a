"""MPDetection files: what the service loaded and detected, beside MPLog."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from exporter.collectors import Settings
from exporter.evidence import EvidenceFile
from exporter.records import Item, Parsed


class MpdetectionCollector:
    """`Windows Defender\\Support\\MPDetection-*.log`, and the same name in a folder of copies."""

    name = "mpdetection"
    tails = ("windows defender/support/mpdetection-*.log", "microsoft antimalware/support/mpdetection-*.log", "mpdetection-*.log")

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        from exporter.formats.mpdetection import parse_mpdetection

        with file.open() as stream:
            yield from parse_mpdetection(stream)

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        return "mpdetection", PurePosixPath(file.path).name.lower(), str(parsed.offset), parsed.raw_hash

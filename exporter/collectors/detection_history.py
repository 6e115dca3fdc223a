"""The DetectionHistory collector: one file, one detection."""

from collections.abc import Iterator

from exporter.collectors import Settings
from exporter.evidence import EvidenceFile
from exporter.formats.detection_history import DetectionHistory, looks_like_detection_history, parse_detection_history
from exporter.records import Item, Parsed, Rejected, Tally

LARGEST_BYTES = 4 << 20
"""Real files have 2 to 10 KB; one beyond this is not read."""
_HEAD_BYTES = 40
_FOLDER = "detectionhistory/"
_GUID = "????????-????-????-????-????????????"


class DetectionHistoryCollector:
    """Files of the DetectionHistory folder, and files named like a detection elsewhere (a folder given by itself) that begin like one."""

    name = "detection_history"
    tails: tuple[str, ...] = (f"{_FOLDER}*/*", f"##/{_GUID}", _GUID)

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        """The detection of one file; nothing but an empty tally for a file of another kind outside the DetectionHistory folder."""
        with file.open() as stream:
            data = stream.read(_HEAD_BYTES)
            if not (_at_home(file.path) or looks_like_detection_history(data)):
                yield Tally(0)
                return
            data += stream.read(LARGEST_BYTES + 1 - len(data))
        if len(data) > LARGEST_BYTES:
            yield Rejected(0, f"larger than {LARGEST_BYTES} bytes: not a DetectionHistory file", data[:32].hex())
            yield Tally(1)
            return
        yield from parse_detection_history(data, file.path.rpartition("/")[2])

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """`dethist`, detection id, SHA-256 of the file."""
        payload = parsed.payload
        assert isinstance(payload, DetectionHistory)
        return ("dethist", payload.detection_id, parsed.raw_hash)


def _at_home(path: str) -> bool:
    return path.lower().rpartition("/")[0].rpartition("/")[0].endswith(_FOLDER.rstrip("/"))

"""The DetectionHistory collector: where it looks, what it leaves alone, what it keys."""

import hashlib
import io
from typing import BinaryIO

from exporter.collectors import Settings
from exporter.collectors.detection_history import LARGEST_BYTES, DetectionHistoryCollector
from exporter.formats.detection_history import DetectionHistory
from exporter.records import Item, Parsed, Rejected, Tally
from exporter.synthetic.detection_history import build_detection_history

GUID = "11111111-2222-4333-8444-555555555555"
HOME = f"C/ProgramData/Microsoft/Windows Defender/Scans/History/Service/DetectionHistory/07/{GUID}"
DATA = build_detection_history(DetectionHistory(detection_id=GUID, file_name=GUID, threat_id=5, threat_name="Virus:A/B", tail=(0,) * 5))


class File:
    """A file in memory."""

    evidence = "case"
    size = None
    modified_at = None
    volume = None
    snapshot = None

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self._data = data

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


def read(path: str, data: bytes) -> list[Item]:
    return list(DetectionHistoryCollector().read(File(path, data), Settings()))


def test_a_detection_is_read_and_keyed_by_its_id_and_the_hash_of_the_file() -> None:
    parsed, tally = read(HOME, DATA)
    assert isinstance(parsed, Parsed)
    assert tally == Tally(1)
    assert DetectionHistoryCollector().key(parsed, File(HOME, DATA)) == ("dethist", GUID, hashlib.sha256(DATA).hexdigest())


def test_the_name_is_that_of_the_file_without_its_folders() -> None:
    parsed, _ = read(f"anywhere/{GUID}", DATA)
    assert isinstance(parsed, Parsed)
    assert isinstance(parsed.payload, DetectionHistory)
    assert (parsed.payload.file_name, parsed.payload.name_matches) == (GUID, True)


def test_a_foreign_file_is_rejected_in_the_folder_and_left_alone_elsewhere() -> None:
    rejected, tally = read(HOME, b"foreign")
    assert isinstance(rejected, Rejected)
    assert tally == Tally(1)
    assert read(f"elsewhere/{GUID}", b"foreign") == [Tally(0)]
    assert read(f"elsewhere/{GUID}", b"") == [Tally(0)]


def test_an_empty_file_in_the_folder_is_rejected() -> None:
    rejected, _ = read(HOME.lower(), b"")
    assert isinstance(rejected, Rejected)


def test_a_file_of_unbelievable_size_is_not_read_whole() -> None:
    rejected, tally = read(HOME, DATA + bytes(LARGEST_BYTES))
    assert isinstance(rejected, Rejected)
    assert "larger than" in rejected.reason
    assert tally == Tally(1)
    parsed, _ = read(HOME, DATA + bytes(LARGEST_BYTES - len(DATA)))
    assert isinstance(parsed, Parsed)

"""The ETW collector reads Defender's traces, searches those of others, and gives each record one identity."""

from io import BytesIO
from typing import BinaryIO

from exporter.collectors import Settings
from exporter.collectors.etw import EtwCollector
from exporter.evidence.places import Matcher
from exporter.formats.etl_layouts import RTP
from exporter.records import Item, Parsed, Tally
from exporter.synthetic.etl import TraceEvent, TraceMessage, build_etl, wide
from exporter.times import TICKS_PER_SECOND, from_iso

START = from_iso("2026-02-03T04:05:06.1234567Z")[0]
SOURCE = "D5AE0D06-0E90-3D8C-6714-2015E82A98E1"
MESSAGES = [TraceMessage(source=SOURCE, number=7, at=START + 1, payload=wide("C:\\Windows"))]
DETECTIONS = [TraceEvent(provider=RTP, event_id=14, at=START + number, payload=wide("C:\\a")) for number in range(3)]


class File:
    """A file of an evidence tree."""

    evidence, size, modified_at, volume, snapshot = "memory", None, None, None, None

    def __init__(self, data: bytes, path: str) -> None:
        self.data, self.path = data, path

    def open(self) -> BinaryIO:
        return BytesIO(self.data)


def trace(records, started_at: int = START) -> bytes:
    return build_etl(records, session="S", log_file="C:\\x", started_at=started_at, ended_at=START + TICKS_PER_SECOND)


def read(file: File, *, strings: bool = False) -> list[Item]:
    return list(EtwCollector().read(file, Settings(etl_strings=strings)))


def kinds(items: list[Item]) -> list[str]:
    return [item.payload.kind for item in items if isinstance(item, Parsed)]


def test_a_trace_in_which_defender_wrote_is_read_wherever_it_lies() -> None:
    assert kinds(read(File(trace(DETECTIONS), "C/perf/x.etl"))) == ["etw_event"] * 3 + ["etw_trace"]


def test_a_trace_of_others_is_counted_and_left_alone() -> None:
    assert read(File(trace(MESSAGES), "C/Windows/Logs/x.etl"), strings=True) == [Tally(1, {"trace of other programs": 1})]


def test_the_trace_of_the_service_is_read_by_its_name() -> None:
    file = File(trace(MESSAGES), "Support/MPWppTracing-1.bin")
    assert kinds(read(file)) == ["etw_trace"]
    assert kinds(read(file, strings=True)) == ["etw_message", "etw_trace"]


def test_the_key_tells_two_events_and_two_traces_apart_and_not_two_places() -> None:
    def keys(data: bytes, path: str) -> list[tuple[str, ...]]:
        file = File(data, path)
        return [EtwCollector().key(item, file) for item in read(file, strings=True) if isinstance(item, Parsed)]

    here = keys(trace([*DETECTIONS, *MESSAGES]), "a/mpwpp1.bin")
    assert here == keys(trace([*DETECTIONS, *MESSAGES]), "elsewhere/MpWpp.etl")
    assert len(set(here)) == 5
    assert here[-1][:3] == ("etwtrace", "s", str(START))
    assert here[0][:4] == ("etw", RTP, "14", str(START))
    assert not set(here) & set(keys(trace([]), "mpwpp.bin") + keys(trace(DETECTIONS, START - 1), "mpwpp.bin")) - {here[-1]}


def test_the_places_are_those_of_defender_and_any_trace() -> None:
    matcher = Matcher(EtwCollector.tails)
    for path in ("C/ProgramData/Microsoft/Windows Defender/Support/MpWppTracing-1.bin", "MpWppCoreTracing-1.bin", "C/Windows/x.etl"):
        assert matcher.find(tuple(path.split("/"))), path
    assert matcher.find(("C", "Windows", "x.bin")) is None

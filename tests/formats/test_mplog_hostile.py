import io
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.formats.mplog import DetectionEvent, ResourceScan, parse_mplog
from exporter.formats.resources import Resource
from exporter.records import Parsed, Rejected, Tally
from exporter.synthetic.mplog import LogSession, Story, write_mplog
from tests.formats.mplog_texts import (
    ACTIONS,
    EVENT,
    FAILED,
    HEADER,
    PERF,
    SCAN,
    SECOND,
    STAMPED,
    START,
    TELEMETRY,
    encoded,
    items_of,
    records_of,
)


def test_zeros_cost_only_themselves():
    zeros = "\0" * 40
    lone, before, record, counted, tally = items_of(encoded(STAMPED, zeros, zeros + EVENT, zeros + STAMPED))
    assert [(loss.offset, loss.units) for loss in (lone, before, counted)] == [(56, 0), (98, 0), (98 + 40 + 2 + len(EVENT), 0)]
    assert (record.offset, record.payload.threat_name) == (138, "Trojan:BAT/Vigorf.A")
    assert tally.unparsed == {"cloud": 2, "blank": 1}


@pytest.mark.parametrize("data", [b"PK\x03\x04" + bytes(range(256)) * 20, b"<html>\n<body>hello\n</html>\n", bytes(5000)])
def test_a_file_with_another_content_is_named(data):
    losses = [item for item in items_of(data) if isinstance(item, Rejected)]
    assert losses
    assert not records_of(data)


def test_an_empty_file_is_named_and_one_with_only_a_mark_is_not():
    assert [item.reason for item in items_of(b"") if isinstance(item, Rejected)] == ["an empty file"]
    assert items_of(b"\xff\xfe") == [Tally(0, {})]


HOSTILE = [
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y " + ";file:" * 174_000,
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y file:" + ";" * 1_000_000,
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y " + "internalCmdLine:i " + "QUJD" * 250_000 + " 1 1 a b",
    "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y " + "internalCmdLine:i QQ== 1 1;" * 35_000,
    "DETECTIONEVENT " + " " * 1_000_000,
    "DETECTIONEVENT S " + "a" * 1_000_000,
    "DETECTIONEVENT S " + " abcdefghijklmnop" * 60_000,
    "DETECTION_ADD#1 Trojan:X/Y file:" + " PropBag [" * 100_000,
    "DETECTION_ADD#" + "9" * 1_000_000 + " T file:x",
    "DETECTION_CLEANEVENT S A 0x" + "f" * 1_000_000 + " T file:x",
    "Begin " + "Scan " * 200_000,
    "Engine:" * 140_000,
    "[RTP] " * 170_000,
    "*" * 1_000_000,
    " " * 1_000_000,
    "\0" * 1_000_000,
    "2" * 1_000_000,
    "\ud800" * 300_000,
    "Started On " + "0" * 1_000_000,
    "x" * 1_000_000 + ") Service Log",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24])
@pytest.mark.parametrize("inside", [(), SCAN[:2]], ids=["alone", "scan"])
def test_a_hostile_line_of_a_million_characters_costs_linear_time(text, inside):
    data = "\r\n".join([*inside, text, EVENT, ""]).encode("utf-8", "surrogatepass")
    began = time.process_time()
    last = records_of(data)[-1]
    assert isinstance(last.payload, DetectionEvent)
    assert time.process_time() - began < 2  # quadratic time would be minutes


@pytest.mark.parametrize("key", ["ID", "Severity", "Scan Source", "Start Time", "Extended Info - SigSeq", "Resource Path", "Threat Name"])
def test_a_hostile_value_inside_a_scan_costs_linear_time(key):
    began = time.process_time()
    records_of(encoded(*SCAN[:10], f"{key}:" + "9" * 1_000_000, "End Scan"))
    assert time.process_time() - began < 2


class Again(io.RawIOBase):
    """A stream of the same block, so many times."""

    def __init__(self, block: bytes, times: int) -> None:
        self._blocks = iter([block] * times)

    def read(self, size: int = -1) -> bytes:
        return next(self._blocks, b"")


def test_memory_does_not_grow_with_the_log(tmp_path):
    story = Story(threat_id=7, threat_name="T:X/Y", resources=[("file", "C:\\x")], detected_at=START, cleaned_at=START)
    write_mplog(tmp_path / "mplog.log", [LogSession(started_at=START, stories=[story], everyday=2500)])
    block = (tmp_path / "mplog.log").read_bytes()[2:]

    def peak(times):
        tracemalloc.start()
        try:
            assert sum(item.units for item in parse_mplog(Again(block, times)) if isinstance(item, Parsed)) > 5 * times
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(12) < peak(3) * 1.2


LINES = [*HEADER, STAMPED, EVENT, *SCAN, *ACTIONS, *FAILED, *PERF, *TELEMETRY, "", "Engine:", "\0\0", "\ud800", "free text"]


@given(st.binary(max_size=400))
def test_any_bytes_are_counted_and_raise_nothing(data):
    items_of(data)


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=30)), max_size=60), st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_any_lines_give_the_same_items_whatever_the_read_size(lines, step):
    data = "\r\n".join(lines).encode("utf-16-le", "surrogatepass")
    assert items_of(b"\xff\xfe" + data, step) == items_of(b"\xff\xfe" + data)


@given(st.lists(st.sampled_from([HEADER, SCAN, ACTIONS, (EVENT,), PERF, TELEMETRY, (STAMPED,), ("",)]), max_size=8), st.data())
@settings(deadline=None)
def test_a_log_cut_anywhere_keeps_every_record_before_the_cut(blocks, draw):
    data = b"\xff\xfe" + "".join(f"{line}\r\n" for block in blocks for line in block).encode("utf-16-le")
    cut = draw.draw(st.integers(2, len(data)))
    whole, part = records_of(data), records_of(data[:cut])
    ends = {record.offset: len("".join(data[record.offset :].decode("utf-16-le").splitlines(True)[: record.units])) * 2 for record in whole}
    before = [record for record in whole if record.offset + ends[record.offset] <= cut]
    assert part[: len(before)] == before


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40).filter(lambda text: ";" not in text)
RESOURCES = st.lists(st.tuples(st.sampled_from(["file", "containerfile", "process", "regkey"]), WORDS), min_size=1, max_size=4)
STORIES = st.builds(
    Story,
    threat_id=st.integers(1, 0xFFFFFFFF).filter(lambda number: number != 0x80000000),
    threat_name=st.from_regex(r"[A-Z][a-z]{2,9}:[A-Z][A-Za-z0-9]{1,9}/[A-Za-z][A-Za-z0-9_.!]{1,12}", fullmatch=True),
    resources=RESOURCES,
    detected_at=st.integers(START, START + 1000 * SECOND),
    cleaned_at=st.none() | st.integers(START, START + 1000 * SECOND),
    action=st.sampled_from(["quarantine", "remove", "allow"]),
    result=st.sampled_from([0, 0x80508023]),
    source=st.sampled_from(["REALTIME", "SYSTEM"]),
    sha1=st.none() | st.just("ab" * 20),
    owner=st.none() | st.just("EXAMPLE\\alice"),
    sig_seq=st.integers(1, (1 << 64) - 1),
)
SESSIONS = st.builds(
    LogSession,
    started_at=st.integers(START - 10**15, START),
    utc_offset_minutes=st.integers(-48, 56).map(lambda quarters: quarters * 15),
    stories=st.lists(STORIES, max_size=3),
    everyday=st.integers(0, 8),
)


@given(st.lists(SESSIONS, max_size=3))
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read(tmp_path_factory, sessions):
    path = tmp_path_factory.mktemp("mplog") / "MPLog-1.log"
    truth = write_mplog(path, sessions)
    data = path.read_bytes()
    *_, tally = items_of(data)
    records = records_of(data)
    assert tally.seen == truth["lines"]
    assert [(record.payload.kind, record.offset, record.units) for record in records] == [
        (each["kind"], each["offset"], each["lines"]) for each in truth["records"]
    ]
    assert {kind: count for kind, count in truth["kinds"].items() if not kind.startswith("mplog_")}.items() <= {
        **tally.unparsed,
        "other": tally.unparsed.get("other", 0) + tally.unparsed.get("service_start", 0),
    }.items()
    expected = [story for session in sessions for story in sorted(session.stories, key=lambda story: story.detected_at)]
    scans = [record.payload for record in records if isinstance(record.payload, ResourceScan)]
    events = [record.payload for record in records if isinstance(record.payload, DetectionEvent)]
    assert [_told(event.threat_name, event.resources) for event in events] == [
        _told(story.threat_name, [Resource(*pair) for pair in story.resources]) for story in expected
    ]
    assert [event.logged_at for event in events] == [story.detected_at // 10_000 * 10_000 for story in expected]
    assert [(scan.threat_id, scan.results[0].sig_seqs) for scan in scans] == [(story.threat_id, (story.sig_seq,)) for story in expected]
    assert [scan.started_at for scan in scans] == [story.detected_at // SECOND * SECOND for story in expected]


def _told(name, resources):
    return name, [(resource.schema, resource.value) for resource in resources]


def test_the_same_bytes_come_through_any_binary_stream():
    data = encoded(*HEADER, *SCAN)
    assert list(parse_mplog(io.BytesIO(data))) == items_of(data, 5)

"""ETW traces: what they are, what Defender wrote in them, and what is said where something cannot be read."""

import hashlib
import struct
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.formats import etl, etl_buffers, etl_layouts
from exporter.formats.etl import EtwAmsi, EtwEvent, EtwMessage, EtwTrace, defender_in, parse_etl
from exporter.formats.etl_events import strings_in
from exporter.formats.etl_header import Clock
from exporter.formats.etl_layouts import AMSI, ENGINE, LAYOUTS, RTP, SERVICE, decode
from exporter.formats.etl_trace_logging import read
from exporter.records import Item, Parsed, Payload, Rejected, Tally
from exporter.synthetic.etl import TraceEvent, TraceMessage, TraceRecord, amsi_scan, build_etl, wide
from exporter.times import TICKS_PER_SECOND, from_iso, iso

START = from_iso("2026-02-03T04:05:06.1234567Z")[0]
END = START + 60 * TICKS_PER_SECOND
SOURCE = "D5AE0D06-0E90-3D8C-6714-2015E82A98E1"


def trace(records: Sequence[TraceRecord], *, ended_at: int | None = END, **options) -> bytes:
    return build_etl(records, session="Session", log_file="C:\\x.etl", started_at=START, ended_at=ended_at, **{"bias": 480, **options})


def detection(number: int, file: str = "C:\\Temp\\a.exe") -> TraceEvent:
    return TraceEvent(provider=RTP, event_id=14, at=START + number, payload=wide(file))


def message(number: int, payload: bytes = b"") -> TraceMessage:
    return TraceMessage(source=SOURCE, number=number, at=START + number, payload=payload)


def parse(data: bytes, *, strings: bool = False) -> list[Item]:
    return list(parse_etl(BytesIO(data), strings=strings))


def checked(items: Sequence[Item]) -> Tally:
    """The tally, after the sum rule."""
    *others, tally = items
    assert isinstance(tally, Tally)
    assert not any(isinstance(item, Tally) for item in others)
    units = sum(item.units for item in others if isinstance(item, Parsed | Rejected))
    assert tally.seen == units + sum(tally.unparsed.values())
    return tally


def payloads(items: Sequence[Item]) -> list[Payload]:
    return [item.payload for item in items if isinstance(item, Parsed)]


def summary(items: Sequence[Item]) -> EtwTrace:
    [found] = [payload for payload in payloads(items) if isinstance(payload, EtwTrace)]
    return found


def events(items: Sequence[Item]) -> list[EtwEvent]:
    return [payload for payload in payloads(items) if isinstance(payload, EtwEvent)]


def losses(items: Sequence[Item]) -> list[Rejected]:
    return [item for item in items if isinstance(item, Rejected)]


@pytest.mark.real_data
def test_the_trace_of_the_service_is_read_whole(shared_data: Path) -> None:
    data = next((shared_data / "etl").glob("MpWpp*.bin")).read_bytes()
    items = parse(data)
    assert checked(items) == Tally(608, {"system": 1, "performance": 11, "wpp_message": 595})
    assert not losses(items)
    found = summary(items)
    assert (found.events, found.messages, found.buffers, found.buffers_written, found.buffer_bytes) == (608, 595, 18, 18, 4096)
    assert found.session == "MpWppTracing-20220310-113238-00000003-ffffffff"
    assert found.log_file == f"C:\\ProgramData\\Microsoft\\Windows Defender\\Support\\{found.session}.bin"
    assert (found.bias, found.utc_offset_minutes) == (480, -480)
    assert (found.circular, found.running, found.lost_events, found.lost_buffers) == (True, False, 0, 0)
    assert iso(found.started_at or 0, 3) == "2022-03-10T19:32:38.100Z"
    assert iso(found.last_event_at or 0, 3) == "2022-03-10T19:33:25.216Z"


@pytest.mark.real_data
def test_messages_with_texts_come_on_request_labelled_and_in_order(shared_data: Path) -> None:
    items = parse(next((shared_data / "etl").glob("MpWpp*.bin")).read_bytes(), strings=True)
    assert checked(items).unparsed["wpp_message"] == 595 - 205
    told = [payload for payload in payloads(items) if isinstance(payload, EtwMessage)]
    assert len(told) == 205
    assert {payload.decoding for payload in told} == {"undecoded"}
    assert [payload.at for payload in told] == sorted(payload.at or 0 for payload in told)
    assert (told[0].provider_guid, told[0].number, told[0].strings) == (SOURCE, 306, ("C:\\Program Files\\Windows Defender",))
    assert (told[0].process_id, told[0].thread_id) == (2964, 3176)


@pytest.mark.real_data
def test_the_trace_of_amsi_is_read_whole(shared_data: Path) -> None:
    items = parse((shared_data / "etl/AMSITrace.etl").read_bytes())
    assert checked(items) == Tally(21, {"system": 1})
    found = summary(items)
    assert (found.session, found.bias, found.lost_events, found.buffers) == ("AMSITraceSession", -60, 3, 6)
    assert (iso(found.started_at or 0, 0), iso(found.ended_at or 0, 0)) == ("2020-02-17T12:48:30Z", "2020-02-17T12:50:00Z")
    assert iso(found.last_event_at or 0, 0) == "2020-02-17T12:49:50Z"
    assert [(count.name, count.events) for count in found.providers] == [("AmsiTrace", 19)]
    scans = [payload for payload in payloads(items) if isinstance(payload, EtwAmsi)]
    assert Counter((scan.app_name or "").partition("_")[0] for scan in scans)["VBScript"] == 4
    alias = [scan for scan in scans if scan.content_sha256 == hashlib.sha256("Get-Alias".encode("utf-16-le")).hexdigest()]
    assert alias
    assert {(scan.event_name, scan.content_bytes, scan.decoding) for scan in alias} == {("AmsiScript", 18, None)}


def test_every_field_of_a_manifest_event_is_given_by_its_name() -> None:
    texts = wide("sha1") + wide("sha256") + wide("md5") + struct.pack("<IQ", 4711, 5) + wide("C:\\p.exe") + wide("Threat") + wide("C:\\f")
    payload = texts + struct.pack("<IIIQ", 1, 2, 0x80508023, 7) + wide("LAB\\ana")
    [found] = events(parse(trace([TraceEvent(provider=SERVICE, event_id=48, at=START + 3, payload=payload)])))
    assert (found.name, found.decoding, found.at, found.strings) == ("Sense_RemediationInfoThreat", None, START + 3, ())
    assert found.data == {
        "Sha1": "sha1",
        "Sha256": "sha256",
        "MD5": "md5",
        "ProcessID": "4711",
        "ProcessCreationTime": "5",
        "ProcessPath": "C:\\p.exe",
        "ThreatName": "Threat",
        "RealPath": "C:\\f",
        "WasExecutingWhileDetected": "true",
        "Action": "2",
        "RemediationErrorCode": "0x80508023",
        "DetectionTime": "7",
        "User": "LAB\\ana",
    }
    assert (found.payload_bytes, found.payload_sha256) == (len(payload), hashlib.sha256(payload).hexdigest())


@pytest.mark.parametrize("change", [{"version": 1}, {"payload": wide("C:\\Temp\\a.exe") + b"\x01"}, {"payload": b"\x01"}])
def test_an_event_that_does_not_fit_its_layout_is_handed_on_undecoded(change: dict[str, object]) -> None:
    event = TraceEvent(**{"provider": RTP, "event_id": 14, "at": START, "payload": wide("C:\\Temp\\a.exe"), **change})  # type: ignore[arg-type]
    [found] = events(parse(trace([event])))
    assert (found.decoding, found.data) == ("undecoded", {})
    assert found.strings == (("C:\\Temp\\a.exe",) if len(event.payload) > 1 else ())


def test_fields_end_where_an_older_build_ends_them_and_nowhere_else() -> None:
    layout = LAYOUTS[SERVICE, 50]
    least = struct.pack("<I", 1) + wide("http://x") + struct.pack("<IQ", 4, 5) + wide("S-1-5-18")
    assert decode(layout, least) is not None
    assert decode(layout, least[: -len(wide("S-1-5-18"))]) is None
    assert decode(layout, struct.pack("<I", 2) + least[4:]) is None
    engine = LAYOUTS[ENGINE, 8]
    whole = struct.pack("<I", 7) + bytes(range(16)) + struct.pack("<I", 2) + wide("Behavior:X") + struct.pack("<Q", 9) + wide("C:\\a")
    assert (decode(engine, whole) or {})["GUID"] == "03020100-0504-0706-0809-0A0B0C0D0E0F"
    assert (decode(engine, whole) or {})["SignatureId"] == "0x0000000000000009"
    assert decode(engine, whole[: -len(wide("C:\\a"))]) is None


def test_a_scan_of_amsi_keeps_the_hash_and_not_the_content() -> None:
    content = "Write-Host 1".encode("utf-16-le")
    payload = amsi_scan("PowerShell", "C:\\a.ps1", content, bytes(range(32)), result=32768)
    items = parse(trace([TraceEvent(provider=AMSI, event_id=1101, at=START, payload=payload)]))
    [scan] = [found for found in payloads(items) if isinstance(found, EtwAmsi)]
    assert (scan.app_name, scan.content_name, scan.scan_result, scan.scan_status) == ("PowerShell", "C:\\a.ps1", 32768, 1)
    assert (scan.content_bytes, scan.content_sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (scan.reported_hash, scan.filtered, scan.decoding) == (bytes(range(32)).hex(), False, None)
    assert "Write-Host" not in repr(scan)


@pytest.mark.parametrize("cut", [4, 20, 60, -37, -3])
def test_a_scan_that_does_not_fit_is_undecoded(cut: int) -> None:
    payload = amsi_scan("PowerShell", "C:\\a.ps1", b"abcdefgh", bytes(32))[:cut]
    items = parse(trace([TraceEvent(provider=AMSI, event_id=1101, at=START, payload=payload)]))
    [scan] = [found for found in payloads(items) if isinstance(found, EtwAmsi)]
    assert (scan.decoding, scan.content_sha256) == ("undecoded", None)


def test_events_outside_the_tables_are_counted_by_provider() -> None:
    others = [TraceEvent(provider=SERVICE, event_id=18, at=START + number, payload=wide("Idle")) for number in range(3)]
    items = parse(trace([*others, detection(9)]))
    assert checked(items).unparsed == {"event": 3}
    assert [(count.name, count.events) for count in summary(items).providers] == [
        ("Microsoft-Antimalware-Service", 3),
        ("Microsoft-Antimalware-RTP", 1),
    ]


def test_a_trace_copied_while_it_runs_is_walked_to_its_end() -> None:
    items = parse(trace([detection(number) for number in range(40)], ended_at=None, buffer_bytes=1024))
    found = summary(items)
    assert (found.running, found.ended_at, found.buffers_written, found.events) == (True, None, 0, 41)
    assert found.last_event_at == START + 39


def test_a_circular_trace_comes_in_order_of_time() -> None:
    items = parse(trace([detection(number) for number in range(40)], buffer_bytes=1024, rotated=2))
    assert summary(items).circular
    assert [event.at for event in events(items)] == [START + number for number in range(40)]
    offsets = [item.offset for item in items if isinstance(item, Parsed)][:-1]
    assert offsets != sorted(offsets)


def test_only_a_window_of_payloads_waits_for_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etl, "WINDOW", 2)
    kept = iter(parse_etl(BytesIO(trace([detection(number) for number in range(9)], buffer_bytes=1024))))
    first = next(kept)
    assert isinstance(first, Parsed)
    assert isinstance(first.payload, EtwEvent)
    assert len(events([first, *kept])) == 9


@pytest.mark.parametrize("options", [{"clock": 1}, {"clock": 2}, {"clock": 3}, {"wide_pointers": False}])
def test_times_follow_the_clock_of_the_trace(options: dict[str, object]) -> None:
    items = parse(trace([detection(1_234_567)], **options))
    found = summary(items)
    assert events(items)[0].at == START + 1_234_567
    assert (found.session, found.log_file, found.bias) == ("Session", "C:\\x.etl", 480)
    assert (found.started_at, found.ended_at, found.booted_at) == (START, END, START - 600 * TICKS_PER_SECOND)


def test_a_clock_without_a_rate_or_a_time_before_1601_gives_no_time() -> None:
    assert Clock(START, 5, 10_000_000).ticks(6) == START + 1
    assert Clock(1, 1 << 60, 10).ticks(0) is None
    assert Clock(0, 0, 0).ticks(START) == START


def test_messages_are_left_alone_without_the_option() -> None:
    data = trace([message(1, wide("C:\\Windows\\a.sys")), message(2, b"\x01\x02\x03\x04")])
    assert checked(parse(data)).unparsed == {"wpp_message": 2}
    [found] = [payload for payload in payloads(parse(data, strings=True)) if isinstance(payload, EtwMessage)]
    assert (found.number, found.strings, found.decoding) == (1, ("C:\\Windows\\a.sys",), "undecoded")


def test_texts_are_found_in_any_script_that_is_told_from_numbers() -> None:
    assert strings_in(b"\x07" + wide("C:\\Users\\Ünal\\Документы") + b"\x01" + wide("abcd")) == ("C:\\Users\\Ünal\\Документы", "abcd")
    assert strings_in(struct.pack("<8I", *range(8)) + b"plain text") == ()
    assert strings_in(wide("abc")) == ()
    assert strings_in(wide("x" * 5000)) == ("x" * 1024,)
    assert len(strings_in(wide("text") * 99)) == 16


def test_a_damaged_record_costs_the_rest_of_its_buffer() -> None:
    data = bytearray(trace([detection(number) for number in range(40)], buffer_bytes=1024))
    struct.pack_into("<H", data, 1024 + 72, 9)
    items = parse(bytes(data))
    [loss] = losses(items)
    assert (loss.offset, "record of 9 bytes" in loss.reason) == (1024 + 72, True)
    assert 20 < len(events(items)) < 40
    checked(items)


def test_a_damaged_buffer_costs_itself() -> None:
    data = bytearray(trace([detection(number) for number in range(40)], buffer_bytes=1024))
    struct.pack_into("<I", data, 1024, 7)
    struct.pack_into("<I", data, 2048 + 0x30, 5000)
    items = parse(bytes(data))
    assert [loss.offset for loss in losses(items)] == [1024, 2048]
    assert 10 < len(events(items)) < 40
    checked(items)


def test_the_first_buffer_may_lose_its_size() -> None:
    data = bytearray(trace([detection(1)]))
    data[0:4] = b"\0\0\0\0"
    assert len(events(parse(bytes(data)))) == 1


def test_a_trace_without_its_header_keeps_its_counters() -> None:
    data = bytearray(trace([detection(5)]))
    data[72 + 6 : 72 + 8] = b"\x09\x09"
    items = parse(bytes(data))
    [event] = events(items)
    assert (event.at, event.session) == (None, None)
    assert event.counter > 0
    [told] = [item for item in items if isinstance(item, Parsed) and isinstance(item.payload, EtwTrace)]
    assert told.incomplete
    assert told.units == 0
    checked(items)


def test_compressed_buffers_are_named() -> None:
    data = bytearray(trace([detection(number) for number in range(40)], buffer_bytes=1024))
    data[1024 + 0x34] |= etl_buffers.COMPRESSED
    items = parse(bytes(data))
    assert [(loss.offset, loss.reason) for loss in losses(items)] == [(1024, etl_buffers.COMPRESSED_REASON)]
    struct.pack_into("<I", data, 1024, 600)
    items = parse(bytes(data))
    assert [(loss.offset, loss.reason) for loss in losses(items)] == [(1024, etl_buffers.VARIABLE)]
    assert not events(items)


def test_a_buffer_may_say_only_as_saved_how_much_is_filled() -> None:
    data = bytearray(trace([detection(1)]))
    struct.pack_into("<I", data, 4096 + 0x30, 0)
    assert len(events(parse(bytes(data)))) == 1


def test_padding_that_counts_as_filled_is_no_loss() -> None:
    data = bytearray(trace([detection(1)]))
    struct.pack_into("<I", data, 4096 + 0x30, 4096)
    items = parse(bytes(data))
    assert (len(events(items)), losses(items)) == (1, [])


def test_reserved_buffers_are_no_loss() -> None:
    items = parse(trace([detection(1)]) + bytes(8192))
    assert (summary(items).empty_buffers, losses(items)) == (2, [])


def test_what_is_no_trace_is_one_loss() -> None:
    for data in (b"MZ" + bytes(500), b"", bytes(72)):
        [loss, tally] = parse(data)
        assert isinstance(loss, Rejected)
        assert tally == Tally(1)


def test_a_claimed_size_costs_no_memory_that_the_file_does_not_have() -> None:
    class Counting(BytesIO):
        largest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, size or 0)
            return super().read(size)

    stream = Counting(struct.pack("<I", 16 << 20) + bytes(200))
    list(parse_etl(stream))
    assert 0 < stream.largest <= 1 << 20


def test_trace_logging_reads_counted_arrays_and_stops_at_what_it_does_not_know() -> None:
    def schema(fields: bytes) -> bytes:
        body = b"\0Name\0" + fields
        return struct.pack("<H", len(body) + 2) + body

    found = read(
        schema(b"a\0\x08b\0\x01c\0\xc6\x02d\0\x22\x02\x00e\0\x1fz\0\x04"),
        struct.pack("<I", 7) + wide("x") + b"\x02\0abcd" + b"pq" + b"\x01",
    )
    assert found is not None
    assert (found.name, found.values) == ("Name", {"a": b"\x07\0\0\0", "b": b"x\0", "c": b"abcd"})
    assert read(b"\xff\xff", b"") is None


def test_defender_is_found_across_the_edges_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = trace([detection(1)])
    for piece in (4193, 4200, 4207):
        monkeypatch.setattr(etl, "_PIECE", piece)
        assert defender_in(BytesIO(data))
    other = trace([TraceEvent(provider=SOURCE, event_id=1, at=START, payload=b"")])
    assert not defender_in(BytesIO(other))


def test_each_layout_belongs_to_a_known_provider() -> None:
    assert {provider for provider, _ in LAYOUTS} <= set(etl_layouts.PROVIDERS)


MIXED = trace(
    [
        *(detection(number) for number in range(12)),
        message(20, wide("C:\\Windows")),
        message(21),
        TraceEvent(provider=AMSI, event_id=1101, at=START + 30, payload=amsi_scan("A", "b", b"c" * 40, bytes(32))),
    ],
    buffer_bytes=1024,
    rotated=1,
)


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, len(MIXED) - 1), st.integers(0, 255)), max_size=6), end=st.integers(0, len(MIXED)))
def test_flipped_and_cut_traces_add_up(flips: list[tuple[int, int]], end: int) -> None:
    data = bytearray(MIXED)
    for place, value in flips:
        data[place] = value
    checked(parse(bytes(data[:end]), strings=True))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=1400), head=st.integers(0, 1100))
def test_any_bytes_add_up(data: bytes, head: int) -> None:
    checked(parse(MIXED[:head] + data, strings=True))


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 10**9), max_size=30, unique=True),
    names=st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20),
    rotated=st.integers(0, 3),
    running=st.booleans(),
)
def test_what_is_written_is_read(numbers: list[int], names: str, rotated: int, running: bool) -> None:
    data = trace(
        [detection(number, names) for number in sorted(numbers)], ended_at=None if running else END, rotated=rotated, buffer_bytes=1024
    )
    items = parse(data)
    assert [(event.at, event.data) for event in events(items)] == [(START + number, {"File": names}) for number in sorted(numbers)]
    assert not losses(items)
    assert checked(items).seen == len(numbers) + 1

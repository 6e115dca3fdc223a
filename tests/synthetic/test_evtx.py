"""Readers that we did not write see in a synthetic log what was put into it."""

import json
import struct
import subprocess
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.synthetic.evtx import Event, build_evtx, write_evtx
from exporter.synthetic.evtx_file import CHUNK_SIZE, FILE_HEADER_SIZE
from exporter.times import from_iso
from tests.synthetic.evtx_readers import with_evtx, with_python_evtx

START = 133_420_707_954_415_784
HARD = {
    "Product Name": "Microsoft Defender Antivirus",
    "Path": 'file:_C:\\Users\\佐藤\\Téléchargements\\😀 & <b>"quoted"\'.exe; containerfile:_C:\\a.zip',
    "Unused": "",
    "Long": "x" * 20_000,
    "Name with spaces, 日本": "ok",
}
READERS = pytest.mark.parametrize("read", [with_evtx, with_python_evtx])


def many(count: int, **fields: Any) -> list[Event]:
    return [
        Event(event_id=1116, record_id=7 + n, created_at=START + n * 10_000_001, data={"N": str(n), **HARD}, **fields) for n in range(count)
    ]


def seen(event: Event) -> dict[str, Any]:
    """What a reader should report: times cut to microseconds, which `python-evtx` computes with floats that lose one more."""
    return {
        "record_id": event.record_id,
        "event_id": event.event_id,
        "level": event.level,
        "created": pytest.approx(event.created_at, rel=0, abs=19),
        "provider_guid": event.provider_guid,
        "computer": event.computer,
        "channel": event.channel,
        "process_id": event.process_id,
        "thread_id": event.thread_id,
        "activity_id": event.activity_id,
        "user_sid": event.user_sid,
        "data": dict(event.data),
    }


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Twelve large events over several chunks, then the odd ones."""
    last = START + 999_999_999
    return [
        *many(12, activity_id="172E271B-4D9A-46CD-A998-E8E5D1CF6745", user_sid="S-1-5-21-3623811015-3361044348-30300820-1013"),
        Event(event_id=5001, record_id=100, created_at=last, level=2, computer="другой", user_sid=None, process_id=2**32 - 1),
        Event(event_id=65535, record_id=2**40, created_at=last, data={"One": ""}),
    ]


@pytest.fixture(scope="module")
def log(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evtx") / "log.evtx"
    assert write_evtx(path, events) == len(events)
    return path


@READERS
def test_every_record_has_its_fields_and_its_data(read: Any, log: Path, events: list[Event]) -> None:
    assert read(log) == [seen(event) for event in events]


def test_a_stream_and_a_file_get_the_same_bytes_on_every_run(log: Path, events: list[Event]) -> None:
    assert build_evtx(events) == build_evtx(iter(events)) == log.read_bytes()


def test_a_stream_is_left_behind_the_log_that_was_written_at_its_position(events: list[Event]) -> None:
    stream = BytesIO(b"before")
    stream.seek(6)
    write_evtx(stream, events)
    assert stream.tell() == len(stream.getvalue())
    assert stream.getvalue() == b"before" + build_evtx(events)


def test_the_headers_count_chunks_and_records(log: Path, events: list[Event]) -> None:
    data = log.read_bytes()
    chunks = (len(data) - FILE_HEADER_SIZE) // CHUNK_SIZE
    assert chunks > 2
    assert struct.unpack_from("<QQQ", data, 8) == (0, chunks - 1, 2**40 + 1)
    assert struct.unpack_from("<H", data, 42) == (chunks,)
    numbers = [struct.unpack_from("<QQ", data, FILE_HEADER_SIZE + n * CHUNK_SIZE + 8) for n in range(chunks)]
    assert numbers[0][0] == 1
    assert numbers[-1][1] == len(events)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(numbers))
    start = len(data) - CHUNK_SIZE
    last, free = struct.unpack_from("<II", data, start + 44)
    assert struct.unpack_from("<4sIQ", data, start + last) == (b"**\0\0", free - last, 2**40)


def test_record_headers_keep_the_last_100_nanoseconds() -> None:
    data = build_evtx(many(1))
    assert struct.unpack_from("<4sIQQ", data, FILE_HEADER_SIZE + 512)[2:] == (7, START)


def test_hash_buckets_lead_to_every_name_and_template(log: Path) -> None:
    chunk = log.read_bytes()[FILE_HEADER_SIZE : FILE_HEADER_SIZE + CHUNK_SIZE]
    names = set()
    for bucket, offset in enumerate(struct.unpack_from("<64I", chunk, 128)):
        while offset:
            offset, stored, length = struct.unpack_from("<IHH", chunk, (place := offset))
            assert stored % 64 == bucket
            names.add(chunk[place + 8 : place + 8 + 2 * length].decode("utf-16-le"))
    assert {"Event", "System", "Provider", "Guid", "EventData", "Data", "Name"} < names


def test_template_buckets_lead_to_every_template() -> None:
    events = [Event(event_id=1, record_id=n, created_at=START, data={f"Field {n}": "x"}) for n in range(60)]
    templates = templates_of(build_evtx(events)[FILE_HEADER_SIZE:])
    assert len(templates) == len(set(templates)) == 61


def test_an_empty_log_is_a_log_without_records(tmp_path: Path) -> None:
    (tmp_path / "empty.evtx").write_bytes(build_evtx([]))
    assert with_evtx(tmp_path / "empty.evtx") == []
    assert with_python_evtx(tmp_path / "empty.evtx") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"data": {"Value": "x" * 32_767}},
        {"data": {"One": "x" * 20_000, "Two": "y" * 20_000}},
        {"data": {"n" * 32_000: "name too long for a chunk"}},
        {"computer": "c" * 70_000},
        {"event_id": 65_536},
        {"process_id": -1},
        {"user_sid": "nobody"},
        {"user_sid": "S-1-5-4294967296"},
        {"activity_id": "not a GUID"},
    ],
    ids=["value", "record", "name", "text", "event id", "process id", "SID", "SID number", "GUID"],
)
def test_what_the_format_cannot_hold_is_refused_with_its_record_id(changed: dict[str, Any]) -> None:
    event = Event(**{"event_id": 1, "record_id": 4711, "created_at": START, **changed})
    with pytest.raises(ValueError, match="record 4711"):
        build_evtx([event])


@pytest.mark.parametrize("second", [7, 6])
def test_record_ids_that_do_not_increase_are_refused(second: int) -> None:
    events = [Event(event_id=1, record_id=number, created_at=START) for number in (7, second)]
    with pytest.raises(ValueError, match=f"record {second} follows record 7"):
        build_evtx(events)


def test_the_largest_record_that_fits_fills_its_chunk(tmp_path: Path) -> None:
    def build(size: int) -> list[Event]:
        return [Event(event_id=1, record_id=1 + n, created_at=START, data={"A": "x" * 30_000, "B": "y" * size}) for n in range(2)]

    with pytest.raises(ValueError, match="record 1 is too large"):
        build_evtx(build(1700))
    write_evtx(tmp_path / "full.evtx", build(1600))
    assert [len(record["data"]["B"]) for record in with_evtx(tmp_path / "full.evtx")] == [1600, 1600]


@pytest.mark.real_data
def test_a_real_log_is_written_again_byte_for_byte(shared_data: Path) -> None:
    """All 26 records of a Server 2022 log, but for the ids of templates and what Windows leaves in the room of absent values."""
    (path,) = (shared_data / "evtx" / "server2022-aptsimulator").glob("*.evtx")
    real = path.read_bytes()[FILE_HEADER_SIZE:]
    times = {number: written for number, written, _, _ in records_of(real)}
    events = [
        Event(
            event_id=event["event_id"],
            record_id=event["record_id"],
            created_at=times[event["record_id"]],
            data=event["data"],
            level=event["level"],
            computer=event["computer"],
            activity_id=event["activity_id"],
            process_id=event["process_id"],
            thread_id=event["thread_id"],
        )
        for event in with_evtx(path)
    ]
    built = build_evtx(events)[FILE_HEADER_SIZE:]
    for ours, theirs in zip(templates_of(built), templates_of(real), strict=True):
        built = built.replace(ours, theirs).replace(b"\x0c\x01" + ours[:4], b"\x0c\x01" + theirs[:4])
    for (number, _, start, size), record in zip(records_of(real), records_of(built), strict=True):
        assert record[2:] == (start, size), number
        differences = [place for place in range(start, start + size) if built[place] != real[place]]
        assert len(differences) <= 18
        assert all(built[place] == 0 for place in differences), number


def records_of(chunk: bytes) -> list[tuple[int, int, int, int]]:
    """Record id, time, offset and size of each record of a chunk."""
    found = []
    offset = 512
    while chunk[offset : offset + 4] == b"**\0\0":
        size, number, written = struct.unpack_from("<IQQ", chunk, offset + 4)
        found.append((number, written, offset, size))
        offset += size
    return found


def templates_of(chunk: bytes) -> list[bytes]:
    """GUIDs of a chunk's templates in order of their place, found through the buckets."""
    places = set()
    for offset in struct.unpack_from("<32I", chunk, 384):
        while offset:
            places.add(offset)
            (offset,) = struct.unpack_from("<I", chunk, offset)
    return [chunk[place + 4 : place + 20] for place in sorted(places)]


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)
names = st.text(st.characters(categories=("L", "Nd")), min_size=1, max_size=20)
built = st.builds(
    Event,
    event_id=st.integers(0, 65535),
    record_id=st.integers(0, 2**63 - 1),
    created_at=st.integers(START - 10**16, START + 10**17),
    data=st.dictionaries(names, texts, max_size=6),
    level=st.integers(0, 255),
    computer=names,
    user_sid=st.sampled_from([None, "S-1-5-18", "S-1-5-21-1-2-3-500"]),
    activity_id=st.uuids().map(lambda guid: str(guid).upper()) | st.none(),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(built, max_size=8, unique_by=lambda event: event.record_id))
def test_what_is_built_is_what_is_read(tmp_path: Path, events: list[Event]) -> None:
    events.sort(key=lambda event: event.record_id)
    path = tmp_path / "log.evtx"
    write_evtx(path, events)
    assert with_evtx(path) == [seen(event) for event in events]


def run(python: Path, script: str, path: Path) -> Any:
    """What a peer's own Python prints as JSON."""
    return json.loads(subprocess.run([python, "-c", script, path], check=True, capture_output=True, encoding="utf-8").stdout)


@pytest.mark.peers
def test_dissect_reads_the_same_records(peer: Any, log: Path, events: list[Event]) -> None:
    script = """
import json, sys
from dissect.eventlog.evtx import Evtx
records = Evtx(open(sys.argv[1], "rb"))
rows = (json.dumps({key: str(value) for key, value in record.items()}) for record in records)  # a later record changes an earlier one
print(f"[{','.join(rows)}]")
"""
    found = run(peer("dissect"), script, log)
    assert len(found) == len(events)
    for record, event in zip(found, events, strict=True):
        assert abs(from_iso(record["TimeCreated_SystemTime"])[0] - event.created_at) < 20
        wanted = {
            "EventRecordID": event.record_id,
            "EventID": event.event_id,
            "Security_UserID": event.user_sid,
            "Computer": event.computer,
        }
        assert record | {key: str(value) for key, value in wanted.items()} | event.data == record


@pytest.mark.peers
def test_libevtx_reads_the_same_records_to_100_nanoseconds(peer: Any, log: Path, events: list[Event]) -> None:
    script = """
import json, pyevtx, sys
log = pyevtx.file()
log.open(sys.argv[1])
assert not log.is_corrupted() and not log.number_of_recovered_records
print(json.dumps([
    [record.identifier, record.event_identifier, record.get_creation_time_as_integer(), record.get_written_time_as_integer(),
     record.computer_name, record.user_security_identifier, [text or "" for text in record.strings]]
    for record in log.records
]))
"""
    assert run(peer("plaso"), script, log) == [
        [e.record_id, e.event_id, e.created_at, e.created_at, e.computer, e.user_sid, list(e.data.values())] for e in events
    ]


@pytest.mark.peers
def test_plaso_extracts_the_same_events_without_a_warning(peer: Any, log: Path, events: list[Event], tmp_path: Path) -> None:
    programs = peer("plaso").parent
    store, rows = tmp_path / "case.plaso", tmp_path / "case.jsonl"
    quiet = ["-q", "-u", "--status_view", "none", "--logfile", tmp_path / "log.gz"]
    extract = [programs / "log2timeline", *quiet, "--parsers", "winevtx", "--storage-file", store, log]
    done = subprocess.run(extract, check=True, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert "warnings" not in done.stdout + done.stderr
    subprocess.run([programs / "psort", *quiet, "-o", "json_line", "-w", rows, store], check=True, capture_output=True, cwd=tmp_path)
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    assert sorted(
        (row["record_number"], row["event_identifier"], row["date_time"]["timestamp"], row["hostname"])
        for row in found
        if row["timestamp_desc"] == "Creation Time"
    ) == sorted((e.record_id, e.event_id, e.created_at, e.computer) for e in events)

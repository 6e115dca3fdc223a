"""Logs are read whole, in one pass, by either engine."""

import hashlib
import io
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evtx import PyEvtxParser

from exporter.formats import evtx_python
from exporter.formats.evtx import parse
from exporter.formats.evtx_computer import computer_name
from exporter.formats.evtx_engine import ENGINES, render
from exporter.formats.evtx_reading import OTHER_PROVIDERS
from exporter.records import Parsed, Verdict
from exporter.synthetic.evtx import build_evtx
from tests.evtx_logs import CHUNK, HEADER, SAMPLES, chunks_of, events, log_of, read, record_offsets, seal

EACH_SAMPLE = pytest.mark.parametrize("name", SAMPLES)
EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)
FORWARDED = "exported/ID1116-1117-Defender threat detected.evtx"


def rendered(path: Path) -> list[dict[str, Any]]:
    """The events of a log as the bare wheel gives them."""
    return [json.loads(record["data"])["Event"] for record in PyEvtxParser(str(path)).records_json()]


@pytest.mark.real_data
class TestSamples:
    @EACH_SAMPLE
    @EACH_ENGINE
    def test_every_record_is_emitted_or_rejected_by_name(self, shared_data: Path, name: str, engine: str) -> None:
        log = read(shared_data / "evtx" / name, engine)
        if engine == "python-evtx" and name == FORWARDED:
            assert (log.event_ids, len(log.rejected)) == ({}, 6)
            assert {item.reason for item in log.rejected} == {"chunk 0: python-evtx cannot read a record without a template"}
        else:
            assert (log.event_ids, log.rejected) == (SAMPLES[name], [])
            assert log.verdicts == {"verified": sum(SAMPLES[name].values())}

    @EACH_SAMPLE
    def test_every_data_element_is_there_unchanged_and_in_order(self, shared_data: Path, name: str) -> None:
        path = shared_data / "evtx" / name
        wanted = [list((event["EventData"] or {}).items()) for event in rendered(path)]
        assert [list(item.payload.data.items()) for item in read(path).parsed] == wanted

    @EACH_SAMPLE
    def test_system_fields_are_those_of_the_event(self, shared_data: Path, name: str) -> None:
        path = shared_data / "evtx" / name
        for event, item in zip(rendered(path), read(path).parsed, strict=True):
            system, payload = event["System"], item.payload
            assert (payload.event_id, payload.record_id) == (int(system["EventID"]), int(system["EventRecordID"]))
            assert item.number == payload.record_id
            assert (payload.channel, payload.computer) == (system["Channel"], system["Computer"])
            assert payload.provider_guid == "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78"
            assert payload.process_id == int(system["Execution"]["#attributes"]["ProcessID"])
            assert payload.user_sid == system["Security"]["#attributes"]["UserID"]
            assert payload.created_digits == 7

    @pytest.mark.parametrize("name", [name for name in SAMPLES if name != FORWARDED])
    def test_both_engines_give_the_same_payloads(self, shared_data: Path, name: str) -> None:
        first, second = (read(shared_data / "evtx" / name, engine).parsed for engine in ENGINES)
        assert first == second

    def test_the_time_of_an_exported_record_is_not_taken_from_its_header(self, shared_data: Path) -> None:
        payloads = [item.payload for item in read(shared_data / "evtx" / FORWARDED).parsed]
        assert [payload.record_id for payload in payloads] == [171, 172, 173, 175, 176, 177]
        assert {payload.written_at for payload in payloads} == {None}
        assert payloads[0].created_at == 132_521_632_812_990_045

    def test_a_native_record_has_all_seven_digits_of_its_header(self, shared_data: Path) -> None:
        payload = (
            read(shared_data / "evtx" / "server2022-aptsimulator/Microsoft-Windows-Windows Defender%4Operational.evtx").parsed[0].payload
        )
        assert payload.created_at == payload.written_at == 133_420_814_313_553_605

    def test_a_log_without_records_is_an_empty_log(self, shared_data: Path) -> None:
        log = read(shared_data / "evtx" / "damaged" / "empty-WHC.evtx")
        assert log == ([], [], log.tally)
        assert log.tally.seen == 0

    def test_records_behind_a_broken_one_are_found_where_engines_stop(self, shared_data: Path) -> None:
        """The wheel ends the chunk at the record of size 0 and gives 335 records; its first chunk says 450."""
        log = read(shared_data / "evtx" / "damaged" / "sample-with-zero-data-size-event.evtx", prefilter=False)
        assert sum(log.tally.unparsed.values()) == 449
        assert [(item.offset, item.reason) for item in log.rejected] == [(6176, "chunk 0: 232 bytes are not a record")]

    def test_chunks_without_magic_or_content_are_named(self, shared_data: Path) -> None:
        log = read(shared_data / "evtx" / "damaged" / "sample_with_a_bad_chunk_magic.evtx", prefilter=False)
        reasons = [item.reason for item in log.rejected]
        assert [reason for reason in reasons if "magic" in reason] == ["chunk 6: wrong magic", "chunk 10: wrong magic"]
        assert [reason for reason in reasons if "zeros" in reason] == [f"chunk {n} is filled with zeros" for n in range(1, 6)]
        assert [item.offset for item in log.rejected if "magic" in item.reason] == [HEADER + 6 * CHUNK, HEADER + 10 * CHUNK]
        assert sum(log.tally.unparsed.values()) >= 270

    @EACH_SAMPLE
    @EACH_ENGINE
    def test_the_computer_of_the_newest_record_names_the_host(self, shared_data: Path, name: str, engine: str) -> None:
        path = shared_data / "evtx" / name
        newest = None if engine == "python-evtx" and name == FORWARDED else rendered(path)[-1]["System"]["Computer"]
        with path.open("rb") as stream:
            assert computer_name(stream, engine) == newest


@pytest.mark.real_data
class TestGrownLogs:
    def grow(self, shared_tools: Path, source: Path, target: Path, *options: str) -> dict[str, Any]:
        tool = [sys.executable, str(shared_tools / "make_evtx.py"), str(source), str(target), "--chunks", "12", *options]
        return json.loads(subprocess.run(tool, check=True, capture_output=True, text=True).stdout)

    @pytest.fixture
    def source(self, shared_data: Path) -> Path:
        return shared_data / "evtx" / "win10-rathbun" / "Microsoft-Windows-Windows Defender%4Operational.evtx"

    def test_a_stale_chunk_count_hides_nothing(self, shared_tools: Path, source: Path, tmp_path: Path) -> None:
        truth = self.grow(shared_tools, source, tmp_path / "x.evtx", "--dirty", "--shift", "3600")
        log = read(tmp_path / "x.evtx")
        assert {str(key): value for key, value in log.event_ids.items()} == truth["event_ids"]
        assert log.record_ids == list(range(1, truth["records"] + 1))
        assert (log.rejected, log.verdicts) == ([], {"verified": truth["records"]})

    def test_zeroed_chunks_are_losses_where_used_ones_follow(self, shared_tools: Path, source: Path, tmp_path: Path) -> None:
        truth = self.grow(shared_tools, source, tmp_path / "x.evtx", "--zero-every", "5")
        log = read(tmp_path / "x.evtx")
        assert (len(log.parsed), truth["zeroed_chunks"]) == (truth["records"], 2)
        assert [item.offset for item in log.rejected] == [HEADER + 4 * CHUNK, HEADER + 9 * CHUNK]

    @pytest.mark.parametrize("cut", [1, 40_000, 65_000, CHUNK, CHUNK + 100, 3 * CHUNK])
    def test_records_before_a_cut_are_kept_and_the_cut_is_named(self, shared_tools: Path, source: Path, tmp_path: Path, cut: int) -> None:
        truth = self.grow(shared_tools, source, tmp_path / "x.evtx", "--truncate", str(cut))
        size = truth["bytes"]
        (tmp_path / "whole").write_bytes((tmp_path / "x.evtx").read_bytes().ljust(size + cut, b"\0"))
        log = read(tmp_path / "x.evtx")
        assert log.record_ids == list(range(1, len(log.parsed) + 1))
        assert max((item.offset for item in log.parsed), default=0) < size
        whole = (size - HEADER) // CHUNK
        assert sum(item.integrity.verdict == Verdict.VERIFIED for item in log.parsed) >= sum(72 if n % 2 == 0 else 26 for n in range(whole))
        # the last chunk is only half full, so that a small cut takes nothing
        assert bool(log.rejected) == (cut > 34_000)


class TestStreams:
    class OnlyForward(io.RawIOBase):
        """Gives few bytes at a time and cannot seek, like a member of an archive."""

        def __init__(self, data: bytes) -> None:
            self.rest = data

        def read(self, size: int = -1) -> bytes:
            assert size > 0
            piece, self.rest = self.rest[: min(size, 5000)], self.rest[min(size, 5000) :]
            return piece

        def seekable(self) -> bool:
            return False

    def test_a_log_is_read_forward_in_pieces(self) -> None:
        data = bytes(log_of(200))
        items = list(parse(self.OnlyForward(data)))
        assert items == [*read(data).parsed, read(data).tally]
        assert computer_name(self.OnlyForward(data)) == "WS-0142"

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "not an EVTX file"),
            (b"PK\3\4" + bytes(100_000), "not an EVTX file"),
            (b"ElfFile\0" + bytes(100), "the file header is cut off after 108 bytes"),
        ],
    )
    def test_a_foreign_file_is_one_loss(self, data: bytes, reason: str) -> None:
        log = read(data)
        assert [(item.offset, item.reason) for item in log.rejected] == [(0, reason)]
        assert log.tally.seen == 1

    def test_a_foreign_file_is_not_read_to_its_end(self) -> None:
        for read_it in (lambda stream: list(parse(stream)), computer_name):
            stream = io.BytesIO(b"x" * (4 * CHUNK))
            read_it(stream)
            assert stream.tell() <= HEADER + CHUNK

    def test_a_damaged_file_header_costs_no_record(self) -> None:
        data = log_of(100)
        data[0] = 0
        log = read(data)
        assert len(log.parsed) == 100
        assert [item.reason for item in log.rejected] == ["the file header is damaged: wrong magic"]

    def test_chunks_that_the_header_promises_are_missed(self) -> None:
        data = log_of(200)
        assert chunks_of(data) > 2
        log = read(data[: HEADER + CHUNK])
        assert [(item.offset, item.reason) for item in log.rejected] == [
            (HEADER + CHUNK, f"the file is cut off: 1 of {chunks_of(data)} chunks are left")
        ]

    def test_unused_chunks_at_the_end_are_nothing(self) -> None:
        assert read(bytes(log_of(10)) + bytes(3 * CHUNK + 100)).rejected == []


class TestProviders:
    def test_records_of_other_providers_are_counted_by_provider_and_channel(self) -> None:
        mixed = [*events(2), *(event for event in events(4, provider="Other", provider_guid=None, channel="App") if event.record_id > 2)]
        log = read(build_evtx(mixed))
        assert log.record_ids == [1, 2]
        assert log.tally.unparsed == {"Other (App)": 2}

    def test_chunks_without_a_trace_of_the_provider_are_not_rendered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("exporter.formats.evtx_pairs.render", None)
        log = read(log_of(100, provider="Other", provider_guid=None, channel="App"))
        assert log.tally.unparsed == {OTHER_PROVIDERS: 100}

    @pytest.mark.parametrize(
        ("provider", "guid"), [("Microsoft-Windows-Windows Defender", None), ("X", "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78")]
    )
    def test_name_or_guid_is_enough(self, provider: str, guid: str | None) -> None:
        assert len(read(log_of(3, provider=provider, provider_guid=guid, channel="ForwardedEvents")).parsed) == 3

    def test_the_filter_changes_no_record(self) -> None:
        half = [*events(60, provider="Other", provider_guid=None, channel="App"), *(e for e in events(160) if e.record_id > 60)]
        with_filter, without = (read(build_evtx(half), prefilter=prefilter) for prefilter in (True, False))
        assert (with_filter.parsed, with_filter.rejected) == (without.parsed, without.rejected)
        assert len(with_filter.parsed) == 100

    def test_a_log_with_endless_providers_gets_no_endless_table(self) -> None:
        strange = [event for n in range(1, 301) for event in events(n, provider=f"Other {n}", provider_guid=None, data={})[-1:]]
        log = read(build_evtx(strange), prefilter=False)
        assert len(log.tally.unparsed) <= 201
        assert sum(log.tally.unparsed.values()) == 300


class TestEngines:
    def test_an_unknown_engine_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="unknown EVTX engine `libevtx`"):
            render(b"", "libevtx")

    @staticmethod
    def lazy(log: bytes, engine: str) -> Any:
        return (pair for pair in render(log, engine) if pair[0] not in (2, 5))

    def test_records_that_the_second_engine_leaves_out_are_rejected(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("exporter.formats.evtx_pairs.render", self.lazy)
        log = read(log_of(5), "python-evtx")
        assert log.record_ids == [1, 3, 4]
        assert [(item.number, item.reason) for item in log.rejected] == [
            (number, "chunk 0: the engine did not return it") for number in (2, 5)
        ]

    def test_records_that_the_first_engine_refuses_are_read_by_the_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = read(log_of(5))
        monkeypatch.setattr("exporter.formats.evtx_pairs.render", self.lazy)
        log = read(log_of(5))
        assert [item.payload.engine for item in log.parsed] == [None, "python-evtx", None, None, "python-evtx"]
        as_before = [msgspec.structs.replace(item, payload=msgspec.structs.replace(item.payload, engine=None)) for item in log.parsed]
        assert (as_before, log.rejected) == (wanted.parsed, [])

    def test_a_record_that_only_the_second_engine_takes(self) -> None:
        """A FILETIME of all ones is no time: the wheel refuses the record, and gives none of those behind it."""
        data = log_of(5)
        offset = record_offsets(data)[2]
        data[offset + 16 : offset + 24] = b"\xff" * 8
        log = read(seal(data))
        assert log.record_ids == [1, 2, 3, 4, 5]
        assert [item.payload.engine for item in log.parsed] == [None, None, *["python-evtx"] * 3]
        assert log.verdicts == {"verified": 5}

    def test_what_both_engines_refuse_is_rejected_with_both_reasons(self) -> None:
        data = log_of(5)
        offset, end = record_offsets(data)[1:3]
        data[offset + 24 : end - 4] = b"\xff" * (end - offset - 28)
        (rejected,) = read(seal(data)).rejected
        (alone,) = read(data, "python-evtx").rejected
        second = alone.reason.removeprefix("chunk 0: ")
        first = rejected.reason.removeprefix("chunk 0: ").removesuffix(f"; python-evtx: {second}")
        assert (rejected.offset, rejected.number) == (offset, 2)
        assert rejected.reason == f"chunk 0: {first}; python-evtx: {second}"
        assert 10 < len(first) < len(rejected.reason) - 20

    def test_only_refused_records_wake_the_second_engine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rendered = []
        original = evtx_python.Records.render
        monkeypatch.setattr(evtx_python.Records, "render", lambda *place: rendered.append(place[1]) or original(*place))
        read(log_of(5))
        assert rendered == []
        monkeypatch.setattr("exporter.formats.evtx_pairs.render", self.lazy)
        read(log_of(5))
        assert rendered == [offset - HEADER for offset in (record_offsets(log_of(5))[1], record_offsets(log_of(5))[4])]

    @EACH_ENGINE
    def test_a_broken_record_costs_itself(self, engine: str) -> None:
        """The second record has no binary XML any more; it does not define what others use."""
        data = log_of(5)
        offset, end = record_offsets(data)[1:3]
        data[offset + 24 : end - 4] = b"\xff" * (end - offset - 28)
        log = read(seal(data), engine)
        assert log.record_ids == [1, 3, 4, 5]
        assert [(item.offset, item.number) for item in log.rejected] == [(offset, 2)]

    def test_data_elements_of_one_name_are_all_kept(self) -> None:
        """The wheel renders them as one JSON key twice, of which decoders keep the last."""
        data = log_of(3, data={"Path": "first", "Pith": "second", "Other": "third"})
        for place in range(HEADER, len(data)):
            if data.startswith("Pith".encode("utf-16-le"), place):
                data[place : place + 8] = "Path".encode("utf-16-le")
        for engine in ENGINES:
            for item in read(seal(data), engine).parsed:
                assert sorted(item.payload.data.items()) == [("Other", "third"), ("Path", "first"), ("Path_1", "second")]

    @EACH_ENGINE
    def test_hashes_and_offsets_are_those_of_the_records_in_the_file(self, engine: str) -> None:
        data = log_of(150)
        offsets = [offset for chunk in range(chunks_of(data)) for offset in record_offsets(data, chunk)]
        parsed = read(data, engine).parsed
        assert [item.offset for item in parsed] == offsets
        for item in parsed:
            size = struct.unpack_from("<I", data, item.offset + 4)[0]
            assert item.raw_hash == hashlib.sha256(data[item.offset : item.offset + size]).hexdigest()

    def test_importing_the_format_imports_no_engine(self) -> None:
        code = "import sys, exporter.collectors.evtx; sys.exit(any(name in sys.modules for name in ('evtx', 'Evtx', 'Evtx.Evtx')))"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_record_with_a_copied_id_is_paired_in_order() -> None:
    """Two records of one id in a chunk: the second is not given the rendering of the first."""
    data = log_of(6)
    offsets = record_offsets(data)
    struct.pack_into("<Q", data, offsets[3] + 8, 2)
    parsed = read(seal(data)).parsed
    assert [item.payload.data["N"] for item in parsed] == ["1", "2", "3", "4", "5", "6"]


def test_the_newest_record_is_found_in_any_chunk() -> None:
    """A circular log goes on in its first chunk; names of other computers stand in older records."""
    old = log_of(200, computer="OLD-NAME")
    new = bytearray(build_evtx([event for event in events(220, computer="NEW-NAME") if event.record_id > 200]))
    data = old[:HEADER] + new[HEADER : HEADER + CHUNK] + old[HEADER:]
    assert computer_name(io.BytesIO(bytes(data))) == "NEW-NAME"
    assert all(isinstance(item, Parsed) for item in read(data).parsed)


def test_a_log_that_cannot_be_read_names_no_host() -> None:
    for data in (b"", b"x" * 10, b"x" * 200_000, bytes(log_of(3))[:HEADER]):
        assert computer_name(io.BytesIO(data)) is None


class TestAllEvents:
    def test_records_of_other_providers_become_generic_events(self) -> None:
        mixed = [*events(2), *(event for event in events(4, provider="Other", provider_guid=None, channel="App") if event.record_id > 2)]
        log = read(build_evtx(mixed), all_events=True)
        assert [item.payload.kind for item in log.parsed] == [*["evtx_configuration_change"] * 2, *["windows_event"] * 2]
        assert (log.parsed[3].payload.provider_name, log.parsed[3].payload.channel) == ("Other", "App")
        assert log.parsed[3].payload.data["N"] == "4"
        assert log.tally.unparsed == {}

    def test_chunks_without_a_trace_of_defender_are_read(self) -> None:
        assert len(read(log_of(100, provider="Other", provider_guid=None, channel="App"), all_events=True).parsed) == 100

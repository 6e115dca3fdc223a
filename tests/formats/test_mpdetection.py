import io
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.formats.mpdetection import DetectionLine, ServiceStart, ServiceStop, Versions, parse_mpdetection
from exporter.formats.resources import Resource
from exporter.records import Parsed, Rejected, Tally
from exporter.synthetic.mpdetection import DetectionNote, ServiceRun, write_mpdetection
from exporter.times import from_iso
from tests.formats.mplog_texts import START
from tests.formats.test_text_lines import Drops

STAMP = "2024-03-05T10:16:00.500Z"
AT = from_iso(STAMP)[0]
STARTED = f"{STAMP} Service started - Microsoft Defender Antivirus (77bdaf73-b396-481f-9042-ad358843ec24)"
STOPPED = f"{STAMP} Service stopped with exit code 0x80070002"
VERSIONS = f"{STAMP} Version: Product 4.18.2 Service 4.18.1 Engine 1.1.3 AS 1.329.4 AV 1.329.5"
DETECTED = f"{STAMP} DETECTION Trojan:BAT/Vigorf.A file:C:\\x.bat"
BLOB = "AQAAABuKAIAAAAAAAAAAALDdLdxVBQAA"


def items_of(data, step=1 << 20):
    """The items, after checking what holds for every input: one Tally, at the end, and its sum."""
    *items, tally = parse_mpdetection(Drops(data, step))
    assert isinstance(tally, Tally)
    assert not any(isinstance(item, Tally) for item in items)
    assert tally.seen == sum(item.units for item in items) + sum(tally.unparsed.values())
    return [*items, tally]


def payload_of(line):
    record, _ = items_of(f"{line}\r\n".encode())
    assert record.incomplete is None
    return record.payload


def incomplete_of(line):
    record, _ = items_of(f"{line}\r\n".encode())
    return record.payload, record.incomplete


def test_a_service_start_has_product_and_guid():
    assert payload_of(STARTED) == ServiceStart(
        logged_at=AT, product="Microsoft Defender Antivirus", product_guid="77BDAF73-B396-481F-9042-AD358843EC24"
    )
    localized = payload_of(f"{STAMP} Service started - Antivirus (Édition) Microsoft Defender (AB-CD)")
    assert (localized.product, localized.product_guid) == ("Antivirus (Édition) Microsoft Defender", "AB-CD")


def test_a_service_start_without_a_guid_says_so():
    assert incomplete_of(f"{STAMP} Service started - Defender") == (ServiceStart(logged_at=AT, product="Defender"), "no product GUID")


def test_a_service_stop_has_its_code():
    assert payload_of(STOPPED) == ServiceStop(logged_at=AT, exit_code=0x80070002)
    assert payload_of(f"{STAMP} Service stopped with exit code 0x0").exit_code == 0


@pytest.mark.parametrize("code", ["", "?", "0x100000000", "-1"])
def test_a_service_stop_with_no_code_of_32_bits_says_so(code):
    assert incomplete_of(f"{STAMP} Service stopped with exit code {code}") == (ServiceStop(logged_at=AT), "no exit code")


def test_versions_are_told_apart():
    assert payload_of(VERSIONS) == Versions(
        logged_at=AT,
        product_version="4.18.2",
        service_version="4.18.1",
        engine_version="1.1.3",
        antispyware_version="1.329.4",
        antivirus_version="1.329.5",
    )


def test_versions_that_are_not_there_are_named():
    payload, lacking = incomplete_of(f"{STAMP} Version: Product 4.18 Engine 1.1")
    assert (payload.product_version, payload.engine_version, payload.service_version) == ("4.18", "1.1", None)
    assert lacking == "no version of Service, AS, AV"


def test_a_detection_has_threat_and_resource():
    expected = DetectionLine(
        logged_at=AT, threat_name="Trojan:BAT/Vigorf.A", resources=(Resource("file", "C:\\x.bat"),), file_path="C:\\x.bat"
    )
    assert payload_of(DETECTED) == payload_of(DETECTED + ";") == expected


def test_a_detection_of_several_resources_keeps_a_semicolon_of_a_name():
    assert payload_of(f"{DETECTED};1.bat;containerfile:C:\\a.zip").resources == (
        Resource("file", "C:\\x.bat;1.bat"),
        Resource("containerfile", "C:\\a.zip"),
    )


def test_the_threat_id_of_a_command_line_is_read():
    payload = payload_of(f"{STAMP} DETECTION Virus:X/Y internalCmdLine:i {BLOB} 1 1 a b")
    assert (payload.threat_id, payload.sig_seq) == (2147519003, 0x0555DC2DDDB0)


def test_a_detection_without_a_resource_says_so():
    assert incomplete_of(f"{STAMP} DETECTION Trojan:BAT/Vigorf.A")[1] == "no resource"


@pytest.mark.parametrize("line", ["DETECTION ", "DETECTION_NEW#1 T:X/Y file:x", "DETECTIONEVENT MPSOURCE_SYSTEM T:X/Y file:x;"])
def test_a_detection_of_another_form_is_a_loss_with_its_place(line):
    loss, tally = items_of(f"{STAMP} free text\r\n{STAMP} {line}\r\n".encode())
    assert isinstance(loss, Rejected)
    assert (loss.offset, loss.number, loss.units) == (36, 2, 1)
    assert line.strip() in loss.excerpt
    assert tally.unparsed == {"other": 1}


def test_a_line_without_a_stamp_takes_the_one_before():
    before, record, _ = items_of(f"{STOPPED}\r\n{DETECTED[25:]}\r\n".encode())
    assert (before.payload.time_basis, record.payload.time_basis, record.payload.logged_at) == ("line", "previous_line", AT)
    (alone, _) = items_of(f"{DETECTED[25:]}\r\n".encode())
    assert (alone.payload.time_basis, alone.payload.logged_at) == ("none", None)


def test_zeros_cost_only_themselves():
    zeros = "\0" * 40
    data = b"\xff\xfe" + f"{zeros}\r\n{zeros}{DETECTED}\r\n{zeros}".encode("utf-16-le")
    first, before, record, last, tally = items_of(data)
    assert [(loss.offset, loss.units) for loss in (first, before, last)] == [(2, 0), (86, 0), (88 + 80 + 2 * len(DETECTED) + 2, 1)]
    assert (record.offset, record.number, record.payload.threat_name) == (166, 2, "Trojan:BAT/Vigorf.A")
    assert tally == Tally(3, {"blank": 1})


def test_a_file_with_only_a_mark_is_whole_and_an_empty_or_foreign_one_is_named():
    assert items_of(b"\xff\xfe") == [Tally(0, {})]
    for data, reason in ((b"", "an empty file"), (b"<html>\n", "no line of this file is one of a detection log")):
        loss, _ = items_of(data)
        assert (loss.reason, loss.units, loss.offset) == (reason, 0, 0)


def test_a_line_that_the_file_cuts_is_told():
    record, _ = items_of(DETECTED.encode())
    assert record.incomplete == "the file ends before the line does"


HOSTILE = [
    "DETECTION T:X/Y " + ";file:" * 170_000,
    "DETECTION " + " " * 1_000_000,
    "DETECTION T " + "internalCmdLine:i QQ== 1 1;" * 35_000,
    "Version: " + "Product " * 120_000,
    "Version: " + "AS" * 500_000,
    "Service started - " + "(" * 1_000_000,
    "Service stopped with exit code 0x" + "f" * 1_000_000,
    "\0" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24])
def test_a_hostile_line_does_not_cost_the_next_one(text):
    *_, record, _ = items_of(f"{text}\r\n{DETECTED}\r\n".encode())
    assert record.payload.threat_name == "Trojan:BAT/Vigorf.A"


LINES = [STARTED, STOPPED, VERSIONS, DETECTED, DETECTED[25:], "", "\0\0", "\0" + DETECTED, "\ud800", "DETECTION_X", "free text"]


@given(st.binary(max_size=400))
def test_any_bytes_are_counted_and_raise_nothing(data):
    items_of(data)


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=30)), max_size=40), st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_any_lines_give_the_same_items_whatever_the_read_size(lines, step):
    data = b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le", "surrogatepass")
    assert items_of(data, step) == items_of(data)


NOTES = st.builds(
    DetectionNote,
    detected_at=st.integers(START, START + 10**10),
    threat_name=st.from_regex(r"[A-Z][a-z]{2,9}:[A-Z][A-Za-z0-9]{1,9}/[A-Za-z][A-Za-z0-9_.!]{1,12}", fullmatch=True),
    schema=st.sampled_from(["file", "containerfile", "regkey"]),
    value=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40).filter(lambda text: ";" not in text),
)
RUNS = st.builds(
    ServiceRun,
    started_at=st.integers(START - 10**15, START),
    stopped_at=st.none() | st.integers(START, START + 10**15),
    exit_code=st.integers(0, 2**32 - 1),
    detections=st.lists(NOTES, max_size=3),
)


@given(st.lists(RUNS, max_size=3))
@settings(max_examples=50, deadline=None)
def test_what_was_written_is_read(tmp_path_factory, runs):
    path = tmp_path_factory.mktemp("mpdetection") / "MPDetection-1.log"
    truth = write_mpdetection(path, runs)
    *records, tally = items_of(path.read_bytes())
    assert (tally.seen, tally.unparsed) == (truth["lines"], {})
    assert [(record.payload.kind, record.offset, record.incomplete) for record in records] == [
        (each["kind"], each["offset"], None) for each in truth["records"]
    ]
    read = [record.payload for record in records if isinstance(record.payload, DetectionLine)]
    notes = [note for run in runs for note in sorted(run.detections, key=lambda note: note.detected_at)]
    assert [(one.threat_name, one.resources, one.logged_at) for one in read] == [
        (note.threat_name, (Resource(note.schema, note.value),), note.detected_at // 10_000 * 10_000) for note in notes
    ]
    stops = [record.payload.exit_code for record in records if isinstance(record.payload, ServiceStop)]
    assert stops == [run.exit_code for run in runs if run.stopped_at is not None]


@pytest.mark.real_data
def test_every_line_of_a_real_log_is_read(shared_data):
    data = (shared_data / "mplog/win10-belkasoft/MPDetection-20210213-115635.log").read_bytes()
    *records, tally = parse_mpdetection(io.BytesIO(data))
    assert isinstance(tally, Tally)
    assert (tally.seen, tally.unparsed) == (18, {})
    text = data.decode("utf-16")
    expected = {
        "mpdetection_service_start": len(re.findall(r"Z Service started - ", text)),
        "mpdetection_service_stop": len(re.findall(r"Z Service stopped ", text)),
        "mpdetection_versions": len(re.findall(r"Z Version: ", text)),
    }
    assert Counter(record.payload.kind for record in records if isinstance(record, Parsed)) == expected
    assert all(isinstance(record, Parsed) and record.incomplete is None for record in records)
    assert {record.payload.antivirus_version for record in records if isinstance(record.payload, Versions)} == set(
        re.findall(r" AV (\S+)", text)
    )

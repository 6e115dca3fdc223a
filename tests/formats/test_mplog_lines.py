import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import FormatError
from exporter.formats import mplog_kinds as kinds
from exporter.formats.mplog_lines import (
    LIST_LIMIT,
    RESOURCE_LIMIT,
    detection,
    detection_lacking,
    internal_command_line,
    number,
    resource_list,
    threat_id,
)
from exporter.formats.resources import Resource


def read(kind, text):
    return detection(kind, text, 5, "line", {"utc_offset": 60})


def blob(threat, sequence=0x1667B7DDC3FF, version=1, size=108):
    data = struct.pack("<IIQQ20s64s", version, threat, 0, sequence, bytes(20), b"Behavior:Win32/X.A")
    return base64.b64encode(data[:size].ljust(min(size, 108), b"\0")).decode()


def test_a_detection_event_gives_source_threat_and_every_resource():
    record = read(
        kinds.DETECTION_EVENT,
        "DETECTIONEVENT MPSOURCE_REALTIME HackTool:JS/Jsprat containerfile:C:\\a\\b.jsp;file:C:\\a\\b.jsp->(SCRIPT0065);",
    )
    assert (record.source, record.threat_name) == ("MPSOURCE_REALTIME", "HackTool:JS/Jsprat")
    assert record.resources == (Resource("containerfile", "C:\\a\\b.jsp"), Resource("file", "C:\\a\\b.jsp->(SCRIPT0065)"))
    assert record.file_path == "C:\\a\\b.jsp->(SCRIPT0065)"
    assert (record.logged_at, record.time_basis, record.utc_offset) == (5, "line", 60)


@pytest.mark.parametrize("end", ["", " PropBag [length: 0, data: (null)]"], ids=["2020", "2023"])
def test_an_added_detection_is_one_resource_without_its_property_bag(end):
    record = read(kinds.DETECTION_ADD, f"DETECTION_ADD#2 Trojan:X/Y.A file:C:\\a;file:b, c.exe{end}")
    assert (record.number, record.threat_name) == (2, "Trojan:X/Y.A")
    assert record.resources == (Resource("file", "C:\\a;file:b, c.exe"),)


@pytest.mark.parametrize(("text", "result"), [("0", 0), ("0x0", 0), ("0x80508023", 0x80508023), ("?", None)])
def test_a_clean_event_gives_action_and_result(text, result):
    line = f"DETECTION_CLEANEVENT MPSOURCE_SYSTEM MP_THREAT_ACTION_REMOVE {text} Virus:DOS/EICAR_Test_File file:C:\\e.com;"
    record = read(kinds.DETECTION_CLEAN, line)
    assert (record.source, record.action, record.result) == ("MPSOURCE_SYSTEM", "MP_THREAT_ACTION_REMOVE", result)
    assert (record.threat_name, record.file_path) == ("Virus:DOS/EICAR_Test_File", "C:\\e.com")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (kinds.DETECTION_EVENT, "DETECTIONEVENT "),
        (kinds.DETECTION_EVENT, "DETECTIONEVENT MPSOURCE_REALTIME"),
        (kinds.DETECTION_EVENT, "DETECTIONEVENT MPSOURCE_REALTIME "),
        (kinds.DETECTION_ADD, "DETECTION_ADD#1"),
        (kinds.DETECTION_CLEAN, "DETECTION_CLEANEVENT MPSOURCE_REALTIME MP_THREAT_ACTION_REMOVE 0"),
    ],
)
def test_a_detection_line_that_names_no_threat_is_an_error(kind, line):
    with pytest.raises(FormatError):
        read(kind, line)


def test_a_detection_line_without_resources_is_read_and_says_so():
    record = read(kinds.DETECTION_EVENT, "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y.A")
    assert (record.threat_name, record.resources, record.file_path) == ("Trojan:X/Y.A", (), None)
    assert detection_lacking(record) == "no resource"


def test_a_schema_that_is_not_known_is_read_where_it_stands_first():
    record = read(kinds.DETECTION_EVENT, "DETECTIONEVENT MPSOURCE_REALTIME Trojan:X/Y.A newschema:a b file:c;")
    assert (record.threat_name, record.resources) == ("Trojan:X/Y.A", (Resource("newschema", "a b file:c"),))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("file:C:\\invoice;2024.pdf.exe;file:D:\\x;", ["C:\\invoice;2024.pdf.exe", "D:\\x"]),
        ("file:C:\\one, two.ps1;process:pid:4,ProcessStart:1;", ["C:\\one, two.ps1", "pid:4,ProcessStart:1"]),
        ("file:C:\\a;;file:b", ["C:\\a;", "b"]),
        ("file:C:\\files;nofile:x;", ["C:\\files;nofile:x"]),
        ("internalCmdLine:i QQ== 1 1 a b;cmdline:c", ["i QQ== 1 1 a b", "c"]),
        ("", []),
    ],
)
def test_resources_are_split_only_before_a_known_schema(text, values):
    assert [resource.value for resource in resource_list(text)] == values


def test_more_resources_than_the_limit_stay_in_the_last_one_and_the_record_says_so():
    record = read(kinds.DETECTION_EVENT, "DETECTIONEVENT S T:X " + "file:a;" * (RESOURCE_LIMIT + 2))
    assert len(record.resources) == RESOURCE_LIMIT
    assert record.resources[-1].value == "a;file:a;file:a"
    assert "not split" in detection_lacking(record)


def test_resources_are_looked_for_in_a_bounded_text_and_nothing_of_the_rest_is_lost():
    text = "file:" + "a" * LIST_LIMIT + ";file:b"
    assert resource_list(text) == (Resource("file", text.removeprefix("file:")),)
    assert "not split" in detection_lacking(read(kinds.DETECTION_EVENT, f"DETECTIONEVENT S T:X {text}"))


def test_the_threat_id_of_a_behavior_comes_from_the_internal_command_line():
    value = f"i {blob(2147727883)} 30 30 C:\\a.exe C:\\a.exe -x"
    record = read(kinds.DETECTION_EVENT, f"DETECTIONEVENT MPSOURCE_SYSTEM Behavior:Win32/X.A behavior:pid:1:2;internalCmdLine:{value};")
    assert (record.threat_id, record.sig_seq) == (2147727883, 0x1667B7DDC3FF)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "i",
        "i !!!! 1 1 a b",
        "i " + "A" * 5000 + " 1 1 a b",
        f"i {blob(7, size=23)} 1 1 a b",
        f"i {blob(7, version=2)} 1 1 a b",
        f"i {blob(0x80000000, 0)} 1 1 a b",
        f"i {blob(0, 0)} 1 1 a b",
    ],
)
def test_a_hostile_or_placeholder_blob_gives_no_threat_id(value):
    assert internal_command_line(value) == (None, None)


@pytest.mark.parametrize("text", ["0", "2147483648", "0x80000000", "", "-1", "1_0", "x", "9" * 40, "１"])
def test_placeholders_and_what_is_no_number_are_no_threat_id(text):
    assert threat_id(text) is None


@pytest.mark.parametrize(("text", "value"), [("2147726364", 2147726364), ("0x8003b41c", 0x8003B41C), (" 7 ", 7)])
def test_threat_ids_are_decimal_or_hexadecimal(text, value):
    assert threat_id(text) == value


@given(st.text(max_size=60))
def test_any_text_is_a_number_of_64_bits_or_none(text):
    value = number(text)
    assert value is None or 0 <= value < 1 << 64


@given(st.sampled_from(sorted(kinds.DETECTIONS)), st.text(max_size=200))
def test_any_detection_line_is_read_or_refused(kind, text):
    try:
        record = read(kind, text)
    except FormatError:
        return
    assert record.threat_name

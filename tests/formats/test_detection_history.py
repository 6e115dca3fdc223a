"""DetectionHistory: every value of the real files, both layouts, every kind of damage."""

import base64
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exporter.formats.detection_history import TrackedResource
from exporter.records import Item, Parsed, Rejected, Verdict
from exporter.synthetic.detection_history import build_detection_history
from exporter.times import iso
from tests.formats.history_texts import NAME, as_expected, history, parsed, read, sample


@pytest.mark.real_data
def test_every_value_of_the_real_files_is_the_expected_one(shared_data: Path) -> None:
    folder = shared_data / "detection_history"
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    for name, values in expected.items():
        data = (folder / name).read_bytes()
        item = parsed(data, Path(name).name)
        got = as_expected(history(item)) | {"sha256": item.raw_hash, "size": len(data)}
        assert got == values
        assert (item.incomplete, item.integrity.verdict) == (None, Verdict.UNVERIFIABLE)
        assert history(item).name_matches
    assert len(expected) == 6


@pytest.mark.real_data
def test_the_writer_makes_the_very_bytes_of_the_real_files(shared_data: Path) -> None:
    for path in (shared_data / "detection_history").glob("*/*-*"):
        data = path.read_bytes()
        assert build_detection_history(history(parsed(data, path.name))) == data


@pytest.mark.real_data
def test_hashes_and_sigseq_are_those_of_the_file_resource(shared_data: Path) -> None:
    path = shared_data / "detection_history/plaso/6AFE33A0-19BA-4FFF-892F-B700539D7D63"
    payload = history(parsed(path.read_bytes(), path.name))
    assert payload.sha1 == "3395856ce81f2b7382dee72602f798b642f14140"
    assert (payload.md5, payload.file_size, payload.sig_seq) == ("44d88612fea8a8f36de82e1278abb02f", 68, 5866324352432)
    assert payload.sha256 == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
    assert payload.tracking_started_at == 133029417789094421
    assert payload.file_path == "C:\\Users\\testuser\\Downloads\\eicar_com.zip->eicar.com"
    assert [resource.schema for resource in payload.resources] == ["containerfile", "file", "webfile"]


EDGES = (
    ",cmdline,behavior,container,active,failed,unknownstatus,twofiles,cjk,longpath,nomagic,unknowntype,unknownkey,cut,cuttail,empty,"
    "cjk+container,longpath+twofiles+nomagic"
)


@pytest.fixture(scope="module", params=["header20", "size"])
def generated(
    request: pytest.FixtureRequest, shared_tools: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[dict[str, Any], list[Item]]]:
    folder = tmp_path_factory.mktemp("generated")
    tool = [sys.executable, str(shared_tools / "make_detection_history.py"), str(folder)]
    run = subprocess.run([*tool, "--entries", "36", "--layout", request.param, "--edge", EDGES], capture_output=True, check=True)
    place = folder / "ProgramData/Microsoft/Windows Defender/Scans/History/Service/DetectionHistory"
    return [(truth, read((place / truth["file"]).read_bytes(), Path(truth["file"]).name)) for truth in json.loads(run.stdout)["detections"]]


@pytest.mark.real_data
def test_what_an_independent_writer_wrote_is_read_back(generated: list[tuple[dict[str, Any], list[Item]]]) -> None:
    whole = [(truth, items) for truth, items in generated if not {"cut", "cuttail", "empty"} & set(truth["edges"])]
    assert len(whole) == 30
    for truth, (item,) in whole:
        assert isinstance(item, Parsed)
        payload = history(item)
        assert item.integrity.verdict is Verdict.UNVERIFIABLE
        names = ["detection_id", "threat_id", "threat_name", "category_id", "status_id", "quarantine_id", "sig_seq"]
        assert {name: getattr(payload, name) for name in names} | {"user": payload.user or ""} == {
            name: truth[name] for name in [*names, "user"]
        } | ({"sig_seq": None} if "cmdline" in truth["edges"] else {})
        assert list(payload.action_ids) == truth["actions"]
        assert payload.error_code == int(truth["error_code"], 16)
        times = [payload.detected_at, payload.remediated_at] + ([payload.last_change_at] if "unknowntype" not in truth["edges"] else [])
        assert [iso(time) if time else None for time in times] == [
            truth[name] for name in ("detection_time", "remediation_time", "last_change")[: len(times)]
        ]
        assert [(r.type, r.location, r.tracking, r.tracking_layout) for r in payload.tracked] == [
            (r["type"], r["location"], r["tracking"], truth["layout"]) for r in truth["resources"]
        ]


@pytest.mark.real_data
def test_damaged_files_of_an_independent_writer_cost_only_themselves(generated: list[tuple[dict[str, Any], list[Item]]]) -> None:
    seen = set()
    for truth, (item,) in generated:
        (edge,) = {"cut", "cuttail", "empty"} & set(truth["edges"]) or {"none"}
        seen.add(edge)
        if edge == "empty":
            assert item == Rejected(0, "not a DetectionHistory file: file ends before threat id", "")
        elif edge != "none":
            assert isinstance(item, Parsed)
            assert item.integrity.verdict is Verdict.FAILED
            assert item.incomplete is not None
            assert ("inside tracking block" if edge == "cut" else "file ends") in item.incomplete
            assert history(item).threat_name == truth["threat_name"]
    assert seen == {"cut", "cuttail", "empty", "none"}


def test_a_file_without_magic_is_read() -> None:
    payload = sample(magic=None)
    assert history(parsed(build_detection_history(payload))).threat_name == payload.threat_name
    assert history(parsed(build_detection_history(payload))).magic is None


def test_the_extra_section_is_kept() -> None:
    extra = ("one", "two", 3, 4, "five", "six")
    payload = history(parsed(build_detection_history(sample(unknown={"unknown_a": 4}, extra=extra, state=2))))
    assert (payload.extra, payload.state, payload.user) == (extra, 2, "LAB\\analyst")
    assert history(parsed(build_detection_history(sample(unknown={"unknown_a": 4}, state=2)))).state == 2


def test_a_value_of_unknown_type_is_kept_and_named_and_the_rest_is_read() -> None:
    data = build_detection_history(sample(state=2))
    time = struct.pack("<IIQ", 8, 0x0A, 133029418227574371)
    item = parsed(data.replace(time, struct.pack("<II", 8, 0x0B) + time[8:]))
    assert history(item).unknown["last_change_at"] == time[8:].hex()
    assert (history(item).last_change_at, history(item).state) == (None, 2)
    assert item.incomplete == f"last_change_at is of unknown type 0x0b at offset {data.index(time)}"
    assert item.integrity.verdict is Verdict.UNVERIFIABLE


def test_a_tracking_value_of_unknown_type_is_kept_as_hex_and_the_rest_is_read() -> None:
    data = build_detection_history(sample())
    number = "ThreatTrackingScanSource\0".encode("utf-16-le") + struct.pack("<II", 3, 3)
    item = parsed(data.replace(number, number[:-8] + struct.pack("<II", 9, 3), 1))
    assert history(item).tracked[0].tracking["ThreatTrackingScanSource"] == "03000000"
    assert history(item).tracked[1].tracking["ThreatTrackingScanSource"] == 3
    assert item.incomplete is not None
    assert "unknown type 9" in item.incomplete
    assert history(item).user == "LAB\\analyst"


def test_a_damaged_tracking_block_costs_only_its_own_rest() -> None:
    data = build_detection_history(sample())
    key = struct.pack("<I", 38) + "ThreatTrackingSize\0".encode("utf-16-le")
    item = parsed(data.replace(key, struct.pack("<I", 0xFFFFFFFF) + key[4:], 1))
    assert "ThreatTrackingSha1" in history(item).tracked[0].tracking
    assert "ThreatTrackingSize" not in history(item).tracked[0].tracking
    assert history(item).tracked[1].tracking["ThreatTrackingSize"] == 68
    assert history(item).tail == (0, 0, 0, 0, 1)
    assert item.integrity.verdict is Verdict.FAILED
    assert item.incomplete is not None
    assert "4294967295 are announced at offset" in item.incomplete


@pytest.mark.parametrize(("layout", "reason"), [("header20", "says that it has 1 at offset"), ("size", "not the one its flags announce")])
def test_a_block_of_the_other_layout_than_its_flags_say_is_damage(layout: str, reason: str) -> None:
    flags = 1 if layout == "header20" else 0x10000001
    resource = TrackedResource(type="file", location="C:\\a", flags=flags, tracking={"a": 1}, tracking_layout=layout)
    item = parsed(build_detection_history(sample(tracked=(resource,))))
    assert item.integrity.verdict is Verdict.FAILED
    assert item.incomplete is not None
    assert reason in item.incomplete
    assert history(item).tracked[0].tracking == {}
    assert history(item).user == "LAB\\analyst"


def test_a_repeated_key_is_kept_under_a_name_of_its_own() -> None:
    pairs = {"ThreatTrackingA": 1, "ThreatTrackingB": 2, "ThreatTrackingC": 3}
    resource = TrackedResource(type="file", location="C:\\a", flags=0, tracking=pairs, tracking_layout="size")
    data = build_detection_history(sample(tracked=(resource,)))
    for letter in "BC":
        data = data.replace(f"ThreatTracking{letter}".encode("utf-16-le"), "ThreatTrackingA".encode("utf-16-le"))
    assert history(parsed(data)).tracked[0].tracking == {"ThreatTrackingA": 1, "ThreatTrackingA#2": 2, "ThreatTrackingA#3": 3}


def test_values_behind_the_known_end_are_kept() -> None:
    guid = struct.pack("<II", 16, 0x1E) + bytes(16)
    foreign = struct.pack("<II", 2, 0xE1) + b"\xab\xcd" + bytes(6)
    data = build_detection_history(sample(tail=(0, 0, 0, 0, 1, 7, "new"))) + guid + foreign
    assert history(parsed(data)).tail == (0, 0, 0, 0, 1, 7, "new", "00000000-0000-0000-0000-000000000000", "abcd")


def test_a_value_of_the_wrong_size_ends_the_reading_with_what_was_read() -> None:
    data = build_detection_history(sample(severity_id=5, category_id=0x55))
    place = data.index(struct.pack("<III", 4, 6, 0x55))
    item = parsed(data[:place] + b"\3" + data[place + 1 :])
    assert item.incomplete == f"category_id of type 0x06 has 3 bytes instead of 4 at offset {place}"
    assert (history(item).severity_id, history(item).category_id) == (5, None)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (struct.pack("<IIQ", 8, 0x0A, 133029418227574371), struct.pack("<IIQ", 8, 0x08, 1), "last_change_at is of type 0x08 at offset"),
        (struct.pack("<III", 4, 6, 3), struct.pack("<IIQ", 8, 8, 1)[:12], "count of actions is of type 0x08"),
        (struct.pack("<III", 4, 6, 3), struct.pack("<III", 4, 6, 1000), "1000 actions do not fit into the"),
    ],
)
def test_a_value_where_another_type_belongs_ends_the_reading(old: bytes, new: bytes, reason: str) -> None:
    item = parsed(build_detection_history(sample()).replace(old, new, 1))
    assert reason in (item.incomplete or "")
    assert item.integrity.verdict is Verdict.FAILED


def test_a_tracking_block_of_another_type_is_no_tracking_block() -> None:
    data = build_detection_history(sample())
    place = data.index(struct.pack("<III", 0x28, 1, 20))
    item = parsed(data[:place] + b"\x15" + data[place + 1 :])
    assert "tracking block is of type 0x15 at offset" in (item.incomplete or "")


def test_half_a_character_ends_the_reading_with_what_was_read() -> None:
    data = build_detection_history(sample(state=2))
    user = struct.pack("<II", 24, 0x15) + "LAB\\analyst\0".encode("utf-16-le")
    place = data.index(user)
    item = parsed(data[:place] + b"\x17" + data[place + 1 :])
    assert item.incomplete == f"text of 23 bytes ends inside a character at offset {place}"
    assert (history(item).state, history(item).user) == (2, None)


def test_a_second_list_of_resources_is_kept_and_listed() -> None:
    more = (TrackedResource(type="regkey", location="HKLM\\x", flags=2, tracking={"a": True}, tracking_layout="size"),)
    payload = history(parsed(build_detection_history(sample(more_resources=more))))
    assert payload.more_resources == more
    assert [resource.value for resource in payload.resources][-1] == "HKLM\\x"


def test_a_command_line_has_its_sigseq_in_the_internal_resource() -> None:
    blob = struct.pack("<IIQQ", 1, 2147519003, 0, 0x2667F2C45E4D) + bytes(84)
    value = f"i {base64.b64encode(blob).decode()} 3 3 cmd dir"
    tracked = tuple(
        TrackedResource(type=kind, location=place, flags=0, tracking={}, tracking_layout="size")
        for kind, place in (("CmdLine", "cmd dir"), ("internalCmdLine", value))
    )
    assert history(parsed(build_detection_history(sample(tracked=tracked)))).sig_seq == 0x2667F2C45E4D
    assert history(parsed(build_detection_history(sample(tracked=tracked[:1])))).sig_seq is None


def test_a_name_that_is_not_the_detection_is_noticed_and_braces_and_case_are_not() -> None:
    data = build_detection_history(sample())
    assert not history(parsed(data, "sample.bin")).name_matches
    assert history(parsed(data, "{" + NAME.lower() + "}")).name_matches

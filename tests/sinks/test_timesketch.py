"""Timesketch lines, keys and parts (sink-contracts T1 to T11)."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import ConfigurationError, SinkRefused
from exporter.records import Row
from exporter.sinks import Outcome, Result
from exporter.sinks.targets import SinkSettings, parse_target
from exporter.sinks.timesketch import Encoder, TimesketchSink
from exporter.sinks.timesketch_keys import FORBIDDEN, INTEGERS, MAXIMUM_KEYS
from tests.sinks.fakes import PATH, TICKS, FakeMapped, events, row


def write(folder: Path, rows: list[Row], options: str = "") -> tuple[list[dict[str, Any]], list[Result]]:
    sink = TimesketchSink(parse_target(f"timesketch:{folder / 'case.jsonl'}{options}"), SinkSettings(force=True))
    results = [result for position, one in enumerate(rows, 1) for result in sink.write(FakeMapped(str(position), [one]), position)]
    paths = sink.close()
    lines = [line for path in paths if path.endswith(".jsonl") for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines], results


def test_a_line_has_these_keys_in_this_order(tmp_path: Path):
    [entry], _ = write(tmp_path, [row(tags=("incomplete",))])
    assert entry == {
        "message": "Malware detected: Virus:DOS/EICAR_Test_File in file:_C:\\Users\\test\\eicar.com",
        "datetime": "2022-12-02T08:00:26.077094+00:00",
        "timestamp": 1669968026077094,
        "timestamp_desc": "Creation Time",
        "filetime": TICKS,
        "data_type": "windows:evtx:record",
        "source_short": "EVT",
        "source_long": "WinEVTX",
        "display_name": PATH,
        "parser": "exporter/defender_evtx",
        "event_id": "0123456789abcdef-creation_time",
        "event_identifier": 1116,
        "threat_name": "Virus:DOS/EICAR_Test_File",
        "strings": ["a", "b"],
        "username": "WS1\\test",
        "hostname": "ws1",
        "tag": ["incomplete"],
    }
    assert list(entry)[:4] == ["message", "datetime", "timestamp", "filetime"]


def test_attributes_that_rows_share_are_in_each_of_their_lines_once(tmp_path: Path):
    shared = {"channel": "Security", "size": 2**64, "sha1": "aa", "username": "x"}
    rows = [
        row(ticks=TICKS + number, shared=shared, own=own, username=None)
        for number, own in enumerate(({}, {"path": "p"}, {"sha1_hash": "bb", "path": "q"}))
    ]
    entries, _ = write(tmp_path, rows)
    assert [entry["channel"] for entry in entries] == ["Security"] * 3
    assert [(entry["size_text"], entry["username"]) for entry in entries] == [(str(2**64), "x")] * 3
    assert [entry["sha1_hash"] for entry in entries] == ["aa"] * 3
    assert [entry.get("path") for entry in entries] == [None, "p", "q"]
    assert all(line.count(b'"sha1_hash"') == 1 for line in (tmp_path / "case.jsonl").read_bytes().splitlines())


def test_what_is_remembered_of_rows_is_bounded():
    encoder = Encoder()
    for number in range(2000):
        encoder.encode(row(display_name=str(number)))
    assert len(encoder._forms) <= 1024


def test_what_is_absent_has_no_key(tmp_path: Path):
    [entry], _ = write(tmp_path, [row(hostname="", username=None, attributes={})])
    assert not {"hostname", "username", "tag"} & entry.keys()


def test_a_message_is_never_empty(tmp_path: Path):
    [entry], _ = write(tmp_path, [row(message="")])
    assert entry["message"] == "windows:evtx:record"


@pytest.mark.parametrize(
    "ticks", [116_444_736_000_000_000, 116_444_736_000_000_009, TICKS, 133_485_407_999_999_999, 208_296_575_999_999_999]
)
def test_timestamp_is_the_time_truncated_to_the_digit(ticks: int, tmp_path: Path):
    [entry], _ = write(tmp_path, [row(ticks=ticks)])
    assert entry["timestamp"] == (ticks - 116_444_736_000_000_000) // 10
    assert entry["datetime"][20:26] == f"{entry['timestamp'] % 1_000_000:06d}"
    assert entry["filetime"] == ticks


def test_rows_are_in_order_of_ticks_then_source_then_place(tmp_path: Path):
    places = [(TICKS, ("b", 1)), (TICKS, ("a", 10)), (TICKS, ("a", 9)), (TICKS + 1, ("a", 0)), (TICKS - 1, ("z", -1)), (TICKS, ("a", -1))]
    entries, _ = write(tmp_path, [row(ticks=ticks, order=order, message=f"{ticks - TICKS} {order}") for ticks, order in places])
    assert [entry["message"] for entry in entries] == [f"{ticks - TICKS} {order}" for ticks, order in sorted(places)]


def test_hashes_have_the_names_that_analyzers_look_for(tmp_path: Path):
    [entry], _ = write(tmp_path, [row(attributes={"md5": "aa", "sha1": "bb", "sha256": "cc"})])
    assert (entry["md5_hash"], entry["sha1_hash"], entry["sha256_hash"]) == ("aa", "bb", "cc")
    assert not {"md5", "sha1", "sha256", "hash"} & entry.keys()


@pytest.mark.parametrize("name", [*sorted(FORBIDDEN), "_id", "_index", "__ts_timeline_id", "a.b", "", "a b"])
def test_a_key_that_is_timesketchs_or_ours_costs_the_record(name: str, tmp_path: Path):
    entries, [dead, written] = write(tmp_path, [row(attributes={name: "x"}), row()])
    assert (dead.outcome, dead.rows, written.outcome) == (Outcome.DEAD, 0, Outcome.WRITTEN)
    assert f"`{name}`" in dead.reason
    assert len(entries) == 1


def test_more_keys_than_timesketch_indexes_cost_the_records_that_bring_them(tmp_path: Path):
    rows = [row(attributes={f"key_{number}": "x"}) for number in range(200)]
    entries, results = write(tmp_path, rows)
    assert len({key for entry in entries for key in entry}) == MAXIMUM_KEYS - 1  # no row had a tag
    assert {result.outcome for result in results} == {Outcome.WRITTEN, Outcome.DEAD}


VALUES = ["text", 7, -1, 2**63, -(2**63) - 1, 2**70, True, 1.5, ["a"], ["a", 1], (1, 2), {"a": 1}, [{"a": 1}], [], "5"]


@pytest.mark.parametrize("name", ["threat_id", "offset", "strings", "resources", "threat_name", "brand_new"])
def test_a_key_has_one_json_type_whatever_the_values(name: str, tmp_path: Path):
    entries, results = write(tmp_path, [row(attributes={name: value}) for value in VALUES])
    assert {result.outcome for result in results} == {Outcome.WRITTEN}
    assert len({type(entry[name]) for entry in entries if name in entry}) == 1
    assert all(type(entry[f"{name}_text"]) is str for entry in entries if name not in entry)


def test_integers_stay_integers_and_what_does_not_fit_goes_beside(tmp_path: Path):
    entries, _ = write(tmp_path, [row(ticks=TICKS + number, attributes={"size": value}) for number, value in enumerate((5, 2**64 - 1, 6))])
    assert [(entry.get("size"), entry.get("size_text")) for entry in entries] == [(5, None), (None, "18446744073709551615"), (6, None)]
    assert "size" in INTEGERS


def test_own_attributes_are_cleaned_whatever_they_are(tmp_path: Path):
    """A text alone, in a list, beside an integer, and after many that needed nothing."""
    unclean = {"threat_name": "a\0b\ud800", "strings": ["\0", "\ud800"], "threat_id": 7}
    entries, _ = write(tmp_path, [row(ticks=TICKS + number, attributes=unclean, message=message) for number, message in enumerate("a\0")])
    for entry, message in zip(entries, ("a", "\u2400"), strict=True):
        assert entry["threat_name"] == "a\u2400b\ufffd"
        assert entry["strings"] == ["\u2400", "\ufffd"]
        assert entry["threat_id"] == 7
        assert entry["message"] == message


def test_a_file_that_timesketch_would_not_know_by_its_name_is_refused(tmp_path: Path):
    sink = TimesketchSink(parse_target(f"timesketch:{tmp_path / 'case.json'}"), SinkSettings())
    with pytest.raises(ConfigurationError, match=r"\.jsonl"):
        sink.check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", ["?part_lines=0", "?part_bytes=many", "?part_lines=-1"])
def test_limits_are_numbers_above_zero(options: str, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="number above 0"):
        TimesketchSink(parse_target(f"timesketch:{tmp_path / 'case.jsonl'}{options}"), SinkSettings())


# parts


@pytest.mark.parametrize(("options", "count"), [("?part_lines=30", 4), ("?part_bytes=20000", None)])
def test_parts_hold_the_same_lines_and_the_manifest_describes_them(options: str, count: int | None, tmp_path: Path):
    rows = [one for record in events(115) for one in record.rows()][:100]
    whole, _ = write(tmp_path, rows)
    (tmp_path / "case.jsonl").unlink()
    split, _ = write(tmp_path, rows, options)
    assert split == whole
    manifest = json.loads((tmp_path / "case-manifest.json").read_text())["parts"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["case-manifest.json", *(part["name"] for part in manifest)])
    assert [part["name"] for part in manifest] == [f"case-{number:04d}.jsonl" for number in range(1, len(manifest) + 1)]
    assert len(manifest) == count or (count is None and len(manifest) > 1)
    for part in manifest:
        data = (tmp_path / part["name"]).read_bytes()
        entries = [json.loads(line) for line in data.splitlines()]
        assert part == {
            "name": part["name"],
            "lines": len(entries),
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "first": entries[0]["datetime"],
            "last": entries[-1]["datetime"],
        }
        assert len(data) <= 20_000 or count


@pytest.mark.parametrize("name", ["case-0001.jsonl", "case-manifest.json"])
def test_parts_of_an_earlier_run_are_refused_before_anything_is_written(name: str, tmp_path: Path):
    (tmp_path / name).write_text("precious")
    sink = TimesketchSink(parse_target(f"timesketch:{tmp_path / 'case.jsonl'}"), SinkSettings())
    with pytest.raises(SinkRefused):
        sink.check()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_when_a_later_part_fails_no_part_is_left(tmp_path: Path):
    (tmp_path / "case-0003.jsonl").write_text("precious")
    sink = TimesketchSink(parse_target(f"timesketch:{tmp_path / 'case.jsonl'}?part_lines=10"), SinkSettings())
    sink.check()
    for position, record in enumerate(events(60), 1):
        sink.write(record, position)
    with pytest.raises(SinkRefused):
        sink.close()
    sink.abort()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("case-0003.jsonl", "precious")]

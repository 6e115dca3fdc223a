"""Events of other providers that tell about Defender are found in any log, and no others are."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.formats.defender_events import ConfigurationChange, Detection
from exporter.formats.defender_fields import POSITIONS
from exporter.formats.evtx_chunks import walk
from exporter.formats.evtx_engine import ENGINES
from exporter.formats.evtx_filter import may_hold_defender
from exporter.formats.evtx_reading import OTHER_PROVIDERS
from exporter.formats.side_events import IpsecPolicy, ServiceEvent
from exporter.synthetic.evtx import Event, build_evtx
from tests.defender_events import DATA, event, side_events
from tests.evtx_logs import CHUNK, HEADER, read, seal

MANAGER = "Service Control Manager (System)"


def chunks(events: list[Event]) -> Iterator[bytes]:
    log = build_evtx(events)
    return (log[start : start + CHUNK] for start in range(HEADER, len(log), CHUNK))


@pytest.mark.parametrize("engine", ENGINES)
def test_service_and_policy_events_of_defender_are_typed_and_all_others_counted(engine: str) -> None:
    log = read(build_evtx(side_events()), engine)
    assert log.event_ids == {7036: 1, 7040: 1, 7045: 1, 5460: 1, 1116: 1, 5007: 1, 2000: 1}
    assert log.tally.unparsed == {MANAGER: 2, "Microsoft-Windows-Security-Auditing (Security)": 1}
    stopped, switched, installed, policy = (item.payload for item in log.parsed[:4])
    assert [type(each) for each in (stopped, switched, installed, policy)] == [ServiceEvent] * 3 + [IpsecPolicy]
    assert (stopped.service_name, stopped.state) == ("WinDefend", "beendet")
    assert (switched.previous_start_type, switched.start_type) == ("Automatisch starten", "Deaktiviert")
    assert switched.user_sid == "S-1-5-21-1-2-3-1001"
    assert (installed.image_path.endswith("MsMpEng.exe"), installed.start_type, installed.account) == (True, "auto start", "LocalSystem")
    assert policy.policy == "VelociraptorQuarantine"


@pytest.mark.parametrize("engine", ENGINES)
def test_values_of_the_older_provider_are_typed_by_their_places_and_kept_without_names(engine: str) -> None:
    detection, change, update = (item.payload for item in read(build_evtx(side_events()), engine).parsed[4:])
    assert (type(detection), type(change)) == (Detection, ConfigurationChange)
    assert (detection.threat_id, detection.threat_name, detection.severity_id) == (2147519003, "Virus:DOS/EICAR_Test_File", 5)
    assert (detection.file_path, detection.error_code) == ("C:\\Temp\\a.zip->eicar.com", 0)
    assert (change.setting_kind, change.setting_target) == ("exclusion-added", "C:\\Temp")
    assert update.product_version is None
    for typed, event_id in ((detection, 1116), (change, 5007)):
        assert list(typed.data)[:2] == ["Data", "Data_1"]
        assert list(typed.data.values()) == list(DATA[event_id].values())


def test_the_older_detection_has_the_places_of_the_newer_one_s_names() -> None:
    assert [name.replace("Signature", "Security intelligence") for name in POSITIONS[1116]] == list(DATA[1116])


@pytest.mark.parametrize("event", [event for event in side_events() if event.record_id not in (2, 5, 7)])
def test_one_such_event_is_enough_for_its_chunk_to_be_read(event: Event) -> None:
    (chunk,) = chunks([event])
    assert may_hold_defender(walk(chunk))


@pytest.mark.parametrize("event", [event for event in side_events() if event.record_id in (2, 7)])
def test_a_chunk_of_ordinary_events_is_not_rendered(event: Event) -> None:
    (chunk,) = chunks([event])
    assert not may_hold_defender(walk(chunk))
    assert read(build_evtx([event])).tally.unparsed == {OTHER_PROVIDERS: 1}


@pytest.mark.parametrize("text", ["5460", "570069006E0044006500660065006E0064002F003100", "570069006e0044006500660065006e0064002f003100"])
def test_values_as_text_are_looked_for_where_events_were_forwarded_without_templates(text: str) -> None:
    event = Event(event_id=1, record_id=1, created_at=1, provider="P", provider_guid=None, channel="C", data={"x": text})
    log = bytearray(build_evtx([event]))
    assert not may_hold_defender(walk(bytes(log[HEADER:])))
    struct.pack_into("<32I", log, HEADER + 384, *([0] * 32))
    assert may_hold_defender(walk(bytes(seal(log)[HEADER:])))


def test_the_prefilter_changes_no_event() -> None:
    log = build_evtx(side_events())
    assert read(log).parsed == read(log, prefilter=False).parsed


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["sample-with-zero-data-size-event.evtx", "sample_with_a_bad_chunk_magic.evtx"])
def test_ordinary_logs_have_no_side_event_and_no_chunk_that_looks_like_one(shared_data: Path, name: str) -> None:
    path = shared_data / "evtx" / "damaged" / name
    assert read(path).parsed == read(path, prefilter=False).parsed == []
    assert set(read(path).tally.unparsed) == {OTHER_PROVIDERS}


def test_records_left_by_what_is_known_of_their_texts_are_counted_as_those_read_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    log = build_evtx([*side_events(), *others(40)])
    quick = read(log)
    monkeypatch.setattr("exporter.formats.evtx_records.outline", lambda *_: None)
    slow = read(log)
    assert quick == slow
    assert quick.tally.unparsed["Microsoft-Windows-Ntfs (System)"] == 40


def test_a_damaged_record_that_names_defender_is_never_left_as_another_provider_s() -> None:
    log = bytearray(build_evtx(others(6, "Microsoft-Windows-Windows Defender")))
    assert not read(bytes(log)).rejected
    log[HEADER + 52] ^= 0xFF
    assert [loss.reason for loss in read(bytes(log)).rejected] == ["chunk 0: its provider's name is damaged"] * 6


def others(count: int, value: str = "C:") -> list[Event]:
    """Records of a provider that has nothing to do with Defender."""
    given = {"provider": "Microsoft-Windows-Ntfs", "provider_guid": None, "channel": "System"}
    return [event(98, 100 + number, {"Volume": value}, **given) for number in range(count)]

"""Every tier, and every refusal: what must be one incident, and what must not."""

import msgspec
import pytest

from exporter.formats.mpdetection import DetectionLine
from exporter.formats.mplog_records import DetectionAdd, DetectionClean, ResourceScan, ThreatActions
from exporter.formats.resources import Resource
from exporter.records import Payload
from tests.correlator.build import (
    EICAR,
    EICAR_NAME,
    MIMIKATZ,
    MIMIKATZ_NAME,
    PATH,
    SHA1,
    acted,
    at,
    block,
    changed,
    container,
    content,
    detected,
    detection,
    entry,
    failed,
    history,
    incident,
    incidents,
    joined,
    kinds,
    line,
    other,
    quarantine,
    record,
    reference,
    resource,
    scan,
    tiers,
)

OTHER_PATH = "C:\\Windows\\Temp\\other.exe"
DAY = 86_400


def test_one_detection_with_everything_is_one_incident() -> None:
    found = tiers(
        detected(0),
        acted(10),
        history(0, quarantine_id=quarantine(1)),
        entry(10),
        resource(10),
        reference(),
        content(),
        line(0.02),
        line(10.02, DetectionClean),
        line(0.02, DetectionAdd),
        line(0.02, DetectionLine),
        block(9),
        scan(-5),
    )
    assert found == {
        "evtx_detection": 1,
        "evtx_action": 1,
        "detection_history": 1,
        "quarantine_entry": 1,
        "quarantine_resource": 1,
        "quarantine_reference": 1,
        "quarantine_container": 1,
        "mplog_detection_event": 2,
        "mplog_detection_clean": 2,
        "mplog_detection_add": 2,
        "mpdetection_detection": 2,
        "mplog_threat_actions": 3,
        "mplog_resource_scan": 3,
    }


class TestExactIds:
    def test_detection_id_joins_however_far_apart(self) -> None:
        assert kinds(detected(0), acted(30 * DAY)) == [["evtx_action", "evtx_detection"]]

    def test_quarantine_id_joins_history_and_entry(self) -> None:
        assert tiers(history(0, quarantine_id=quarantine(1)), entry(20 * DAY)) == {"detection_history": 1, "quarantine_entry": 1}

    def test_the_key_of_a_join_is_told(self) -> None:
        out = joined(history(0, quarantine_id=quarantine(1)), entry(0, paths=()), content())
        keys = [one.correlation.key for one in out if one.correlation]
        assert keys == [f"detection:{detection(1)}", f"quarantine:{quarantine(1)}", f"quarantine:{quarantine(1)}"]

    def test_resource_id_joins_entry_reference_and_container(self) -> None:
        assert kinds(entry(0), content(), reference()) == [["quarantine_container", "quarantine_entry", "quarantine_reference"]]

    def test_a_reference_bridges_a_missing_entry(self) -> None:
        found = tiers(history(0, quarantine_id=quarantine(1)), reference(), content())
        assert found == {"detection_history": 1, "quarantine_container": 1, "quarantine_reference": 1}

    def test_what_an_entry_and_its_container_say_helps_weaker_joins(self) -> None:
        bare = history(0, quarantine_id=quarantine(1), resources=(), file_path=None, sha1=None, sig_seq=None)
        signed = line(300, name="unheard of", threat_id=EICAR, sig_seq=7, resources=(), file_path=None)
        hashed = block(1800, sha1=SHA1, actions=())
        found = tiers(bare, entry(1), resource(1, sig_seq=7), content(), scan(300), signed, hashed)
        assert [found[kind] for kind in ("mplog_resource_scan", "mplog_detection_event", "mplog_threat_actions")] == [3, 2, 2]

    def test_a_quarantine_id_of_two_detections_does_not_merge_them(self) -> None:
        early, late = history(0, 1, quarantine_id=quarantine(1)), history(DAY, 2, quarantine_id=quarantine(1))
        assert kinds(early, late, entry(DAY + 5)) == [["detection_history"], ["detection_history", "quarantine_entry"]]

    def test_a_container_of_two_entries_does_not_merge_them_and_is_missing_in_neither(self) -> None:
        entries = entry(0, 1), entry(DAY, 2, resource_ids=(container(1),))
        first, second = incidents(joined(*entries, content(1), reference(1, 1, 2)))
        assert sorted(first.member_kinds) == ["quarantine_container", "quarantine_entry", "quarantine_reference"]
        assert second.member_kinds == ("quarantine_entry",)
        assert first.gaps == second.gaps == ("quarantine-entry-without-event",)
        assert (first.sha1, second.sha1) == (SHA1, SHA1)

    def test_zero_ids_do_not_join(self) -> None:
        assert len(kinds(history(0, 1), history(DAY, 2))) == 2


class TestEventTime:
    @pytest.mark.parametrize(
        ("event", "written"),
        [
            (detected(0), line(0.1)),
            (detected(0), line(0.1, DetectionLine)),
            (acted(0), line(-0.1, DetectionClean)),
            (failed(0), line(0.05, DetectionClean)),
        ],
    )
    def test_a_line_of_the_same_threat_within_100_ms_is_the_copy_of_its_event(self, event: Payload, written: Payload) -> None:
        bare = msgspec.structs.replace(written, resources=(), file_path=None)
        out = [one.correlation for one in joined(event, bare) if one.correlation]
        assert [(one.tier, one.key) for one in out] == [(1, f"detection:{detection(1)}"), (2, "event-time:virus:dos/eicar_test_file")]

    def test_beyond_100_ms_it_is_not(self) -> None:
        assert len(kinds(detected(0), line(0.1001, resources=(), file_path=None))) == 2

    def test_detections_and_clean_ups_are_not_mixed(self) -> None:
        assert len(kinds(detected(0), line(0, DetectionClean, resources=(), file_path=None))) == 2

    def test_in_a_burst_each_line_finds_the_event_of_its_path(self) -> None:
        events = [detected(0.01 * number, number + 1, path=f"C:\\{number}.exe") for number in range(5)]
        lines = [line(0.04 - 0.01 * number, path=f"C:\\{number}.exe") for number in range(5)]
        found = incidents(joined(*events, *lines))
        assert sorted(one.paths for one in found) == [(f"C:\\{number}.exe",) for number in range(5)]
        assert [one.member_count for one in found] == [2] * 5

    def test_a_line_about_another_file_is_not_the_copy(self) -> None:
        assert len(kinds(detected(0), line(0, path=OTHER_PATH))) == 2

    def test_what_the_line_adds_helps_the_others(self) -> None:
        behavior = Resource("internalbehavior", "0123456789ABCDEF0123456789ABCDEF")
        told = line(0.02, resources=(Resource("file", PATH), behavior))
        added = line(5, DetectionAdd, resources=(behavior,), file_path=None)
        assert tiers(detected(0), told, added)["mplog_detection_add"] == 3


class TestHash:
    def test_a_block_with_the_hash_joins_within_an_hour(self) -> None:
        hashed = block(3599, (0, "", ""), sha1=SHA1, actions=())
        assert tiers(history(0), hashed) == {"detection_history": 1, "mplog_threat_actions": 2}

    def test_not_beyond_it(self) -> None:
        assert kinds(history(0), block(3700, sha1=SHA1, actions=())) == [["detection_history"]]

    def test_the_same_file_twice_stays_two_detections_and_a_block_finds_the_nearer(self) -> None:
        found = incidents(joined(history(0, 1), history(1800, 2), block(1700, sha1=SHA1, actions=())))
        assert [one.member_count for one in found] == [1, 2]

    def test_the_same_content_at_another_place_is_another_detection(self) -> None:
        assert len(kinds(history(0), block(5, (EICAR, EICAR_NAME, OTHER_PATH), sha1=SHA1))) == 2

    def test_a_container_without_entry_joins_the_only_detection_with_its_hash(self) -> None:
        assert tiers(history(0), content()) == {"detection_history": 1, "quarantine_container": 2}

    def test_and_none_when_there_are_two(self) -> None:
        found = incidents(joined(history(0, 1), history(DAY, 2), content()))
        assert [one.gaps for one in found if "quarantine_container" in one.member_kinds] == [("container-without-entry",)]
        assert len(found) == 3


class TestSignature:
    def test_signature_and_threat_join_within_ten_minutes(self) -> None:
        told = line(599, name="unheard of", threat_id=EICAR, sig_seq=history(0).sig_seq, resources=(), file_path=None)
        assert tiers(history(0), told) == {"detection_history": 1, "mplog_detection_event": 2}

    @pytest.mark.parametrize("change", [{"logged_at": 0}, {"threat_id": MIMIKATZ}, {"path": OTHER_PATH}, {"sig_seq": 5}])
    def test_not_at_another_time_for_another_threat_or_at_another_place(self, change: dict[str, int]) -> None:
        values = {"name": "unheard of", "threat_id": EICAR, "sig_seq": history(0).sig_seq}
        if "path" not in change:
            values |= {"resources": (), "file_path": None}
        told = line(599 if "logged_at" not in change else 700, **(values | {k: v for k, v in change.items() if k != "logged_at"}))
        assert len(kinds(history(0), told)) == 2

    def test_a_lone_entry_finds_its_detection_by_signature(self) -> None:
        found = tiers(history(0, resources=(), file_path=None), resource(2, sig_seq=history(0).sig_seq))
        assert found == {"detection_history": 1, "quarantine_resource": 2}


class TestThreatAndPath:
    def test_an_entry_whose_history_is_gone_joins_its_event(self) -> None:
        assert tiers(acted(0), entry(0.5), content()) == {"evtx_action": 1, "quarantine_entry": 3, "quarantine_container": 3}

    @pytest.mark.parametrize("spelling", [PATH.upper(), "\\\\?\\" + PATH, "\\Device\\HarddiskVolume3" + PATH[2:], PATH + "->inner.js"])
    def test_paths_are_compared_as_places(self, spelling: str) -> None:
        assert tiers(detected(0), scan(5, (EICAR, EICAR_NAME, spelling)))["mplog_resource_scan"] == 3

    def test_beyond_ten_minutes_they_are_two(self) -> None:
        assert len(kinds(acted(0), entry(601))) == 2
        assert len(kinds(acted(0), entry(600))) == 1

    def test_another_path_or_threat_is_another_detection(self) -> None:
        assert len(kinds(acted(0), entry(1, paths=(OTHER_PATH,)))) == 2
        assert len(kinds(acted(0), entry(1, threat_id=MIMIKATZ, threat_name=MIMIKATZ_NAME))) == 2

    def test_two_detections_of_one_file_hours_apart_stay_two_with_their_own_members(self) -> None:
        first = [detected(0, 1), acted(5, 1), line(0.01), block(4), entry(5, 1)]
        second = [detected(7200, 2), acted(7205, 2), line(7200.01), block(7204), entry(7205, 2)]
        found = incidents(joined(*first, *second))
        assert [(one.detection_id, one.member_count) for one in found] == [(detection(1), 5), (detection(2), 5)]
        assert [one.quarantine_ids for one in found] == [(quarantine(1),), (quarantine(2),)]

    def test_two_detections_of_one_file_seconds_apart_take_the_nearer_members(self) -> None:
        found = incidents(joined(acted(0, 1), acted(40, 2), entry(0.5, 1), entry(40.5, 2)))
        assert [one.quarantine_ids for one in found] == [(quarantine(1),), (quarantine(2),)]

    def test_among_hundreds_of_detections_of_one_file_each_member_finds_its_own(self) -> None:
        events = [acted(700 * number, number) for number in reversed(range(200))]
        others = [payload for number in range(200) for payload in (line(700 * number + 0.05, DetectionClean), block(700 * number + 50))]
        found = incidents(joined(*events, *others))
        assert [(one.first_at, one.member_count) for one in found] == [(at(700 * number), 3) for number in range(200)]

    def test_a_block_goes_by_its_own_time_not_by_that_of_the_line_before_it(self) -> None:
        found = incidents(joined(detected(0, 1), detected(3000, 2), scan(2999, logged_at=at(1), time_basis="previous_line")))
        assert [one.member_count for one in found] == [1, 2]
        assert kinds(detected(0), scan(0, started_at=None, logged_at=at(1))) == [["evtx_detection", "mplog_resource_scan"]]

    def test_a_detection_takes_one_entry_at_most(self) -> None:
        found = incidents(joined(acted(0), entry(1, 1), entry(2, 2)))
        assert [one.quarantine_ids for one in found] == [(quarantine(1),), (quarantine(2),)]
        assert [one.detection_id for one in found] == [detection(1), None]

    def test_a_detection_with_its_own_entry_takes_no_other(self) -> None:
        named = history(0, quarantine_id=quarantine(1))
        assert len(kinds(named, entry(1, 2))) == 2

    def test_a_name_alone_is_enough_when_it_stands_for_one_id(self) -> None:
        bare = detected(0, threat_name=None)
        told = line(300)
        teacher = detected(9 * DAY, 2)
        assert kinds(bare, told, teacher)[0] == ["evtx_detection", "mplog_detection_event"]

    def test_and_not_when_it_stands_for_two(self) -> None:
        teachers = [detected(9 * DAY, 2), detected(19 * DAY, 3, threat_id=MIMIKATZ)]
        assert kinds(detected(0, threat_name=None), line(300), *teachers)[0] == ["evtx_detection"]

    @pytest.mark.parametrize("threat_id", [0x80000000, 0x565C7B9A7FFFFFFE])
    def test_placeholder_ids_never_join(self, threat_id: int) -> None:
        out = joined(detected(0, 1, threat_id=threat_id), scan(0, (threat_id, EICAR_NAME, PATH)), line(0, threat_id=threat_id))
        assert [one.member_kinds for one in incidents(out)] == [("evtx_detection",)]
        assert incidents(out)[0].threat_id == threat_id


class TestAftermath:
    def test_what_was_restored_days_later_belongs_to_the_last_detection_before(self) -> None:
        found = incidents(joined(acted(0, 1), acted(3 * DAY, 2), changed(2 * DAY, 1009), changed(9 * DAY, 1011), acted(10 * DAY, 3)))
        assert [one.states for one in found] == [("quarantined", "restored"), ("quarantined", "deleted"), ("quarantined",)]

    def test_nothing_is_restored_before_it_was_found(self) -> None:
        assert len(kinds(changed(0, 1009), acted(5))) == 2

    def test_a_restored_file_of_another_path_is_another(self) -> None:
        assert len(kinds(acted(0), changed(5, 1009, path=OTHER_PATH))) == 2


class TestLogsAlone:
    def test_records_of_one_threat_and_path_are_an_incident(self) -> None:
        found = incident(line(0), line(0, DetectionAdd), line(30, DetectionClean), block(29), scan(-3))
        assert (found.member_count, found.threat_id, found.gaps[0]) == (5, EICAR, "log-without-event")

    def test_hours_apart_they_are_two(self) -> None:
        assert len(kinds(line(0), line(7200))) == 2

    def test_a_block_of_several_threats_is_of_the_incident_of_each_and_merges_none(self) -> None:
        both = scan(5, (EICAR, EICAR_NAME, PATH), (MIMIKATZ, MIMIKATZ_NAME, OTHER_PATH))
        out = joined(line(0), line(1, name=MIMIKATZ_NAME, path=OTHER_PATH), both)
        found = {one.threat_id: one for one in incidents(out)}
        assert {threat: (one.member_count, one.paths) for threat, one in found.items()} == {
            EICAR: (2, (PATH,)),
            MIMIKATZ: (2, (OTHER_PATH,)),
        }
        (told,) = [one.correlation for one in out if isinstance(one.payload, ResourceScan) and one.correlation]
        assert {told.incident_id, *told.others} == {one.incident_id for one in found.values()}
        assert len(told.others) == 1

    def test_a_block_of_several_threats_joins_no_incident_by_the_hash_of_another_threat(self) -> None:
        both = block(5, (EICAR, EICAR_NAME, PATH), (MIMIKATZ, MIMIKATZ_NAME, OTHER_PATH), sha1=SHA1)
        out = joined(history(0), line(5, path=PATH), both)
        (told,) = [one.correlation for one in out if isinstance(one.payload, ThreatActions) and one.correlation]
        assert told.others == ()

    def test_a_block_of_several_threats_teaches_its_incident_nothing(self) -> None:
        both = block(5, (EICAR, EICAR_NAME, PATH), (MIMIKATZ, MIMIKATZ_NAME, OTHER_PATH))
        found = incident(detected(0), both)
        assert (found.paths, found.threat_name) == ((PATH,), EICAR_NAME)

    def test_events_without_detection_id_join_like_lines(self) -> None:
        assert kinds(detected(0, None), acted(5, None), line(0)) == [["evtx_action", "evtx_detection", "mplog_detection_event"]]

    def test_a_record_alone_says_so(self) -> None:
        (alone,) = [one.correlation for one in joined(line(0)) if one.correlation]
        assert (alone.tier, alone.key) == (1, "alone")

    def test_what_names_no_threat_and_finds_none_is_no_incident(self) -> None:
        out = joined(block(0, sha1=SHA1, actions=()))
        assert [one.correlation for one in out] == [None]


class TestFlow:
    def test_what_nothing_joins_comes_straight_back(self) -> None:
        straight = record(other(0))
        assert joined(record(detected(0)), straight)[0] is straight

    def test_held_records_leave_in_the_order_offered_before_the_incidents(self) -> None:
        offered = [acted(10), detected(0), line(0), scan(3)]
        out = joined(*offered)
        assert [one.payload for one in out[:4]] == offered
        assert [one.payload.kind for one in out[4:]] == ["incident"]

    def test_a_record_offered_twice_is_one_member_and_leaves_twice(self) -> None:
        out = joined(detected(0), detected(0))
        assert [one.correlation is not None for one in out] == [True, True, False]
        assert out[-1].payload.member_count == 1

    def test_copies_of_a_record_without_time_or_path_are_one_incident(self) -> None:
        bare = line(0, resources=(), file_path=None, logged_at=None)
        assert kinds(bare, bare) == [["mplog_detection_event"]]

    def test_nothing_held_gives_nothing(self) -> None:
        assert joined() == []

    def test_incidents_leave_in_time_order(self) -> None:
        found = incidents(joined(detected(50, 1, path="C:\\a"), detected(0, 2, path="C:\\b"), detected(20, 3, path="C:\\c")))
        assert [one.detection_id for one in found] == [detection(2), detection(3), detection(1)]

"""What an incident says: identity, story, outcome, content, gaps."""

import hashlib

import msgspec
import pytest

from exporter.correlator.incident import MOST_MEMBERS, Incident
from exporter.formats.mplog_records import DetectionAdd, DetectionClean
from exporter.formats.resources import Resource
from exporter.records import Integrity, Payload, Source, Verdict, event_id
from tests.correlator.build import (
    EICAR,
    EICAR_NAME,
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
    line,
    quarantine,
    record,
    resource,
    scan,
)


def test_the_id_follows_sink_contract_c5() -> None:
    members = [record(detected(0)), record(acted(1))]
    found = joined(*members)[-1]
    halves = sorted(event_id("case", member)[:16] for member in members)
    assert found.key == ("incident", str(EICAR), hashlib.sha256("\0".join(halves).encode()).hexdigest())
    assert isinstance(found.payload, Incident)
    assert found.payload.incident_id == event_id("case", found)
    assert found.hash == hashlib.sha256("\0".join(sorted(event_id("case", member) for member in members)).encode()).hexdigest()


def test_members_carry_its_id() -> None:
    out = joined(detected(0), acted(1))
    assert {one.correlation.incident_id for one in out if one.correlation} == {out[-1].payload.incident_id}


def test_members_are_listed_in_time_order_with_kind_and_tier() -> None:
    found = incident(acted(10), line(0.02), detected(0))
    assert found.member_kinds == ("evtx_detection", "mplog_detection_event", "evtx_action")
    assert found.member_tiers == (1, 2, 1)
    assert len(set(found.member_ids)) == found.member_count == 3


def test_a_flood_of_members_is_counted_and_not_listed_whole() -> None:
    found = incidents(joined(*(record(detected(number / 100), number) for number in range(MOST_MEMBERS + 5))))[0]
    assert (found.member_count, len(found.member_ids), len(found.member_kinds), len(found.member_tiers)) == (1005, 1000, 1000, 1000)


def test_its_facts_come_from_the_most_believed_member_that_has_them() -> None:
    found = incident(
        detected(0, severity_id=5, category_id=42, detection_user="LAB\\analyst", process_name="C:\\explorer.exe", detected_at=at(-1)),
        history(0, severity_id=4, user="LAB\\other", sha256="12" * 32, quarantine_id=quarantine(1)),
        entry(1),
        content(),
    )
    assert (found.threat_id, found.threat_name, found.severity_id, found.category_id) == (EICAR, EICAR_NAME, 5, 42)
    assert (found.user, found.process_name, found.detected_at) == ("LAB\\analyst", "C:\\explorer.exe", at(-1))
    assert (found.sha256, found.sha1, found.md5) == ("ab" * 32, SHA1, "cd" * 16)
    assert (found.detection_id, found.quarantine_ids) == (detection(1), (quarantine(1),))
    assert (found.file_path, found.paths, found.resources) == (PATH, (PATH,), (Resource("file", PATH),))
    assert (found.first_at, found.last_at) == (at(-1), at(1))
    assert found.host == "HOST"


def test_a_detection_time_of_zero_is_none() -> None:
    assert incident(history(0, detected_at=0)).detected_at is None
    assert incident(line(3)).detected_at == at(3)


def test_an_entry_gives_the_path_when_nothing_else_does() -> None:
    found = incident(entry(0), resource(0))
    assert (found.file_path, found.paths) == (PATH, (PATH,))


def test_of_several_containers_the_one_that_history_hashed_is_told() -> None:
    named = history(0, quarantine_id=quarantine(1), sha1="ef" * 20)
    two = entry(1, resource_ids=(container(1), container(2)))
    found = incident(named, two, content(1), content(2, sha1="ef" * 20, sha256="99" * 32))
    assert (found.sha1, found.sha256) == ("ef" * 20, "99" * 32)


def test_a_block_gives_the_hash_of_its_own_threat_only() -> None:
    threats = block(1, (1, "A", "C:\\a"), (EICAR, EICAR_NAME, PATH))
    hashed = msgspec.structs.replace(
        threats, actions=tuple(msgspec.structs.replace(one, sha1=(f"{one.threat_id:040x}",)) for one in threats.actions), sha1=f"{1:040x}"
    )
    assert incident(detected(0), hashed).sha1 == f"{EICAR:040x}"


def test_an_orphaned_container_tells_its_content() -> None:
    found = incident(content(name_matches=False))
    assert (found.sha256, found.content_verified, found.threat_id) == ("ab" * 32, False, None)


def test_a_scan_alone_names_its_threat_and_severity() -> None:
    told = scan(0)
    severe = msgspec.structs.replace(told, results=(msgspec.structs.replace(told.results[0], severity_id=5),))
    found = incident(severe)
    assert (found.threat_name, found.severity_id, found.threat_id) == (EICAR_NAME, 5, EICAR)


def test_a_block_without_ids_is_told_by_name() -> None:
    named = block(1)
    bare = msgspec.structs.replace(named, actions=tuple(msgspec.structs.replace(one, threat_id=None) for one in named.actions))
    assert incident(detected(0), bare).states == ("detected", "quarantined")


def test_internal_resources_are_left_out_and_prefixes_too() -> None:
    told = (Resource("internalbehavior", "ab"), Resource("file", "\\\\?\\C:\\a"), Resource("regkey", "HKLM\\x"))
    found = incident(detected(0, resources=told))
    assert found.resources == (Resource("file", "C:\\a"), Resource("regkey", "HKLM\\x"))
    assert found.paths == ("C:\\a",)


@pytest.mark.parametrize(
    ("payloads", "states", "outcome"),
    [
        ([detected(0)], ("detected",), "unknown"),
        ([detected(0), acted(1, action_id=2)], ("detected", "quarantined"), "success"),
        ([detected(0), acted(1, action_id=3)], ("detected", "removed"), "success"),
        ([detected(0), acted(1, action_id=1)], ("detected", "cleaned"), "success"),
        ([detected(0), acted(1, action_id=10)], ("detected", "blocked"), "success"),
        ([detected(0), acted(1, action_id=6)], ("detected", "allowed"), "unknown"),
        ([detected(0), acted(1, action_id=9)], ("detected",), "unknown"),
        ([detected(0), acted(1, action_id=2, error_code=0x80508023)], ("detected", "quarantine-failed"), "failure"),
        ([detected(0), acted(1, action_id=77, error_code=5)], ("detected", "action-failed"), "failure"),
        ([detected(0), failed(1, action_id=3)], ("detected", "remove-failed"), "failure"),
        ([detected(0), failed(1), acted(2)], ("detected", "quarantine-failed", "quarantined"), "failure"),
        ([acted(0), changed(9, 1009)], ("quarantined", "restored"), "unknown"),
        ([acted(0), changed(9, 1010)], ("quarantined", "restore-failed"), "success"),
        ([acted(0), changed(9, 1011)], ("quarantined", "deleted"), "success"),
        ([acted(0), changed(9, 1012)], ("quarantined", "delete-failed"), "success"),
        ([history(0)], ("detected", "quarantined"), "success"),
        ([history(0, status_id=103, error_code=5, action_ids=(2, 3))], ("detected", "quarantine-failed"), "failure"),
        ([history(0, status_id=103, error_code=5, action_ids=())], ("detected", "remove-failed"), "failure"),
        ([history(0, status_id=3, error_code=7)], ("detected", "quarantine-failed"), "failure"),
        ([history(0, status_id=1, remediated_at=0)], ("detected",), "unknown"),
        ([history(0, status_id=18)], ("detected",), "unknown"),
        ([entry(0)], ("quarantined",), "success"),
        ([line(0), line(1, DetectionClean)], ("detected", "quarantined"), "success"),
        ([line(0, DetectionAdd), line(1, DetectionClean, result=5)], ("detected", "quarantine-failed"), "failure"),
        ([line(0, DetectionClean, action="MP_THREAT_ACTION_REMOVE")], ("removed",), "success"),
        ([line(0, DetectionClean, action="MP_THREAT_ACTION_UNHEARD_OF")], (), "unknown"),
        ([block(0)], ("quarantined",), "success"),
        ([scan(0)], ("detected",), "unknown"),
        ([detected(0), acted(1), detected(2), acted(3)], ("detected", "quarantined", "detected", "quarantined"), "success"),
    ],
)
def test_the_story_goes_by_numbers(payloads: list[Payload], states: tuple[str, ...], outcome: str) -> None:
    found = incident(*payloads)
    assert (found.states, found.outcome) == (states, outcome)


def test_what_events_tell_is_not_told_again_by_coarser_clocks() -> None:
    found = incident(detected(0.9), acted(5.9), history(0.8, quarantine_id=quarantine(1)), entry(5.2), line(0.95), block(4), scan(2))
    assert found.states == ("detected", "quarantined")


def test_what_only_the_log_tells_is_told() -> None:
    assert incident(detected(0), line(5, DetectionClean)).states == ("detected", "quarantined")


@pytest.mark.parametrize(
    ("payloads", "gaps"),
    [
        ([detected(0)], ()),
        ([detected(0), acted(1), entry(1), content()], ()),
        ([acted(0)], ("event-without-quarantine-entry",)),
        ([acted(0), changed(9, 1011)], ()),
        ([acted(0), entry(1)], ("container-missing",)),
        ([entry(0), content()], ("quarantine-entry-without-event",)),
        ([history(0, status_id=1)], ("history-without-event",)),
        ([detected(0), history(0, status_id=1, quarantine_id=quarantine(1))], ("event-without-quarantine-entry",)),
        ([line(0)], ("log-without-event",)),
        ([content()], ("container-without-entry",)),
        ([detected(0), line(0), scan(1)], ()),
    ],
)
def test_gaps_name_what_is_missing(payloads: list[Payload], gaps: tuple[str, ...]) -> None:
    assert incident(*payloads).gaps == gaps


def test_an_entry_that_went_to_another_detection_is_not_missing() -> None:
    claims = [history(0, 1, quarantine_id=quarantine(1)), history(9000, 2, quarantine_id=quarantine(1))]
    found = incidents(joined(*claims, entry(1), content()))
    assert [one.gaps for one in found] == [("quarantine-entry-without-event", "history-without-event"), ("history-without-event",)]


@pytest.mark.parametrize(("matches", "verified"), [((True,), True), ((True, False), False), ((), None)])
def test_content_is_verified_when_every_container_is(matches: tuple[bool, ...], verified: bool | None) -> None:
    ids = tuple(container(number) for number in range(2))
    contents = [content(number, name_matches=value) for number, value in enumerate(matches)]
    assert incident(entry(0, resource_ids=ids), *contents).content_verified is verified


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ((Verdict.VERIFIED, Verdict.VERIFIED), Verdict.VERIFIED),
        ((Verdict.VERIFIED, Verdict.UNVERIFIABLE), Verdict.UNVERIFIABLE),
        ((Verdict.VERIFIED, Verdict.FAILED), Verdict.FAILED),
    ],
)
def test_its_integrity_is_that_of_its_members(verdicts: tuple[Verdict, Verdict], whole: Verdict) -> None:
    records = [
        msgspec.structs.replace(record(one), integrity=Integrity(verdict, "x"))
        for one, verdict in zip((detected(0), acted(1)), verdicts, strict=True)
    ]
    assert joined(*records)[-1].integrity == Integrity(whole, "members")


def test_its_source_is_that_of_the_first_member_and_of_the_first_name_among_copies() -> None:
    early, late = record(detected(0)), record(acted(1))
    copy = msgspec.structs.replace(early, source=Source("A/copy", "e"))
    for order in ([late, early, copy], [copy, late, early]):
        out = joined(*order)[-1]
        assert (out.source, out.collector, out.host) == (Source("A/copy", "e"), "correlator", "HOST")

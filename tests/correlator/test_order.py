"""The order of records is the order of files on a disk: it must not matter."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.correlator.incident import Incident
from exporter.formats.mplog_records import DetectionAdd, DetectionClean, ResourceScan, ThreatActions
from exporter.records import Payload, Record, event_id
from tests.correlator import build

NUMBERS = st.integers(1, 3)
SECONDS = st.sampled_from([0, 0.05, 0.1, 5, 599, 600, 601, 3000, 3600, 3601, 90_000]) | st.integers(0, 10_000)
PLACES = st.sampled_from(["C:\\a.exe", "\\\\?\\c:\\A.EXE", "C:\\b.zip->x", "D:\\c.exe"])
THREATS = st.sampled_from([(build.EICAR, build.EICAR_NAME), (build.MIMIKATZ, build.MIMIKATZ_NAME), (0x80000000, "lofi")])
LINES = st.sampled_from([build.DetectionEvent, DetectionAdd, DetectionClean])


def _events(make: Any) -> st.SearchStrategy[Payload]:
    return st.builds(
        lambda at, number, path, threat: make(at, number, path=path, threat_id=threat[0], threat_name=threat[1]),
        SECONDS,
        st.none() | NUMBERS,
        PLACES,
        THREATS,
    )


PAYLOADS: st.SearchStrategy[Payload] = st.one_of(
    _events(build.detected),
    _events(build.acted),
    _events(build.failed),
    st.builds(lambda at, path: build.changed(at, 1009, path=path), SECONDS, PLACES),
    st.builds(
        lambda at, number, path, named: build.history(
            at, number, path=path, quarantine_id=build.quarantine(named) if named else build.ZERO
        ),
        SECONDS,
        NUMBERS,
        PLACES,
        st.integers(0, 3),
    ),
    st.builds(
        lambda at, number, path, held: build.entry(at, number, paths=(path,), resource_ids=(build.container(held),)),
        SECONDS,
        NUMBERS,
        PLACES,
        NUMBERS,
    ),
    st.builds(lambda at, number, path: build.resource(at, number, path=path), SECONDS, NUMBERS, PLACES),
    st.builds(lambda number, named: build.reference(number, *named), NUMBERS, st.lists(NUMBERS, max_size=2)),
    st.builds(build.content, NUMBERS),
    st.builds(lambda at, cls, threat, path: build.line(at, cls, name=threat[1], path=path), SECONDS, LINES, THREATS, PLACES),
    st.builds(lambda at, parts: build.block(at, *parts), SECONDS, st.lists(st.builds(lambda t, p: (*t, p), THREATS, PLACES), max_size=3)),
    st.builds(lambda at, parts: build.scan(at, *parts), SECONDS, st.lists(st.builds(lambda t, p: (*t, p), THREATS, PLACES), max_size=3)),
)


def outcome(records: list[Record]) -> tuple[list[Record], dict[str, Any]]:
    out = build.joined(*records)
    return (
        [one for one in out if isinstance(one.payload, Incident)],
        {event_id("case", one): one.correlation for one in out if not isinstance(one.payload, Incident)},
    )


@settings(deadline=None)
@given(st.lists(PAYLOADS, max_size=14), st.randoms(use_true_random=False))
def test_the_same_records_in_any_order_give_the_same_incidents_and_joins(payloads: list[Payload], shuffler: random.Random) -> None:
    records = [build.record(payload) for payload in payloads]
    shuffled = list(records)
    shuffler.shuffle(shuffled)
    assert outcome(shuffled) == outcome(records)


@settings(deadline=None)
@given(st.lists(PAYLOADS, max_size=14))
def test_every_record_leaves_once_and_every_detection_id_is_one_incident(payloads: list[Payload]) -> None:
    records = [build.record(payload, number) for number, payload in enumerate(payloads)]
    out = build.joined(*records)
    assert sorted(event_id("case", one) for one in out if not isinstance(one.payload, Incident)) == sorted(
        event_id("case", one) for one in records
    )
    found = build.incidents(out)
    ids = [one.detection_id for one in found if one.detection_id]
    assert sorted(ids) == sorted({one for payload in payloads if (one := getattr(payload, "detection_id", None))})
    members = {(one.incident_id, member) for one in found for member in one.member_ids}
    assert len(members) == sum(one.member_count for one in found)
    joined = [(one, one.correlation) for one in out if one.correlation]
    told = [(incident, event_id("case", one)) for one, its in joined for incident in (its.incident_id, *its.others)]
    assert sorted(told) == sorted(members)
    assert all(isinstance(one.payload, ThreatActions | ResourceScan) for one, its in joined if its.others)
    assert {its.incident_id for _, its in joined} | {other for _, its in joined for other in its.others} == {
        one.incident_id for one in found
    }

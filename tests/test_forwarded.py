"""A log that a collector filled with the events of many computers: each event is of the computer that sent it."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.evidence.hosts import Host
from exporter.ledger import NightLedger
from exporter.pipeline import _FURTHER
from exporter.records import Record, host_of
from exporter.report.summary import summary
from exporter.state.checkpoint import State
from exporter.synthetic.evtx import Event, write_evtx
from tests.correlator.build import acted, detected, record
from tests.defender_events import DATA, event
from tests.ingest.share import delivered, evidence_ids, ids, night
from tests.line import Exported, export

LOGS = "C/Windows/System32/winevt/Logs"
OWN = "Microsoft-Windows-Windows Defender%4Operational.evtx"
SENDERS = ("WS-1.corp", "WS-2.corp", "WS-3.corp")


def detection(number: int) -> str:
    return f"{{{number:08X}-1111-2222-3333-444455556666}}"


def story(computer: str, first: int, **values: Any) -> list[Event]:
    """A detection and what was done about it, with one threat, file and hour on every computer, and an everyday event."""
    found = {name: {**DATA[event_id], "Detection ID": detection(first)} for name, event_id in (("found", 1116), ("done", 1117))}
    return [
        event(1116, first, found["found"], computer=computer, **values),
        event(1117, first + 1, found["done"], computer=computer, **values),
        event(1150, first + 2, computer=computer, **values),
    ]


def forwarded(path: Path, **values: Any) -> Path:
    """The events of three computers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_evtx(path, sent(forwarded=True, **values))
    return path


def sent(**values: Any) -> list[Event]:
    return [one for number, sender in enumerate(SENDERS, 1) for one in story(sender, 10 * number, **values)]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A collector's drive, with events of its own."""
    logs = tmp_path / "case" / LOGS
    forwarded(logs / "ForwardedEvents.evtx")
    write_evtx(logs / OWN, story("WEC.corp", 40))
    return tmp_path / "case"


def by_host(run: Exported) -> dict[str, int]:
    return dict(Counter(document["host"]["name"] for document in run.evidence))


def test_each_event_is_of_the_computer_that_sent_it(case: Path, tmp_path: Path) -> None:
    run = export(case, tmp_path / "out")
    assert by_host(run) == {"WEC.corp": 3, **dict.fromkeys(SENDERS, 3)}
    assert Counter(line["hostname"] for line in run.lines) == Counter(row[8] for row in run.rows)
    assert {line["hostname"] for line in run.lines} == {"WEC.corp", *SENDERS}


def test_no_incident_has_members_of_two_computers(case: Path, tmp_path: Path) -> None:
    run = export(case, tmp_path / "out")
    assert len(run.incidents) == 4
    for incident in run.incidents:
        members = [one for one in run.evidence if one["defender"].get("correlation", {}).get("incident_id") == incident["event"]["id"]]
        assert {one["host"]["name"] for one in members} == {incident["host"]["name"]}
        assert sorted(one["event"]["code"] for one in members) == ["1116", "1117"]


def test_a_forwarded_event_has_the_id_that_it_has_in_its_computer_s_own_log(case: Path, tmp_path: Path) -> None:
    run = export(case, tmp_path / "out")
    (tmp_path / "ws1").mkdir()
    write_evtx(tmp_path / "ws1" / OWN, story(SENDERS[0], 10))
    own = export(tmp_path / "ws1", tmp_path / "own")
    assert ids(own.evidence).keys() == {one["event"]["id"] for one in run.evidence if one["host"]["name"] == SENDERS[0]}


def test_the_summary_tells_the_senders(case: Path, tmp_path: Path) -> None:
    report = export(case, tmp_path / "out").report
    assert [(host.name, host.name_basis, host.forwarded, host.incidents) for host in report.hosts] == [
        ("WEC.corp", "evtx", 0, 1),
        *((sender, "forwarded", 3, 1) for sender in SENDERS),
    ]
    said = summary(report)
    assert "Events of 3 other computer(s) in logs of forwarded events:\n  WS-1.corp: 3 record(s), 1 incident(s)\n" in said
    assert said.count("WS-2.corp") == 2


def test_a_name_that_the_user_gives_is_the_name_of_all(case: Path, tmp_path: Path) -> None:
    assert by_host(export(case, tmp_path / "out", host="X")) == {"X": 12}


@pytest.mark.parametrize(
    ("name", "split"), [("ForwardedEvents.evtx", True), ("Archive-ForwardedEvents-2026-02-03.evtx", True), ("x.evtx", False)]
)
def test_a_collector_s_log_is_known_by_its_name_too(tmp_path: Path, name: str, split: bool) -> None:
    path = forwarded(tmp_path / "case" / name)
    write_evtx(path, sent())
    assert by_host(export(path.parent, tmp_path / "out")) == (dict.fromkeys(SENDERS, 3) if split else {SENDERS[-1]: 9})


def test_the_next_night_tells_no_event_and_no_incident_again(tmp_path: Path) -> None:
    share = tmp_path / "share"
    path = forwarded(share / "wec" / LOGS / "ForwardedEvents.evtx")
    night(share)
    before = delivered(tmp_path / "out")
    later = [event(1117, 90, {**DATA[1117], "Detection ID": detection(10)}, computer=SENDERS[0], forwarded=True)]
    write_evtx(path, [*sent(forwarded=True), *later])
    night(share)
    after = delivered(tmp_path / "out")[len(before) :]
    assert [(one["host"]["name"], one["event"].get("code")) for one in after if one["event"]["kind"] == "event"] == [(SENDERS[0], "1117")]
    (incident,) = [one for one in after if one["event"]["dataset"] == "defender.incident"]
    (earlier,) = [one for one in before if one["event"]["dataset"] == "defender.incident" and one["host"]["name"] == SENDERS[0]]
    assert (incident["host"]["name"], incident["defender"]["incident"]["member_count"]) == (SENDERS[0], 3)
    assert incident["defender"]["incident"]["supersedes"] == [earlier["event"]["id"]]
    assert max(evidence_ids(delivered(tmp_path / "out")).values()) == 1


def test_what_a_computer_has_sent_is_not_told_again_of_its_own_log(tmp_path: Path) -> None:
    share = tmp_path / "share"
    forwarded(share / "wec" / LOGS / "ForwardedEvents.evtx")
    night(share)
    own = share / "ws1" / LOGS / OWN
    own.parent.mkdir(parents=True)
    write_evtx(own, [*story(SENDERS[0], 10), event(1150, 50, computer=SENDERS[0])])
    run = night(share)
    assert (run.events, run.known) == (1, 3)
    found = delivered(tmp_path / "out")
    assert len([one for one in found if one["event"]["dataset"] == "defender.incident"]) == 3


@pytest.mark.parametrize(
    ("told", "name"),
    [(None, "WEC"), ("", "WEC"), (" \t", "WEC"), ("wec", "WEC"), ("WS\ud800\0 ", "WS\ufffd\u2400"), ("x" * 300, "x" * 255)],
)
def test_a_sender_has_a_name_that_any_place_takes(told: str | None, name: str) -> None:
    assert host_of(told, "WEC") == name


def test_endless_senders_get_no_endless_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.pipeline._MOST_SENDERS", 3)
    (tmp_path / "case").mkdir()
    write_evtx(tmp_path / "case" / "x.evtx", [event(1150, number, computer=f"WS-{number}", forwarded=True) for number in range(1, 9)])
    run = export(tmp_path / "case", tmp_path / "out")
    assert by_host(run) == {f"WS-{number}": 1 for number in range(1, 9)}
    assert [host.name for host in run.report.hosts] == ["WS-8", "WS-1", "WS-2", _FURTHER]
    assert sum(host.forwarded for host in run.report.hosts) == 7


def test_what_a_computer_has_sent_is_known_in_every_log_of_a_night(tmp_path: Path) -> None:
    offered: list[Record] = []

    def offer(one: Record) -> tuple[Record, ...]:
        offered.append(one)
        return ()

    first, second = (msgspec.structs.replace(record(payload), host=SENDERS[0]) for payload in (detected(0), acted(10)))
    with closing(State(tmp_path / "state")) as state, state.transaction():
        ledger = NightLedger(state, "C1", lambda *_: None)
        for name, one in (("WEC-1", first), ("WEC-2", second)):
            assert list(ledger.earlier(Host(name=name, name_basis="evtx", roots=(), files=(), missing=()))) == []
            assert ledger.admit(one, offer) == []
    assert [one.key for one in offered] == [first.key, first.key, second.key]

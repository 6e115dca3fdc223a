"""Records of several hosts at once: what one says of its detections is never another's."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.records import Payload, Record
from tests.correlator.build import (
    acted,
    block,
    content,
    detected,
    entry,
    history,
    incidents,
    joined,
    line,
    quarantine,
    record,
    resource,
    scan,
)

RECORDS: tuple[Payload, ...] = (
    *(detected(0), acted(10), history(0, quarantine_id=quarantine(1)), entry(10), resource(10), content()),
    *(line(0.02), block(9), scan(-5)),
)


def of(host: str, payload: Payload) -> Record:
    return msgspec.structs.replace(record(payload), host=host)


@pytest.mark.parametrize("one", RECORDS)
def test_no_join_reaches_another_host(one: Payload) -> None:
    alone = incidents(joined(of("A", detected(0)))) + incidents(joined(of("B", one)))
    assert incidents(joined(of("A", detected(0)), of("B", one))) == alone


def test_each_host_has_the_incidents_that_it_has_alone() -> None:
    mixed = [of(host, payload) for payload in RECORDS for host in ("A", "B")]
    found = joined(*mixed)
    for host in ("A", "B"):
        assert [one for one in found if one.host == host] == joined(*(of(host, payload) for payload in RECORDS))


def test_records_come_back_in_the_order_offered_whoever_s_they_are() -> None:
    mixed = [of(host, payload) for host in ("B", "A", "B") for payload in (detected(0), acted(1))]
    given = [one for one in joined(*mixed) if one.collector == "test"]
    assert [(one.host, one.key) for one in given] == [(one.host, one.key) for one in mixed]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(range(len(RECORDS)))), max_size=12))
def test_hosts_do_not_disturb_each_other(chosen: list[tuple[str, int]]) -> None:
    mixed = [of(host, RECORDS[number]) for host, number in chosen]
    found = joined(*mixed)
    for host in "ABC":
        assert [one for one in found if one.host == host] == joined(*(one for one in mixed if one.host == host))

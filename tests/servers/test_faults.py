"""What a server can do to 5,000 documents, and what becomes of every one (promises.md, section 4)."""

import gc
import statistics
import tracemalloc
from collections.abc import Callable, Iterator

import orjson
import pytest

from exporter.errors import SinkRefused, SinkUnavailable
from exporter.sinks import Outcome
from exporter.sinks.server import Product
from tests.servers import fake
from tests.servers.delivery import Clock, Delivered, deliver
from tests.servers.fake import FakeServer, Request
from tests.sinks.fakes import FakeMapped, events, row

RECORDS = events(5000)
IDS = [record.id for record in RECORDS]
STUCK = IDS[1100:1150]
"""Fifty documents of the third request."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def run(server: FakeServer, options: str = "", name: str = "elasticsearch", records: list[FakeMapped] = RECORDS) -> Delivered:
    return deliver(f"{name}:{server.address}?batch_documents=500{options}", records)


def fault_of_the_third(fault: int | str, times: int = 1) -> Callable[[Request], int | str | None]:
    return lambda request: fault if 3 <= request.number < 3 + times else None


def assert_complete(server: FakeServer, done: Delivered, written: int = 5000, duplicate: int = 0) -> None:
    assert done.error is None
    assert list(server.documents) == sorted(IDS)
    assert (done.counts.written, done.counts.duplicate, done.counts.dead) == (written, duplicate, 0)
    assert sorted(result.position for result in done.results) == list(range(1, 5001))
    assert done.sink.acknowledged == 5000


def test_without_faults_each_document_is_sent_once(server: FakeServer):
    done = run(server)
    assert_complete(server, done)
    assert (server.bulks, done.clock.waits) == (10, [])


def test_documents_that_are_there_are_duplicates(server: FakeServer):
    run(server)
    done = run(server)
    assert_complete(server, done, 0, 5000)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_items_to_be_sent_later_are_sent_later_and_no_others(server: FakeServer, status: int):
    server.item = lambda identity, times: status if identity in STUCK and times < 3 else None
    done = run(server)
    assert done.error is None
    assert (done.counts.written, len(server.documents)) == (5000, 5000)
    assert {identity for identity, times in server.times.items() if times != 1} == set(STUCK)
    assert len(done.clock.waits) == 2
    assert [result.position for result in done.results] == list(range(1, 5001))


def test_a_document_that_is_refused_is_dead_with_its_reason_and_its_bytes(server: FakeServer):
    server.item = lambda identity, times: 400 if identity == IDS[1499] else None
    done = run(server)
    assert (done.counts.written, done.counts.dead, done.counts.balanced) == (4999, 1, True)
    [dead] = done.dead
    assert (dead.position, dead.id, dead.status, dead.error_type) == (1500, IDS[1499], 400, "type_400")
    assert (dead.reason, dead.index) == ("reason 400; the cause", "dfir-defender-c1")
    sent = orjson.loads(dead.document)
    assert "ingested" in sent["event"]
    assert sent["event"].pop("ingested")
    assert sent == orjson.loads(RECORDS[1499].document())
    assert done.sink.acknowledged == 5000


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_request_to_be_sent_later_is_sent_later(server: FakeServer, status: int):
    server.whole = fault_of_the_third(status, 4)
    done = run(server)
    assert_complete(server, done)
    assert len(done.clock.waits) == 4


@pytest.mark.parametrize(
    ("fault", "duplicate"),
    [
        (fake.RESET_BEFORE, 0),
        (fake.RESET_IN, 250),
        (fake.RESET_AFTER, 500),
        (fake.SHORT, 500),
        (fake.CUT, 500),
        (fake.GARBAGE, 500),
    ],
)
def test_a_reply_that_does_not_come_is_asked_for_again(server: FakeServer, fault: str, duplicate: int):
    server.whole = fault_of_the_third(fault)
    done = run(server)
    assert_complete(server, done, 5000 - duplicate, duplicate)
    assert server.bulks == 11


@pytest.mark.parametrize("limit", [60_000, 5_000, 1_000])
def test_a_request_that_is_too_large_is_halved_until_it_fits(server: FakeServer, limit: int):
    server.whole = lambda request: 413 if request.size > limit else None
    done = run(server)
    assert_complete(server, done)
    assert done.clock.waits == []
    assert sum(size > limit for size in server.sizes) < 25, "later requests are as small as the server wants them"


def test_a_document_that_is_too_large_alone_is_dead(server: FakeServer):
    records = [*RECORDS[:100], FakeMapped("large", [row(message="x" * 50_000)]), *RECORDS[100:200]]
    server.whole = lambda request: 413 if request.size > 20_000 else None
    done = run(server, records=records)
    assert (done.counts.written, done.counts.dead, done.error) == (200, 1, None)
    assert (done.dead[0].position, done.dead[0].status) == (101, 413)
    assert b"xxx" in done.dead[0].document


def test_requests_stay_below_both_limits(server: FakeServer):
    deliver(f"elasticsearch:{server.address}?batch_documents=300&batch_bytes=20000", RECORDS)
    assert max(server.sizes) <= 20_000
    assert len(server.documents) == 5000


def test_a_large_document_goes_alone(server: FakeServer):
    records = [RECORDS[0], FakeMapped("large", [row(message="x" * 50_000)]), RECORDS[1]]
    deliver(f"elasticsearch:{server.address}?batch_bytes=20000", records)
    assert [size > 20_000 for size in server.sizes] == [False, True, False]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_expires_in_the_middle_stops_the_run(server: FakeServer, status: int):
    server.whole = fault_of_the_third(status, 100)
    done = run(server)
    assert isinstance(done.error, SinkRefused)
    assert f"status {status}: fault: as told" in str(done.error)
    assert (done.counts.written, done.counts.dead, len(server.documents), server.bulks) == (1000, 0, 1000, 3)
    assert done.sink.acknowledged == 1000


@pytest.mark.parametrize("status", [400, 404, 405, 406, 301])
def test_a_request_that_is_not_understood_stops_the_run(server: FakeServer, status: int):
    server.whole = fault_of_the_third(status, 100)
    done = run(server)
    assert isinstance(done.error, SinkRefused)
    assert (done.counts.written, done.counts.dead) == (1000, 0)


def test_a_missing_privilege_stops_the_run_and_buries_nothing(server: FakeServer):
    server.item = lambda identity, times: 403 if identity in STUCK else None
    done = run(server)
    assert isinstance(done.error, SinkRefused)
    assert "type_403" in str(done.error)
    assert (done.counts.written, done.counts.dead) == (1450, 0), "what the last request wrote is told too"
    assert done.sink.acknowledged == 1100


def test_what_stops_a_run_half_way_through_a_request_is_told_after_its_results(server: FakeServer):
    server.item = lambda identity, times: 503 if identity in STUCK else None
    done = run(server)
    assert isinstance(done.error, SinkUnavailable)
    assert (done.counts.written, done.counts.duplicate, done.counts.dead) == (1450, 0, 0)
    assert done.sink.acknowledged == 1100
    server.item = lambda identity, times: None
    again = run(server)
    assert (again.counts.written, again.counts.duplicate) == (3550, 1450)
    assert len(server.documents) == 5000


def test_the_last_request_can_fail_too(server: FakeServer):
    server.item = lambda identity, times: 503 if identity == IDS[-1] else None
    done = run(server, records=RECORDS[-10:])
    assert isinstance(done.error, SinkUnavailable)
    assert (done.counts.written, done.sink.acknowledged) == (9, 9)


def test_a_server_that_stays_away_is_given_up_after_fifteen_minutes(server: FakeServer):
    server.whole = lambda request: 503 if request.number > 2 else None
    done = run(server)
    assert isinstance(done.error, SinkUnavailable)
    assert "nothing delivered for 900 s" in str(done.error)
    assert done.clock.now == pytest.approx(900)
    assert (done.counts.written, done.sink.acknowledged) == (1000, 1000)


def test_waiting_grows_to_a_minute_and_is_spread(server: FakeServer):
    server.whole = lambda request: 503
    waits = run(server).clock.waits
    assert all(wait <= min(60, 0.5 * 2**number) for number, wait in enumerate(waits))
    assert max(waits) > 45
    assert 15 < len(waits) < 60
    assert len(set(waits)) == len(waits)


def test_progress_of_any_document_starts_the_patience_anew(server: FakeServer):
    def one_document_a_request(identity: str, times: int) -> int | None:
        return None if identity == IDS[server.bulks - 1] else 429

    server.item = one_document_a_request
    done = run(server, "&patience=10", records=RECORDS[:100])
    assert done.error is None
    assert done.counts.written == 100
    assert done.clock.now > 20
    assert max(done.clock.waits) <= 0.5


def test_memory_is_flat_while_the_server_says_later_for_ten_minutes(server: FakeServer):
    clock = Clock()
    server.whole = lambda request: 429 if clock.now < 600 else None
    records = [FakeMapped(identity, [row(message="x" * 2000)]) for identity in IDS[:200]]
    sizes = []
    sleep = clock.sleep

    def measured(seconds: float) -> None:
        sleep(seconds)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])

    clock.sleep = measured  # type: ignore[method-assign]
    tracemalloc.start()
    try:
        done = deliver(f"elasticsearch:{server.address}", records, clock)
    finally:
        tracemalloc.stop()
    assert done.counts.written == 200
    assert len(sizes) > 10
    assert statistics.median(sizes[-5:]) - statistics.median(sizes[3:8]) < 200_000, "one request is 0.5 MB"


def test_an_unreachable_server_is_given_up_at_once_before_anything_is_read():
    done = deliver("elasticsearch:http://127.0.0.1:9", RECORDS)
    assert isinstance(done.error, SinkUnavailable)
    assert done.clock.now <= 15
    assert done.counts.incoming == 0


def test_a_server_that_starts_while_we_wait_is_taken(server: FakeServer):
    server.root_status = 503
    clock = Clock()
    sleep = clock.sleep

    def starts(seconds: float) -> None:
        sleep(seconds)
        server.root_status = 200

    clock.sleep = starts  # type: ignore[method-assign]
    assert deliver(f"elasticsearch:{server.address}", RECORDS[:5], clock).counts.written == 5


def test_an_unknown_product_is_refused_unless_opensearch_is_named(server: FakeServer):
    server.root_headers = {"X-Elastic-Product": "Something"}
    done = run(server)
    assert isinstance(done.error, SinkRefused)
    assert "neither Elasticsearch nor OpenSearch" in str(done.error)
    assert run(server, name="opensearch").counts.written == 5000


@pytest.mark.parametrize(
    ("root", "headers", "status", "product"),
    [
        (fake.ELASTICSEARCH, {"X-elastic-product": "Elasticsearch"}, 200, Product("elasticsearch", "9.5.3")),
        (fake.ELASTICSEARCH, {"x-ELASTIC-product": "elasticsearch"}, 200, Product("elasticsearch", "9.5.3")),
        (fake.OPENSEARCH, {"x": "y"}, 200, Product("opensearch", "3.8.0")),
        ({"error": "no"}, {"X-elastic-product": "Elasticsearch"}, 403, Product("elasticsearch", "")),
        ({"error": "no"}, {"X-OpenSearch-Version": "OpenSearch/3.8.0 (opensearch)"}, 403, Product("opensearch", "")),
    ],
)
def test_the_product_is_read_where_it_stands(server: FakeServer, root: dict, headers: dict, status: int, product: Product):
    server.root, server.root_headers, server.root_status = root, headers, status
    done = run(server, records=RECORDS[:1])
    assert done.error is None
    assert done.sink.product == product  # type: ignore[attr-defined]


def test_the_privilege_to_write_is_asked_for_before_anything_is_read(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEFENDER_EXPORTER_ELASTICSEARCH_API_KEY", "abc")
    server.privileged = False
    done = run(server)
    assert isinstance(done.error, SinkRefused)
    assert "`create_doc` on the index `dfir-defender-c1` is missing" in str(done.error)
    assert done.counts.incoming == 0


@pytest.mark.parametrize("gzip", ["yes", "no"])
def test_requests_are_plain_and_compressed_when_asked(server: FakeServer, gzip: str):
    done = run(server, f"&gzip={gzip}", records=RECORDS[:10])
    assert done.counts.written == 10
    assert server.headers["content-type"] == "application/x-ndjson"
    assert server.headers["accept"] == "application/json"
    assert (server.headers.get("content-encoding") == "gzip") == (gzip == "yes")


def test_identities_are_sent_as_they_are(server: FakeServer):
    records = [FakeMapped(identity, [row()]) for identity in ('"', "a\\b", "\u202e", "x\ny")]
    assert run(server, records=records).counts.written == 4
    assert set(server.documents) == {record.id for record in records}


def test_a_document_that_does_not_end_with_its_event_is_dead_and_the_others_live(server: FakeServer):
    class Broken(FakeMapped):
        def document(self) -> bytes:
            return b'{"event":{"id":"x"},"message":"y"}'

    done = run(server, records=[*RECORDS[:3], Broken("x", []), *RECORDS[3:6]])
    assert (done.counts.written, done.counts.dead) == (6, 1)
    assert done.sink.acknowledged == 7
    assert [result.outcome for result in done.results].count(Outcome.DEAD) == 1

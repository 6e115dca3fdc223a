"""An export without `setup`: the index is made with our mapping before the first document, not by the server's guesses."""

import json
from collections.abc import Iterator

import pytest

from exporter.data import folder, template_file
from exporter.errors import SinkRefused
from tests.servers.delivery import deliver
from tests.servers.fake import FakeServer
from tests.sinks.fakes import events

INDEX = "/dfir-defender-c1-000001"
ALIAS = {"dfir-defender-c1": {"is_write_index": True}}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def test_a_missing_index_is_made_with_the_mapping_and_the_settings_of_our_template(server: FakeServer) -> None:
    assert deliver(f"elasticsearch:{server.address}", events(3)).counts.written == 3
    template = json.loads((folder("mappings") / template_file("elasticsearch")).read_bytes())["template"]
    assert json.loads(server.there[INDEX]) == {**template, "aliases": ALIAS}


def test_where_setup_has_installed_the_template_the_server_applies_it(server: FakeServer) -> None:
    server.there["/_index_template/dfir-defender"] = b""
    assert deliver(f"elasticsearch:{server.address}", events(3)).counts.written == 3
    assert json.loads(server.there[INDEX]) == {"aliases": ALIAS}


@pytest.mark.parametrize("index", ["other", "dfir-defender-c1-000001"])
def test_an_index_that_is_named_is_the_users_own(server: FakeServer, index: str) -> None:
    assert deliver(f"elasticsearch:{server.address}?index={index}", events(3)).counts.written == 3
    assert server.there == {}


def test_what_is_there_stays_as_it_is(server: FakeServer) -> None:
    server.there["/dfir-defender-c1"] = b""
    assert deliver(f"elasticsearch:{server.address}", events(3)).counts.written == 3
    assert INDEX not in server.there


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500])
def test_who_may_neither_look_nor_make_may_write_all_the_same(server: FakeServer, status: int) -> None:
    server.looking = server.making = status
    done = deliver(f"elasticsearch:{server.address}", events(3))
    assert (done.error, done.counts.written) == (None, 3)


def test_an_index_that_has_lost_its_alias_stops_the_run(server: FakeServer) -> None:
    server.there[INDEX] = b""
    done = deliver(f"elasticsearch:{server.address}", events(3))
    assert isinstance(done.error, SinkRefused)
    assert "not under its alias `dfir-defender-c1`" in str(done.error)
    assert (server.bulks, done.counts.incoming) == (0, 0)


def test_what_was_written_is_made_visible_once_at_the_end_and_nothing_is_asked_for_nothing(server: FakeServer) -> None:
    deliver(f"elasticsearch:{server.address}?batch_documents=2", events(5))
    assert server.refreshed == ["/dfir-defender-c1/_refresh"]
    deliver(f"elasticsearch:{server.address}", [])
    assert len(server.refreshed) == 1


def test_a_server_that_does_not_refresh_costs_nothing(server: FakeServer) -> None:
    server.making = 403
    done = deliver(f"elasticsearch:{server.address}", events(5))
    assert (done.error, done.counts.written) == (None, 5)

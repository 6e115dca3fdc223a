"""Template, index and data stream: made once, never downgraded, never forced upon what is something else."""

import copy

import pytest

from exporter.errors import ConfigurationError, SinkRefused, SinkUnavailable
from exporter.setup.index import Wanted, install, requests, template_request
from tests.setup.cluster import Cluster

NAME = "dfir-defender-c1"
TEMPLATE = "/_index_template/dfir-defender"
CASE = Wanted(product="elasticsearch", name=NAME)
VERSION = template_request(CASE).body["version"]
STREAM = Wanted(product="opensearch", name=NAME, data_stream=True)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def run(cluster: Cluster, wanted: Wanted) -> list[str]:
    return list(install(cluster, wanted))  # type: ignore[arg-type]


def test_a_new_server_gets_template_index_and_write_alias(cluster: Cluster) -> None:
    told = run(cluster, CASE)
    assert cluster.changes == [TEMPLATE, f"/{NAME}-000001"]
    assert cluster.indices[f"{NAME}-000001"]["aliases"] == {NAME: {"is_write_index": True}}
    assert told == [f"index template dfir-defender: version {VERSION} installed", f"index {NAME}-000001: made; write to {NAME}"]


def test_without_a_case_only_the_template_is_installed(cluster: Cluster) -> None:
    run(cluster, Wanted(product="elasticsearch"))
    assert cluster.changes == [TEMPLATE]


def test_a_second_run_changes_nothing(cluster: Cluster) -> None:
    run(cluster, CASE)
    cluster.requests.clear()
    assert run(cluster, CASE)[1] == f"index {NAME}-000001: there; write to {NAME}"
    assert cluster.changes == []


def test_what_a_dry_run_shows_is_what_a_new_server_gets(cluster: Cluster) -> None:
    for wanted in (CASE, STREAM):
        cluster = Cluster()
        run(cluster, wanted)
        assert [request.path for request in requests(wanted)] == cluster.changes


@pytest.mark.parametrize(("newer", "expected"), [(-1, [TEMPLATE]), (0, []), (1, [])])
def test_a_template_is_replaced_only_by_a_newer_one(cluster: Cluster, newer: int, expected: list[str]) -> None:
    there = VERSION + newer
    old = copy.deepcopy(template_request(CASE).body)
    old["_meta"]["version"] = there
    cluster.templates["dfir-defender"] = old
    told = run(cluster, Wanted(product="elasticsearch"))
    assert cluster.changes == expected
    assert (cluster.templates["dfir-defender"]["_meta"]["version"] == there) == (newer >= 0)
    assert ("newer than ours" in told[0]) == (newer > 0)


def test_another_type_of_time_replaces_a_template_of_the_same_version(cluster: Cluster) -> None:
    run(cluster, Wanted(product="elasticsearch"))
    run(cluster, Wanted(product="elasticsearch", timestamp_type="date"))
    properties = cluster.templates["dfir-defender"]["template"]["mappings"]["properties"]
    assert properties["@timestamp"] == {"type": "date"}


def test_a_template_of_somebody_else_is_left_alone(cluster: Cluster) -> None:
    cluster.templates["dfir-defender"] = {"index_patterns": ["theirs"]}
    with pytest.raises(SinkRefused, match="not ours"):
        run(cluster, CASE)
    assert cluster.changes == []


def test_an_index_of_an_older_version_gets_the_new_fields_and_keeps_its_type_of_time(cluster: Cluster) -> None:
    old = {"_meta": {"version": 0}, "properties": {"@timestamp": {"type": "date"}}}
    cluster.indices[f"{NAME}-000001"] = {"aliases": {NAME: {}}, "mappings": old}
    assert run(cluster, CASE)[-1] == f"index {NAME}-000001: fields of version {VERSION} added"
    mappings = cluster.indices[f"{NAME}-000001"]["mappings"]
    assert mappings["properties"]["@timestamp"] == {"type": "date"}
    assert "rule" in mappings["properties"]
    cluster.requests.clear()
    run(cluster, CASE)
    assert cluster.changes == []


def test_an_index_that_cannot_take_the_new_fields_stays_and_the_reason_is_told(cluster: Cluster) -> None:
    cluster.indices[f"{NAME}-000001"] = {"aliases": {NAME: {}}, "mappings": {}}
    cluster.refuse[f"/{NAME}-000001/_mapping"] = 400
    assert "keeps the fields it has" in run(cluster, CASE)[-1]


def test_an_index_that_stands_in_the_place_of_the_alias_is_refused_before_anything_is_changed(cluster: Cluster) -> None:
    cluster.indices[NAME] = {"aliases": {}}
    with pytest.raises(SinkRefused, match="made by writing before `setup`"):
        run(cluster, CASE)
    assert cluster.changes == []


def test_a_data_stream_has_its_own_template_above_the_general_one(cluster: Cluster) -> None:
    run(cluster, CASE.__class__(product="opensearch"))
    run(cluster, STREAM)
    general, own = cluster.templates["dfir-defender"], cluster.templates[NAME]
    assert own["index_patterns"] == [NAME]
    assert own["priority"] > general["priority"]
    assert (own["data_stream"], "data_stream" in general) == ({}, False)
    cluster.requests.clear()
    run(cluster, STREAM)
    assert cluster.changes == []


@pytest.mark.parametrize(("first", "second"), [(CASE, STREAM), (STREAM, CASE)])
def test_an_index_does_not_become_a_data_stream_nor_the_other_way_round(cluster: Cluster, first: Wanted, second: Wanted) -> None:
    run(cluster, first)
    cluster.requests.clear()
    with pytest.raises(SinkRefused, match="cannot become"):
        run(cluster, second)
    assert cluster.changes == []


def test_an_index_that_appears_while_we_make_it_is_taken_as_it_is(cluster: Cluster) -> None:
    class Racing(Cluster):
        def _create(self, *arguments):
            super()._create(*arguments)
            return super()._create(*arguments)

    assert run(Racing(), CASE)[-1] == f"index {NAME}-000001: there; write to {NAME}"


def test_an_index_of_that_name_without_the_alias_is_an_error(cluster: Cluster) -> None:
    cluster.indices[f"{NAME}-000001"] = {"aliases": {}}
    with pytest.raises(SinkRefused, match="already exists"):
        run(cluster, CASE)


@pytest.mark.parametrize(("status", "error"), [(401, SinkRefused), (403, SinkRefused), (429, SinkUnavailable), (503, SinkUnavailable)])
def test_a_server_that_will_not_is_told_from_one_that_cannot_now(cluster: Cluster, status: int, error: type[Exception]) -> None:
    cluster.refuse[TEMPLATE] = status
    with pytest.raises(error, match=f"status {status}"):
        run(cluster, CASE)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs --case"):
        Wanted(product="elasticsearch", data_stream=True)
    with pytest.raises(ConfigurationError, match="begin with `dfir-defender-`"):
        Wanted(product="elasticsearch", name="logs-c1")

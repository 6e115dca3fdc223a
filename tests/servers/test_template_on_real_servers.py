"""Template, searches and hostile documents on real servers: what `setup` makes takes whatever we export."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from exporter.cli import cli
from exporter.data import folder, template_file
from exporter.formats.defender_events import DefenderEvent
from exporter.job import make_mapper
from exporter.mapping.kibana import OBJECTS_FILE
from exporter.mapping.template import field_types
from exporter.records import Record, Source
from exporter.synthetic.evtx import write_evtx
from tests.conftest import missing
from tests.line import NOW, Exported, mapped
from tests.servers import hostile
from tests.servers.real import FULL, CannotStart, Real, running
from tests.sigma_documents import of_document
from tests.sigma_rules import RULES, queries
from tests.test_sigma import log as sigma_log

pytestmark = pytest.mark.servers
NAMES = [
    name for name in os.environ.get("DEFENDER_EXPORTER_SERVERS", "opensearch3,elasticsearch9").split(",") if not name.endswith("-security")
]
LENGTHS = (("x", 1), ("x", 8191), ("x", 8192), ("x", 32_767), ("€", 8191), ("€", 8192), ("€", 10_923), ("𐍈", 4095), ("𐍈", 8192))
"""Around what `ignore_above` lets pass, and around the longest term of a server, in characters of 1, 3 and 4 bytes."""
MEGABYTES = 10_000_000


@pytest.fixture(scope="module", params=NAMES)
def real(request: pytest.FixtureRequest, shared_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    try:
        with running(shared_tools, request.param, tmp_path_factory.mktemp(request.param)) as server:
            server.forget("/_index_template/dfir-defender")
            yield server
    except CannotStart as error:
        missing(str(error), "servers")


def index_of(real: Real, case: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The alias of a case that is set up anew."""
    name = f"dfir-defender-{case}"
    real.forget(f"/{name}-000001")
    cli.main(["setup", "--to", real.target, "--case", case], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-1] == f"index {name}-000001: made; write to {name}"
    return name


@pytest.fixture(scope="module")
def documents(demo: Exported, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The synthetic case, real event logs, and one with events for Sigma's rules, by id."""
    lines = {document["event"]["id"]: json.dumps(document).encode() for document in demo.documents}
    made = tmp_path_factory.mktemp("made")
    write_evtx(made / "Sigma.evtx", sigma_log()[0])
    events = mapped([shared_data / "evtx", made], tmp_path_factory.mktemp("letters"))
    return {**lines, **{event.id: event.document() for event in events}}


def test_setup_again_changes_nothing(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    name = index_of(real, "again", capsys)
    version = yaml.safe_load((folder("mappings") / "elasticsearch" / "template.yaml").read_text("utf-8"))["version"]
    cli.main(["setup", "--to", real.target, "--case", "again"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"index template dfir-defender: version {version} is there",
        f"index {name}-000001: there; write to {name}",
    ]
    assert real.ask("GET", f"/{name}/_alias") == {f"{name}-000001": {"aliases": {name: {"is_write_index": True}}}}


def test_sigma_rules_and_saved_searches_find_what_they_should(
    real: Real, documents: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    index = index_of(real, "sigma", capsys)
    assert real.create(index, documents.items()) == []
    assert real.count(index, "") == len(documents)
    decoded = [json.loads(document) for document in documents.values()]
    expected = Counter(name for document in decoded for name in of_document(document))
    assert {name: real.count(index, query) for name, query in queries("ecs_windows").items()} == expected
    assert set(expected) == set(RULES)
    for line in (folder("mappings") / OBJECTS_FILE).read_text("utf-8").splitlines():
        item = json.loads(line)
        if item["type"] in ("search", "visualization"):
            query = json.loads(item["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"]
            assert real.count(index, query) > 0, item["id"]
    assert 0 < real.count(index, "file.path.caseless:*MIMIKATZ*") == real.count(index, "file.path.caseless:*mimikatz*")
    assert real.count(index, "process.executable.text:system32") > 0
    assert real.count(index, "winlog.event_data.ProcessName:*") == real.count(index, "winlog.event_data.Process_Name:*") > 0


def strange(number: int, names: range) -> tuple[str, bytes]:
    """An event with these names in its data."""
    data = {f"Name {name}": f"value {name}" if name else "€" * 20_000 for name in names}
    event = DefenderEvent(
        event_id=4000, record_id=number, channel="Application", provider_name="x", created_at=NOW, data={"Path": "file:_C:\\x", **data}
    )
    record = Record(payload=event, host="made", source=Source("made.evtx", "made"), collector="evtx", key=("made", str(number)), hash="")
    mapped = make_mapper("names", now=NOW).map(record)
    return mapped.id, mapped.document()


def test_event_data_of_thousands_of_names_is_taken_and_found(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    """One event with all of them, and each of them in an event of its own kind: more than an index may have fields."""
    index = index_of(real, "names", capsys)
    before = len(field_types({"template": real.ask("GET", f"/{index}/_mapping")[f"{index}-000001"]}))
    documents = [strange(1, range(3000)), *(strange(2 + name // 10, range(name, name + 10)) for name in range(0, 3000, 10))]
    assert real.create(index, documents) == []
    assert real.count(index, "") == len(documents)
    assert real.count(index, 'defender.event_data.Name_1234:"value 1234"') == 2
    assert real.count(index, 'winlog.event_data.Path:"file:_C:\\\\x"') == len(documents)
    assert len(field_types({"template": real.ask("GET", f"/{index}/_mapping")[f"{index}-000001"]})) == before


def test_an_index_of_an_older_template_stops_making_fields_of_event_data(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    index = index_of(real, "older", capsys)
    old = {"_meta": {"version": 5}, "properties": {"winlog": {"properties": {"event_data": {"type": "object", "dynamic": True}}}}}
    real.ask("PUT", f"/{index}-000001/_mapping", old)
    cli.main(["setup", "--to", real.target, "--case", "older"], standalone_mode=False)
    assert "fields of version" in capsys.readouterr().out
    mappings = real.ask("GET", f"/{index}/_mapping")[f"{index}-000001"]["mappings"]
    assert mappings["properties"]["winlog"]["properties"]["event_data"]["dynamic"] == "false"


def test_times_keep_all_their_digits(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    index = index_of(real, "times", capsys)
    assert real.create(index, [(str(digit), b'{"@timestamp":"2024-05-01T10:20:30.123456%dZ"}' % digit) for digit in (7, 1, 9)]) == []
    body = {"sort": ["@timestamp"], "query": {"range": {"@timestamp": {"gt": "2024-05-01T10:20:30.1234561Z"}}}}
    assert [hit["_id"] for hit in real.ask("POST", f"/{index}/_search", body)["hits"]["hits"]] == ["7", "9"]


def test_no_hostile_document_is_refused(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    index = index_of(real, "hostile", capsys)
    count = 100_000 if FULL else 10_000
    mapper = make_mapper("hostile", now=NOW)
    events = map(mapper.map, hostile.records(count))
    assert [item["error"] for item in real.create(index, ((event.id, event.document()) for event in events))] == []
    assert real.count(index, "") == count


def keywords(product: str) -> list[str]:
    """Every keyword field that a document may have, and two that the mapping does not know."""
    template = json.loads((folder("mappings") / template_file(product)).read_text("utf-8"))
    types = field_types(template)
    names = [name for name, kind in types.items() if kind in ("keyword", "text") and not name.endswith((".text", ".caseless"))]
    return [*names, "winlog.event_data.Never_seen", "labels.never_seen"]


def nested(name: str, value: str) -> dict[str, Any]:
    """A document with one field."""
    document: Any = value
    for part in reversed(name.split(".")):
        document = {part: document}
    return {"@timestamp": "2024-05-01T10:20:30Z", **document}


def test_no_long_value_of_any_keyword_is_refused_and_each_stays_in_the_source(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    index = index_of(real, "long", capsys)
    fields = keywords(real.product)
    longest = fields if FULL else ["file.path", "process.executable", "rule.name", "message", "winlog.event_data.Path", "labels.never_seen"]
    wanted = [(name, *length) for name in fields for length in LENGTHS] + [(name, "x", MEGABYTES) for name in longest]
    values = ((f"{number}", orjson.dumps(nested(name, letter * size))) for number, (name, letter, size) in enumerate(wanted))
    assert real.create(index, values) == []
    assert real.count(index, "") == len(wanted)
    last = real.ask("GET", f"/{index}/_doc/{len(wanted) - 1}")["_source"]
    assert orjson.dumps(last) == orjson.dumps(nested(longest[-1], "x" * MEGABYTES))

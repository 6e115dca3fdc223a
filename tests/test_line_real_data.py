"""Real evidence through the whole export: counts, joins, values and the shape of every document."""

import json
from collections import Counter
from pathlib import Path

import pytest

from exporter.data import folder
from exporter.mapping.ecs import check_document
from exporter.mapping.load import load_mappings
from exporter.mapping.mapper import all_fields
from exporter.times import iso
from tests.evtx_logs import SAMPLES
from tests.line import FILES, Exported, export, get, kinds_of

pytestmark = pytest.mark.real_data
SERVER_EVENTS = "evtx/server2022-aptsimulator"
SERVER_LOG = "mplog/server2022-aptsimulator"
THREATS = {
    "2147708292": "HackTool:JS/Jsprat",
    "2147723625": "Trojan:Win32/Tiggre!rfn",
    "2147726364": "Trojan:JS/SharpShooter.A",
    "2147742191": "Backdoor:PHP/Remoteshell.V",
    "2147745713": "Backdoor:PowerShell/Powercat.A",
}
SERVER_KINDS = {"session": 3, "detection_event": 5, "detection_add": 6, "detection_clean": 1, "resource_scan": 9, "threat_actions": 1}
ALWAYS = (
    *("@timestamp", "ecs.version", "message", "host.name", "labels.case_id", "agent.type", "agent.version", "log.file.path"),
    *("event.kind", "event.category", "event.type", "event.action", "event.dataset", "event.module", "event.provider"),
    *("event.id", "event.hash", "event.ingested", "related.hosts"),
    *("defender.source.kind", "defender.source.path", "defender.source.parser", "defender.source.parser_version", "defender.time.basis"),
)
"""sink-contracts E4."""
NOT_OF_DIAGNOSTICS = {"event.category", "event.hash"}
"""A loss has no record bytes to hash, and ECS no category for it."""
NO_QUARANTINE = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def exported(shared_data, tmp_path_factory) -> Exported:
    """All real samples of the four collectors in one run, evidence beside evidence."""
    evidence = [shared_data / name for name in ("evtx", "mplog", "quarantine", "detection_history")]
    return export(evidence, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def server(shared_data, tmp_path_factory) -> Exported:
    """The Server 2022 machine, whose two folders were published apart."""
    return export([shared_data / SERVER_EVENTS, shared_data / SERVER_LOG], tmp_path_factory.mktemp("server"), host="SRV2022")


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_event_id_of_a_log_arrives_as_often_as_the_log_has_it(exported, sample):
    codes = Counter(int(d["event"]["code"]) for d in exported.evidence if d["log"]["file"]["path"] == sample)
    assert codes == SAMPLES[sample]
    assert exported.file(sample).counts.seen == sum(SAMPLES[sample].values())


def test_logs_without_defender_are_counted_and_their_damage_costs_nothing_else(exported):
    zero = exported.file("sample-with-zero-data-size-event.evtx").counts
    bad = exported.file("sample_with_a_bad_chunk_magic.evtx").counts
    empty = exported.file("empty-WHC.evtx").counts
    assert (zero.emitted, zero.rejected) == (0, 1)
    assert sum(zero.unparsed.values()) >= 335  # as the wheel counts; it ends a chunk at a bad record, and we go on behind it
    assert bad.emitted == 0
    assert sum(bad.unparsed.values()) >= 270
    assert sum("wrong magic" in letter["error_reason"] for letter in exported.letters) == 2
    assert (empty.seen, empty.emitted, empty.rejected) == (0, 0, 0)


def test_every_kind_of_log_line_arrives_as_often_as_the_log_has_it(exported):
    server = exported.file("MPLog-20231017-224350.log").counts
    assert server.kinds == {f"mplog_{kind}": count for kind, count in SERVER_KINDS.items()}
    assert (server.seen, server.rejected) == (1882, 0)
    assert exported.file("MPLog-20200801-144809.log").counts.kinds == {"mplog_session": 23, "mplog_resource_scan": 1}


def test_every_quarantine_file_and_detection_history_arrives(exported):
    kinds = kinds_of(exported.report.files)
    assert kinds["detection_history"] == 6
    assert {kind: count for kind, count in kinds.items() if kind.startswith("quarantine_")} == {
        "quarantine_entry": 2,
        "quarantine_resource": 2,
        "quarantine_container": 2,
        "quarantine_reference": 1,
    }


def test_documents_are_what_the_sources_are_said_to_hold(exported):
    assert len(exported.evidence) == kinds_of(exported.report.files).total()
    assert len(exported.incidents) == sum(host.incidents for host in exported.report.hosts)


def test_every_source_adds_up(exported, server):
    for run in (exported, server):
        assert run.report.unbalanced == []
        for file in run.report.files:
            assert file.counts.seen == file.counts.emitted + file.counts.rejected + sum(file.counts.unparsed.values()), file.path


def test_every_sink_adds_up_and_its_file_has_what_it_says(exported, server):
    for run in (exported, server):
        ecs, timesketch, l2tcsv = (sink.counts for sink in run.report.sinks)
        assert ecs.incoming == timesketch.incoming == l2tcsv.incoming == ecs.written == len(run.documents)
        assert timesketch.incoming == timesketch.written + timesketch.skipped
        assert timesketch.skipped == sum("no_event_time" in document.get("tags", ()) for document in run.documents)
        assert l2tcsv == timesketch
        assert timesketch.rows == len(run.lines) == len(run.rows)
        assert {len(row) for row in run.rows} == {17}


def test_the_server_has_five_incidents_and_each_its_detection_action_and_log_lines(server):
    by_id = {document["event"]["id"]: document for document in server.documents}
    assert {document["rule"]["id"]: document["rule"]["name"] for document in server.incidents} == THREATS
    assert len(server.incidents) == 5
    for incident in server.incidents:
        told = incident["defender"]["incident"]
        members = [by_id[identity] for identity in told["members"]]
        codes = Counter(member["event"].get("code") for member in members)
        assert (codes["1116"], codes["1117"]) == (1, 1), incident["rule"]["name"]
        kinds = Counter(told["member_kinds"])
        assert kinds["mplog_detection_event"] == 1
        assert kinds["mplog_detection_add"] >= 1
        assert all(incident["rule"]["name"] in threats_of(member) for member in members)
        joins = [member["defender"]["correlation"] for member in members]
        assert all(told["id"] in (one["incident_id"], *one.get("other_incident_ids", ())) for one in joins)
        assert told["id"] == incident["event"]["id"]
        assert all(
            str(one["tier"]) == tier for one, tier in zip(joins, told["member_tiers"], strict=True) if one["incident_id"] == told["id"]
        )
        assert sum("other_incident_ids" in one for one in joins) < len(joins) / 2
        assert told["member_count"] == len(members)
        assert (told["states"], told["outcome"]) == (["detected", "quarantined"], "success")


def threats_of(document: dict) -> set[str]:
    """A scan may have found several."""
    return {get(document, "rule.name"), *(get(document, "defender.threat.names") or ())}


def test_all_detections_of_the_server_belong_to_an_incident(server):
    alone = [document for document in server.evidence if get(document, "rule.id") and "correlation" not in document["defender"]]
    assert alone == []
    kinds = Counter(kind for incident in server.incidents for kind in incident["defender"]["incident"]["member_kinds"])
    assert (kinds["mplog_detection_event"], kinds["mplog_detection_add"], kinds["mplog_detection_clean"]) == (5, 6, 1)


def test_events_alone_and_log_alone_name_the_same_five_threats(exported):
    for path in (SERVER_EVENTS, SERVER_LOG):
        documents = [d for d in exported.evidence if d["log"]["file"]["path"].startswith(path.partition("/")[2])]
        assert {get(document, "rule.name") for document in documents} == {*THREATS.values(), None}


def test_every_document_keeps_to_ecs_and_to_our_own_types(exported, server, demo):
    mappings = folder("mappings")
    own = all_fields(load_mappings(mappings), mappings)
    for run in (exported, server, demo):
        wrong = Counter(problem for document in run.documents for problem in check_document(document, own))
        assert wrong == Counter()


def test_every_document_has_every_field_that_is_always_there(exported, server, demo):
    missing = Counter(
        (document["event"]["dataset"], name)
        for run in (exported, server, demo)
        for document in run.documents
        for name in ALWAYS
        if get(document, name) is None and not (name in NOT_OF_DIAGNOSTICS and document["event"]["kind"] == "pipeline_error")
    )
    assert missing == Counter()


def test_only_incidents_are_alerts_and_every_loss_is_a_diagnostic(exported):
    kinds = Counter(document["event"]["kind"] for document in exported.documents)
    assert kinds["alert"] == len(exported.incidents)
    assert kinds["pipeline_error"] == len(exported.letters) == exported.report.dead_letters


def test_ids_are_unique_and_the_same_in_every_sink(exported, server, demo):
    for run in (exported, server, demo):
        identities = [document["event"]["id"] for document in run.documents]
        assert len(set(identities)) == len(identities)
        lines = [line["event_id"] for line in run.lines]
        assert len(set(lines)) == len(lines)
        assert {line.partition("-")[0] for line in lines} <= set(identities)


def expected_of(shared_data: Path, name: str) -> list[tuple[str, dict]]:
    return list(json.loads((shared_data / name / "expected.json").read_text(encoding="utf-8")).items())


def of_file(exported: Exported, dataset: str, path: str) -> dict:
    """The one document of this dataset from this file."""
    found = [d for d in exported.evidence if (d["event"]["dataset"], d["log"]["file"]["path"]) == (f"defender.{dataset}", path)]
    assert len(found) == 1
    return found[0]


def test_the_expected_values_of_quarantine_entries_are_in_their_documents(exported, shared_data):
    for path, value in expected_of(shared_data, "quarantine"):
        if "/Entries/" not in path:
            continue
        entry = of_file(exported, "quarantine", path)
        (resource,) = value["resources"]
        fields = {field["id"]: field for field in resource["fields"]}
        assert entry["@timestamp"] == value["timestamp"]
        assert entry["defender"]["threat"] == {"id": value["threat_id"], "name": value["threat_name"]}
        assert entry["defender"]["scan"]["id"] == value["scan_id"]
        assert entry["defender"]["quarantine"]["entry_id"] == value["quarantine_id"]
        assert entry["defender"]["quarantine"]["resource_ids"] == [fields[2]["value"]]
        assert entry["defender"]["integrity"] == {"verdict": "verified", "check": "section-crc32"}
        document = of_file(exported, "quarantine_resource", path)
        assert document["defender"]["quarantine"]["resource_name"] == resource["path"]
        assert document["defender"]["quarantine"]["resource_type"] == resource["type"]
        assert document["defender"]["quarantine"]["resource_id"] == fields[2]["value"]
        assert document["defender"]["signature"]["sequence"] == f"0x{fields[13]['as_sig_seq']:016x}"
        assert int(document["defender"]["quarantine"]["flags"], 16) == fields[10]["value"]
        assert document["file"]["path"] == fields[12]["value"]
        assert document["file"]["size"] == fields[18]["value"]
        times = [document["file"][name] for name in ("mtime", "accessed", "created")]
        assert times == [fields[number]["iso"] for number in (17, 16, 15)]


def test_the_expected_values_of_containers_are_in_their_documents(exported, shared_data):
    for path, value in expected_of(shared_data, "quarantine"):
        if "/ResourceData/" in path:
            document = of_file(exported, "quarantine_container", path)
            streams = {stream["kind"]: stream for stream in value["streams"]}
            assert document["file"]["hash"] == {name: streams["DATA"][name] for name in ("md5", "sha1", "sha256")}
            assert document["file"]["size"] == streams["DATA"]["size"]
            told = document["defender"]["quarantine"]
            assert told["container_size"] == value["container_size"]
            assert told["container_sha1"] == value["sha1_of_plain_container"].lower()
            assert told["name_matches"] == value["name_matches"]
            assert told.get("streams", []) == [s["name"] for s in value["streams"] if s["name"]]
            verdict = "verified" if value["name_matches"] else "failed"
            assert document["defender"]["integrity"] == {"verdict": verdict, "check": "container-sha1"}
        elif "/Resources/" in path:
            told = of_file(exported, "quarantine_reference", path)["defender"]["quarantine"]
            assert (told["resource_id"], told["container_size"]) == (value["resource_id"], value["container_size"])
            assert told["entry_ids"] == value["entries"]


def test_the_expected_values_of_detection_histories_are_in_their_documents(exported, shared_data):
    for path, value in expected_of(shared_data, "detection_history"):
        document = of_file(exported, "detection_history", path)
        found = {name: get(document, name) for name in history_fields(value)}
        assert found == history_fields(value), path
        tracked = next((item["tracking"] for item in value["resources"] if "ThreatTrackingSha256" in item["tracking"]), {})
        hashes = {name: tracked.get(f"ThreatTracking{key}") for name, key in (("md5", "MD5"), ("sha1", "Sha1"), ("sha256", "Sha256"))}
        assert {name: get(document, f"file.hash.{name}") for name in hashes} == hashes
        assert get(document, "file.size") == tracked.get("ThreatTrackingSize")
        assert document["windows_defender"]["evidence_paths"][: len(value["resources"])] == [r["location"] for r in value["resources"]]


def history_fields(value: dict) -> dict:
    """Field to value; None where the document must not have it."""
    code = int(value["error_code"], 16)
    return {
        "defender.threat.id": value["threat_id"],
        "defender.threat.name": value["threat_name"],
        "defender.threat.severity_id": value["severity_id"],
        "defender.threat.category_id": value["category_id"],
        "defender.detection.id": value["detection_id"],
        "defender.detection.time": iso(value["detection_filetime"]) if value["detection_filetime"] else None,
        "defender.detection.changed": value["last_change"],
        "defender.detection.remediated": iso(value["remediation_filetime"]) if value["remediation_filetime"] else None,
        "defender.detection.remediation_user": value["remediation_user"] or None,
        "defender.detection.actions": [str(action) for action in value["actions"]] or None,
        "defender.quarantine.entry_id": value["quarantine_id"] if value["quarantine_id"] != NO_QUARANTINE else None,
        "process.executable": value["process"] if value["process"] != "Unknown" else None,
        "user.domain": value["user"].partition("\\")[0],
        "user.name": value["user"].partition("\\")[2],
        "error.code": f"0x{code:08x}" if code else None,
    }


def test_a_timesketch_file_has_at_most_sixty_keys_each_of_one_type(exported, server, demo):
    """sink-contracts T8 and T9; the types agree between files too."""
    types: dict[str, set[type]] = {}
    for run in (exported, server, demo):
        keys = {name for line in run.lines for name in line}
        assert len(keys) <= 60, sorted(keys)
        for name, value in (item for line in run.lines for item in line.items()):
            types.setdefault(name, set()).add(type(value))
    assert {name for name, found in types.items() if len(found) > 1} == set()


def test_the_timelines_skip_only_what_has_no_time_and_keep_the_order_of_time(exported, server, demo):
    for run in (exported, server, demo):
        ticks = [line["filetime"] for line in run.lines]
        assert ticks == sorted(ticks)
        timed = [document for document in run.documents if document["defender"]["time"]["basis"] == "record"]
        assert {line["event_id"].partition("-")[0] for line in run.lines} == {document["event"]["id"] for document in timed}
        assert sorted(FILES.values()) == sorted(path.name for path in run.folder.iterdir() if path.name in FILES.values())


@pytest.mark.real_data
def test_texts_of_trace_messages_are_exported_on_request(shared_data, tmp_path):
    plain = export(shared_data / "etl", tmp_path / "plain")
    texts = export(shared_data / "etl", tmp_path / "texts", etl_strings=True)
    assert kinds_of(plain.report.files) == {"etw_trace": 2, "etw_amsi": 19}
    assert kinds_of(texts.report.files) == {"etw_trace": 2, "etw_amsi": 19, "etw_message": 205}
    assert {line["status"] for line in texts.lines if line["data_type"] == "av:defender:etw:message"} == {"undecoded"}
    assert plain.letters == texts.letters == []

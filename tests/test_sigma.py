"""Sigma's rules for Defender's log find in our output what they should, and nothing else."""

import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.synthetic.evtx import Event, write_evtx
from exporter.synthetic.mpcmdrun import CommandRun, write_mpcmdrun
from tests.defender_events import DATA, event, side_events
from tests.line import Exported, export, objects
from tests.sigma_documents import CHANNEL, asked, of_document, of_row
from tests.sigma_rules import GUARD, RULES, queries, rules

DETECTED = "threat detected"
DISABLED = "protection off"
EXCLUDED = "exclusion added"
CHANGED = "setting weakened"
GUARDED = "folder guard changed"
LSASS = "LSASS opened"
PSEXEC = "PsExec or WMI blocked"
BLOCKED = "tampering blocked"
FAILED = "feature failed"
REDSUN = "RedSun"
EVERY: Mapping[int, set[str]] = {
    **{event_id: {DETECTED} for event_id in (1006, 1015, 1116, 1117)},
    1009: {"quarantine restored"},
    1013: {"history deleted"},
    5001: {DISABLED, "realtime off"},
    5007: {EXCLUDED},
    5010: {DISABLED, "antispyware off"},
    5012: {DISABLED, "antivirus off"},
    5101: {DISABLED, "platform expired"},
}
"""What the event of each id is to match, nothing where it is not named.

5013's value stands before the rule's end of it; 3002 and 3007 are of Network Inspection, which the rule leaves out.
"""
TIMESKETCH: Mapping[str, frozenset[int]] = {BLOCKED: frozenset({5013}), LSASS: frozenset({1121})}
"""Timesketch asks for words where Sigma says how a value begins or ends: these rules find more or less of these ids there."""
HKLM = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender"
POLICY = "HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows Defender"
TEMP = "C:\\Windows\\Temp\\x.exe"
SPECIAL: list[tuple[int, Mapping[str, str], set[str]]] = [
    (1116, {"Source Name": "AMSI"}, {DETECTED, "AMSI detected"}),
    (1119, {"Source Name": "Real-Time Protection", "Process Name": "C:\\x\\REDSUN.EXE"}, {REDSUN}),
    (1119, {"Source Name": "Real-Time Protection", "Path": "file:_C:\\RS-1\\TieringEngineService.exe"}, {REDSUN}),
    (1119, {"Source Name": "System", "Process Name": "C:\\x\\RedSun.exe"}, set()),
    (1121, {"Path": "C:\\Windows\\System32\\lsass.exe", "Process Name": "C:\\Tools\\dump.exe"}, {LSASS}),
    (1121, {"Path": "C:\\Windows\\System32\\lsass.exe", "Process Name": "C:\\Windows\\System32\\TASKMGR.exe"}, set()),
    (1121, {"Path": "C:\\Windows\\System32\\lsass.exe", "Process Name": "C:\\Windows\\System32\\wbem\\WmiPrvSE.exe"}, {PSEXEC}),
    (1121, {"Path": "C:\\x.exe", "Process Name": "C:\\Windows\\PSEXESVC.exe"}, {PSEXEC}),
    (1122, {"Path": "C:\\Windows\\System32\\lsass.exe", "Process Name": "C:\\Tools\\dump.exe"}, set()),
    (5007, {"Old Value": "", "New Value": f"{HKLM}\\Exclusions\\Processes\\x.exe = 0x0"}, {EXCLUDED}),
    (5007, {"Old Value": f"{HKLM}\\Exclusions\\Processes\\x.exe = 0x0", "New Value": ""}, set()),
    (5007, {"Old Value": "", "New Value": f"HKLM\\SOFTWARE\\Microsoft{GUARD}\\AllowedApplications\\{TEMP} = 0x0"}, {GUARDED}),
    (5007, {"Old Value": "", "New Value": f"HKLM\\SOFTWARE\\Microsoft{GUARD}\\AllowedApplications\\C:\\y.exe = 0x0"}, set()),
    (5007, {"Old Value": f"HKLM\\SOFTWARE\\Microsoft{GUARD}\\ProtectedFolders\\C:\\y = 0x0", "New Value": ""}, {GUARDED}),
    (5007, {"Old Value": "", "New Value": f"{POLICY}\\DisableAntiSpyware = 0x1"}, {CHANGED}),
    (5007, {"Old Value": "", "New Value": f"{HKLM}\\SpyNet\\DisableBlockAtFirstSeen = 0x1"}, {CHANGED}),
    (
        5007,
        {"Old Value": "", "New Value": f"{HKLM}\\Real-Time Protection\\SubmitSamplesConsent = 0x0"},
        {"samples not sent"},
    ),
    (5007, {"Old Value": "", "New Value": f"{HKLM}\\Features\\TamperProtection = 0x0"}, set()),
    (5013, {"Changed Type": "Blocked", "Value": f"{HKLM}\\Real-Time Protection\\DisableRealtimeMonitoring"}, {BLOCKED}),
    (3002, {"Feature Name": "%%886", "Reason": "%%900"}, {FAILED}),
    (3002, {"Feature Name": "%%886", "Reason": "%%858"}, set()),
    (3007, {"Feature Name": "%%886", "Reason": "%%892"}, set()),
    (3007, {"Feature Name": "%%835", "Reason": "%%892"}, {FAILED}),
    (1121, {"Path": "C:\\Windows\\System32\\lsass.exe", "Process Name": "C:\\Windows\\Temp\\asgard2-agent\\1\\thor64.exe"}, set()),
    (1121, {"Path": "C:\\Windows\\System32\\lsass.exe", "Process Name": "C:\\Windows\\Temp\\asgard2-agent\\x.exe"}, {LSASS}),
]


def log() -> tuple[list[Event], dict[int, set[str]]]:
    """Events, and by record id what they are to match."""
    cases = [(event_id, {}, EVERY.get(event_id, set())) for event_id in DATA] + SPECIAL
    events = [event(event_id, number, {**DATA[event_id], **data}) for number, (event_id, data, _) in enumerate(cases, 1)]
    return events, {number: titles for number, (_, _, titles) in enumerate(cases, 1)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("sigma")
    evidence = folder / "evidence"
    evidence.mkdir()
    write_evtx(evidence / "Defender.evtx", log()[0])
    return export(evidence, folder / "out", sinks=("ecs", "timesketch"), host="H")


def test_the_table_has_all_the_rules_and_each_has_an_event_to_match() -> None:
    assert len(RULES) == 18
    assert set(RULES) == set().union(*log()[1].values())


def test_each_document_matches_the_rules_that_it_should(exported: Exported) -> None:
    found = {int(one["winlog"]["record_id"]): set(of_document(one)) for one in exported.documents if "winlog" in one}
    assert found == log()[1]


def test_each_line_for_timesketch_matches_the_same_rules_as_far_as_timesketch_asks_for_them(exported: Exported) -> None:
    rows = {row["record_number"]: row for row in exported.lines if row["data_type"] == "windows:evtx:record"}
    different = {
        (number, name)
        for number, row in rows.items()
        for name in of_row(row) ^ log()[1][number]
        if row["event_identifier"] not in TIMESKETCH.get(name, ())
    }
    assert different == set()
    assert set(rows) == set(log()[1])
    assert set().union(*map(of_row, rows.values())) == set(RULES)


def test_the_golden_documents_match_the_same_rules_by_their_event_ids() -> None:
    golden = Path(__file__).parent / "golden" / "event-kinds"
    documents = objects(golden / "case.ndjson")
    assert documents
    found = {int(one["event"]["code"]): set(of_document(one)) for one in documents if one.get("winlog", {}).get("channel") == CHANNEL}
    rows = {
        row["event_identifier"]: set(of_row(row)) for row in objects(golden / "case.jsonl") if row["data_type"] == "windows:evtx:record"
    }
    assert found == {code: EVERY.get(code, set()) for code in found}
    assert {code: rows[code] - {BLOCKED} for code in found} == found


@pytest.mark.peers
@pytest.mark.parametrize(("converter", "environment"), [("ecs_windows", "sigma"), ("timesketch", "sigma-timesketch")])
def test_the_kept_queries_are_what_the_converters_write(converter: str, environment: str, peer) -> None:
    script = Path(__file__).parent / "peers" / f"convert_{converter.removesuffix('_windows')}.py"
    said = subprocess.run(
        [peer(environment), "-W", "ignore", script], input=json.dumps(rules()), capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == queries(converter)


def test_the_xml_of_a_line_has_the_values_that_are_looked_for_in_it(exported: Exported) -> None:
    rows = [row for row in exported.lines if row.get("event_identifier") in (1121, 5013)]
    assert rows
    for row in rows:
        assert row.get("ProcessName", row.get("Value")) in row["xml_string"]


def test_no_rule_matches_what_other_providers_tell(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    write_evtx(tmp_path / "e" / "System.evtx", side_events())
    documents = export(tmp_path / "e", tmp_path / "out", sinks=("ecs",), host="H").documents
    assert {title for document in documents for title in of_document(document)} == set()


@pytest.mark.real_data
def test_the_rules_find_in_real_logs_what_is_known_of_them(shared_data: Path, tmp_path: Path) -> None:
    documents = export(shared_data / "evtx", tmp_path / "out", sinks=("ecs",), host="H").documents
    assert Counter(title for document in documents for title in of_document(document)) == {
        DETECTED: 16,
        DISABLED: 1,
        "realtime off": 1,
        EXCLUDED: 4,
        REDSUN: 1,
    }


_PROGRAM = "process.executable.caseless:*\\\\mpcmdrun.exe AND "
PROCESSES = {
    "files downloaded": _PROGRAM + "(process.command_line:*DownloadFile* AND process.command_line:*url*)",
    "definitions removed": _PROGRAM + "(process.command_line:*\\ \\-RemoveDefinitions* AND process.command_line:*\\ \\-All*)",
}
"""What two rules about processes ask of ours: SigmaHQ's 46123129-1024-423e-9fae-43af4a0fa9a5 and 9719a8aa-401c-41af-8108-ced7ec9cd75c."""


def test_runs_of_the_command_line_tool_match_the_rules_about_processes(tmp_path: Path) -> None:
    arguments = (
        "-DownloadFile -url https://example.test/x -path C:\\x",
        "-RemoveDefinitions -All",
        "-Scan -ScanType 1",
        "-RemoveDefinitions",
    )
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    write_mpcmdrun(evidence / "MpCmdRun.log", [CommandRun(arguments=one) for one in arguments])
    run = export(evidence, tmp_path / "out", sinks=("ecs",), host="H")
    found = [{name for name, query in PROCESSES.items() if asked(query, one)} for one in run.documents]
    assert found == [{"files downloaded"}, {"definitions removed"}, set(), set()]

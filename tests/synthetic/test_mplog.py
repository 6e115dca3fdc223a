import hashlib
from collections import Counter

import pytest

from exporter.formats.mplog import DetectionClean, DetectionEvent, ResourceScan, Session, ThreatActions, parse_mplog
from exporter.formats.mplog_lines import internal_command_line as read_command_line
from exporter.records import Parsed
from exporter.synthetic.mplog import LogSession, Story, internal_command_line, write_mplog
from exporter.times import from_iso

START = from_iso("2024-03-05T10:15:00.0000042Z")[0]
SECOND = 10_000_000
STORY = Story(
    threat_id=2147714419,
    threat_name="Trojan:BAT/Vigorf.A",
    resources=[("containerfile", "C:\\Users\\佐藤\\invoice;2024.zip"), ("file", "C:\\Users\\佐藤\\invoice;2024.zip->run, me.bat")],
    detected_at=START + 30 * SECOND,
    cleaned_at=START + 90 * SECOND,
    sha1="7ea62fd644dd9b9f82944268ea649fd007ee354d",
    owner="EXAMPLE\\alice",
)
SESSIONS = [
    LogSession(started_at=START, utc_offset_minutes=-420, stories=[STORY]),
    LogSession(started_at=START - 86_400 * SECOND, utc_offset_minutes=345, product="Windows Defender Antivirus"),
]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "MPLog-20240305-101500.log"
    truth = write_mplog(path, SESSIONS)
    with path.open("rb") as stream:
        return path.read_bytes(), truth, [item for item in parse_mplog(stream) if isinstance(item, Parsed)]


def test_the_same_sessions_give_the_same_bytes(written, tmp_path):
    again = tmp_path / "again.log"
    assert (write_mplog(again, SESSIONS), again.read_bytes()) == (written[1], written[0])


def test_the_log_looks_as_defender_writes_it(written):
    data, truth, _ = written
    assert data[:2] == b"\xff\xfe"
    text = data.decode("utf-16")
    assert text.count("\r\n") == text.count("\n") == truth["lines"]
    assert truth["size"] == len(data)


def test_the_truth_names_every_emitted_record_with_its_place(written):
    data, truth, records = written
    assert [(record.payload.kind, record.offset, record.units) for record in records] == [
        (each["kind"], each["offset"], each["lines"]) for each in truth["records"]
    ]
    assert Counter(each["kind"] for each in truth["records"]).items() <= truth["kinds"].items()
    for record in records:
        lines = data[record.offset :].decode("utf-16-le").split("\r\n")[: record.units]
        assert record.raw_hash == hashlib.sha256("\r\n".join(lines).encode("utf-16-le")).hexdigest()


def test_sessions_keep_offset_and_product_also_when_the_clock_goes_back(written):
    sessions = [record.payload for record in written[2] if isinstance(record.payload, Session)]
    assert [(session.utc_offset, session.product, session.logged_at, session.dirty_shutdown) for session in sessions] == [
        (-420, "Microsoft Defender Antivirus", START, False),
        (345, "Windows Defender Antivirus", START - 86_400 * SECOND, False),
    ]


def test_a_story_is_told_by_every_kind_of_record(written):
    payloads = {type(record.payload): record.payload for record in written[2]}
    event, clean = payloads[DetectionEvent], payloads[DetectionClean]
    scan, actions = payloads[ResourceScan], payloads[ThreatActions]
    pairs = [(resource.schema, resource.value) for resource in event.resources]
    assert pairs == list(STORY.resources)
    assert (event.threat_name, event.source, event.logged_at) == (STORY.threat_name, "MPSOURCE_REALTIME", STORY.detected_at - 42)
    assert (clean.action, clean.result, clean.logged_at) == ("MP_THREAT_ACTION_QUARANTINE", 0, STORY.cleaned_at - 42)
    assert (scan.threat_id, scan.scan_id, scan.severity_id) == (STORY.threat_id, STORY.scan_id, STORY.severity_id)
    assert scan.results[0].sig_seqs == (STORY.sig_seq,)
    assert scan.results[0].sig_shas == (STORY.sig_sha,)
    assert (actions.threat_id, actions.sha1, actions.actions[0].owners) == (STORY.threat_id, STORY.sha1, (STORY.owner,))
    assert actions.started_at == STORY.cleaned_at - 42


def test_a_story_without_clean_up_has_no_record_of_one(tmp_path):
    story = Story(threat_id=7, threat_name="T:X/Y", resources=[("file", "x")], detected_at=START)
    truth = write_mplog(tmp_path / "x.log", [LogSession(started_at=START, stories=[story])])
    assert not {"mplog_detection_clean", "mplog_threat_actions"} & truth["kinds"].keys()


def test_a_failed_clean_up_has_its_result_in_both_records(tmp_path):
    story = Story(
        threat_id=7, threat_name="T:X/Y", resources=[("file", "x")], detected_at=START, cleaned_at=START, action="remove", result=0x80508023
    )
    path = tmp_path / "x.log"
    write_mplog(path, [LogSession(started_at=START, stories=[story], everyday=0)])
    with path.open("rb") as stream:
        payloads = [item.payload for item in parse_mplog(stream) if isinstance(item, Parsed)]
    assert [payload.result for payload in payloads if isinstance(payload, DetectionClean | ThreatActions)] == [0x80508023] * 2


def test_an_internal_command_line_carries_threat_and_signature():
    assert read_command_line(internal_command_line(STORY, "C:\\a.exe", "C:\\a.exe -x")) == (STORY.threat_id, STORY.sig_seq)

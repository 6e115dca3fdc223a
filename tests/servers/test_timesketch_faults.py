"""What can happen to an upload: nothing is lost, nothing is sent twice, and what is not proved is not called complete."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.errors import ConfigurationError, LockHeld, SinkError, SinkRefused, SinkUnavailable
from exporter.sinks import Sink, timesketch_delivery
from exporter.sinks.targets import open_sink, parse_target
from exporter.sinks.timesketch_server import TimesketchServer
from exporter.state.lock import Lock
from tests.servers.certificates import Authority, fingerprint, server_context
from tests.servers.delivery import Clock, Delivered, deliver, settings
from tests.servers.fake import RESET_AFTER, RESET_BEFORE
from tests.servers.fake_timesketch import PASSWORD, TOKEN, USER, FakeTimesketch
from tests.sinks.fakes import FakeMapped, events

RECORDS = events(100)
ROWS = sum(len(record.rows()) for record in RECORDS)
PARTS = "&part_lines=20"


@pytest.fixture
def server() -> Iterator[FakeTimesketch]:
    with FakeTimesketch() as fake:
        yield fake


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_USER", USER)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", PASSWORD)


def send(server: FakeTimesketch, folder: Path, options: str = PARTS, records: list[FakeMapped] = RECORDS) -> Delivered:
    return deliver(f"timesketch:{server.address}?spool={folder}&sketch=S{options}", records)


def journal(folder: Path) -> dict:
    (path,) = folder.glob("*/*/upload.json")
    return json.loads(path.read_text())


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*/part-*.jsonl"))


def ids(lines: list[bytes]) -> list[str]:
    return sorted(json.loads(line)["event_id"] for line in lines)


EXPECTED = sorted(row.event_id for record in RECORDS for row in record.rows())


def test_every_row_arrives_once_in_one_timeline_and_the_spool_keeps_only_the_journal(server: FakeTimesketch, tmp_path: Path):
    done = send(server, tmp_path)
    assert done.error is None
    assert (done.counts.written, done.counts.rows, done.counts.skipped) == (86, ROWS, 14)
    assert done.counts.balanced
    assert ids(server.all_rows) == EXPECTED
    assert (server.sketches, [len(timelines) for timelines in server.timelines.values()]) == ({1: "S"}, [1])
    assert len(server.sources) == -(-ROWS // 20)
    assert journal(tmp_path)["complete"] is True
    assert parts(tmp_path) == []
    assert done.sink.acknowledged == len(RECORDS)


def test_only_the_last_part_starts_the_analyzers(server: FakeTimesketch, tmp_path: Path):
    send(server, tmp_path)
    assert [bool(request.fields.get("enable_stream")) for request in server.requests] == [True] * (len(server.requests) - 1) + [False]


def test_the_same_export_again_sends_nothing_and_says_so(server: FakeTimesketch, tmp_path: Path):
    send(server, tmp_path)
    before = len(server.requests)
    again = send(server, tmp_path)
    assert (again.counts.written, again.counts.duplicate, again.error) == (0, 86, None)
    assert len(server.requests) == before
    elsewhere = send(server, tmp_path.with_name("another spool"))
    assert (elsewhere.counts.duplicate, len(server.requests)) == (86, before), "the server says what it has, not our disk"


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("fault", [RESET_BEFORE, RESET_AFTER, 500, 503])
def test_a_failed_upload_resumes_at_the_first_part_that_the_server_does_not_have(
    server: FakeTimesketch, tmp_path: Path, number: int, fault: int | str
):
    server.fault = lambda request: fault if request.number == number else None
    first = send(server, tmp_path)
    if fault == RESET_AFTER:
        assert first.error is None, "the server has it: its data source says so"
    else:
        assert isinstance(first.error, SinkUnavailable)
        assert (first.counts.written, len(server.sources)) == (0, number - 1)
        assert [part["state"] for part in journal(tmp_path)["parts"]][:number] == ["accepted"] * (number - 1) + ["sending"]
        assert len(parts(tmp_path)) == -(-ROWS // 20), "nothing is lost"
        resumed = send(server, tmp_path)
        assert (resumed.error, resumed.counts.written) == (None, 86)
        assert len(server.requests) == -(-ROWS // 20) + 1
    assert ids(server.all_rows) == EXPECTED


def test_a_part_that_arrives_after_its_answer_was_lost_is_waited_for(server: FakeTimesketch, tmp_path: Path):
    held: list[object] = []

    class Late(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if held and self.now > 5:
                server.take(held.pop())

    def fault(request):
        if request.number == 2:
            held.append(request)
            return RESET_BEFORE
        return None

    server.fault = fault
    done = deliver(f"timesketch:{server.address}?spool={tmp_path}&sketch=S{PARTS}", RECORDS, Late())
    assert done.error is None
    assert ids(server.all_rows) == EXPECTED


def test_a_crash_after_the_server_took_a_part_does_not_send_it_again(server: FakeTimesketch, tmp_path: Path, monkeypatch):
    class Killed(SinkError):
        pass

    upload = TimesketchServer.upload

    def kill(self, fields, name, piece):
        upload(self, fields, name, piece)
        if len(server.requests) == 2:
            raise Killed

    monkeypatch.setattr(TimesketchServer, "upload", lambda self, *rest: kill(self, *rest) or upload_answer(server))
    assert isinstance(send(server, tmp_path).error, Killed)
    monkeypatch.undo()
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_USER", USER)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", PASSWORD)
    assert [part["state"] for part in journal(tmp_path)["parts"]][:3] == ["accepted", "sending", "waiting"]
    assert send(server, tmp_path).error is None
    assert ids(server.all_rows) == EXPECTED


def upload_answer(server: FakeTimesketch) -> dict:
    return {"objects": [server.timelines[1][0]]}


def test_pieces_of_a_part_are_put_together_and_repeated_where_the_connection_breaks(server: FakeTimesketch, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(timesketch_delivery, "PIECE_BYTES", 1000)
    server.fault = lambda request: (RESET_BEFORE, RESET_AFTER, 503)[request.number % 3] if request.number % 2 and not request.last else None
    done = send(server, tmp_path, "")
    assert done.error is None
    assert len(server.requests) > 50
    assert len(server.sources) == 1
    assert ids(server.all_rows) == EXPECTED


def test_a_ready_timeline_with_a_complaint_is_not_complete(server: FakeTimesketch, tmp_path: Path):
    server.state = lambda number: (
        ("ready", "19 out of 20 events imported. Most common error type is mapper_parsing\x1b[31m") if number == 2 else ("ready", "")
    )
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkUnavailable)
    assert "19 out of 20 events imported" in str(done.error)
    assert "\x1b" not in str(done.error)
    assert (done.counts.written, journal(tmp_path)["complete"]) == (0, False)
    assert len(server.sources) == 2, "no more is sent into a timeline that is not right"


@pytest.mark.parametrize(("state", "reason"), [(("fail", "Missing field"), "Missing field"), (("processing", ""), "still `processing`")])
def test_a_part_that_is_not_indexed_is_not_complete(server: FakeTimesketch, tmp_path: Path, state: tuple[str, str], reason: str):
    server.state = lambda number: state
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkUnavailable)
    assert reason in str(done.error)


def test_rows_that_appear_after_ready_are_waited_for(server: FakeTimesketch, tmp_path: Path):
    server.late_counts = 3
    done = send(server, tmp_path)
    assert done.error is None
    assert sum(done.clock.waits) == pytest.approx(1.5)


@pytest.mark.parametrize("lost", [1, -1])
def test_another_count_than_ours_is_not_complete(server: FakeTimesketch, tmp_path: Path, lost: int):
    server.lost_rows = lost
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkUnavailable)
    assert f"holds {ROWS - lost} rows instead of {ROWS}" in str(done.error)
    assert sum(done.clock.waits) < 100


def test_a_part_that_the_server_has_twice_is_noticed(server: FakeTimesketch, tmp_path: Path):
    send(server, tmp_path)
    server.sources.append(server.timelines[1][0]["datasources"].append(dict(server.sources[0])))
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkUnavailable)
    assert "2 times" in str(done.error)


def test_after_the_timeline_was_deleted_everything_is_sent_anew(server: FakeTimesketch, tmp_path: Path):
    send(server, tmp_path)
    server.timelines[1].clear()
    server.rows.clear()
    done = send(server, tmp_path)
    assert (done.error, done.counts.written) == (None, 86)
    assert ids(server.all_rows) == EXPECTED


def test_after_the_sketch_was_deleted_another_is_made(server: FakeTimesketch, tmp_path: Path):
    send(server, tmp_path)
    del server.sketches[1]
    server.sketches[7] = "other"
    server.rows.clear()
    assert send(server, tmp_path).error is None
    assert "S" in server.sketches.values()


def test_a_timeline_with_data_of_others_is_refused_before_the_run(server: FakeTimesketch, tmp_path: Path):
    server.add_sketch("S")
    server.timeline(1, "c1")["datasources"].append({"context": None, "status": [{"status": "ready"}]})
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkRefused)
    assert (done.counts.incoming, server.requests) == (0, [])


def test_another_export_is_kept_out_of_the_timeline_and_in_the_spool(server: FakeTimesketch, tmp_path: Path):
    server.fault = lambda request: 503 if request.number == 2 else None
    send(server, tmp_path)
    server.fault = lambda request: None
    other = send(server, tmp_path, records=events(70))
    assert isinstance(other.error, SinkRefused)
    assert "holds another export" in str(other.error)
    assert len(list(tmp_path.glob("*/*/upload.json"))) == 2, "neither replaces the other"
    assert send(server, tmp_path).error is None
    assert ids(server.all_rows) == EXPECTED


def test_a_sketch_is_named_by_number_or_by_a_name_that_only_one_has(server: FakeTimesketch, tmp_path: Path):
    server.add_sketch("S")
    server.add_sketch("S")
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkRefused)
    assert "give the number of one (1, 2)" in str(done.error)
    by_number = deliver(f"timesketch:{server.address}?spool={tmp_path}&sketch=2&timeline=T", RECORDS)
    assert by_number.error is None
    assert [timeline["name"] for timeline in server.timelines[2]] == ["T"]
    assert isinstance(deliver(f"timesketch:{server.address}?spool={tmp_path}&sketch=9", RECORDS).error, SinkRefused)


def test_a_sketch_that_we_may_only_read_is_refused(server: FakeTimesketch, tmp_path: Path):
    server.add_sketch("S")
    server.permissions = '["read"]'
    assert isinstance(send(server, tmp_path).error, SinkRefused)


def test_a_timeline_that_the_server_names_otherwise_is_refused(server: FakeTimesketch, tmp_path: Path):
    server.renames = True
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkRefused)
    assert "c1_1a2b3" in str(done.error)


def test_what_the_server_does_not_want_is_refused(server: FakeTimesketch, tmp_path: Path):
    server.fault = lambda request: 400
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkRefused)
    assert "as told" in str(done.error)
    assert len(server.requests) == 1


def test_a_timeline_without_rows_is_not_uploaded(server: FakeTimesketch, tmp_path: Path):
    done = send(server, tmp_path, records=[FakeMapped("a", [])])
    assert (done.error, done.counts.skipped, server.requests) == (None, 1, [])


def test_the_parts_can_be_kept(server: FakeTimesketch, tmp_path: Path):
    send(server, tmp_path, f"{PARTS}&keep=yes")
    assert b"".join(path.read_bytes() for path in parts(tmp_path)).splitlines() == server.all_rows


def test_a_damaged_part_in_the_spool_is_written_anew(server: FakeTimesketch, tmp_path: Path):
    server.fault = lambda request: 503 if request.number == 2 else None
    send(server, tmp_path)
    parts(tmp_path)[1].write_bytes(b"half")
    assert send(server, tmp_path).error is None
    assert ids(server.all_rows) == EXPECTED


def test_a_wrong_password_is_refused_and_not_repeated(server: FakeTimesketch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", "guessed&wrong")
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkRefused)
    assert "guessed" not in f"{done.error}"
    assert (done.clock.waits, server.requests) == ([], [])


def test_a_password_comes_from_a_file_and_a_token_opens_what_stands_before(server: FakeTimesketch, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD")
    monkeypatch.delenv("DEFENDER_EXPORTER_TIMESKETCH_USER")
    (tmp_path / "password").write_text(f"{PASSWORD}\n", "utf-8")
    assert send(server, tmp_path, f"&user={USER}&password_file={tmp_path / 'password'}").error is None
    (tmp_path / "token").write_text(TOKEN)
    assert send(server, tmp_path, f"&timeline=other&token_file={tmp_path / 'token'}").error is None
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_TOKEN", "wrong")
    done = send(server, tmp_path)
    assert isinstance(done.error, SinkRefused)
    assert "nobody is logged in" in str(done.error)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://dev:secret1@host", "user or a password"),
        ("http://host?password=secret1", "is a secret"),
        ("http://host?token=secret1", "is a secret"),
        ("http://host?sketch=%1b[31m", "visible characters"),
        ("http://host?colour=1", "no option `colour`"),
        ("http://host?part_lines=0", "a number above 0"),
        ("http://host?fingerprint=abc", "fingerprint"),
        ("http://host?ca=x.pem", "begins with `http:`"),
        ("http://host:99999", "no valid host or port"),
        ("http://", "takes an address"),
    ],
)
def test_options_that_are_wrong_are_named_and_secrets_are_not_repeated(target: str, reason: str, tmp_path: Path):
    with pytest.raises(ConfigurationError) as raised:
        open_sink(parse_target(f"timesketch:{target}"), settings(Clock()))
    assert reason in str(raised.value)
    assert "secret1" not in str(raised.value)


@pytest.mark.parametrize("missing", ["USER", "PASSWORD"])
def test_missing_credentials_are_asked_for(missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(f"DEFENDER_EXPORTER_TIMESKETCH_{missing}")
    with pytest.raises(ConfigurationError, match=f"DEFENDER_EXPORTER_TIMESKETCH_{missing}"):
        open_sink(parse_target("timesketch:http://host"), settings(Clock()))


def test_only_one_run_at_a_time_uploads_a_timeline(server: FakeTimesketch, tmp_path: Path):
    def opened(timeline: str) -> Sink:
        return open_sink(parse_target(f"timesketch:{server.address}?spool={tmp_path}&timeline={timeline}"), settings(Clock(), lock=Lock))

    first, second, other = opened("1"), opened("1"), opened("2")
    first.check()
    other.check()
    with pytest.raises(LockHeld):
        second.check()
    first.abort()
    second.check()
    second.abort()
    other.abort()


def test_what_a_killed_run_left_half_written_is_removed(server: FakeTimesketch, tmp_path: Path):
    send(server, tmp_path, f"{PARTS}&keep=yes")
    (folder,) = tmp_path.iterdir()
    (folder / "new-x").mkdir()
    (folder / "new-x" / "part-0001.jsonl.part").write_bytes(b"half")
    assert send(server, tmp_path, f"{PARTS}&keep=yes").error is None
    assert [path.name for path in folder.iterdir() if path.name.startswith("new-")] == []


def test_a_path_is_still_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD")
    assert deliver(f"timesketch:{tmp_path / 'c.jsonl'}", RECORDS).error is None
    assert ids((tmp_path / "c.jsonl").read_bytes().splitlines()) == EXPECTED


def test_tls_is_verified(tmp_path: Path):
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    certificate = authority.issue("server")
    with FakeTimesketch(context=server_context(certificate)) as server:
        refused: list[SinkError | None] = [send(server, tmp_path / "s", options).error for options in ("", f"&ca={other.path}")]
        assert [type(error) for error in refused] == [SinkRefused, SinkRefused]
        assert server.headers == [], "no secret went out"
        assert send(server, tmp_path / "s", f"&ca={authority.path}").error is None
        assert send(server, tmp_path / "s", f"&timeline=2&fingerprint={fingerprint(certificate)}").error is None


def test_a_server_that_is_away_is_not_available(server: FakeTimesketch, tmp_path: Path):
    done = deliver(f"timesketch:http://127.0.0.1:9?spool={tmp_path}", RECORDS)
    assert isinstance(done.error, SinkUnavailable)
    assert "PASSWORD" not in str(done.error)

"""Traces of a host say what the local times of its logs mean, before the logs are read."""

import io
from pathlib import Path
from typing import BinaryIO

import pytest

from exporter.collectors import Settings
from exporter.collectors.host_settings import with_zones
from exporter.errors import EvidenceError, SourceGone
from exporter.formats.time_zone import TimeZone
from exporter.synthetic.etl import build_etl
from exporter.times import TICKS_PER_SECOND, from_iso
from tests.formats.mplog_texts import ACTIONS, EVENT, HEADER, SCAN, encoded
from tests.line import Exported, export

BEGUN = from_iso("2024-03-05T10:00:00Z")[0]
HOUR = 3600 * TICKS_PER_SECOND


class File:
    """A file of an evidence tree that counts how often it is opened, or cannot be."""

    evidence, size, modified_at, volume, snapshot = "memory", None, None, None, None

    def __init__(self, path: str, data: bytes = b"", error: Exception | None = None) -> None:
        self.path, self.data, self.error, self.opened = path, data, error, 0

    def open(self) -> BinaryIO:
        self.opened += 1
        if self.error is not None:
            raise self.error
        return io.BytesIO(self.data)


def trace(bias: int, started_at: int = BEGUN, hours: int | None = 1) -> bytes:
    ended = None if hours is None else started_at + hours * HOUR
    return build_etl([], session="S", log_file="C:\\x", started_at=started_at, ended_at=ended, bias=bias)


def zones(*traces: File) -> list[int]:
    settings = with_zones(Settings(), [("mplog", File("MPLog-1.log")), *(("etw", file) for file in traces)])
    return [traced.zone.standard for traced in settings.zones]


def test_the_heads_of_at_most_64_traces_are_read_defenders_own_first() -> None:
    foreign = [File(f"{number:03}.etl", trace(0)) for number in range(100)]
    own = File("Support/MpWppTracing-1.bin", trace(300))
    assert zones(*foreign, own) == [-300, 0]
    assert own.opened + sum(file.opened for file in foreign) == 64


def test_a_host_without_a_log_has_no_trace_opened() -> None:
    file = File("a.etl", trace(300))
    assert with_zones(Settings(), [("etw", file), ("evtx", File("a.evtx"))]) == Settings()
    assert file.opened == 0


def test_a_trace_that_cannot_be_read_says_nothing_here_and_a_share_that_went_away_ends_the_host() -> None:
    assert zones(File("a.etl", error=EvidenceError("no")), File("b.etl", b"MZ"), File("c.etl", trace(-60))) == [60]
    with pytest.raises(SourceGone):
        zones(File("a.etl", error=SourceGone("away")))


def test_a_trace_that_was_copied_while_it_ran_speaks_for_its_beginning() -> None:
    settings = with_zones(Settings(), [("mplog", File("a.log")), ("etw", File("a.etl", trace(300, hours=None)))])
    (traced,) = settings.zones
    assert (traced.zone, traced.started_at, traced.ended_at) == (TimeZone(-300, -300), BEGUN, BEGUN)


def exported(tmp_path: Path, lines: tuple[str, ...], traces: dict[str, bytes], **options: object) -> Exported:
    support = tmp_path / "WS-1" / "ProgramData" / "Microsoft" / "Windows Defender" / "Support"
    support.mkdir(parents=True)
    (support / "MPLog-20240305-051500.log").write_bytes(encoded(*lines))
    for name, data in traces.items():
        (support / name).write_bytes(data)
    return export(tmp_path / "WS-1", tmp_path / "out", reproducible=True, **options)


def clocks(run: Exported) -> list[tuple[str | None, int | None, str | None]]:
    """Of each block: when it began in UTC, by which offset, and how that is known."""
    blocks = [one for one in run.evidence if one["message"].startswith(("Resource scan", "Threat actions"))]
    return [
        (one["event"].get("start"), *(one["defender"]["mplog"].get(f"utc_offset_{name}") for name in ("minutes", "basis")))
        for one in blocks
    ]


LOG = (EVENT, *SCAN, *ACTIONS)
SCANNED, ACTED = "2024-03-05T10:16:00Z", "2024-03-05T10:17:00Z"


def test_blocks_of_a_log_without_a_header_get_their_time_from_a_trace_that_ran_then(tmp_path: Path) -> None:
    run = exported(tmp_path, LOG, {"MpWppTracing-20240305-050000-00000003-ffffffff.bin": trace(300)}, utc_offset=120)
    assert clocks(run) == [(SCANNED, -300, "trace"), (ACTED, -300, "trace")]


def test_the_logs_own_header_comes_first(tmp_path: Path) -> None:
    run = exported(tmp_path, (*SCAN, *HEADER, *ACTIONS), {"MpWppTracing-1.bin": trace(-60)}, utc_offset=120)
    assert clocks(run) == [("2024-03-05T03:16:00Z", 120, "option"), (ACTED, -300, "session")]


def test_without_a_trace_then_the_users_word_counts_and_without_that_another_trace(tmp_path: Path) -> None:
    late = {"MpWppTracing-1.bin": trace(300, BEGUN + 500 * HOUR)}
    assert clocks(exported(tmp_path / "a", LOG, late, utc_offset=-300)) == [(SCANNED, -300, "option"), (ACTED, -300, "option")]
    assert clocks(exported(tmp_path / "b", LOG, late)) == [(SCANNED, -300, "nearest_trace"), (ACTED, -300, "nearest_trace")]
    assert clocks(exported(tmp_path / "c", LOG, {})) == [(None, None, None), (None, None, None)]


def log_of(*sessions: tuple[str, str]) -> bytes:
    """An MPLog of these session headers: local time, UTC."""
    return encoded(*(line for local, utc in sessions for line in (f"Started On {local}", f"Current time: {utc}.0 UTC (1 ms since boot)")))


def test_sessions_of_the_logs_are_asked_for_a_log_without_its_own() -> None:
    first = File("b/MPLog-1.log", log_of(("03-05-2024 05:15:00", "03/05/2024 10:15:00"), ("03-11-2024 06:00:00", "03/11/2024 10:00:00")))
    second = File("a/MPLog-1.log", log_of(("03-01-2024 05:15:00", "03/01/2024 10:15:00"), ("03-05-2024 05:15:00", "03/05/2024 10:15:00")))
    settings = with_zones(Settings(), [("mpcmdrun", File("MpCmdRun.log")), ("mplog", first), ("mplog", second)])
    locals_ = (from_iso(f"2024-{day}:00Z")[0] for day in ("03-01T05:15", "03-05T05:15", "03-11T06:00"))
    assert settings.sessions == tuple(zip(locals_, (-300, -300, -240), strict=True))


def test_no_log_is_opened_for_its_sessions_where_none_needs_them() -> None:
    log = File("MPLog-1.log", log_of(("03-05-2024 05:15:00", "03/05/2024 10:15:00")))
    assert with_zones(Settings(), [("mplog", log)]).sessions == ()
    assert log.opened == 0


def test_a_log_that_cannot_be_read_says_nothing_here_and_one_on_a_share_that_went_away_ends_the_host() -> None:
    good = File("b.log", log_of(("03-05-2024 05:15:00", "03/05/2024 10:15:00")))
    listed = [("mpcmdrun", File("MpCmdRun.log")), ("mplog", File("a.log", error=EvidenceError("no"))), ("mplog", good)]
    assert [offset for _, offset in with_zones(Settings(), listed).sessions] == [-300]
    with pytest.raises(SourceGone):
        with_zones(Settings(), [*listed, ("mplog", File("c.log", error=SourceGone("away")))])


def test_runs_of_the_command_line_tool_are_told_in_utc_by_the_session_before_them(tmp_path: Path) -> None:
    place = tmp_path / "WS-1" / "Windows" / "Temp"
    place.mkdir(parents=True)
    run = 'MpCmdRun: Command Line: "C:\\x\\MpCmdRun.exe" -h\r\n Start Time: Tue Mar 05 2024 05:16:00\r\n'
    (place / "MpCmdRun.log").write_bytes((run + "-" * 85 + "\r\n").encode("utf-16-le"))
    (one,) = [one for one in exported(tmp_path, HEADER, {}).evidence if "mpcmdrun" in one["defender"]]
    assert (one["@timestamp"], one["defender"]["mpcmdrun"]["utc_offset_basis"]) == ("2024-03-05T10:16:00Z", "session")

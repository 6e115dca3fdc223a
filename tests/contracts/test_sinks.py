"""The same checks for every sink of SINKS: a new one is tested on arrival. Those of SERVERS write to a server that answers here."""

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import ConfigurationError, ReaderGone, SinkRefused, SinkUnavailable
from exporter.records import Mapped
from exporter.sinks import SERVERS, SINKS, Counts, Outcome, Result, Sink
from exporter.sinks.l2tcsv import HEADER
from exporter.sinks.runs import MEMORY_BYTES
from exporter.sinks.targets import SinkSettings, open_sink, parse_target
from exporter.sinks.timesketch import LINE_BYTES
from tests.servers.fake import FakeServer
from tests.sinks.fakes import FakeMapped, events, row

SUFFIXES = {"ecs": "ndjson", "timesketch": "jsonl", "l2tcsv": "csv"}
TIMELINES = ("timesketch", "l2tcsv")
HOSTILE = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    [
        '=cmd|"/C calc"!A0',
        "+1",
        "-2+3",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "＝1",
        "＋1",
        "－1",
        "＠1",
        '"',
        '"",a',
        "a;=1",
        "a\r\nb",
        "\0",
        "\ud800",
        ",",
        "-",
        " =1",
    ]
)
FORMULA = tuple("=+-@\t\r＝＋－＠")


@pytest.fixture(params=[name for name in SINKS if name not in SERVERS])
def name(request: pytest.FixtureRequest) -> str:
    """Every sink that writes files."""
    return request.param


@pytest.fixture(params=SINKS)
def every_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=sorted(SERVERS))
def server_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        SERVER.append(fake)
        yield fake
        SERVER.clear()


SERVER: list[FakeServer] = []

OPENED: list[Sink] = []


@pytest.fixture(autouse=True)
def abort_what_a_test_leaves_open() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().abort()


def opened(target: str, **changes: object) -> Sink:
    OPENED.append(open_sink(parse_target(target), SinkSettings(**{"reproducible": True, "case": "c1", **changes})))
    return OPENED[-1]


def make(name: str, folder: Path, options: str = "", **changes: object) -> Sink:
    target = SERVER[-1].address if name in SERVERS else folder / f"case.{SUFFIXES[name]}"
    return opened(f"{name}:{target}{options}", **changes)


def feed(sink: Sink, records: Iterable[Mapped]) -> tuple[Counts, list[Result]]:
    counts, results = Counts(), []
    sink.check()
    for position, record in enumerate(records, 1):
        counts.incoming += 1
        results += sink.write(record, position)
    results += sink.flush()
    for result in results:
        counts.add(result)
    return counts, results


def export(sink: Sink, records: Iterable[Mapped]) -> bytes:
    feed(sink, records)
    return b"".join(Path(path).read_bytes() for path in sink.close())


def test_every_sink_has_a_suffix_here(name: str):
    assert name in SUFFIXES, f"tell this test how files of `{name}` end"


def test_every_record_gets_one_result_and_the_counts_balance(every_name: str, tmp_path: Path):
    records = events(2500)
    counts, results = feed(make(every_name, tmp_path), records)
    assert counts.balanced
    assert [(result.position, result.id) for result in results] == [(number, record.id) for number, record in enumerate(records, 1)]


def test_rows_counted_are_lines_written(name: str, tmp_path: Path):
    sink = make(name, tmp_path)
    counts, _ = feed(sink, events(500))
    sink.close()
    lines = (tmp_path / f"case.{SUFFIXES[name]}").read_bytes().count(b"\n")
    assert counts.rows == lines - (name == "l2tcsv")


@pytest.mark.parametrize("timeline", TIMELINES)
def test_a_record_without_a_time_is_skipped_with_its_reason_in_timelines(timeline: str, tmp_path: Path):
    _, results = feed(make(timeline, tmp_path), [FakeMapped("a", []), FakeMapped("b", [row()])])
    assert [(result.outcome, result.reason) for result in results] == [(Outcome.SKIPPED, "no usable time"), (Outcome.WRITTEN, "")]


def test_nothing_is_acknowledged_before_the_file_has_its_name(name: str, tmp_path: Path):
    sink = make(name, tmp_path)
    sink.check()
    seen = []
    for position, record in enumerate(events(50), 1):
        list(sink.write(record, position))
        seen.append(sink.acknowledged)
    list(sink.flush())
    seen.append(sink.acknowledged)
    assert set(seen) == {0}
    sink.close()
    assert sink.acknowledged == 50


def test_aborting_after_closing_changes_nothing(name: str, tmp_path: Path):
    sink = make(name, tmp_path)
    data = export(sink, events(10))
    sink.abort()
    assert (tmp_path / f"case.{SUFFIXES[name]}").read_bytes() == data


def test_aborting_leaves_nothing(name: str, tmp_path: Path):
    sink = make(name, tmp_path)
    feed(sink, events(100))
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_target_is_refused_and_kept(name: str, tmp_path: Path):
    target = tmp_path / f"case.{SUFFIXES[name]}"
    target.write_text("precious")
    with pytest.raises(SinkRefused, match="exists"):
        make(name, tmp_path).check()
    assert target.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [target]


def test_an_existing_target_is_replaced_by_force(name: str, tmp_path: Path):
    (tmp_path / f"case.{SUFFIXES[name]}").write_text("old")
    assert b"old" not in export(make(name, tmp_path, force=True), events(3))


def test_a_target_in_no_folder_is_refused(name: str, tmp_path: Path):
    with pytest.raises(SinkRefused, match="cannot be created"):
        make(name, tmp_path / "nowhere").check()


def test_unknown_options_are_refused(every_name: str, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="no option `colour`"):
        make(every_name, tmp_path, "?colour=red")


def test_a_server_acknowledges_what_it_has_answered_and_nothing_else(server_name: str, tmp_path: Path, server: FakeServer):
    sink = make(server_name, tmp_path, "?batch_documents=10")
    sink.check()
    for position, record in enumerate(events(25), 1):
        list(sink.write(record, position))
        assert sink.acknowledged == position // 10 * 10 == len(server.documents)
    list(sink.flush())
    assert sink.acknowledged == 25 == len(server.documents)
    assert sink.close() == []


def test_what_was_not_sent_before_aborting_is_not_sent(server_name: str, tmp_path: Path, server: FakeServer):
    sink = make(server_name, tmp_path, "?batch_documents=10")
    sink.check()
    for position, record in enumerate(events(25), 1):
        list(sink.write(record, position))
    sink.abort()
    sink.abort()
    assert len(server.documents) == 20


def test_two_runs_send_the_same_documents_and_the_second_says_that_they_were_there(server_name: str, tmp_path: Path, server: FakeServer):
    first, _ = feed(make(server_name, tmp_path), events(300))
    documents = dict(server.documents)
    assert list(documents.values()) == [record.document() for record in events(300)]
    second, _ = feed(make(server_name, tmp_path), events(300))
    assert (first.written, first.duplicate, second.written, second.duplicate) == (300, 0, 0, 300)
    assert server.documents == documents


def test_two_runs_write_the_same_bytes(name: str, tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert export(make(name, tmp_path / "a"), events(300)) == export(make(name, tmp_path / "b"), events(300))


@pytest.mark.parametrize("timeline", TIMELINES)
def test_timelines_do_not_depend_on_the_order_of_arrival(timeline: str, tmp_path: Path):
    first = export(make(timeline, tmp_path), events(300))
    shuffled = events(300)
    random.Random(1).shuffle(shuffled)
    assert export(make(timeline, tmp_path, force=True), shuffled) == first


def test_standard_output_takes_every_sink(name: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    sink = opened(f"{name}:-")
    feed(sink, events(20))
    assert sink.close() == []
    assert capfdbinary.readouterr().out == export(make(name, tmp_path), events(20))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_a_sink_that_is_not_available(name: str):
    sink = opened(f"{name}:/dev/full", force=True)
    feed_and_close = feed_to_the_end(sink)
    with pytest.raises(SinkUnavailable, match="cannot be written"):
        feed_and_close()
    sink.abort()
    assert Path("/dev/full").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_reader_that_goes_away_is_told_apart(name: str, tmp_path: Path):
    pipe = tmp_path / f"pipe.{SUFFIXES[name]}"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = opened(f"{name}:{pipe}")
    sink.check()
    os.close(reader)
    with pytest.raises(ReaderGone):
        feed_to_the_end(sink)()


def feed_to_the_end(sink: Sink) -> Callable[[], object]:
    def run() -> None:
        feed(sink, events(20))
        sink.close()

    return run


def hostile_records(texts: list[str]) -> list[FakeMapped]:
    """The texts in every place where evidence can put them."""
    return [
        FakeMapped(
            f"{number:040x}",
            [
                row(
                    **dict.fromkeys(("message", "plaso_message", "plaso_short_message"), text),
                    **dict.fromkeys(("hostname", "username", "display_name", "parser", "source_short", "source_long"), text),
                    tags=(text,),
                    attributes={"threat_name": text, "strings": [text], "size": text, "inode": text},
                    order=(text, number),
                )
            ],
        )
        for number, text in enumerate(texts)
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(HOSTILE, max_size=4), dialect=st.sampled_from(("safe", "psort")))
def test_hostile_texts_stay_in_their_cells(texts: list[str], dialect: str, tmp_path: Path):
    data = export(make("l2tcsv", tmp_path, f"?dialect={dialect}", force=True), hostile_records(texts))
    assert data.startswith(HEADER)
    assert data.count(b"\n") == 1 + len(texts)
    lines = data.decode("utf-8").split("\n")
    assert all(line.count(",") == 16 for line in lines[:-1])
    rows = list(csv.reader(data.decode("utf-8").split("\n")[:-1]))
    assert [len(cells) for cells in rows] == [17] * (1 + len(texts))
    if dialect == "safe":
        assert not [cell for cells in rows for cell in cells if cell != "-" and cell.lstrip(" \t").startswith(FORMULA)]
        assert not [part for cells in rows for cell in cells for part in cell.split(";") if part != cell and part.startswith(FORMULA)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(HOSTILE, max_size=4))
def test_hostile_texts_stay_in_their_objects(texts: list[str], tmp_path: Path):
    data = export(make("timesketch", tmp_path, force=True), hostile_records(texts))
    assert data.count(b"\n") == len(texts)
    for line in data.splitlines():
        entry = json.loads(line)
        assert all(isinstance(value, (str, int, list)) for value in entry.values())
        assert None not in entry.values()
        assert "" not in (entry["message"], entry.get("hostname", "-"), entry.get("username", "-"))


@pytest.mark.parametrize("character", ["a", "\x01", "é", "\U0001f600"])
@pytest.mark.parametrize("place", ["message", "strings", "xml_string"])
def test_a_line_above_one_mebibyte_is_cut_and_tagged(character: str, place: str, tmp_path: Path):
    text = character * (2 << 20)
    changes = {"message": text} if place == "message" else {"attributes": {place: [character] * (1 << 20) if place == "strings" else text}}
    data = export(make("timesketch", tmp_path), [FakeMapped("a", [row(**changes)]), FakeMapped("b", [row()])])
    assert len(data.splitlines()) == 2
    entry = next(json.loads(line) for line in data.splitlines() if b"truncated" in line[-20:])
    assert len(max(data.splitlines(), key=len)) <= LINE_BYTES
    assert entry["event_id"] == row().event_id
    assert entry[place][0] == character


MEASURE = """
import resource, sys
from tests.sinks.fakes import FakeMapped, row
from exporter.sinks.targets import SinkSettings, open_sink, parse_target

def rows(count):
    for number in range(count):
        ticks = 133_144_416_260_770_946 + number * 7919 % 100_003 * 10_000_019
        yield FakeMapped("x", [row(ticks=ticks, order=("p", number))])

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

sink = open_sink(parse_target(sys.argv[1]), SinkSettings())
sink.check()
before = peak()
for position, record in enumerate(rows(200_000), 1):
    sink.write(record, position)
sink.flush()
sink.close()
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read by getrusage")
def test_two_hundred_thousand_rows_stay_within_their_memory(name: str, tmp_path: Path):
    target = tmp_path / f"case.{SUFFIXES[name]}"
    command = [sys.executable, "-c", MEASURE, f"{name}:{target}"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5 * MEMORY_BYTES
    with target.open("rb") as lines:
        assert sum(1 for _ in lines) == 200_000 + (name == "l2tcsv")
    assert list(tmp_path.iterdir()) == [target]

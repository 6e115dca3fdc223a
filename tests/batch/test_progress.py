"""Progress of a batch: hosts, bytes, and an estimate of the rest."""

import json

import pytest

from exporter.batch.task import Item, failed
from exporter.cli.batch_progress import Count, Silent, Terminal, make

DONE = failed(Item(id="1", label="H1", evidence=()), "gone")


def counted(times: list[float]) -> tuple[Count, list[float | None]]:
    """A count whose clock shows these times, and what it says."""
    said: list[float | None] = []
    clock = iter(times)
    return Count(lambda count: said.append(count.seconds_left), lambda: next(clock)), said


def test_the_rest_is_estimated_by_bytes_and_hosts() -> None:
    now = [0.0]
    said: list[float | None] = []
    count = Count(lambda count: said.append(count.seconds_left), lambda: now[0])
    count.start(4, 8_000_000)
    now[0] = 10.0
    count.advance(2_000_000)
    count.done(DONE)
    now[0] = 20.0
    count.advance(2_000_000)
    count.done(DONE)
    assert said[0] is None
    assert count.seconds_left == pytest.approx(20.0)
    assert (count.hosts, count.failed, count.size) == (2, 2, 4_000_000)


def test_what_is_unpacked_does_not_count_as_more_than_all() -> None:
    count, _ = counted([0.0] * 9)
    count.start(1, 1000)
    count.advance(10_000)
    assert count.size == 1000


def test_it_is_told_twice_a_second_at_most_and_at_the_end() -> None:
    count, said = counted([0.0, 0.1, 0.2, 0.6, 0.7, 0.7, 0.7, 0.7])
    count.start(1, 10)
    for _ in range(3):
        count.advance(1)
    before = len(said)
    count.done(DONE)
    assert (before, len(said)) == (2, 3)


def test_json_lines_name_hosts_bytes_and_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    teller = make("json")
    teller.start(1, 1000)
    teller.advance(400)
    teller.done(DONE)
    teller.close()
    lines = [json.loads(line)["progress"] for line in capsys.readouterr().err.splitlines()]
    assert lines[0] == {"hosts": 0, "hosts_total": 1, "not_complete": 0, "bytes": 0, "bytes_total": 1000, "seconds_left": None}
    assert (lines[-1]["hosts"], lines[-1]["not_complete"], lines[-1]["bytes"], lines[-1]["seconds_left"]) == (1, 1, 400, 0)


def test_without_a_terminal_there_is_nothing_to_see(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(make("auto"), Silent)
    assert isinstance(make("none"), Silent)


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    bar = Terminal()
    bar.start(3, 5_000_000)
    bar.advance(1_000_000)
    bar.done(DONE)
    bar.close()
    assert bar.hosts == 1

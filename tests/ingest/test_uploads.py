"""A delivery that uploads a timeline and fails: the next run completes that timeline or takes it away, and every row is there once."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from exporter.errors import SinkRefused, SinkUnavailable
from exporter.sinks import timesketch_delivery
from exporter.state.history import verify
from tests.ingest.share import Share, ingester, night
from tests.line import export
from tests.servers.fake_timesketch import PASSWORD, USER, FakeTimesketch


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTimesketch]:
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_USER", USER)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", PASSWORD)
    monkeypatch.setattr(timesketch_delivery, "SETTLE_SECONDS", 0.1)
    with FakeTimesketch() as fake:
        yield fake


def to(server: FakeTimesketch) -> tuple[str, ...]:
    return (f"timesketch:{server.address}?sketch=S&timeline={{case}}-{{run}}&part_lines=20&patience=1",)


def rows(server: FakeTimesketch) -> Counter[str]:
    return Counter(orjson.loads(row)["event_id"] for row in server.all_rows)


def expected(share: Share, folder: Path) -> Counter[str]:
    return Counter(line["event_id"] for line in export(sorted(share.folder.iterdir()), folder, sinks=("timesketch",)).lines)


def names(server: FakeTimesketch) -> list[str]:
    return [timeline["name"].rpartition("-20")[0] for timelines in server.timelines.values() for timeline in timelines]


def fail(server: FakeTimesketch, share: Share, **more: object) -> None:
    """A night whose third part is refused, or its answer lost."""
    server.fault = lambda request: 500 if len(server.sources) == 2 else None
    with pytest.raises(SinkUnavailable):
        night(share.folder, to=to(server), **more)
    assert len(server.sources) == 2
    server.fault = lambda request: None


def assert_nothing_is_left(share: Share, server: FakeTimesketch, **more: object) -> None:
    with ingester(share.folder, to=to(server), **more) as made:
        assert made.state.unfinished() is None
        assert list(verify(made.state)) == []
        assert list((made.state.folder / "timesketch-spool").glob("*")) == []


def test_the_next_night_completes_the_timeline_when_the_share_is_as_it_was(share: Share, server: FakeTimesketch, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    fail(server, share)
    taken = [source["context"] for source in server.sources]
    night(share.folder, to=to(server))
    assert [source["context"] for source in server.sources][:2] == taken
    assert (len(names(server)), server.removed) == (1, [])
    assert rows(server) == expected(share, tmp_path / "once")
    assert_nothing_is_left(share, server)


def test_the_next_night_makes_the_timeline_anew_when_the_share_has_grown(share: Share, server: FakeTimesketch, tmp_path: Path) -> None:
    share.show(share.hosts[0], 0.5)
    fail(server, share)
    share.show(share.hosts[0])
    night(share.folder, to=to(server))
    assert (len(names(server)), len(server.removed)) == (1, 1)
    assert rows(server) == expected(share, tmp_path / "once")
    assert_nothing_is_left(share, server)


def test_a_timeline_of_one_case_is_taken_away_when_the_next_night_begins_with_another(
    share: Share, server: FakeTimesketch, tmp_path: Path
) -> None:
    first, second = sorted(share.hosts)
    share.show(second)
    fail(server, share, case_from="host")
    share.show(first)
    night(share.folder, to=to(server), case_from="host")
    assert (names(server), len(server.removed)) == ([first, second], 1)
    assert max(rows(server).values()) == max(expected(share, tmp_path / "once").values())
    assert_nothing_is_left(share, server, case_from="host")


def test_a_timeline_of_a_collection_that_is_gone_is_taken_away(share: Share, server: FakeTimesketch) -> None:
    first, second = share.hosts
    share.show(first)
    night(share.folder, to=to(server))
    share.show(second)
    server.fault = lambda request: 403
    with pytest.raises(SinkRefused):
        night(share.folder, to=to(server))
    server.timeline(1, f"T1-{_unfinished(share, server)}")["datasources"] = []
    shutil.rmtree(share.folder / second)
    server.fault = lambda request: None
    night(share.folder, to=to(server))
    assert (len(names(server)), len(server.removed)) == (1, 1)
    assert_nothing_is_left(share, server)


def _unfinished(share: Share, server: FakeTimesketch) -> str:
    with ingester(share.folder, to=to(server)) as made:
        left = made.state.unfinished()
    assert left is not None
    return left.stamp


def test_a_timeline_that_has_nothing_new_to_complete_it_is_taken_away(share: Share, server: FakeTimesketch, tmp_path: Path) -> None:
    """What failed came from a copy that is gone; the other copy of the host was delivered before."""
    share.show(share.hosts[0])
    wanted = expected(share, tmp_path / "once")
    night(share.folder, to=to(server))
    share.zip(share.hosts[1], "second.zip")
    server.fault = lambda request: 500 if len(server.sources) > 5 else None
    with pytest.raises(SinkUnavailable):
        night(share.folder, to=to(server))
    server.fault = lambda request: None
    (share.folder / "second.zip").unlink()
    share.zip(share.hosts[0], "again.zip")
    night(share.folder, to=to(server))
    assert len(names(server)) == 1
    assert rows(server) == wanted
    assert_nothing_is_left(share, server)


@pytest.mark.parametrize("spoiled", ["conflict", "missing rows"])
def test_a_timeline_that_can_never_be_complete_is_taken_away_at_once(
    share: Share, server: FakeTimesketch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    share.show(share.hosts[0])
    monkeypatch.setattr(timesketch_delivery, "COUNT_SECONDS", 0.1)
    if spoiled == "conflict":
        server.state = lambda number: ("ready", "1 out of 2 events imported" if number == 3 else "")
    server.lost_rows = 1
    with pytest.raises(SinkUnavailable):
        night(share.folder, to=to(server))
    assert (names(server), len(server.removed)) == ([], 1)
    server.state, server.lost_rows = (lambda number: ("ready", "")), 0
    night(share.folder, to=to(server))
    assert rows(server) == expected(share, tmp_path / "once")
    assert_nothing_is_left(share, server)


def test_a_server_that_will_not_remove_a_timeline_stops_the_run_and_the_next_one_tries_again(
    share: Share, server: FakeTimesketch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share.show(share.hosts[0], 0.5)
    fail(server, share)
    share.show(share.hosts[0])
    with monkeypatch.context() as patch:
        patch.setattr(FakeTimesketch, "refuses_to_remove", True)
        with pytest.raises(SinkRefused, match="cannot be deleted"):
            night(share.folder, to=to(server))
    night(share.folder, to=to(server))
    assert rows(server) == expected(share, tmp_path / "once")

"""Hosts become outputs: documents as they come, the rest at the end, all files at once after the servers."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from exporter import __version__
from exporter.batch.merge import Hosts, Output, merge, merge_early
from exporter.batch.store import Done, Part, Store
from exporter.batch.task import Item, Outcome
from exporter.batch.totals import BatchReport
from exporter.errors import SinkUnavailable
from exporter.report.run import SinkReport
from exporter.sinks.runs import Saved

LIMIT = 30


class Recorded:
    """A sink that tells what is asked of it; `fails` is where it gives up, `meets` what it waits for when it is filled."""

    name = "ecs"

    def __init__(self, fails: str = "", meets: threading.Barrier | threading.Event | None = None) -> None:
        self._fails, self._meets = fails, meets
        self.calls: list[str] = []
        self.saved: list[str] = []
        self.takes_hosts_early = False
        self.aborted = threading.Event()

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self._fails:
            raise SinkUnavailable(f"the disk is full in {name}")

    def merge(self, saved: Sequence[Saved]) -> None:
        self._called("merge")
        self.saved += [part.path.name for part in saved]
        if self._meets is not None and self._meets.wait(LIMIT) is not False:
            self.calls.append("met")

    def flush(self) -> Iterable[object]:
        self._called("flush")
        return ()

    def close(self) -> list[str]:
        self._called("close")
        return [self.name]

    def abort(self) -> None:
        self.aborted.set()


def merged(tmp_path: Path, *sinks: Recorded, servers: int = 0) -> list[SinkReport]:
    """The reports of the sinks, the first `servers` of which are servers."""
    reports = [SinkReport(name=sink.name, target="x", server=number < servers) for number, sink in enumerate(sinks)]
    outputs = [Output(number, sink, report) for number, (sink, report) in enumerate(zip(sinks, reports, strict=True))]  # type: ignore[arg-type]
    store = Store(tmp_path)
    merge(store, Hosts(store, [], ""), outputs, BatchReport(case="C1", sinks=reports))
    return reports


def test_files_are_filled_at_the_same_time(tmp_path: Path) -> None:
    meeting = threading.Barrier(2)
    reports = merged(tmp_path, Recorded(meets=meeting), Recorded(meets=meeting))
    assert [report.written for report in reports] == [["ecs"], ["ecs"]]


def test_a_file_that_fails_ends_the_others(tmp_path: Path) -> None:
    good = Recorded()
    good._meets = good.aborted
    bad = Recorded(fails="close")
    with pytest.raises(SinkUnavailable, match="the disk is full in close"):
        merged(tmp_path, good, bad)
    assert good.calls[:2] == ["merge", "met"]
    assert bad.aborted.is_set()


def test_no_file_is_there_before_the_servers_have_everything(tmp_path: Path) -> None:
    server, file = Recorded(fails="flush"), Recorded()
    with pytest.raises(SinkUnavailable, match="in flush"):
        merged(tmp_path, server, file, servers=1)
    assert (server.calls, file.calls) == (["merge", "flush"], [])
    server, file = Recorded(), Recorded()
    merged(tmp_path, server, file, servers=1)
    assert (server.calls, file.calls) == (["merge", "flush", "close"], ["merge", "flush", "close"])


def read(store: Store, item: Item) -> None:
    """Leave what a process does that has read a host."""
    part = Part(f"of {item.id}", 0, 0, 0, 0)
    outcome = Outcome(id=item.id, host=item.label, state="complete")
    store.save(Done(version=__version__, settings="", input="", outcome=outcome, folder="x", parts=(part,)))


def test_documents_are_taken_as_hosts_are_done_but_in_the_order_of_the_plan(tmp_path: Path) -> None:
    items = [Item(id=name, label=name, evidence=()) for name in "abcd"]
    store, sink, stream = Store(tmp_path), Recorded(), Recorded()
    sink.takes_hosts_early = True
    reports = [SinkReport(name="ecs", target="x"), SinkReport(name="ecs", target="-")]
    outputs = [Output(0, sink, reports[0]), Output(0, stream, reports[1])]  # type: ignore[arg-type]
    hosts = Hosts(store, items, "")
    taken = []
    for number in (2, 0, 1):
        read(store, items[number])
        merge_early(store, hosts, outputs, {item.id for item in items if store.read(item.id) is None})
        taken.append(list(sink.saved))
    assert taken == [[], ["of a"], ["of a", "of b", "of c"]]
    assert stream.saved == []
    read(store, items[3])
    merge(store, hosts, outputs, BatchReport(case="C1", sinks=reports))
    assert sink.saved == stream.saved == ["of a", "of b", "of c", "of d"]

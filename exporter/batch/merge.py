"""The end of a batch: what the hosts have left, in the order of the plan, becomes the outputs."""

import itertools
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import msgspec

from exporter.batch.store import Done, Store
from exporter.batch.task import Item, Outcome
from exporter.batch.totals import BatchReport
from exporter.errors import SinkUnavailable
from exporter.report.run import SinkReport
from exporter.sinks import Sink
from exporter.sinks.atomic import PartFile
from exporter.sinks.parts import Merging
from exporter.sinks.runs import Saved


class Output(msgspec.Struct):
    """A sink that merges, its number among the targets, its report, and how many hosts it has taken before the end."""

    number: int
    sink: Sink
    report: SinkReport
    taken: int = 0


class Hosts:
    """The items with their manifests, read from the disk each time: they are many."""

    def __init__(self, store: Store, items: Sequence[Item], settings: str) -> None:
        self._store, self._items, self._settings = store, items, settings

    def __iter__(self) -> Iterator[tuple[Item, Done | None, Outcome]]:
        return self.after(0)

    def after(self, number: int, waiting: Container[str] = ()) -> Iterator[tuple[Item, Done | None, Outcome]]:
        """All but the first ones, up to the first that somebody waits for."""
        for item in itertools.islice(self._items, number, None):
            if item.id in waiting:
                return
            done = self._store.current(item, self._settings, whole=False)
            yield item, done, done.outcome if done is not None else _missing(item)


def _missing(item: Item) -> Outcome:
    return Outcome(id=item.id, host=item.label, state="missing", reasons=("it was not read yet",), size=item.size)


def count(hosts: Hosts, report: BatchReport) -> None:
    """Sum up all hosts."""
    for _, _, outcome in hosts:
        report.add(outcome)
    report.check()


def merge_early(store: Store, hosts: Hosts, outputs: Sequence[Output], waiting: Container[str]) -> None:
    """Fill the files that hosts go to in the order of the plan, as far as nobody waits for a host. Raises SinkError."""
    for output in outputs:
        if getattr(output.sink, "takes_hosts_early", False):
            assert isinstance(output.sink, Merging)
            for _, done, _ in hosts.after(output.taken, waiting):
                output.sink.merge(_parts(store, done, output.number))
                output.taken += 1


def merge(store: Store, hosts: Hosts, outputs: Sequence[Output], report: BatchReport) -> None:
    """Fill the sinks and close them. Raises SinkError, and then nothing is open any more.

    Files are filled at once, each by a thread: most of that is waiting for the disk. Servers come first: a file that is there says that
    the batch is delivered.
    """
    for output in outputs:
        if output.report.server:
            _fill(store, hosts, output, report)
    with ThreadPoolExecutor(max(1, len(outputs))) as threads:
        filled = [threads.submit(_complete, store, hosts, output, report) for output in outputs]
        try:
            wait(filled, return_when=FIRST_EXCEPTION)
            for future in sorted(filled, key=lambda future: not future.done()):
                future.result()
        except BaseException:
            for output in outputs:
                output.sink.abort()  # its thread finds it closed
            raise


def _complete(store: Store, hosts: Hosts, output: Output, report: BatchReport) -> None:
    if not output.report.server:
        _fill(store, hosts, output, report)
    output.report.written = output.sink.close()


def _fill(store: Store, hosts: Hosts, output: Output, report: BatchReport) -> None:
    assert isinstance(output.sink, Merging)
    counts = output.report.counts
    saved = [part for _, done, _ in hosts.after(output.taken) for part in _parts(store, done, output.number)]
    lines = sum(part.lines for part in saved)
    if output.sink.name != "ecs" and lines != counts.rows:
        report.unbalanced.append(f"sink {output.report.name}: {counts.rows} line(s) were written, {lines} are there")
    output.sink.merge(saved)
    for _ in output.sink.flush():
        pass
    if not getattr(output.sink, "sent", True):
        counts.duplicate, counts.written = counts.duplicate + counts.written, 0


def _parts(store: Store, done: Done | None, number: int) -> list[Saved]:
    """The part of a host, if it has left one."""
    part = store.saved(done, number) if done is not None and done.parts else None
    return [] if part is None else [part]


def merge_letters(store: Store, hosts: Hosts, path: Path, *, force: bool) -> str | None:
    """All dead letters in one file; its path, or None when nothing was lost. Raises SinkError."""
    file = PartFile(path, force)
    try:
        empty = True
        for _, done, _ in hosts:
            if done is not None and done.letters is not None:
                empty = False
                file.write((store.folder / done.folder / done.letters.name).read_bytes())
        if not empty:
            return file.commit()[0]
        if force:
            path.unlink(missing_ok=True)
        return None
    except OSError as error:
        raise SinkUnavailable(f"dead letters cannot be read: {error.strerror}") from error
    finally:
        file.abort()


def write_manifest(path: Path, head: dict[str, Any], hosts: Hosts, store: Store) -> None:
    """The manifest of the batch: its head, and then every host with its own; never more than one of them in memory."""
    file = PartFile(path, force=True)
    try:
        file.write(msgspec.json.encode(head)[:-1] + b',"hosts":[')
        for number, (item, done, outcome) in enumerate(hosts):
            report = store.report(item.id) if done is not None else msgspec.Raw(b"null")
            file.write((b",\n" if number else b"\n") + msgspec.json.encode({"item": item, "outcome": outcome, "report": report}))
        file.write(b"\n]}\n")
        file.commit()
    finally:
        file.abort()

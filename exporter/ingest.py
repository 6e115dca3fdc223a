"""The share that cron reads: what is new and stable on it is delivered, once.

A collection whose names, sizes and times are as they were when it was delivered is not opened. In a folder that changed, only the files
that changed are read, from their start: the ids of their events say what is new. Incidents are told anew when they grew.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from exporter.collectors import COLLECTORS, ReadingOptions
from exporter.collectors.guard import load
from exporter.collectors.host_settings import CLOCKS
from exporter.deliveries import Delivery, DeliverySettings, check_targets, discard_unfinished
from exporter.errors import ConfigurationError, EvidenceError, SourceGone
from exporter.evidence import EvidenceFile, Tree, layouts
from exporter.evidence.folder import FolderTree
from exporter.evidence.hosts import Discovery, Host, discover, open_tree
from exporter.evidence.patience import Patience, PatientFile
from exporter.evidence.share import Collection, Unlisted, collections
from exporter.file_history import FileHistory, Tell
from exporter.job import computer_of, images_of
from exporter.pipeline import Progress
from exporter.report.run import RunReport
from exporter.state.checkpoint import State
from exporter.state.lock import Lock
from exporter.state.place import prepare

CASE_FROM = ("host", "folder")
_STARVED = 10
"""Times `settle`, after which a delivered collection that never rests is read as it is."""
_MOMENT = 0.05
_SLOWEST_BYTES = 1 << 20
"""A second, for finding out what a collection holds."""
_CUT_SECONDS = 86_400
"""How long a log that ends in the middle of a block may take to grow."""


class Ingest(ReadingOptions, frozen=True, kw_only=True):
    """The options of `ingest`, as the command line and the configuration file give them. Times are in seconds."""

    share: Path
    state: Path
    case_from: str
    to: tuple[str, ...]
    settle: float = 60.0
    deadline: float = 300.0
    alerts: str = "incident"
    temporary: Path | None = None
    metrics: Path | None = None
    reproducible: bool = False
    force_network_state: bool = False


class Night(msgspec.Struct, kw_only=True):
    """What one run did. `problems` and `unsettled` are collections that wait for the next run, for `lag_seconds` by now."""

    started: float = 0.0
    collections: int = 0
    files: int = 0
    delivered: int = 0
    events: int = 0
    known: int = 0
    rejected: int = 0
    damaged: bool = False
    written: list[str] = []
    problems: dict[str, str] = {}
    unsettled: dict[str, float] = {}
    lag_seconds: float = 0.0
    complete: bool = False


class Ingester:
    """Runs over one share, one after the other; holds the lock of the state folder until `close`. Raises LockHeld."""

    def __init__(self, options: Ingest, tell: Tell, progress: Progress) -> None:
        targets = check_targets(options.to)
        self._outputs = [target.path for target in targets if target.path is not None]
        self._patience = Patience(options.deadline)
        self._share, self._away = self._find_share(options)
        folder = prepare(options.state, force_network=options.force_network_state)
        self._options, self._tell, self._progress = options, tell, progress
        self._settings = DeliverySettings(
            to=options.to,
            letters=folder / "dead-letters.ndjson",
            alerts=options.alerts,
            temporary=options.temporary,
            reproducible=options.reproducible,
            **options.reading,
        )
        with ExitStack() as opened:
            opened.enter_context(Lock(folder))
            self.state = opened.enter_context(closing(State(folder, force_network=options.force_network_state)))
            self.state.bind({"cases from": options.case_from, "targets": list(options.to)})
            self._opened = opened.pop_all()
        self._tails = {name: load(name).tails for name in COLLECTORS}
        self._delivery: Delivery | None = None
        self.night = Night()

    def close(self) -> None:
        """Give the lock back."""
        self._patience.close()
        self._opened.close()

    def run(self, sleep: Callable[[float], None] = time.sleep, *, wait: bool = True) -> Night:
        """One night: deliver what is stable; `wait` once for what may become so. Raises SinkError, EvidenceError, ConfigurationError."""
        self.night = night = Night(started=time.time())
        if self._away is not None:
            raise EvidenceError(self._away, str(self._options.share))
        for again in (False, True):
            if again and (not night.unsettled or not wait):
                break
            if again:
                sleep(max(night.unsettled.values()) + _MOMENT)
            with self.state.transaction():
                ready = list(self._ready())
            try:
                for collection in ready:
                    self._collection(collection)
                self._end_delivery()
            except BaseException:
                self._abort()
                raise
        if not night.unsettled and not night.problems:
            discard_unfinished(self.state, self._settings)  # what failed once and is not on the share any more
        self._say_what_waits()
        night.complete = not night.problems
        return night

    def _find_share(self, options: Ingest) -> tuple[Path, str | None]:
        """Where it really is, asked with patience: already the name of a share that is away may hang; then, why there is no answer."""
        try:
            share = self._patience.call(options.share.resolve)
        except (SourceGone, OSError) as error:
            return options.share, str(error)
        for place in (options.state, *self._outputs, *filter(None, [options.temporary, options.metrics])):
            if place.resolve().is_relative_to(share):
                raise ConfigurationError(f"`{place}` lies on the share `{options.share}`, which is never written to")
        return share, None

    def _ready(self) -> Iterator[Collection]:
        """What changed and is stable."""
        night = self.night
        night.collections = night.files = 0
        night.lag_seconds = 0.0
        night.unsettled = {}
        tails = [tail for names in self._tails.values() for tail in names]
        try:
            found = collections(self._share, tails, self._patience)
            for item in found:
                if isinstance(item, Unlisted):
                    self._problem(item.name, item.reason)
                    continue
                night.collections += 1
                night.files += item.files
                if self._is_ready(item):
                    yield item
        except SourceGone as error:
            raise EvidenceError(str(error), str(self._share)) from error
        if not night.collections and not night.problems and self.state.execute("SELECT 1 FROM collections").fetchone():
            raise EvidenceError("it is empty, and was not before: is it mounted?", str(self._share))

    def _is_ready(self, item: Collection) -> bool:
        execute, now = self.state.execute, time.time()
        row = execute("SELECT signature, since, changed, delivered, cut_at FROM collections WHERE name = ?", (item.name,)).fetchone()
        if row is not None and row[0] == item.signature == row[3]:
            return _has_waited(row[4], now)
        since, changed, delivered = now, now, None
        if row is None:
            execute("INSERT INTO collections (name, signature, size, since, changed) VALUES (?, ?, ?, ?, ?)", _facts(item, now, now))
        else:
            delivered = row[3]
            since = min(row[1], now) if row[0] == item.signature else now
            changed = now if row[0] == delivered else min(row[2], now)
            execute(
                "UPDATE collections SET signature = ?, size = ?, since = ?, changed = ? WHERE name = ?",
                (*_facts(item, since, changed)[1:], item.name),
            )
        if delivered == item.signature:
            return False
        self.night.lag_seconds = max(self.night.lag_seconds, now - changed)
        settle = self._options.settle
        starved = delivered is not None and now - changed >= _STARVED * settle
        if item.done or starved or now - since >= settle:
            return True
        self.night.unsettled[item.name] = settle - (now - since)
        return False

    def _collection(self, collection: Collection) -> None:
        patience = self._patience
        allowed = self._options.deadline + collection.size / _SLOWEST_BYTES
        try:
            tree = patience.call(self._open, collection, seconds=allowed)
            try:
                found = patience.call(discover, [tree], self._tails, None, computer_of, seconds=allowed)
                self._deliver(collection, found, patience)
            finally:
                _close(tree, patience)
        except (SourceGone, EvidenceError) as error:
            self._problem(collection.name, str(error))

    def _open(self, collection: Collection) -> Tree:
        if collection.folder:
            return FolderTree(collection.path, archives=False)
        return open_tree(collection.path, images=images_of(self._options))

    def _deliver(self, collection: Collection, found: Discovery, patience: Patience) -> None:
        (cut_at,) = self.state.execute("SELECT cut_at FROM collections WHERE name = ?", (collection.name,)).fetchone()
        as_it_is = not collection.folder or _has_waited(cut_at, time.time())
        history = FileHistory(self.state, collection.name, self._tell, as_it_is=as_it_is)
        hosts = list(self._hosts(collection, found, history, patience))
        cases = [self._case(collection, host.name) for host in hosts] + [self._case(collection, None)] * bool(found.rejected)
        rejected, cut = found.rejected, False
        for case in dict.fromkeys(cases):
            delivery = self._delivery_for(case)
            delivery.ledger.growing = not as_it_is
            of_case = tuple(host for host in hosts if self._case(collection, host.name) == case)
            delivery.report.evidence.append(collection.name)
            cut = delivery.read(Discovery(hosts=of_case, rejected=rejected), history) or cut
            rejected = ()
        history.tell_gone(found)
        self._delivered(collection, cut=cut)
        self._tell("info", "collection-read", f"{collection.name}: {len(hosts)} host(s) read", collection=collection.name)

    def _delivered(self, collection: Collection, *, cut: bool) -> None:
        now = time.time()
        values = (collection.signature, now, now if cut else None, collection.name)
        self.state.execute("UPDATE collections SET delivered = ?, delivered_at = ?, cut_at = ?, problem = NULL WHERE name = ?", values)
        self.night.delivered += 1

    def _hosts(self, collection: Collection, found: Discovery, history: FileHistory, patience: Patience) -> Iterator[Host]:
        """Hosts with the files that changed; an archive that changed is read as a whole."""
        for each in found.hosts:
            host = msgspec.structs.replace(each, name=self._spelled(each.name))
            changed = history.changed(host) if collection.folder else list(host.files)
            history.tell_renamed(host, changed)
            if changed:
                patient: list[tuple[str, EvidenceFile]] = [(of, PatientFile(file, patience)) for of, file in changed]
                clocks = [(of, file) for of, file in host.files if of in CLOCKS]
                earlier = tuple((of, PatientFile(file, patience)) for of, file in clocks if (of, file) not in changed)
                yield msgspec.structs.replace(host, files=tuple(patient), earlier_clocks=earlier)

    def _spelled(self, host: str) -> str:
        """The name as it was spelled first: ids hold it."""
        self.state.execute("INSERT OR IGNORE INTO hosts VALUES (?, ?)", (host.casefold(), host))
        return str(self.state.execute("SELECT name FROM hosts WHERE folded = ?", (host.casefold(),)).fetchone()[0])

    def _case(self, collection: Collection, host: str | None) -> str:
        if self._options.case_from == "host":
            return host or layouts.without_suffix(collection.name.rpartition("/")[2])
        return layouts.without_suffix(collection.name.split("/")[0]) if self._options.case_from == "folder" else self._options.case_from

    def _delivery_for(self, case: str) -> Delivery:
        if self._delivery is not None and self._delivery.case != case:
            self._end_delivery()
        if self._delivery is None:
            self._delivery = Delivery(self.state, case, self._settings, self._progress)
        return self._delivery

    def _end_delivery(self) -> None:
        if self._delivery is None:
            return
        self._delivery.finish()
        self._note(self._delivery.report)
        self._delivery = None

    def _note(self, report: RunReport) -> None:
        assert self._delivery is not None
        night, ledger = self.night, self._delivery.ledger
        night.events += ledger.new
        night.known += ledger.known
        night.rejected += report.dead_letters
        night.damaged = night.damaged or self._delivery.damaged or bool(report.unbalanced)
        night.written += [path for sink in report.sinks for path in sink.written]
        text = f"delivery {self._delivery.number}, case {report.case}: {ledger.new} new event(s), {ledger.known} known before"
        self._tell("info", "delivered", text, case=report.case, events=ledger.new, known=ledger.known)
        for where, number in list(report.reasons.items())[:25]:
            self._tell("warning", "rejected", where, number=number)
        for line in report.unbalanced:
            self._tell("error", "unbalanced", line)

    def _abort(self) -> None:
        if self._delivery is not None:
            self._delivery.abort()
            self._delivery = None

    def _problem(self, name: str, reason: str) -> None:
        self.night.problems[name] = reason
        self.state.execute("UPDATE collections SET problem = ? WHERE name = ?", (reason, name))
        self._tell("error", "collection-failed", f"{name}: {reason}; it is tried again next time", collection=name)

    def _say_what_waits(self) -> None:
        for name in self.night.unsettled:
            text = f"{name} still changes, or has not been seen long enough; it is read next time"
            self._tell("warning", "collection-unsettled", text, collection=name)


def _facts(item: Collection, since: float, changed: float) -> tuple[object, ...]:
    return (item.name, item.signature, item.size, since, changed)


def _has_waited(cut_at: float | None, now: float) -> bool:
    return cut_at is not None and not 0 <= now - cut_at < _CUT_SECONDS


def _close(tree: Tree, patience: Patience) -> None:
    try:
        patience.call(tree.close)
    except SourceGone:
        return

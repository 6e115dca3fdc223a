"""One export from options to report: opens evidence and sinks, runs the pipeline, finishes or aborts."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from exporter import __version__
from exporter.collectors import COLLECTORS, MadeBy, ReadingOptions, Settings
from exporter.collectors.guard import load
from exporter.collectors.host_settings import CLOCKS
from exporter.data import folder
from exporter.errors import ConfigurationError, EvidenceError, FormatError, SinkRefused, SinkUnavailable
from exporter.evidence import EvidenceFile, Tree
from exporter.evidence.direct import DirectFile
from exporter.evidence.folder import FolderTree
from exporter.evidence.hosts import Discovery, discover, open_tree
from exporter.evidence.images import DEFAULT, ImageOptions
from exporter.formats.evtx_carve import carved_computer_name
from exporter.formats.evtx_computer import computer_name
from exporter.kinds import KINDS
from exporter.mapping.load import load_mappings
from exporter.mapping.mapper import Mapper
from exporter.mapping.references import Run
from exporter.pipeline import Pipeline, Progress
from exporter.report.run import RunReport, SinkReport
from exporter.sinks import STREAMING, Sink
from exporter.sinks.atomic import refuse_existing
from exporter.sinks.targets import SinkSettings, SinkTarget, open_sink, parse_target, wall_clock
from exporter.state.dead_letters import DeadLetters

if TYPE_CHECKING:
    from exporter.ledger import ExportLedger


class Job(ReadingOptions, frozen=True, kw_only=True):
    """The options of an export, as the command line and the configuration file give them. `sources` are collectors; none means all."""

    evidence: tuple[str, ...]
    case: str
    to: tuple[str, ...]
    host: str | None = None
    sources: tuple[str, ...] = ()
    alerts: str = "incident"
    manifest: Path | None = None
    dead_letters: Path | None = None
    temporary: Path | None = None
    state: Path | None = None
    resume: bool = False
    force: bool = False
    reproducible: bool = False


@contextlib.contextmanager
def discovered(evidence: Sequence[str], host: str | None, *, carve: bool = False, images: ImageOptions = DEFAULT) -> Iterator[Discovery]:
    """What all evidence paths hold, by host; the trees are closed afterwards. Raises EvidenceError when one cannot be opened.

    With `carve`, paths that are single files, raw disk images too, are read as such, to be searched for event log chunks.
    """
    tails = {name: load(name).tails for name in COLLECTORS}
    with contextlib.ExitStack() as stack:
        trees: list[Tree] = []
        for path in evidence:
            tree = FolderTree(Path(path)) if carve and _is_raw(Path(path)) else open_tree(Path(path), images=images)
            stack.callback(tree.close)
            trees.append(DirectFile(tree, tails["evtx"][0]) if carve and isinstance(tree, FolderTree) and tree.only else tree)
        yield discover(trees, tails, host, partial(computer_of, carve=carve))


def images_of(reading: ReadingOptions) -> ImageOptions:
    """How images are opened, of what a user says about reading; raises ConfigurationError for keys that cannot be read."""
    if reading.keys is None:
        return ImageOptions(vss=reading.vss, verify=reading.verify_image)
    from exporter.evidence.keys import KeyStore

    return ImageOptions(vss=reading.vss, verify=reading.verify_image, keys=KeyStore.open(reading.keys))


def _is_raw(path: Path) -> bool:
    from exporter.evidence.images.tree import image_kind

    return path.is_file() and image_kind(path.resolve().parent, (path.resolve().name,)) in ("raw", "unknown")


def computer_of(file: EvidenceFile, *, carve: bool = False) -> str | None:
    """The Computer of the newest record of an event log, with `carve` also of chunks in another file; None when that cannot be read."""
    try:
        with file.open() as stream:
            name = computer_name(stream)
        if name is None and carve:
            with file.open() as stream:
                name = carved_computer_name(stream)
        return name
    except (EvidenceError, FormatError, OSError):
        return None


def make_mapper(case: str, alerts: str = "incident", now: int | None = None) -> Mapper:
    """The mapper of a run; raises MappingError."""
    mappings = folder("mappings")
    run = Run(case=case, version=__version__, now=wall_clock() if now is None else now)
    return Mapper(load_mappings(mappings), KINDS, run, mappings, alerts=alerts)


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch gives each of its hosts: how a target is opened, and a mapper that was made before."""

    opener: Callable[[SinkTarget, SinkSettings], Sink] = open_sink
    mapper: Mapper | None = None


def run_job(job: Job, progress: Progress, means: Means | None = None) -> RunReport:
    """Export; raises SinkError, ConfigurationError, EvidenceError or LockHeld, and then leaves no file under a final name.

    A sink that gives up after the start is no error here: the report tells it (`stopped`), and what servers had taken until then. With
    `state` and `resume` a run that did not come to its end is done again: its files anew, its servers from the first host that they had
    not acknowledged.
    """
    if job.state is None:
        if job.resume:
            raise ConfigurationError("--resume needs --state: the folder that the interrupted run was given")
        return _export(job, progress, None, means or Means())
    from exporter.ledger import ExportLedger
    from exporter.state.checkpoint import State
    from exporter.state.lock import Lock
    from exporter.state.place import prepare

    _keep_out_of_evidence(job, [])
    with Lock(prepare(job.state)), contextlib.closing(State(job.state)) as state:
        streaming = all(parse_target(text).name in STREAMING for text in job.to)
        ledger = ExportLedger(state, _identity(job), resume=job.resume, streaming=streaming)
        return _export(job, progress, ledger, means or Means())


def _lock(folder: Path) -> AbstractContextManager[object]:
    """SQLite is imported by those who need it."""
    from exporter.state.lock import Lock

    return Lock(folder)


def _identity(job: Job) -> dict[str, Any]:
    """What makes two runs the same job."""
    evidence = [str(Path(path).resolve()) for path in job.evidence]
    to = [text if parse_target(text).path is None else f"{text} in {Path.cwd()}" for text in job.to]
    reading = {name: value for name, value in job.reading.items() if name != "jobs"}
    return {"evidence": evidence, "case": job.case, "to": to, "host": job.host, "alerts": job.alerts, **reading}


def _export(job: Job, progress: Progress, ledger: "ExportLedger | None", means: Means) -> RunReport:
    targets = [parse_target(text) for text in job.to]
    paths = [path for target in targets if (path := target.path) is not None]
    dead_letters = job.dead_letters or (paths[0].parent if paths else Path()) / "dead-letters.ndjson"
    spool = (job.manifest or dead_letters).parent / "timesketch-spool"
    spools = [spool, *(Path(given) for target in targets if (given := target.options.get("spool")))]
    _keep_out_of_evidence(job, [*paths, dead_letters, *spools])
    keep_apart([*map(place_of, targets), str(dead_letters), *([str(job.manifest)] if job.manifest else [])])
    report = RunReport(case=job.case, evidence=list(job.evidence), engine_differences=0 if job.cross_check else None)
    if ledger is not None and ledger.finished and (job.manifest is None or job.manifest.exists()):
        report.finished_before, report.finished_damaged = ledger.finished, ledger.damaged
        return report
    begun = ledger is not None and ledger.begun
    force = job.force or begun
    if job.manifest is not None:
        refuse_existing(job.manifest, force)
    settings = SinkSettings(
        force=force, reproducible=job.reproducible, temporary_directory=job.temporary, case=job.case, spool=spool, lock=_lock
    )
    with discovered(job.evidence, job.host, carve=job.carve, images=images_of(job)) as discovery:
        discovery = _chosen(discovery, job.sources)
        report.images = list(discovery.images)
        if ledger is not None:
            rest = ledger.rest(discovery.hosts)
            report.delivered_before = [host.name for host in discovery.hosts if host not in rest]
            discovery = msgspec.structs.replace(discovery, hosts=rest)
        mapper = means.mapper or make_mapper(job.case, job.alerts)
        report.sinks = [SinkReport(name=target.name, target=target.target, server=target.server) for target in targets]
        sinks = [(means.opener(target, settings), sink_report) for target, sink_report in zip(targets, report.sinks, strict=True)]
        letters = DeadLetters(dead_letters, force=force, append=bool(report.delivered_before), reproducible=job.reproducible)
        pipeline = Pipeline(
            mapper=mapper,
            sinks=sinks,
            dead_letters=letters,
            settings=Settings(**job.reading),
            progress=progress,
            report=report,
            hashed=job.manifest is not None,
            ledger=ledger,
            made_by=_made_by(job, mapper, targets),
        )
        _run(pipeline, discovery, sinks, letters, ledger)
    report.dead_letter_file = str(dead_letters) if report.dead_letters else None
    return report


def _made_by(job: Job, mapper: Mapper, targets: Sequence[SinkTarget]) -> Callable[[str], MadeBy] | None:
    from exporter.made import made_by

    return made_by(mapper, job.alerts, targets)


def _chosen(discovery: Discovery, sources: Sequence[str]) -> Discovery:
    """Only the files of these collectors. Names and time zones come from all that is there."""
    if not sources:
        return discovery
    hosts = (
        msgspec.structs.replace(
            host,
            files=tuple((name, file) for name, file in host.files if name in sources),
            earlier_clocks=tuple((name, file) for name, file in host.files if name in CLOCKS and name not in sources),
            missing=tuple(name for name in host.missing if name in sources),
        )
        for host in discovery.hosts
    )
    return msgspec.structs.replace(discovery, hosts=tuple(host for host in hosts if host.files))


def _run(
    pipeline: Pipeline, discovery: Discovery, sinks: list[tuple[Sink, SinkReport]], letters: DeadLetters, ledger: "ExportLedger | None"
) -> None:
    report = pipeline.report
    started = False
    try:
        for sink, _ in sinks:
            sink.check()
        started = True
        if ledger is not None:
            ledger.start()
        pipeline.run(discovery)
        for sink, sink_report in sinks:
            sink_report.written = sink.close()
            if not sink_report.counts.balanced:
                report.unbalanced.append(f"sink {sink_report.name}: {sink_report.counts}")
        if ledger is not None:
            ledger.finish(damaged=report.damaged)
    except BaseException as error:
        for sink, _ in sinks:
            sink.abort()
        if not (started and isinstance(error, (SinkUnavailable, SinkRefused))):
            raise
        report.stop(str(error), refused=isinstance(error, SinkRefused))
    finally:
        letters.close()


def place_of(target: SinkTarget) -> str:
    """Where a target writes to, as one text."""
    return f"{target.target}?{[target.options.get(name) for name in ('index', 'sketch', 'timeline')]}" if target.server else target.target


def keep_apart(outputs: Sequence[str]) -> None:
    """Refuse two outputs on one target: the second would replace what the first wrote."""
    seen: set[str] = set()
    for output in outputs:
        place = output if output == "-" or "://" in output else str(Path(output).resolve())
        if place in seen:
            raise ConfigurationError(f"two outputs go to `{output}`")
        seen.add(place)


def _keep_out_of_evidence(job: Job, outputs: list[Path]) -> None:
    """Refuse to write below an evidence folder (promise P3)."""
    roots = [Path(path).resolve() for path in job.evidence]
    for output in (*outputs, *filter(None, (job.manifest, job.temporary, job.state))):
        for root in roots:
            if output.resolve() == root or (root.is_dir() and output.resolve().is_relative_to(root)):
                raise ConfigurationError(f"`{output}` lies inside the evidence `{root}`, which is never written to")

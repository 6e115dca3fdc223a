"""What is compared: a job is one input, our command, the peers' commands, and the goal of the ratio."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from exporter.synthetic.case_events import grow
from exporter.synthetic.evtx import Event, write_evtx
from tests.batch.hosts import write_hosts, write_models
from tests.benchmarks import bulk, floor, images, night
from tests.benchmarks.varied import write_varied
from tests.conftest import PEERS, SHARED

_OPERATIONAL = "Microsoft-Windows-Windows Defender%4Operational.evtx"
_SMALL_HOSTS, _HOSTS_WITH_LOGS = 1000, 32
_SOURCES = {
    "detections (server2022)": "evtx/server2022-aptsimulator/Microsoft-Windows-Windows Defender%4Operational.evtx",
    "everyday log (win10)": "evtx/win10-rathbun/Microsoft-Windows-Windows Defender%4Operational.evtx",
}
_OURS = (sys.executable, "-m", "exporter.cli", "export")
_WHEEL = "import sys, evtx\nfor record in evtx.PyEvtxParser(sys.argv[1]).records_json(): pass"
_WHEEL_COUNT = "import sys, evtx\nprint(sum(1 for record in evtx.PyEvtxParser(sys.argv[1]).records_json()))"
_WHEEL_FILTER = "import sys, evtx\nprint(sum('Windows Defender' in r['data'] for r in evtx.PyEvtxParser(sys.argv[1]).records_json()))"
_WHEEL_TREE = """import pathlib, sys, evtx
for path in pathlib.Path(sys.argv[1]).glob("*.evtx"):
    sum("Windows Defender" in record["data"] for record in evtx.PyEvtxParser(str(path)).records_json())"""
_NO_FILTER = """import pathlib, sys
from exporter.formats.evtx import parse
from exporter.formats.evtx_reading import Reading
for path in pathlib.Path(sys.argv[1]).parent.glob(sys.argv[2]):
    with path.open("rb") as stream:
        for item in parse(stream, Reading(prefilter=False)): pass"""
_PYTHON_EVTX = "import sys\nfrom Evtx.Evtx import Evtx\nwith Evtx(sys.argv[1]) as log:\n    for record in log.records(): record.xml()"
_DISSECT = (
    "import json, sys\nfrom dissect.eventlog.evtx import Evtx\nwith open(sys.argv[2], 'w') as out:\n"
    "    for record in Evtx(open(sys.argv[1], 'rb')): out.write(json.dumps(dict(record), default=str) + '\\n')\n"
)


class Peer(msgspec.Struct, frozen=True):
    """A command on an input of its own size; `goal` is how many times our CPU it should cost (below 1: how many times we may cost)."""

    command: tuple[str, ...]
    records: int
    goal: str


class Job(msgspec.Struct, frozen=True):
    """`records` is what our command reads; CPU is compared per record, as slow peers get small inputs."""

    name: str
    records: int
    ours: tuple[str, ...]
    peers: Mapping[str, Peer]


def evtx_ecs(folder: Path) -> list[Job]:
    """Event logs to ECS NDJSON, against the `evtx` wheel, dissect, python-evtx (goals S1, S3, S4) and `evtx_dump` if it is there."""
    jobs = []
    for name, large, small, least in _logs(folder):
        count = _count(large)
        peers = {
            "evtx wheel, iteration only": Peer((sys.executable, "-c", _WHEEL, str(large)), count, "ours / wheel <= 2.5"),
            "python-evtx": Peer((sys.executable, "-c", _PYTHON_EVTX, str(least)), _count(least), "python-evtx / ours >= 450"),
        }
        if (python := PEERS / "dissect" / "bin" / "python").exists():
            out = str(folder / "dissect.jsonl")
            peers["dissect.eventlog"] = Peer((str(python), "-c", _DISSECT, str(small), out), _count(small), "dissect / ours >= 42")
            script = str(Path(__file__).with_name("dissect_target.py"))
            peers["dissect.target"] = Peer((str(python), script, str(small), out), _count(small), "dissect / ours >= 80")
        if dump := shutil.which("evtx_dump"):
            peers["evtx_dump, JSON lines"] = Peer((dump, "-o", "jsonl", "-t", "1", str(large)), count, "told only")
        jobs.append(Job(f"EVTX to ECS NDJSON, {name}", count, _export(folder, large, "ecs:out.ndjson"), peers))
    for name, log in _varied_logs(folder):
        peers = {"evtx wheel, iteration only": Peer((sys.executable, "-c", _WHEEL, str(log)), count := _count(log), "told only")}
        jobs.append(Job(f"EVTX to ECS NDJSON, {name}", count, _export(folder, log, "ecs:out.ndjson"), peers))
    return jobs


def evtx_floor(folder: Path) -> list[Job]:
    """What each step costs that a document needs whoever makes it: the lowest that goal S1 could be brought to."""
    jobs = []
    for name, large, _, _ in _logs(folder):
        count = _count(large)
        steps = {
            text: Peer((sys.executable, "-m", "tests.benchmarks.floor", step, str(large), str(folder / "floor.out")), count, "a floor")
            for step, text in floor.STEPS.items()
        }
        jobs.append(Job(f"EVTX to ECS NDJSON and its floor, {name}", count, _export(folder, large, "ecs:out.ndjson"), steps))
    return jobs


def timelines(folder: Path) -> list[Job]:
    """Timesketch JSONL and L2T CSV, against our own ECS NDJSON (goal S6)."""
    jobs = []
    for name, large, _, _ in _logs(folder):
        count = _count(large)
        ecs = {"our ECS NDJSON": Peer(_export(folder, large, "ecs:out.ndjson"), count, "ours / ECS <= 1.15")}
        jobs += [
            Job(f"EVTX to {sink.partition(':')[0]}, {name}", count, _export(folder, large, sink), ecs)
            for sink in ("timesketch:out.jsonl", "l2tcsv:out.csv")
        ]
    return jobs


def prefilter(folder: Path) -> list[Job]:
    """A dense log of other providers, and a folder of 600 small logs, against rendering everything (goal S7)."""
    tool, source = SHARED / "tools" / "make_evtx.py", SHARED / "data" / "evtx" / "damaged" / "sample-with-zero-data-size-event.evtx"
    if not tool.exists():
        return []
    log = _grown(tool, source, folder / "other-128M.evtx", "128M")
    count = _count(log)
    peers = {
        "evtx wheel and a text test": Peer((sys.executable, "-c", _WHEEL_FILTER, str(log)), count, "wheel / ours >= 7"),
        "ours without the pre-filter": Peer((sys.executable, "-c", _NO_FILTER, str(log), log.name), count, "without / with >= 7"),
    }
    tree, many = _tree(tool, source, folder / "logs-600"), 600
    rendered = {
        "evtx wheel and a text test": Peer((sys.executable, "-c", _WHEEL_TREE, str(tree)), many, "wheel / ours >= 2.5"),
        "ours without the pre-filter": Peer((sys.executable, "-c", _NO_FILTER, str(tree / "-"), "*.evtx"), many, "without / with >= 2.5"),
    }
    return [
        Job("A log without Defender records", count, _export(folder, log, "ecs:out.ndjson"), peers),
        Job("600 logs, 6 of them with Defender records (per log)", many, _export(folder, tree, "ecs:out.ndjson"), rendered),
    ]


def quiet_night(folder: Path) -> list[Job]:
    """`ingest` where nothing is new: 100,000 files and 10 million delivered events; goal: 10 s and 100 MB in all."""
    ours = (*_OURS[:-1], "ingest", *night.arguments(folder))
    return [Job("A night with nothing new (goal: 10 s, 100 MB)", night.FILES, ours, {})]


def memory(folder: Path) -> list[Job]:
    """Peak memory on 256 MiB beside that on 16 MiB: the same, and at most 40 MB (goal S14)."""
    tool = SHARED / "tools" / "make_evtx.py"
    if not tool.exists():
        return []
    source = SHARED / "data" / "evtx" / "win10-rathbun" / "Microsoft-Windows-Windows Defender%4Operational.evtx"
    large, small = (_grown(tool, source, folder / f"log1-{size}.evtx", size) for size in ("256M", "16M"))
    jobs = []
    for sink in ("ecs:out.ndjson", "timesketch:out.jsonl", "l2tcsv:out.csv"):
        peers = {"ours, 16 MiB": Peer(_export(folder, small, sink), _count(small), "the same memory, <= 40 MB")}
        jobs.append(Job(f"Memory on 256 MiB, everyday log to {sink.partition(':')[0]}", _count(large), _export(folder, large, sink), peers))
    return jobs


def start_up(folder: Path) -> list[Job]:
    """The whole process on the smallest real log, against Python that imports the wheel (goal S15: at most 150 ms)."""
    log = folder / "small.evtx"
    if not log.exists():
        write_evtx(log, _everyday())
    peers = {"Python with the wheel": Peer((sys.executable, "-c", _WHEEL, str(log)), 1, "ours <= 150,000 µs")}
    return [Job("Start-up, one record", 1, _export(folder, log, "ecs:out.ndjson"), peers)]


def _export(folder: Path, log: Path, sink: str) -> tuple[str, ...]:
    """Our command; `sink` has the name of a file in `folder`."""
    name, _, file = sink.partition(":")
    return (*_OURS, str(log), "--case", "bench", "--to", f"{name}:{folder / file}", "--force", "--progress", "none")


def _varied_logs(folder: Path) -> Iterator[tuple[str, Path]]:
    """The real logs with other values in every event: what is kept of events that repeat themselves serves nobody here."""
    for number, (name, source) in enumerate(_SOURCES.items()):
        log, target = SHARED / "data" / source, folder / f"varied{number}.evtx"
        if log.exists() and not target.exists():
            write_varied(log, target, 40_000)
        if target.exists():
            yield f"{name}, no event twice", target
    target = folder / "forwarded.evtx"
    if log.exists() and not target.exists():
        write_varied(log, target, 20_000, senders=200)
    if target.exists():
        yield f"{name}, no event twice, forwarded by 200 computers", target


def _logs(folder: Path) -> list[tuple[str, Path, Path, Path]]:
    """Real logs grown by the independent generator where it is there, else our synthetic ones."""
    tool = SHARED / "tools" / "make_evtx.py"
    if not tool.exists():
        return [("synthetic", _synthetic(folder, 40_000), _synthetic(folder, 2_000), _synthetic(folder, 100))]
    made = []
    for number, (name, source) in enumerate(_SOURCES.items()):
        paths = [_grown(tool, SHARED / "data" / source, folder / f"log{number}-{size}.evtx", size) for size in ("128M", "2M", "192K")]
        made.append((name, paths[0], paths[1], paths[2]))
    return made


def _grown(tool: Path, source: Path, target: Path, size: str) -> Path:
    if not target.exists():
        subprocess.run([sys.executable, tool, source, target, "--size", size, "--shift", "61"], check=True, stdout=subprocess.DEVNULL)
    return target


def _tree(tool: Path, source: Path, target: Path) -> Path:
    """600 logs of 64 to 320 KiB; every hundredth has one Defender record."""
    target.mkdir(exist_ok=True)
    sizes = [_grown(tool, source, target.with_name(f"{target.name}-{size}K.evtx"), f"{size}K").read_bytes() for size in range(64, 384, 64)]
    for number in range(600):
        log = target / f"log-{number}.evtx"
        if number % 100 == 0:
            write_evtx(log, _everyday())
        elif not log.exists():
            log.write_bytes(sizes[number % len(sizes)])
    return target


def _synthetic(folder: Path, count: int) -> Path:
    target = folder / f"synthetic-{count}.evtx"
    if not target.exists():
        write_evtx(target, grow(_everyday(), count))
    return target


def _everyday() -> list[Event]:
    data = {"Product Name": "Microsoft Defender Antivirus", "Old Value": "", "New Value": "HKLM\\SOFTWARE\\Example = 0x1"}
    return [Event(event_id=5007, record_id=1, created_at=134_190_000_000_000_000, data=data, computer="WS-0142")]


def _count(log: Path) -> int:
    done = subprocess.run([sys.executable, "-c", _WHEEL_COUNT, log], check=True, capture_output=True, text=True)
    return int(done.stdout)


def bulk_client(_folder: Path) -> list[Job]:
    """Documents to a server that only answers, against the client package's own helper."""
    url = bulk.start_server()
    jobs = []
    for name, end, goal in (("plain", "", 6), ("gzip", "-gzip", 8)):
        theirs = Peer(bulk.command(f"streaming_bulk{end}", url, bulk.THEIRS), bulk.THEIRS, f"streaming_bulk / ours >= {goal}")
        ours = bulk.command(f"ours{end}", url, bulk.OURS)
        jobs.append(Job(f"bulk indexing, {name}", bulk.OURS, ours, {"helpers.streaming_bulk": theirs}))
    return jobs


def batches(folder: Path) -> list[Job]:
    """Hosts read by two processes, against one: the same CPU within 5 %, and on a quiet machine 1.7 times as fast."""
    jobs, goal = [], "ours / one <= 1.05, wall one / ours >= 1.7"
    for name, share in _shares(folder):
        two, one = (_batch(folder, share, number) for number in (2, 1))
        number = len(list(share.iterdir()))
        jobs.append(Job(f"batch of {name}, two processes", number, two, {"one process": Peer(one, number, goal)}))
    return jobs


def cluster(folder: Path) -> list[Job]:
    """Hosts read by two workers of Dask, against two processes of ours: what a cluster costs for each host."""
    name, share = next(_shares(folder))
    number = len(list(share.iterdir()))
    local = Peer(_batch(folder, share, 2), number, "the difference is the cluster's")
    return [Job(f"batch of {name}, two Dask workers", number, (*_batch(folder, share, 2), "--runner", "dask"), {"two processes": local})]


def _batch(folder: Path, share: Path, processes: int) -> tuple[str, ...]:
    targets = ("--to", f"timesketch:{folder / 'out.jsonl'}", "--to", f"ecs:{folder / 'out.ndjson'}")
    state = ("--state", str(folder / "batch-state"), "--force", "--progress", "none", "--allow-dead")
    return (*_OURS[:-1], "batch", "--evidence", str(share / "*"), "--case", "bench", "--jobs", str(processes), *targets, *state)


def _shares(folder: Path) -> Iterator[tuple[str, Path]]:
    """Many small hosts, and some with a log of everyday size."""
    small = folder / f"hosts-{_SMALL_HOSTS}"
    if not small.exists():
        write_models(folder / "models")
        write_hosts(small, folder / "models", _SMALL_HOSTS)
    yield f"{_SMALL_HOSTS:,} small hosts", small
    tool, log = SHARED / "tools" / "make_evtx.py", SHARED / "data" / "evtx" / "win10-rathbun" / _OPERATIONAL
    if tool.exists():
        large = folder / "hosts-logs"
        for host in range(_HOSTS_WITH_LOGS):
            logs = large / f"HOST-{host:02d}" / "C/Windows/System32/winevt/Logs"
            logs.mkdir(parents=True, exist_ok=True)
            _grown(tool, log, logs / _OPERATIONAL, "8M")
        yield f"{_HOSTS_WITH_LOGS} hosts with a log of 8 MiB", large


def disk_image(folder: Path) -> list[Job]:
    """Defender's traces out of an image of 200,000 files (goal: a tenth of the peers' CPU)."""
    image = images.make(folder)
    if image is None:
        return []
    dissect = (PEERS / "dissect" / "bin" / "python", Path(__file__).with_name("dissect_image.py"), image, folder / "dissect.jsonl")
    commands = {
        "dissect.target, same logs": (*dissect, "all"),
        "dissect.target, Defender's log": dissect,
        "log2timeline": (PEERS / "plaso" / "bin" / "python", "-c", images.LOG2TIMELINE, image, folder / "files.plaso"),
    }
    peers = {
        name: Peer(tuple(map(str, command)), 1, "told only: it reads one of four logs" if command == dissect else f"{name} / ours >= 10")
        for name, command in commands.items()
        if Path(command[0]).exists()
    }
    return [Job(f"Defender's traces of a disk image of {images.FILES:,} files", 1, _export(folder, image, "ecs:out.ndjson"), peers)]


JOBS: dict[str, Callable[[Path], Sequence[Job]]] = {
    "evtx-ecs": evtx_ecs,
    "evtx-floor": evtx_floor,
    "timelines": timelines,
    "prefilter": prefilter,
    "memory": memory,
    "start-up": start_up,
    "quiet-night": quiet_night,
    "bulk": bulk_client,
    "batch": batches,
    "cluster": cluster,
    "images": disk_image,
}
"""Name to what makes the jobs; a new benchmark is one line here."""

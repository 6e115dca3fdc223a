"""What is compared: a job is one input, our command, the peers' commands, and the goal of the ratio."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from exporter.synthetic.case_events import grow
from exporter.synthetic.evtx import Event, write_evtx
from tests.conftest import PEERS, SHARED

_OURS = (sys.executable, "-m", "exporter.cli", "export")
_WHEEL = "import sys, evtx\nfor record in evtx.PyEvtxParser(sys.argv[1]).records_json(): pass"
_WHEEL_COUNT = "import sys, evtx\nprint(sum(1 for record in evtx.PyEvtxParser(sys.argv[1]).records_json()))"
_DISSECT = "import sys\nfrom dissect.eventlog.evtx import Evtx\nfor record in Evtx(open(sys.argv[1], 'rb')):\n    dict(record)\n"


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
    """Event logs to ECS NDJSON, against the bare `evtx` wheel and dissect.eventlog (goals S1 and S4)."""
    jobs = []
    for name, large, small in _logs(folder):
        count, small_count = _count(large), _count(small)
        peers = {"evtx wheel, iteration only": Peer((sys.executable, "-c", _WHEEL, str(large)), count, "ours / wheel <= 2.5")}
        if (python := PEERS / "dissect" / "bin" / "python").exists():
            peers["dissect.eventlog"] = Peer((str(python), "-c", _DISSECT, str(small)), small_count, "dissect / ours >= 42")
        ours = (*_OURS, str(large), "--case", "bench", "--to", f"ecs:{folder / 'out.ndjson'}", "--force", "--progress", "none")
        jobs.append(Job(f"EVTX to ECS NDJSON, {name}", count, ours, peers))
    return jobs


def _logs(folder: Path) -> list[tuple[str, Path, Path]]:
    """Real logs grown by the independent generator where it is there, else our synthetic ones."""
    sources = {
        "detections (server2022)": "evtx/server2022-aptsimulator/Microsoft-Windows-Windows Defender%4Operational.evtx",
        "everyday log (win10)": "evtx/win10-rathbun/Microsoft-Windows-Windows Defender%4Operational.evtx",
    }
    tool = SHARED / "tools" / "make_evtx.py"
    if not tool.exists():
        return [("synthetic", _synthetic(folder, 40_000), _synthetic(folder, 2_000))]
    made = []
    for number, (name, source) in enumerate(sources.items()):
        paths = [_grown(tool, SHARED / "data" / source, folder / f"log{number}-{size}.evtx", size) for size in ("32M", "2M")]
        made.append((name, paths[0], paths[1]))
    return made


def _grown(tool: Path, source: Path, target: Path, size: str) -> Path:
    if not target.exists():
        subprocess.run([sys.executable, tool, source, target, "--size", size, "--shift", "61"], check=True, stdout=subprocess.DEVNULL)
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


JOBS: dict[str, Callable[[Path], Sequence[Job]]] = {"evtx-ecs": evtx_ecs}
"""Name to what makes the jobs; a new benchmark is one line here."""

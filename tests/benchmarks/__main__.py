"""`python -m tests.benchmarks [JOB ...] [--rounds N] [--json FILE]`: ratios of CPU seconds, peers interleaved in one run."""

import argparse
import json
import os
import platform
import subprocess
from pathlib import Path

import msgspec

from tests.benchmarks.jobs import JOBS, Job
from tests.benchmarks.measure import Figures, interleaved, load
from tests.conftest import ROOT


def main() -> None:
    """Run the jobs that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], help=", ".join(JOBS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="where inputs are kept between runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the peers were installed with their compiled modules
    print(f"Python {platform.python_version()}, load {load()}, medians of {arguments.rounds} rounds after one that is not counted")
    results = []
    for name in arguments.jobs or JOBS:
        for job in JOBS[name](arguments.folder):
            figures = interleaved({"ours": job.ours, **{peer: value.command for peer, value in job.peers.items()}}, arguments.rounds)
            show(job, figures)
            results.append({"job": job.name, "records": job.records, "figures": msgspec.to_builtins(figures), "load": load()})
    if arguments.json:
        revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        arguments.json.write_text(json.dumps({"revision": revision, "results": results}, indent=1), "utf-8")


def show(job: Job, figures: dict[str, Figures]) -> None:
    """A line for ours and one per peer, with the ratio of CPU per record."""
    ours = figures["ours"].cpu / job.records
    print(f"\n{job.name}: {job.records} records")
    print(f"  {'ours':28} {line(figures['ours'], job.records)}")
    for name, peer in job.peers.items():
        theirs = figures[name].cpu / peer.records
        wall = figures[name].wall / peer.records / (figures["ours"].wall / job.records)
        ratios = f"ours/theirs {ours / theirs:6.2f}  theirs/ours {theirs / ours:6.2f} (wall {wall:.2f})"
        print(f"  {name:28} {line(figures[name], peer.records)}  {ratios}  goal: {peer.goal}")


def line(figures: Figures, records: int) -> str:
    """CPU per record, CPU and wall seconds, memory."""
    memory = f"{figures.memory_mb:6.1f} MB" if figures.memory_mb is not None else "         "
    seconds = f"cpu {figures.cpu:7.3f} s (least {figures.least:7.3f})  wall {figures.wall:7.3f} s"
    return f"{figures.cpu / records * 1e6:9.2f} µs/record  {seconds}  {memory}"


if __name__ == "__main__":
    main()

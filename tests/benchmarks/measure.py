"""CPU seconds of whole commands, run in turn (A B A B …), because the speed of a shared machine drifts."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """One run: CPU (user + system) and wall seconds, and the peak of resident memory in MB where the system tells it."""

    cpu: float
    wall: float
    memory_mb: float | None


class Figures(msgspec.Struct, frozen=True):
    """All counted runs of one command."""

    samples: tuple[Sample, ...]

    @property
    def cpu(self) -> float:
        """Median CPU seconds."""
        return statistics.median(sample.cpu for sample in self.samples)

    @property
    def least(self) -> float:
        """The least CPU seconds seen."""
        return min(sample.cpu for sample in self.samples)

    @property
    def memory_mb(self) -> float | None:
        """The largest peak seen."""
        return max((sample.memory_mb for sample in self.samples if sample.memory_mb is not None), default=None)


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Figures]:
    """Figures of each command after one round that is not counted; raises RuntimeError when one fails."""
    taken: dict[str, list[Sample]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            sample = run(command)
            if turn:
                taken[name].append(sample)
    return {name: Figures(tuple(samples)) for name, samples in taken.items()}


def run(command: Sequence[str]) -> Sample:
    """One run of a fresh process; its output is thrown away."""
    started, before = time.monotonic(), _children()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    error = process.stderr.read()
    memory = None
    if hasattr(os, "wait4"):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        memory = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    else:
        process.wait()
        cpu = _children() - before
    if process.returncode not in (0, 4):
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}: {error.decode(errors='replace')[-500:]}")
    return Sample(cpu, time.monotonic() - started, memory)


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def load() -> float | None:
    """The load of the last minute, where the system tells it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None

"""CPU seconds of whole commands, run in turn (A B A B …), because the speed of a shared machine drifts."""

import json
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
    def wall(self) -> float:
        """Median seconds by the clock."""
        return statistics.median(sample.wall for sample in self.samples)

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


_RUNNER = """
import json, os, sys
null = os.open(os.devnull, os.O_RDWR)
out = os.dup(1)
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(child, 0)
os.write(out, json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss]).encode())
"""
"""A small process in between: a child's peak of memory begins with that of the process that started it."""


def run(command: Sequence[str]) -> Sample:
    """One run of a fresh process; its output is thrown away. The first word is the path of a program."""
    started, before = time.monotonic(), _children()
    spawned = hasattr(os, "posix_spawn")
    words = [sys.executable, "-I", "-S", "-c", _RUNNER, *command] if spawned else list(command)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    wall, memory = time.monotonic() - started, None
    code, cpu = done.returncode, _children() - before
    if spawned and code == 0:
        code, cpu, peak = json.loads(done.stdout)
        memory = peak / (1024 if sys.platform != "darwin" else 1024 * 1024)
    if code not in (0, 4):
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {code}: {done.stderr.decode(errors='replace')[-500:]}")
    return Sample(cpu, wall, memory)


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def load() -> float | None:
    """The load of the last minute, where the system tells it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None

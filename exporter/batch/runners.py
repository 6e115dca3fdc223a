"""Who runs the work: processes of this machine, or a cluster."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import msgspec

from exporter.batch.task import Outcome, Task
from exporter.errors import ConfigurationError


class RunnerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says about the work: processes at once, and the seconds after which a silent host is given up.

    The rest is about a cluster: the address of its scheduler, None for one of this machine whose workers have `memory` each (`2GiB`), the
    files that prove who we are, and whether it may do without (`insecure`).
    """

    jobs: int = 1
    silence: float = 600.0
    scheduler: str | None = None
    memory: str = "2GiB"
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False


class Runner(Protocol):
    """Has tasks done by `work`, wherever that is, a bounded number of them at once."""

    def run(self, tasks: Iterable[Task], advance: Callable[[int], None]) -> Iterator[Outcome]:
        """One outcome for each task, as they come; tasks are taken when there is somebody free to do them.

        A task whose process dies is done again, once; then its outcome is `failed`. `advance` is told bytes of evidence as they are read,
        where that is known. A runner keeps no outcome.
        """
        ...

    def close(self) -> None:
        """End every process at once, whatever it is doing."""
        ...


RUNNERS: dict[str, str] = {"local": "exporter.batch.local:LocalRunner", "dask": "exporter.batch.cluster:DaskRunner"}
"""Name to `module:class`, imported when used; a new runner is one line here; the class takes RunnerSettings."""


def open_runner(name: str, settings: RunnerSettings) -> Runner:
    """The runner of this name. Raises ConfigurationError."""
    if name not in RUNNERS:
        raise ConfigurationError(f"there is no runner `{name}` here (known: {', '.join(RUNNERS)})")
    module, _, attribute = RUNNERS[name].partition(":")
    return cast(Runner, getattr(import_module(module), attribute)(settings))

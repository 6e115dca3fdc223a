"""The runner of a Dask cluster: one of this machine, or one that is there.

Few tasks are out at once, and each result is let go as soon as it is known: a worker that dies then takes nothing with it that would have
to be done again (a plain `map` that holds its results ran 266 of 1,000 finished tasks twice). Nobody but us may speak to the cluster,
because whoever may runs code as its workers: connections are encrypted and each side shows a certificate. (Extra `cluster`.)
"""

import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from exporter import __version__
from exporter.batch.runners import RunnerSettings
from exporter.batch.store import Store
from exporter.batch.task import Outcome, Task, failed, packed, unpacked
from exporter.batch.work import work
from exporter.errors import ConfigurationError

_PER_WORKER = 2
_START_SECONDS = 60
_LOOK_SECONDS = 10
_MOST_LOOKS = 6
_LOCAL = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.worker.daemon": True,
    "distributed.admin.tick.limit": "60s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
}
"""Of a cluster of our own: a host is given up with the second worker that died of it, and no worker has a second host waiting, which
would be blamed for the first one's death."""
_ENCRYPTED = {"distributed.comm.require-encryption": True}
_decode = msgspec.msgpack.Decoder(Outcome).decode


def work_elsewhere(encoded: bytes, version: str) -> bytes:
    """What a worker does: read one host; the outcome as bytes. Raises RuntimeError when this is another version of the program.

    A scheduler has a task done again when the worker that did it dies before its result was asked for: the manifest knows better.
    """
    if version != __version__:
        raise RuntimeError(f"this worker has defender-exporter {__version__}, and the batch was begun by {version}")
    task = unpacked(encoded)
    done = Store(task.work).current(task.item, task.settings)
    whole = done is not None and done.outcome.state == "complete"
    return msgspec.msgpack.encode(done.outcome if done is not None and whole else work(encoded))


class DaskRunner:
    """See `Runner`. Raises ConfigurationError when there is no cluster to be had, or none that is safe."""

    def __init__(self, settings: RunnerSettings) -> None:
        try:
            self._dask: Any = import_module("dask")
            self._distributed: Any = import_module("distributed")
        except ImportError as error:
            raise ConfigurationError("the runner `dask` needs an extra: pip install 'defender-exporter[cluster]'") from error
        self._opened = contextlib.ExitStack()
        self._threads = 0
        self._ask_again_at = 0.0
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            self._opened.enter_context(self._dask.config.set({} if settings.insecure else _ENCRYPTED))
            self._client = self._connected(settings) if settings.scheduler else self._started(settings)
        except BaseException:
            self._opened.close()
            raise

    def _started(self, settings: RunnerSettings) -> Any:
        folder = self._opened.enter_context(tempfile.TemporaryDirectory(prefix="defender-exporter-dask-", ignore_cleanup_errors=True))
        self._opened.enter_context(self._dask.config.set({**_LOCAL, "temporary-directory": folder}))
        try:
            security = False if settings.insecure else self._distributed.Security.temporary()
        except ImportError as error:
            raise ConfigurationError("certificates need an extra: pip install 'defender-exporter[cluster]'") from error
        cluster = self._distributed.LocalCluster(
            n_workers=settings.jobs,
            threads_per_worker=1,
            memory_limit=settings.memory,
            security=security,
            dashboard_address=None,
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        )
        self._opened.callback(cluster.close, timeout=_START_SECONDS)
        return self._opened.enter_context(self._distributed.Client(cluster))

    def _connected(self, settings: RunnerSettings) -> Any:
        address = settings.scheduler or ""
        if not address.startswith("tls://") and not settings.insecure:
            raise ConfigurationError(
                f"the scheduler `{address}` is not `tls://...`: whoever reaches it runs code as its workers (--insecure allows it)"
            )
        security = self._security(settings) if address.startswith("tls://") else None
        try:
            client = self._distributed.Client(address, security=security, timeout=_START_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise ConfigurationError(f"no Dask scheduler answers at `{address}`: {error}") from error
        return self._opened.enter_context(client)

    def _security(self, settings: RunnerSettings) -> Any:
        files = {"tls_ca": settings.tls_ca, "tls_cert": settings.tls_cert, "tls_key": settings.tls_key}
        missing = [f"--{name.replace('_', '-')}" for name, path in files.items() if path is None or not path.is_file()]
        if missing:
            raise ConfigurationError(
                f"a `tls://` scheduler needs --tls-ca, --tls-cert and --tls-key as files: {', '.join(missing)} is not there"
            )
        return self._distributed.Security(
            require_encryption=True,
            tls_ca_file=str(files["tls_ca"]),
            tls_client_cert=str(files["tls_cert"]),
            tls_client_key=str(files["tls_key"]),
        )

    def run(self, tasks: Iterable[Task], advance: Callable[[int], None]) -> Iterator[Outcome]:
        """Outcomes as they come. When the cluster goes away the last one is `stopped`: what was done is done."""
        out: dict[str, tuple[Any, Task]] = {}
        try:
            yield from self._run(iter(tasks), out, advance)
        except (OSError, TimeoutError, CancelledError, self._distributed.client.ClosedClientError) as error:
            yield from (_gone(task, f"the Dask cluster went away: {type(error).__name__}") for _, task in list(out.values())[:1])

    def _run(self, waiting: Iterator[Task], out: dict[str, tuple[Any, Task]], advance: Callable[[int], None]) -> Iterator[Outcome]:
        """`out` are the futures that have no outcome yet."""
        done: SimpleQueue[Any] = SimpleQueue()
        while True:
            window = max(1, self._window())
            while len(out) < window and (task := next(waiting, None)) is not None:
                out[_key(task)] = (None, task)
                future = self._client.submit(work_elsewhere, packed(task), __version__, key=_key(task), pure=False, retries=1)
                out[_key(task)] = (future, task)
                future.add_done_callback(done.put)
            if not out:
                return
            future = self._next(done)
            if future is None:
                yield _gone(next(iter(out.values()))[1], "the Dask cluster has no workers")
                return
            if future.status in ("lost", "pending"):  # with the worker that had done it; the scheduler has it done again
                future.add_done_callback(done.put)
                continue
            task = out[future.key][1]
            outcome = self._outcome(future, task)
            del out[future.key]
            future.release()
            advance(task.item.size)
            yield outcome
            if outcome.state == "stopped":
                return

    def _next(self, done: "SimpleQueue[Any]") -> Any:
        """The next future that is done; None when there was no worker for a while that could do one."""
        deserted = 0
        while True:
            with contextlib.suppress(Empty):
                return done.get(timeout=_LOOK_SECONDS)
            deserted = 0 if self._window() else deserted + 1
            if deserted > _MOST_LOOKS:
                return None

    def _window(self) -> int:
        """Two for each thread of each worker that is there now, or was a moment ago: asking costs as much as a small host."""
        now = time.monotonic()
        if now >= self._ask_again_at:
            self._ask_again_at = now + _LOOK_SECONDS / 10
            self._threads = sum(self._client.nthreads().values())
        return int(_PER_WORKER * self._threads)

    def _outcome(self, future: Any, task: Task) -> Outcome:
        """What became of a task, whoever says so: the worker, or the scheduler about the worker."""
        if future.status == "finished":
            return _decode(future.result())
        if future.status == "cancelled":
            return _gone(task, "the Dask cluster went away")
        error = future.exception()
        if isinstance(error, self._distributed.scheduler.KilledWorker):
            return failed(task.item, "the workers that read it died, each time that it was tried")
        return failed(task.item, f"it could not be done by the cluster: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Leave the cluster, and end one that is ours."""
        self._opened.close()


def _key(task: Task) -> str:
    return f"host-{task.item.id}"


def _gone(task: Task, reason: str) -> Outcome:
    return Outcome(id=task.item.id, host=task.item.label, state="stopped", reasons=(reason,))

"""The Dask runner where the cluster answers wrongly or not at all: a fake of the client, only to inject that."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from exporter.batch import cluster
from exporter.batch.runners import RunnerSettings
from exporter.batch.task import Item, Outcome, Task
from exporter.job import Job
from tests.conftest import missing


class Future:
    """Done at once, with this status; `answer` is what asking for it does."""

    def __init__(self, key: str, status: str, answer: Callable[[], Any]) -> None:
        self.key, self.status, self.result, self.exception = key, status, answer, answer
        self.released = False

    def add_done_callback(self, heard: Callable[["Future"], None]) -> None:
        if self.status != "never":
            heard(self)

    def release(self) -> None:
        self.released = True


class Client:
    """One worker of one thread, or none."""

    def __init__(self, status: str, answer: Callable[[], Any], threads: int = 1) -> None:
        self._status, self._answer, self._threads = status, answer, threads
        self.futures: list[Future] = []

    def submit(self, _work: object, _task: bytes, _version: str, *, key: str, **_options: object) -> Future:
        self.futures.append(Future(key, self._status, self._answer))
        return self.futures[-1]

    def nthreads(self) -> dict[str, int]:
        return {"worker": self._threads}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: object) -> None:
        pass


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Client], list[Outcome]]:
    """What becomes of three tasks that a client is given."""
    if find_spec("distributed") is None:
        missing("the extra `cluster`", "cluster")
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.01)

    def run(client: Client) -> list[Outcome]:
        monkeypatch.setattr(cluster.DaskRunner, "_connected", lambda runner, settings: client)
        runner = cluster.DaskRunner(RunnerSettings(scheduler="tcp://nowhere:1", insecure=True))
        try:
            return list(runner.run([task(number) for number in range(3)], lambda size: None))
        finally:
            runner.close()

    return run


def task(number: int) -> Task:
    item = Item(id=str(number), label=f"H{number}", evidence=("e",))
    return Task(item=item, job=Job(evidence=("e",), case="C", to=()), work=Path("w"), settings="", now=0)


def raising(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def test_without_workers_the_batch_stops_instead_of_waiting_for_ever(outcomes):
    (only,) = outcomes(Client("never", lambda: None, threads=0))
    assert (only.state, only.reasons) == ("stopped", ("the Dask cluster has no workers",))


@pytest.mark.parametrize("error", [OSError("comm closed"), TimeoutError("gather")])
def test_a_cluster_that_goes_away_while_a_result_is_asked_for_stops_the_batch(outcomes, error):
    (only,) = outcomes(Client("finished", raising(error)))
    assert (only.state, only.host) == ("stopped", "H0")
    assert type(error).__name__ in only.reasons[0]


def test_a_canceled_task_stops_the_batch(outcomes):
    (only,) = outcomes(Client("cancelled", lambda: None))
    assert (only.state, only.reasons) == ("stopped", ("the Dask cluster went away",))


def test_a_host_that_the_cluster_cannot_do_fails_and_costs_no_other(outcomes):
    client = Client("error", lambda: RuntimeError("this worker has another version"))
    found = outcomes(client)
    assert [outcome.state for outcome in found] == ["failed"] * 3
    assert all("another version" in outcome.reasons[0] for outcome in found)
    assert all(future.released for future in client.futures)

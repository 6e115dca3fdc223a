"""Documents through a server sink in a test, with a clock that only waiting moves."""

import random
from collections.abc import Iterable
from typing import NamedTuple

from exporter.errors import SinkError
from exporter.records import Mapped
from exporter.sinks import Counts, Outcome, Result, Sink
from exporter.sinks.targets import SinkSettings, open_sink, parse_target


class Clock:
    """`sleep` lets time pass at once; `waits` are the seconds slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Delivered(NamedTuple):
    """What the sink told: counts, results, the error that ended it, and the sink itself."""

    counts: Counts
    results: list[Result]
    error: SinkError | None
    sink: Sink
    clock: Clock

    @property
    def dead(self) -> list[Result]:
        return [result for result in self.results if result.outcome is Outcome.DEAD]


def settings(clock: Clock, **changes: object) -> SinkSettings:
    """Settings with that clock and the same jitter each time."""
    jitter = random.Random(1).random
    return SinkSettings(**{"case": "c1", "monotonic": clock.monotonic, "sleep": clock.sleep, "random": jitter, **changes})


def deliver(target: str, records: Iterable[Mapped], clock: Clock | None = None, **changes: object) -> Delivered:
    """Check, write, flush and close, as a run does."""
    clock = clock or Clock()
    sink = open_sink(parse_target(target), settings(clock, **changes))
    counts, results, error = Counts(), [], None
    try:
        sink.check()
        for position, record in enumerate(records, 1):
            counts.incoming += 1
            results += sink.write(record, position)
        results += sink.flush()
        sink.close()
    except SinkError as raised:
        error = raised
        sink.abort()
    for result in results:
        counts.add(result)
    return Delivered(counts, results, error, sink, clock)

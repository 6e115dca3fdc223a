"""`make flips`: random bit flips and cuts in logs, and what became of their records.

`python -m tests.flips NUMBER` prints figures as JSON and fails where something was changed silently, a record was lost besides the damaged
one, something crashed, or took more than 5 seconds of CPU. Real samples are used where they lie beside the project.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.conftest import SHARED
from tests.evtx_logs import CHUNK, HEADER, SAMPLES, Log, log_of, read

LONGEST_SECONDS = 5
FAILURES = ("changed silently", "lost beside", "lost in another chunk", "crashed", "slow")


def logs() -> Iterator[bytes]:
    """The logs to be damaged: the real samples, and a synthetic one of several chunks."""
    places = (SHARED / "data" / "evtx" / name for name in SAMPLES)
    yield from (place.read_bytes() for place in places if place.exists())
    yield bytes(log_of(160))


def used_bytes(data: bytes) -> int:
    """Where the last chunk's records end, or nearly: flips in the zeros behind them say nothing."""
    return len(data.rstrip(b"\0"))


def facts(log: Log) -> dict[int, object]:
    """What each record says, by offset; which engine read it is no part of that."""
    return {item.offset: (item.payload.data, item.payload.record_id, item.payload.created_at, item.raw_hash) for item in log.parsed}


def judge(before: Log, after: Log, place: int) -> Counter[str]:
    """What the damage at byte `place` did."""
    was, now = facts(before), facts(after)
    verified = {item.offset for item in after.parsed if item.integrity.verdict == "verified"}
    named = {item.offset for item in after.rejected}
    chunk = (place - HEADER) // CHUNK
    damaged = max((offset for offset in was if offset <= place), default=None)
    found: Counter[str] = Counter()
    found["changed silently"] = sum(now[offset] != was.get(offset) for offset in verified)
    for offset in was.keys() - {damaged}:
        if now.get(offset) != was[offset]:
            same = (offset - HEADER) // CHUNK == chunk
            found["different beside" if offset in now else "lost beside" if same else "lost in another chunk"] += 1
            found["lost beside, unnamed"] += same and offset not in now and offset not in named
    return found


def run(number: int, seed: int = 1) -> dict[str, int | float]:
    """Figures over that many flips, spread over the logs."""
    choose = random.Random(seed)
    known = [(data, read(data), used_bytes(data)) for data in logs()]
    total: Counter[str] = Counter(dict.fromkeys(FAILURES, 0))
    slowest = 0.0
    for _ in range(number):
        data, before, used = choose.choice(known)
        bit = choose.randrange(8 * used)
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        started = time.process_time()
        try:
            total += judge(before, read(flipped), bit // 8)
        except Exception as error:  # noqa: BLE001 - what a reader must never do is counted here
            total["crashed"] += 1
            print(f"bit {bit}: {type(error).__name__}: {error}", file=sys.stderr)
        took = time.process_time() - started
        slowest = max(slowest, took)
        total["slow"] += took > LONGEST_SECONDS
    return {"flips": number, **{name: total[name] for name in sorted({*total, *FAILURES})}, "slowest_seconds": round(slowest, 2)}


def main(arguments: list[str]) -> int:
    started = time.process_time()
    figures = run(int(arguments[0]) if arguments else 10_000)
    print(json.dumps({**figures, "cpu_seconds": round(time.process_time() - started, 1)}, indent=1))
    return 1 if any(figures[name] for name in FAILURES) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Resident memory of a process whose server takes nothing for ten minutes; the clock is simulated, the requests are real."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.fake import FakeServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read by getrusage")

REFUSALS = 40
BATCHES = 3
CLIENT = """
import json, resource, sys
from tests.servers.delivery import Clock, deliver
from tests.sinks.fakes import FakeMapped, row

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

class Measured(Clock):
    def sleep(self, seconds):
        super().sleep(seconds)
        peaks.append(peak())

def records():
    for number in range(int(sys.argv[2]) * 1000):
        yield FakeMapped(f"{number:040x}", [row(message=f"{number:03}" * 700)])

peaks, clock = [], Measured()
done = deliver(sys.argv[1], records(), clock)
print(json.dumps({"peaks": peaks, "seconds": clock.now, "written": done.counts.written, "error": str(done.error)}))
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.mark.parametrize("gzip", ["yes", "no"])
@pytest.mark.parametrize("refused", ["request", "document"])
def test_resident_memory_does_not_grow_while_the_server_says_later_for_ten_minutes(server: FakeServer, refused: str, gzip: str):
    if refused == "request":
        server.whole = lambda request: 429 if 1 < request.number <= 1 + REFUSALS else None
    else:
        server.item = lambda identity, times: 429 if int(identity, 16) >= 1000 and times <= REFUSALS // 2 else None
    target = f"elasticsearch:{server.address}?patience=3600&gzip={gzip}"
    command = [sys.executable, "-c", CLIENT, target, str(BATCHES)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["written"], told["error"]) == (BATCHES * 1000, "None")
    assert told["seconds"] > 600
    assert len(told["peaks"]) == REFUSALS
    assert told["peaks"][-1] - told["peaks"][4] < 3 << 20, "one request is 2.1 MB"

"""The command with one more collector, whose files do to the process that reads them what no evidence should.

A process that a batch starts runs this file too, as `spawn` does with the main program: so the collector is there, and nowhere else.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from exporter.collectors import COLLECTORS, Settings
from exporter.evidence import EvidenceFile
from exporter.records import Item, Parsed, Tally


class BombCollector:
    """`crash.bomb` ends the process as a crashing library does, `hang.bomb` never ends; `once.bomb` crashes where its mark is not yet."""

    name = "bomb"
    tails = ("*.bomb",)

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        name = file.path.rpartition("/")[2]
        if name == "hang.bomb":
            time.sleep(3600)
        with file.open() as stream:
            mark = Path(stream.read().decode())
        if name == "crash.bomb" or not mark.exists():
            mark.touch()
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        yield Tally(1, {"bomb": 1})

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        return ()


if __name__ in ("__main__", "__mp_main__"):
    COLLECTORS["bomb"] = "tests.batch.bombs:BombCollector"

if __name__ == "__main__":
    from exporter.cli import main

    main()

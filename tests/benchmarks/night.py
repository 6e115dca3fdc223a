"""The share and the state of a night with nothing new: 100,000 files, and 10 million events delivered before."""

import os
from pathlib import Path

from exporter.cli.progress import Silent
from exporter.ingest import Ingest, Ingester

FILES = 100_000
FILES_PER_HOST = 100
EVENTS = 10_000_000
_ENTRIES = "C/ProgramData/Microsoft/Windows Defender/Quarantine/Entries"


def arguments(folder: Path) -> tuple[str, ...]:
    """What follows `ingest`; share and state are made when they are not there (some minutes)."""
    share, state, target = folder / "share", folder / "share-state", f"ecs:{folder / 'night-{run}.ndjson'}"
    if not (folder / "share.made").exists():
        _fill_share(share)
        ingester = Ingester(Ingest(share=share, state=state, case_from="bench", to=(target,), settle=0.0), _silent, Silent())
        try:
            ingester.run()
            _fill_state(ingester)
        finally:
            ingester.close()
        (folder / "share.made").touch()
    return (str(share), "--state", str(state), "--case-from", "bench", "--to", target)


def _silent(level: str, action: str, message: str, **facts: object) -> None:
    """Nobody listens."""


def _fill_share(share: Path) -> None:
    """Quarantine entries that hold nothing: what counts here is their number."""
    for host in range(FILES // FILES_PER_HOST):
        entries = share / f"HOST-{host:05d}" / _ENTRIES
        entries.mkdir(parents=True, exist_ok=True)
        for number in range(FILES_PER_HOST):
            (entries / f"{{{host:08X}-0000-0000-{number:04X}-000000000000}}").write_bytes(b"x")


def _fill_state(ingester: Ingester) -> None:
    state = ingester.state
    for _ in range(EVENTS // 100_000):
        with state.transaction():
            for _ in range(100_000):
                state.ids.add(os.urandom(20).hex())

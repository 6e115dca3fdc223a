"""The EVTX collector reads Defender's records from any log and gives each one identity."""

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from exporter.collectors import Settings
from exporter.collectors.evtx import EvtxCollector
from exporter.formats.evtx_engine import ENGINES
from exporter.records import Parsed, Tally
from tests.evtx_logs import SAMPLES, log_of


class File:
    """A file of an evidence tree."""

    evidence, size, modified_at, volume, snapshot = "memory", None, None, None, None

    def __init__(self, data: bytes, path: str = "Windows/System32/winevt/Logs/X.evtx") -> None:
        self.data, self.path = data, path

    def open(self) -> BinaryIO:
        return BytesIO(self.data)


def read(data: bytes, engine: str = "evtx") -> list[Parsed]:
    *items, tally = EvtxCollector().read(File(data), Settings(evtx_engine=engine))
    assert isinstance(tally, Tally)
    return [item for item in items if isinstance(item, Parsed)]


def keys(data: bytes, engine: str = "evtx") -> list[tuple[str, ...]]:
    return [EvtxCollector().key(item, File(data)) for item in read(data, engine)]


def test_the_key_names_channel_record_time_and_event() -> None:
    """133420707954415784 ticks plus one second and one tick, in microseconds of 1970, truncated."""
    wanted = ("evtx", "microsoft-windows-windows defender/operational", "1", "1697597196441578", "5007")
    assert keys(bytes(log_of(1))) == [wanted]


@pytest.mark.real_data
@pytest.mark.parametrize("name", [name for name in SAMPLES if "1116-1117" not in name])
def test_both_engines_give_one_identity(shared_data: Path, name: str) -> None:
    data = (shared_data / "evtx" / name).read_bytes()
    first, second = (keys(data, engine) for engine in ENGINES)
    assert first == second
    assert len(set(first)) == sum(SAMPLES[name].values())


def test_an_unusable_time_leaves_its_place_in_the_key_empty() -> None:
    item = read(bytes(log_of(1)))[0]
    timeless = type(item.payload)(event_id=5007, record_id=1, channel="C", provider_name="p")
    assert EvtxCollector().key(Parsed(timeless, 0, ""), File(b"")) == ("evtx", "c", "1", "", "5007")


def test_the_engine_is_the_one_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr("exporter.formats.evtx_pairs.render", lambda log, engine: used.append(engine) or iter(()))
    for engine in ENGINES:
        read(bytes(log_of(1)), engine)
    assert used == list(ENGINES)


def test_any_log_is_looked_at() -> None:
    assert EvtxCollector.tails == ("*.evtx",)

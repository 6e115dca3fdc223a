"""Records whose shared template is damaged are read with that of another chunk, and say so."""

import io
from typing import BinaryIO

import msgspec
import pytest

from exporter.collectors import Settings
from exporter.collectors.evtx import EvtxCollector
from exporter.errors import EvidenceError
from exporter.formats.evtx_salvage import CHECK
from exporter.records import Item, Parsed, Rejected, Tally
from tests.evtx_logs import CHUNK, HEADER, log_of, record_offsets


class File:
    """A log as evidence, that opens so many times."""

    evidence, modified_at, volume, snapshot, path = "memory", None, None, None, "x.evtx"

    def __init__(self, data: bytes, times: int = 9) -> None:
        self.data, self.size, self.times = data, len(data), times

    def open(self) -> BinaryIO:
        self.times -= 1
        if self.times < 0:
            raise EvidenceError("gone")
        return io.BytesIO(self.data)


def items(data: bytes, times: int = 9) -> list[Item]:
    *found, tally = EvtxCollector().read(File(data, times), Settings())
    assert isinstance(tally, Tally)
    assert tally.seen == sum(item.units for item in found) + sum(tally.unparsed.values())
    return found


def said(found: list[Item]) -> dict[int, object]:
    parsed = (item for item in found if isinstance(item, Parsed))
    return {item.offset: (msgspec.structs.replace(item.payload, engine=None), item.raw_hash) for item in parsed}


@pytest.fixture(scope="module")
def sound() -> bytes:
    return bytes(log_of(160))


@pytest.fixture
def torn(sound: bytes) -> bytes:
    """The templates of the first chunk, in its first record, are zeros."""
    data, place = bytearray(sound), record_offsets(sound)[0] + 100
    data[place : place + 200] = bytes(200)
    return bytes(data)


def test_records_that_shared_a_lost_template_come_back_labeled(sound: bytes, torn: bytes) -> None:
    before, after = items(sound), items(torn)
    first = record_offsets(sound)[0]
    assert {place: one for place, one in said(before).items() if place != first} == {
        place: one for place, one in said(after).items() if place != first
    }
    others = [item for item in after if isinstance(item, Parsed) and first < item.offset < HEADER + CHUNK]
    assert {(str(item.integrity.verdict), item.integrity.check, item.payload.engine) for item in others} == {
        ("failed", CHECK, "python-evtx")
    }
    (told,) = [item for item in after if isinstance(item, Rejected) and not item.units]
    assert (told.offset, "with templates of other chunks" in told.reason) == (HEADER, True)


def test_without_another_chunk_they_stay_lost(sound: bytes, torn: bytes) -> None:
    alone = items(torn[: HEADER + CHUNK])
    assert sum(isinstance(item, Rejected) and item.number is not None for item in alone) == len(record_offsets(sound))


def test_a_damaged_chunk_lends_nothing(sound: bytes, torn: bytes) -> None:
    data = bytearray(torn)
    for number in range(1, (len(data) - HEADER) // CHUNK):
        data[HEADER + number * CHUNK + 52] ^= 1
    assert sum(isinstance(item, Rejected) and item.number is not None for item in items(bytes(data))) == len(record_offsets(sound))


def test_a_log_that_cannot_be_opened_again_loses_no_count(sound: bytes, torn: bytes) -> None:
    assert sum(isinstance(item, Rejected) and item.units for item in items(torn, times=1)) == len(record_offsets(sound))


@pytest.mark.parametrize("place", range(0, 4000, 333))
def test_any_damage_to_other_templates_changes_nothing_verified(sound: bytes, place: int) -> None:
    data = bytearray(sound)
    data[HEADER + 512 + place : HEADER + 512 + place + 300] = b"\x0c" * 300
    was, found = said(items(sound)), items(bytes(data))
    assert all(
        was[item.offset][0] == msgspec.structs.replace(item.payload, engine=None)
        for item in found
        if isinstance(item, Parsed) and item.integrity.verdict == "verified"
    )


def test_what_comes_back_of_a_collector_s_log_is_of_its_computer(torn: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {item.host for item in items(torn) if isinstance(item, Parsed)} == {None}
    monkeypatch.setattr(File, "path", "C/Windows/System32/winevt/Logs/ForwardedEvents.evtx")
    found = [item for item in items(torn) if isinstance(item, Parsed)]
    assert any(item.integrity.check == CHECK for item in found)
    assert all(item.host == item.payload.computer for item in found)

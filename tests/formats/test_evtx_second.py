"""Where two engines differ, it is told, and where they agree, nothing is."""

from pathlib import Path

import pytest

from exporter.formats.evtx_engine import ENGINES
from exporter.synthetic.evtx import build_evtx
from tests.evtx_logs import SAMPLES, events, log_of, read, record_offsets, seal

FORWARDED = "exported/ID1116-1117-Defender threat detected.evtx"


class TestCrossCheck:
    def test_engines_that_agree_say_nothing(self) -> None:
        assert read(log_of(70), cross_check=True) == read(log_of(70))

    @pytest.mark.parametrize("engine", ENGINES)
    def test_a_difference_is_told_by_field_and_changes_no_record(self, engine: str) -> None:
        """The wheel ends a text at its first NUL."""
        data = log_of(3)
        place = data.index("HKLM".encode("utf-16-le"), record_offsets(data)[1])
        data[place + 8 : place + 10] = bytes(2)
        seal(data)
        plain, checked = read(data, engine), read(data, engine, cross_check=True)
        assert (checked.parsed, checked.tally) == (plain.parsed, plain.tally)
        (difference,) = checked.rejected
        assert (difference.offset, difference.number) == (record_offsets(data)[1], 2)
        assert (difference.units, difference.stage) == (0, "cross-check")
        assert difference.reason.startswith(f"engines differ in data.New Value: {engine} 'HKLM")
        assert "evtx 'HKLM'" in difference.reason

    def test_records_of_other_providers_are_compared_where_they_are_exported(self) -> None:
        mixed = [*events(1), *(event for event in events(2, provider="Other", provider_guid=None, channel="App") if event.record_id > 1)]
        data = bytearray(build_evtx(mixed))
        place = data.rindex("HKLM".encode("utf-16-le"))
        data[place + 8 : place + 10] = bytes(2)
        seal(data)
        assert read(data, cross_check=True).rejected == []
        assert [item.number for item in read(data, cross_check=True, all_events=True).rejected] == [2]


@pytest.mark.real_data
@pytest.mark.parametrize("name", SAMPLES)
def test_the_engines_agree_on_every_field_of_the_samples(shared_data: Path, name: str) -> None:
    reasons = {item.reason for item in read(shared_data / "evtx" / name, cross_check=True).rejected}
    alone = {"only evtx reads it; python-evtx: python-evtx cannot read a record without a template"}
    assert reasons == (alone if name == FORWARDED else set())

"""The same checks for every entry of COLLECTORS: a new collector is tested on arrival."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collectors import COLLECTORS, Settings
from exporter.collectors.guard import Collected, FileCounts, collect, load
from exporter.evidence import EvidenceFile
from exporter.evidence.hosts import discover, open_tree
from exporter.kinds import KINDS
from exporter.records import DeadLetter, Record, Rejected, Verdict, event_id
from exporter.synthetic.case import write_case


class Bytes:
    """Evidence in memory, at any path."""

    def __init__(self, data: bytes, path: str) -> None:
        self.path, self._data = path, data
        self.evidence, self.size, self.modified_at, self.volume, self.snapshot = "memory", len(data), None, None, None
        self.doubts: list[Rejected] = []

    def open(self) -> io.BytesIO:
        return io.BytesIO(self._data)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[EvidenceFile]]:
    """The synthetic case's files by collector."""
    folder: Path = tmp_path_factory.mktemp("case")
    write_case(folder)
    found: dict[str, list[EvidenceFile]] = {}
    tails = {name: load(name).tails for name in COLLECTORS}
    for host in discover([open_tree(folder)], tails, None, lambda _: None).hosts:
        for name, file in host.files:
            found.setdefault(name, []).append(file)
    return found


def read(name: str, file: EvidenceFile) -> list[Collected]:
    return list(collect(load(name), file, "HOST", Settings()))


def content(file: EvidenceFile) -> bytes:
    with file.open() as stream:
        return stream.read()


def records(items: list[Collected]) -> Iterator[Record]:
    return (item for item in items if isinstance(item, Record))


def check(items: list[Collected]) -> FileCounts:
    """What holds for any file: counts come last, once, and add up; losses say where and why."""
    *others, counts = items
    assert isinstance(counts, FileCounts)
    assert counts.balanced, counts
    for item in others:
        assert isinstance(item, Record | DeadLetter)
        if isinstance(item, DeadLetter):
            assert item.reason
            assert item.source
    return counts


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collector_is_called_as_the_table_says_and_its_tails_are_lower_case(name: str) -> None:
    collector = load(name)
    assert collector.name == name
    assert collector.tails
    assert all(tail == tail.lower() and not tail.startswith("/") for tail in collector.tails)


@pytest.mark.parametrize("name", COLLECTORS)
def test_the_synthetic_case_has_files_for_it_and_all_are_read_without_loss(name: str, samples) -> None:
    assert samples[name]
    for file in samples[name]:
        counts = check(read(name, file))
        assert counts.rejected == 0
        assert set(counts.kinds) <= set(KINDS)
    assert any(read(name, file) for file in samples[name])


@pytest.mark.parametrize("name", COLLECTORS)
def test_ids_and_hashes_do_not_depend_on_where_the_evidence_lies(name: str, samples) -> None:
    for file in samples[name][:3]:
        base = file.path.rpartition("/")[2]
        here = [(event_id("C", record), record.hash) for record in records(read(name, file))]
        there = [(event_id("C", record), record.hash) for record in records(read(name, Bytes(content(file), f"elsewhere/deep/{base}")))]
        assert here == there
        assert len({identity for identity, _ in here}) == len(here)
        assert all(len(digest) == 64 and digest == digest.lower() for _, digest in here)


@pytest.mark.parametrize("name", COLLECTORS)
def test_two_reads_give_the_same(name: str, samples) -> None:
    for file in samples[name][:3]:
        assert [repr(item) for item in read(name, file)] == [repr(item) for item in read(name, file)]


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_file_cut_anywhere_adds_up_and_claims_nothing_new_to_be_verified(name: str, samples) -> None:
    chance = random.Random(7)
    file = min(samples[name], key=lambda one: one.size or 0)
    data = content(file)
    whole = {event_id("C", record) for record in records(read(name, file))}
    for length in sorted({0, 1, len(data) - 1, *(chance.randrange(len(data)) for _ in range(12))}):
        items = read(name, Bytes(data[:length], file.path))
        check(items)
        verified = {event_id("C", record) for record in records(items) if record.integrity.verdict is Verdict.VERIFIED}
        assert verified <= whole


@pytest.mark.parametrize("name", COLLECTORS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=300), head=st.booleans())
def test_any_bytes_add_up(name: str, samples, data: bytes, head: bool) -> None:
    file = samples[name][0]
    check(read(name, Bytes(content(file)[:64] + data if head else data, file.path)))

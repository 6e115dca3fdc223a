"""Shadow copies: each event is told once, by all the states that hold it."""

import io
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import EvidenceError
from exporter.evidence.files import File
from exporter.evidence.hosts import Host
from exporter.records import UNVERIFIABLE, Integrity, Payload, Record, Source, Verdict
from exporter.states import told_once

PATH = "ProgramData/x.log"


def file(snapshot: str | None, content: bytes, path: str = PATH, *, size: bool = True) -> File:
    opened = File(
        path=path, evidence="disk.E01", root="", tails=("x.log",), opener=lambda: io.BytesIO(content), snapshot=snapshot, volume="p1"
    )
    opened.size = len(content) if size else None
    return opened


def host(*files: File) -> Host:
    return Host(name="H", name_basis="option", roots=(), files=tuple(("mplog", each) for each in files), missing=())


class Reader:
    """Each byte is an event; upper case is one whose check failed. Counts how often each state was read."""

    def __init__(self) -> None:
        self.opened: list[str | None] = []

    def __call__(self, name: str, source: File) -> list[Record]:
        self.opened.append(source.snapshot)
        states = (source.snapshot,) if source.snapshot else None
        return [record(chr(letter), Source(source.path, source.evidence, snapshot=states)) for letter in source.open().read()]


def record(letter: str, source: Source) -> Record:
    key = ("k", source.path, letter.lower())
    integrity = Integrity(Verdict.FAILED, "test") if letter.isupper() else UNVERIFIABLE
    return Record(payload=Payload(), host="H", source=source, collector="mplog", key=key, hash=letter, integrity=integrity)


def told(*files: File, read: Reader | None = None) -> list[tuple[str, tuple[str, ...] | None]]:
    """Each told event with its states, in order."""
    read = read or Reader()
    out = []
    for name, each, tell in told_once(host(*files), "C", read):
        out += [(record.hash, record.source.snapshot) for item in read(name, each) if (record := tell(item)) is not None]
    return out


def test_without_shadow_copies_records_pass_as_they_are():
    assert told(file(None, b"ab")) == [("a", None), ("b", None)]


def test_equal_contents_are_read_once_and_name_all_their_states():
    read = Reader()
    assert told(file("vss1", b"ab"), file(None, b"ab"), file("vss2", b"ab"), read=read) == [
        ("a", ("live", "vss2", "vss1")),
        ("b", ("live", "vss2", "vss1")),
    ]
    assert read.opened == [None]


def test_an_event_of_several_states_is_told_once_and_one_that_is_gone_from_the_live_volume_is_told_too():
    assert told(file(None, b"bcd"), file("vss1", b"abx"), file("vss2", b"abc")) == [
        ("b", ("live", "vss2", "vss1")),
        ("c", ("live", "vss2")),
        ("d", ("live",)),
        ("a", ("vss2", "vss1")),
        ("x", ("vss1",)),
    ]


def test_the_whole_record_of_an_older_state_is_told_instead_of_the_damaged_one():
    assert told(file(None, b"Ab"), file("vss1", b"a")) == [("b", ("live",)), ("a", ("live", "vss1"))]


def test_a_file_that_only_a_shadow_copy_holds_is_told_with_its_name():
    assert told(file(None, b"a"), file("vss1", b"z", "Gone/y.log")) == [("a", ("live",)), ("z", ("vss1",))]


def test_files_of_other_volumes_are_not_taken_together():
    other = file(None, b"a")
    other.volume = "p2"
    assert told(file("vss1", b"a"), other) == [("a", ("vss1",)), ("a", ("live",))]


def test_a_content_that_cannot_be_read_is_left_to_its_reader():
    def broken() -> io.BytesIO:
        raise EvidenceError("damaged cluster", "x.log")

    bad = file("vss1", b"a")
    bad.opener = broken
    names = [each.snapshot for _, each, _ in told_once(host(file(None, b"a"), bad), "C", lambda name, each: ())]
    assert names == [None, "vss1"]


@pytest.mark.parametrize("size", [True, False])
@given(st.dictionaries(st.sampled_from(["live", "vss1", "vss2", "vss10"]), st.text("abcXYZ", max_size=8), min_size=1))
def test_the_union_of_all_states_is_told_and_nothing_twice(size: bool, states: Mapping[str, str]):
    unique = {name: "".join(dict.fromkeys(text.lower())) for name, text in states.items()}
    files = [file(None if name == "live" else name, text.encode(), size=size) for name, text in unique.items()]
    out = told(*files)
    if list(unique) == ["live"]:
        assert [letter for letter, _ in out] == list(unique["live"])
        return
    assert {letter: set(names or ()) for letter, names in out} == {
        letter: {name for name, text in unique.items() if letter in text} for text in unique.values() for letter in text
    }
    assert len(out) == len({letter for letter, _ in out})

"""One volume in several states: each event is told once, with the names of all the states that hold it.

A file of a shadow copy mostly is the file of the live volume, or an older, shorter one. Files of equal content are read once. Where the
contents of one path differ, they are read twice: first only for the ids of their events, then, live volume first and older states after
it, for what no earlier one has told. The ids wait in a temporary database of SQLite, which stays in memory while it is small.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TypeAlias

import msgspec

from exporter.evidence import EvidenceFile
from exporter.evidence.hosts import Host
from exporter.evidence.observed import sha256_of
from exporter.records import Record, Source, Verdict, event_id
from exporter.state.ids import key

LIVE = "live"
"""The name of the state that a volume has outside its shadow copies."""
_NUMBER = re.compile(r"\d+")

Read: TypeAlias = Callable[[str, EvidenceFile], Iterable[object]]
Tell: TypeAlias = Callable[[Record], Record | None]
"""The record as it is to be told, or None when it was told."""


class Content(msgspec.Struct, frozen=True):
    """A file and the names of the states in which its path has this content."""

    file: EvidenceFile
    states: tuple[str, ...]


def told_once(host: Host, case: str, read: Read) -> Iterator[tuple[str, EvidenceFile, Tell]]:
    """The host's files in the order to read them, each with what becomes of its records.

    `read` collects a file's records (and whatever else it yields) and leaves no other trace. A host without shadow copies is passed on as
    it is. Raises SourceGone.
    """
    if not any(file.snapshot for _, file in host.files):
        yield from ((name, file, _as_it_is) for name, file in host.files)
        return
    for (name, *_), files in _by_path(host).items():
        contents = list(_contents(files))
        if len(contents) == 1:
            yield name, contents[0].file, _Named(contents[0].states).tell
        else:
            with closing(_Overlap(name, contents, case, read)) as overlap:
                yield from ((name, content.file, overlap.teller(index)) for index, content in enumerate(contents))


def _as_it_is(record: Record) -> Record | None:
    return record


def _by_path(host: Host) -> dict[tuple[str, str, str | None, str], list[EvidenceFile]]:
    groups: dict[tuple[str, str, str | None, str], list[EvidenceFile]] = {}
    for name, file in host.files:
        groups.setdefault((name, file.evidence, file.volume, file.path), []).append(file)
    return groups


def _contents(files: list[EvidenceFile]) -> Iterator[Content]:
    """The distinct contents of one path, newest first. What cannot be read to its end is a content of its own: its reader says why."""
    same: dict[object, list[EvidenceFile]] = {}
    sizes = [file.size for file in files]
    for file in sorted(files, key=lambda file: _order(file.snapshot or LIVE)):
        alone = file.size is not None and sizes.count(file.size) == 1
        same.setdefault(id(file) if alone else sha256_of(file) or id(file), []).append(file)
    for group in same.values():
        yield Content(group[0], tuple(file.snapshot or LIVE for file in group))


class _Named:
    """Records of states that are known, with one source for each run of equal ones: whoever maps them keeps what is made of it."""

    def __init__(self, states: tuple[str, ...]) -> None:
        self._states = states
        self._before: Source | None = None
        self._named: Source | None = None

    def tell(self, record: Record) -> Record | None:
        if record.source is not self._before or self._named is None:
            self._before = record.source
            self._named = msgspec.structs.replace(record.source, snapshot=self._states)
        return msgspec.structs.replace(record, source=self._named)


class _Overlap:
    """Contents of one path that differ, and which events stand in which of them."""

    def __init__(self, name: str, contents: list[Content], case: str, read: Read) -> None:
        self._case = case
        self._contents = contents
        self._named: dict[tuple[int, ...], _Named] = {}
        import sqlite3

        self._stands = sqlite3.connect("", isolation_level=None)
        self._stands.execute("CREATE TABLE stands (id BLOB, content INTEGER, damaged INTEGER, PRIMARY KEY (id, content)) WITHOUT ROWID")
        self._stands.execute("BEGIN")
        for index, content in enumerate(contents):
            for item in read(name, content.file):
                if isinstance(item, Record):
                    damaged = item.integrity.verdict is Verdict.FAILED or item.incomplete is not None
                    self._stands.execute("INSERT OR IGNORE INTO stands VALUES (?, ?, ?)", (self._key(item), index, damaged))

    def close(self) -> None:
        self._stands.close()

    def _key(self, record: Record) -> bytes:
        return key(event_id(self._case, record))

    def teller(self, index: int) -> Tell:
        """What becomes of the records of this content: the newest whole one is told."""
        statement = "SELECT content FROM stands WHERE id = ? ORDER BY damaged, content"

        def tell(record: Record) -> Record | None:
            found = tuple(content for (content,) in self._stands.execute(statement, (self._key(record),))) or (index,)
            return self._name(found).tell(record) if found[0] == index else None

        return tell

    def _name(self, found: tuple[int, ...]) -> _Named:
        named = self._named.get(found)
        if named is None:
            states = [state for index in found for state in self._contents[index].states]
            named = self._named[found] = _Named(tuple(sorted(states, key=_order)))
        return named


def _order(state: str) -> tuple[bool, int, str]:
    """Live, then from the newest on: Windows and libvshadow number shadow copies from the oldest on."""
    numbers = _NUMBER.findall(state)
    return state != LIVE, -int(numbers[0]) if numbers else 0, state

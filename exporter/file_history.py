"""What a state knows of the files of one collection: which changed, how, and how far they were read.

A log may be collected while Defender writes it, so that it ends in the middle of a block. In a folder, what is cut there is not written
yet: tomorrow the block is whole, under the same offset and another hash. When the file has not grown for a day, it is taken as it is.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from exporter.evidence import EvidenceFile
from exporter.evidence.hosts import Discovery, Host
from exporter.evidence.patience import PatientFile
from exporter.state.checkpoint import State

GROWING = frozenset(("mplog", "mpdetection", "mpcmdrun"))
"""Collectors whose files only grow at their end, so that another beginning means another file."""
FILE_ENDS = "the file ends"
"""What their formats say of a line, a block or a character that is cut off by the end of the file."""
_COLUMNS = "path, collector, host, size, modified, head_size, head, cut"


class Tell(Protocol):
    """Who is told what happens: a level (`info`, `warning`, `error`), a word for programs, a sentence, facts."""

    def __call__(self, level: str, action: str, message: str, **facts: object) -> None: ...


class _Known(NamedTuple):
    path: str
    collector: str
    host: str
    size: int | None
    modified: int | None
    head_size: int
    head: bytes
    cut: int


class FileHistory:
    """The files of one collection. `as_it_is`: a file that ended in the middle of a block has had its time to grow."""

    def __init__(self, state: State, collection: str, tell: Tell, *, as_it_is: bool) -> None:
        self._state, self._collection, self._tell, self._as_it_is = state, collection, tell, as_it_is
        rows = state.execute(f"SELECT {_COLUMNS} FROM files WHERE collection = ? AND gone = 0", (collection,))  # noqa: S608 (our own names)
        self._known = {(row[0], row[1]): _Known(*row) for row in rows}

    def changed(self, host: Host) -> list[tuple[str, EvidenceFile]]:
        """The files of the host that were not read as they are now, or not under this name of their host."""
        return [(name, file) for name, file in host.files if not self._same(host.name, name, file)]

    def _same(self, host: str, collector: str, file: EvidenceFile) -> bool:
        known = self._known.get((file.path, collector))
        if known is None or (known.cut and self._as_it_is):
            return False
        return (known.host, known.size, known.modified) == (host, file.size, file.modified_at)

    def tell_renamed(self, host: Host, files: Iterable[tuple[str, EvidenceFile]]) -> None:
        """Say when the evidence gives a host another name than before: ids hold it."""
        before = {self._known[file.path, name].host for name, file in files if (file.path, name) in self._known}
        for old in sorted(before - {host.name}):
            text = f"the host `{old}` is now known as `{host.name}`; its events are written again under this name"
            self._say("warning", "host-renamed", text)

    def note(self, host: Host, delivery: int, cut: frozenset[str]) -> None:
        """The files of the host were read to their ends; `cut` are the paths of those that ended in the middle of a block."""
        for name, file in host.files:
            assert isinstance(file, PatientFile)
            self._compare(file, name)
            values: tuple[Any, ...] = (self._collection, file.path, name, host.name, file.size, file.modified_at, len(file.head))
            self._state.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (*values, _digest(file.head), file.path in cut, delivery),
            )

    def _compare(self, file: PatientFile, collector: str) -> None:
        known = self._known.get((file.path, collector))
        if known is None:
            return
        comparable = collector in GROWING and len(file.head) >= known.head_size
        if comparable and _digest(file.head[: known.head_size]) != known.head:
            self._say("warning", "file-replaced", f"{file.path} was replaced: it begins differently", file.path)
        elif known.size is not None and file.size is not None and file.size < known.size:
            self._say("warning", "file-truncated", f"{file.path} was truncated from {known.size} to {file.size} bytes", file.path)

    def tell_gone(self, found: Discovery) -> None:
        """Say which files are not there any more."""
        there = {(file.path, name) for host in found.hosts for name, file in host.files}
        for path, name in sorted(self._known.keys() - there):
            self._say("info", "file-gone", f"{path} is not there any more (rotated or removed); what was read of it stays delivered", path)
            values = (self._collection, path, name)
            self._state.execute("UPDATE files SET gone = 1 WHERE collection = ? AND path = ? AND collector = ?", values)

    def _say(self, level: str, action: str, text: str, file: str | None = None) -> None:
        facts = {"collection": self._collection} | ({"file": file} if file else {})
        self._tell(level, action, f"{self._collection}: {text}", **facts)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()

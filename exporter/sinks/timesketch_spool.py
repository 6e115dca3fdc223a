"""What is to be uploaded, on the disk: the parts of one timeline in a folder of their own, with a journal.

`<spool>/<timeline>-<destination>/<digest>/`: parts `part-0001.jsonl`..., `part-manifest.json` (T11), `upload.json`. The digest is that of
the parts, so the same evidence finds its folder again, and another export never overwrites one that is not delivered yet.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from exporter.errors import SinkRefused, SinkUnavailable
from exporter.sinks.atomic import PartFile
from exporter.sinks.runs import Block
from exporter.sinks.timesketch_parts import write_parts

JOURNAL = "upload.json"
_STEM = "part.jsonl"
_MANIFEST = "part-manifest.json"
_NEW = "new-"


class Part(msgspec.Struct):
    """A part and how far it is: `sending` means that the server may have it."""

    name: str
    lines: int
    size_bytes: int
    sha256: str
    state: Literal["waiting", "sending", "accepted"] = "waiting"


class _Manifest(msgspec.Struct):
    parts: list[Part]


class Journal(msgspec.Struct):
    """How far an upload is; `complete` when the server has indexed all of it."""

    server: str
    timeline: str
    parts: list[Part]
    sketch_id: int | None = None
    complete: bool = False

    @property
    def lines(self) -> int:
        """Rows of all parts."""
        return sum(part.lines for part in self.parts)


class Spool:
    """The folder of one upload. Raises SinkRefused when it cannot be made or read, SinkUnavailable when the disk fails."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.folder = folder
        self.journal = journal

    def save(self) -> None:
        """Write the journal and rename it into place."""
        file = PartFile(self.folder / JOURNAL, force=True)
        file.write(msgspec.json.format(msgspec.json.encode(self.journal)) + b"\n")
        file.commit()

    def part(self, part: Part) -> Path:
        """Where a part is."""
        return self.folder / part.name

    def remove_parts(self) -> None:
        """What the server has need not be kept; the journal stays, and tells what it was."""
        with contextlib.suppress(OSError):
            for name in (*(part.name for part in self.journal.parts), _MANIFEST):
                (self.folder / name).unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """The folder of a destination, for this user only."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SinkRefused(f"the spool folder `{folder}` cannot be made: {error.strerror}") from error


def fill(spool: Path, blocks: Iterable[Block], limits: tuple[int, int], server: str, timeline: str) -> Spool:
    """Write the parts of at most `limits` (bytes, lines), or find the folder in which an earlier run left the same ones.

    `blocks` has at least one line. What a killed run left half written is removed: nobody else writes here.
    """
    try:
        for left in spool.glob(f"{_NEW}*"):
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=spool))
        try:
            write_parts(new / _STEM, blocks, *limits, force=True)
            journal = Journal(server, timeline, msgspec.json.decode((new / _MANIFEST).read_bytes(), type=_Manifest).parts)
            return _placed(spool, new, journal)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise SinkUnavailable(f"the spool `{spool}` cannot be written: {error.strerror}") from error


def _placed(spool: Path, new: Path, journal: Journal) -> Spool:
    folder = spool / hashlib.sha256(" ".join(part.sha256 for part in journal.parts).encode()).hexdigest()[:16]
    known = _read(folder / JOURNAL)
    if known is not None and [part.sha256 for part in known.parts] == [part.sha256 for part in journal.parts]:
        journal = known
    if folder.is_dir():
        for file in new.iterdir():  # the same bytes, if they are there: an upload that is complete gave up its parts
            file.replace(folder / file.name)
    else:
        new.replace(folder)
    placed = Spool(folder, journal)
    placed.save()
    return placed


def _read(path: Path) -> Journal | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise SinkRefused(f"`{path}` is not the journal of an upload: {error}") from None

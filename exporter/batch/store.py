"""Where hosts leave their parts, and the manifest that says so: `work/hosts/<id>.json` and `work/parts/<id>-<attempt>/`.

A manifest is written by rename after its parts; parts that no manifest names are left-overs. Two attempts never share a folder, so a
process that outlives its run spoils nothing.

Nothing of this is forced to the disk, which for small hosts would take longer than reading them: a manifest has the checksums of its
parts, and whoever goes on compares them. So a killed batch loses nothing, and a power cut the hosts of its last seconds.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import msgspec

from exporter import __version__
from exporter.batch.task import Item, Outcome
from exporter.errors import SinkUnavailable
from exporter.records import DeadLetter
from exporter.sinks.checked import checksum_of
from exporter.sinks.runs import Saved
from exporter.state.dead_letters import DeadLetters

LETTERS = "dead-letters.ndjson"
_SHARD = 2


class Part(msgspec.Struct, frozen=True):
    """A file of a host: `lines` and `line_bytes` of a timeline's run, the size of the file in bytes and its CRC-32."""

    name: str
    lines: int
    line_bytes: int
    size: int
    checksum: int


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says without its report."""

    version: str
    settings: str
    input: str
    outcome: Outcome
    folder: str = ""
    parts: tuple[Part | None, ...] = ()
    letters: Part | None = None


class Done(_Known, frozen=True, kw_only=True):
    """The manifest of a host. `folder` holds its `parts`, one for each sink that merges, in the order of the sinks."""

    report: msgspec.Raw = msgspec.Raw(b"null")


class Store:
    """The folder `work`, which every process of the batch sees. Raises SinkUnavailable when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manifest(self, identity: str) -> Path:
        """Where the manifest of an item is."""
        return self.folder / f"hosts/{identity[:_SHARD]}/{identity}.json"

    def attempt(self, identity: str) -> Path:
        """A new folder for the parts of an item."""
        with _writable(self.folder):
            folder = self.folder / "parts" / identity[:_SHARD] / f"{identity}-{secrets.token_hex(4)}"
            folder.mkdir(parents=True, mode=0o700)
            return folder

    def save(self, done: Done) -> None:
        """Write a manifest by rename; what an earlier one named is removed."""
        path = self.manifest(done.outcome.id)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        before = self.read(done.outcome.id)
        with _writable(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(msgspec.json.encode(done))
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        if before is not None and before.folder not in ("", done.folder):
            shutil.rmtree(self.folder / before.folder, ignore_errors=True)

    def fail(self, item: Item, settings: str, outcome: Outcome, *, reproducible: bool) -> None:
        """The manifest of an item of which nothing is in the outputs, with a dead letter that says why."""
        folder = self.attempt(item.id)
        letters = DeadLetters(folder / LETTERS, reproducible=reproducible)
        for reason in outcome.reasons:
            letters.write(DeadLetter(stage="batch", reason=reason, source=", ".join(item.evidence), host=item.label))
        letters.close()
        outcome.dead_letters = letters.count
        name = folder.relative_to(self.folder).as_posix()
        part = Part(LETTERS, 0, 0, letters.path.stat().st_size, checksum_of(letters.path))
        self.save(Done(version=__version__, settings=settings, input=item.input, outcome=outcome, folder=name, letters=part))

    def read(self, identity: str) -> Done | None:
        """The manifest of an item without its report; None when there is none that this version can read."""
        try:
            known = msgspec.json.decode(self.manifest(identity).read_bytes(), type=_Known)
        except (OSError, msgspec.MsgspecError):
            return None
        return Done(**{name: getattr(known, name) for name in _Known.__struct_fields__})

    def report(self, identity: str) -> msgspec.Raw:
        """The report in the manifest of an item."""
        return msgspec.json.decode(self.manifest(identity).read_bytes(), type=Done).report

    def current(self, item: Item, settings: str, *, whole: bool = True) -> Done | None:
        """The manifest of an item, if it is of this version, these settings and this input, and, when asked, its parts are `whole`."""
        done = self.read(item.id)
        if done is None or (done.version, done.settings, done.input) != (__version__, settings, item.input):
            return None
        return done if not whole or self._is_whole(done) else None

    def _is_whole(self, done: Done) -> bool:
        try:
            parts = filter(None, (*done.parts, done.letters))
            return all(_holds(self.folder / done.folder / part.name, part) for part in parts)
        except OSError:
            return False

    def saved(self, done: Done, index: int) -> Saved | None:
        """The part of the sink of this number."""
        part = done.parts[index]
        return None if part is None else Saved(self.folder / done.folder / part.name, part.lines, part.line_bytes)

    def forget(self, identities: Iterable[str]) -> None:
        """Remove manifests, and so what they name."""
        with _writable(self.folder):
            for identity in identities:
                self.manifest(identity).unlink(missing_ok=True)

    def tidy(self, kept: Container[str]) -> None:
        """Remove parts but for these folders."""
        for folder in self._folders():
            if folder.relative_to(self.folder).as_posix() not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            for shard in sorted((self.folder / "parts").iterdir()):
                yield from sorted(shard.iterdir())


def _holds(path: Path, part: Part) -> bool:
    return path.stat().st_size == part.size and checksum_of(path) == part.checksum


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkUnavailable(f"`{path}` cannot be written: {error.strerror}") from error

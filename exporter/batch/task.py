"""What goes to a process and what comes back: plain data, encoded, fit for a pipe or a cluster."""

from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from exporter.job import Job
from exporter.sinks import Counts

State: TypeAlias = Literal["complete", "incomplete", "failed", "stopped", "missing"]
"""Of a host. `incomplete`: read, with losses or nothing found. `failed`: nothing of it is in the outputs. `stopped`: a sink gave up."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the plan, perhaps several in truth. `label` names it in results; `name` is its host name, where the user says it.

    `size` is in bytes, `input` a digest of the names, sizes and times of what it holds: another digest means that it is read again.
    """

    id: str
    label: str
    evidence: tuple[str, ...]
    name: str | None = None
    size: int = 0
    input: str = ""
    utc_offset: int | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One item to be read: a job whose sinks leave parts below `work`. Secrets are never in it, only the names of files that hold them.

    `settings` is the digest of everything but the evidence that documents depend on; `now` is in ticks; `silence` is in seconds.
    """

    item: Item
    job: Job
    work: Path
    settings: str
    now: int
    hashed: bool = False
    silence: float = 600.0


class Sums(msgspec.Struct):
    """What the files of a host held, in their units: seen = emitted + rejected + unparsed."""

    seen: int = 0
    emitted: int = 0
    rejected: int = 0
    unparsed: int = 0

    def add(self, other: "Sums") -> None:
        """Count another host's in."""
        self.seen += other.seen
        self.emitted += other.emitted
        self.rejected += other.rejected
        self.unparsed += other.unparsed

    @property
    def balanced(self) -> bool:
        """True when nothing was lost silently."""
        return self.seen == self.emitted + self.rejected + self.unparsed


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of an item: counts and reasons, never documents. `hosts` are the names that were found, `seconds` wall time.

    `refused` with `stopped`: the sink will not have it, and trying again will not help.
    """

    id: str
    host: str
    state: State
    reasons: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    files: int = 0
    size: int = 0
    incidents: int = 0
    sums: Sums = msgspec.field(default_factory=Sums)
    verdicts: dict[str, int] = {}
    sinks: tuple[Counts, ...] = ()
    dead_letters: int = 0
    seconds: float = 0.0
    refused: bool = False


def failed(item: Item, reason: str, *, seconds: float = 0.0) -> Outcome:
    """The outcome of an item that could not be read at all."""
    return Outcome(id=item.id, host=item.label, state="failed", reasons=(reason,), size=item.size, seconds=seconds)


def _plain(value: Any) -> str:
    return str(value)


def _path(kind: type[Any], value: Any) -> Any:
    return kind(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder = msgspec.msgpack.Decoder(Task, dec_hook=_path)


def packed(task: Task) -> bytes:
    """A task as bytes."""
    return _encoder.encode(task)


def unpacked(data: bytes) -> Task:
    """The task that `packed` was given."""
    return _decoder.decode(data)

"""From paths and patterns to the list of items, each with its size and a digest of what it looks like."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from exporter.batch.task import Item
from exporter.collectors import COLLECTORS
from exporter.collectors.guard import load
from exporter.errors import EvidenceError, SourceGone
from exporter.evidence.patience import Patience
from exporter.evidence.share import Collection, Unlisted, look

_PATIENCE_SECONDS = 60.0
_T = TypeVar("_T")


class Row(NamedTuple):
    """What a user says of one host; `evidence` are paths or patterns."""

    evidence: tuple[str, ...]
    name: str | None = None
    utc_offset: int | None = None


def matches(pattern: str, base: Path) -> list[str]:
    """The paths that a pattern means, in order, below `base` unless they are absolute; none when nothing is there."""
    path = os.path.join(base, pattern)  # noqa: PTH118 (a final slash means folders only, and Path forgets it)
    if os.path.lexists(path):
        return [str(Path(path))]
    return sorted({str(Path(found)) for found in glob.iglob(path, recursive=True)})  # noqa: PTH207 (a pattern may be absolute)


def items(rows: Iterable[Row], base: Path) -> list[Item]:
    """An item for every row, in their order; a path where nothing is stays in the plan, to be a failed host."""
    found = [(row, tuple(path for pattern in row.evidence for path in matches(pattern, base) or [str(base / pattern)])) for row in rows]
    named = [row.name or Path(paths[0]).name for row, paths in found]
    times = Counter(named)
    labels = [name if times[name] == 1 else f"{name} ({paths[0]})" for name, (_, paths) in zip(named, found, strict=True)]
    plan: dict[str, Item] = {}
    for label, (row, paths) in zip(labels, found, strict=True):
        item = Item(id=_identity(row, paths), label=label, evidence=paths, name=row.name, utc_offset=row.utc_offset)
        plan.setdefault(item.id, item)
    return list(plan.values())


def _identity(row: Row, paths: Sequence[str]) -> str:
    text = "\0".join((row.name or "", str(row.utc_offset), *map(os.path.abspath, paths)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def looked_at(plan: Sequence[Item]) -> list[Item]:
    """The items with their sizes and digests; no file is opened. What cannot be listed has size 0: reading it will say why."""
    tails = [tail for name in COLLECTORS for tail in load(name).tails]
    patience = Patience(_PATIENCE_SECONDS)
    try:
        return [_looked_at(item, tails, patience) for item in plan]
    finally:
        patience.close()


class _Direct(Patience):
    """For calls that are a part of one for which somebody has patience."""

    def call(self, function: Callable[..., _T], *arguments: Any, seconds: float | None = None) -> _T:
        return function(*arguments)


def _listed(path: Path, tails: Sequence[str]) -> list[Collection | Unlisted]:
    return list(look(path, tails, _Direct(0)))


def _looked_at(item: Item, tails: Sequence[str], patience: Patience) -> Item:
    size, digest = 0, hashlib.blake2b(digest_size=16)
    for path in item.evidence:
        try:
            for found in patience.call(_listed, Path(path), tails):
                size += getattr(found, "size", 0)
                digest.update(f"{found.name}\0{getattr(found, 'signature', b'').hex()}\n".encode("utf-8", "surrogatepass"))
        except (EvidenceError, SourceGone) as error:
            digest.update(str(error).encode("utf-8", "surrogatepass"))
    return msgspec.structs.replace(item, size=size, input=digest.hexdigest())

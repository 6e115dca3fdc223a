"""Where a link inside the evidence leads, found step by step without following anything."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from exporter.evidence.handles import is_link, open_folder

_MOST_HOPS = 40
"""Linux gives up at the same number."""


class LeadsOutError(Exception):
    """The link, or one that it leads to, leaves the evidence; its text is the target as found."""


def resolve(root: Path, below: Sequence[str]) -> tuple[str, ...]:
    """The names, none of them a link, beneath `root` to which the link of these names leads.

    Raises LeadsOutError, also for a target that climbs above the root and comes back, and OSError for a dangling link or a loop.
    """
    real = list(below[:-1])
    pending = [below[-1]]
    hops, last = 0, below[-1]
    while pending:
        name = pending.pop()
        if name == "..":
            if not real:
                raise LeadsOutError(last)
            real.pop()
            continue
        target = _target(root, real, name)
        if target is None:
            real.append(name)
            continue
        hops, last = hops + 1, target
        if hops > _MOST_HOPS:
            raise OSError(errno.ELOOP, "links in a circle")
        relative = PurePath(target)
        if relative.is_absolute():
            relative = _inside(root, relative, target)
            real.clear()
        pending.extend(reversed(relative.parts))
    return tuple(real)


def _target(root: Path, folder: Sequence[str], name: str) -> str | None:
    opened = open_folder(root, folder)
    try:
        return opened.target(name) if is_link(opened.status(name)) else None
    finally:
        opened.close()


def _inside(root: Path, target: PurePath, text: str) -> PurePath:
    for name in (os.path.abspath(root), os.path.realpath(root)):  # noqa: PTH100
        if target.is_relative_to(name):
            return target.relative_to(name)
    raise LeadsOutError(text)

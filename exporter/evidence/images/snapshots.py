"""Volume shadow copies: older states of a volume, each read like a volume of its own, by libvshadow."""

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from exporter.errors import EvidenceError
from exporter.evidence.images import Snapshot
from exporter.evidence.images.libyal import library, reading
from exporter.evidence.images.media import Media, media_of
from exporter.records import Rejected
from exporter.times import iso, usable

_HEADER = 0x1E00
_SIGNATURE = uuid.UUID("3808876b-c176-4e48-b7ae-04046e6cc752").bytes_le
_MOST = 512
"""Windows keeps 64 of a volume, 512 on servers."""


class State(NamedTuple):
    """A shadow copy and how it is read."""

    snapshot: Snapshot
    media: Media


class Snapshots:
    """The shadow copies of a volume, the oldest first; raises EvidenceError when their catalog cannot be read."""

    def __init__(self, media: Media) -> None:
        self._volume = library("pyvshadow").volume()
        with reading("the shadow copies cannot be opened"):
            self._volume.open_file_object(media)
            self._number: int = self._volume.number_of_stores

    def states(self) -> Iterator[State | Rejected]:
        """Each copy; one that cannot be opened as Rejected with its name as excerpt."""
        for index in range(min(self._number, _MOST)):
            name = f"vss{index + 1}"
            try:
                with reading("the shadow copy cannot be opened"):
                    store = self._volume.get_store(index)
                    yield State(_snapshot(store, name), media_of(store, store.volume_size, "the shadow copy"))
            except EvidenceError as error:
                yield Rejected(None, error.reason, name)

    def close(self) -> None:
        """Closes the volume."""
        with reading("closing"):
            self._volume.close()


def has_snapshots(media: Media) -> bool:
    """Whether a volume has a header of shadow copies."""
    return media.size > _HEADER + 512 and media.read_at(_HEADER, 16) == _SIGNATURE


def chosen(states: list[State], which: str) -> list[State]:
    """Those of `none`, `all` or `latest` that are to be read."""
    return {"none": [], "all": states, "latest": sorted(states, key=lambda state: state.snapshot.created_at)[-1:]}[which]


def _snapshot(store: Any, name: str) -> Snapshot:
    ticks = store.get_creation_time_as_integer()
    return Snapshot(name=name, created_at=ticks, created=iso(ticks) if usable(ticks) else "", identifier=store.copy_identifier or "")

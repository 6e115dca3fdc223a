"""A folder's list of entries, followed to its end: libfsntfs leaves out what it cannot reach, and says nothing.

It cannot reach what it counts wrongly either: in a volume whose clusters are larger than the blocks of a list, those are numbered by
sectors of 512 bytes, which libfsntfs 20260827 takes for clusters.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from exporter.evidence.images.media import Media
from exporter.formats.ntfs_index import Index, Listed, Node, Value, read_block

_SMALLEST_UNIT = 512
_LARGEST_BITMAP = 1 << 13


class Check(NamedTuple):
    """What is wrong with a list, in words; what it lists; and the files, by their reference, that only blocks name which it misses.

    A block that nothing leads to may be a remnant: whether such a file is there, its own entry in the MFT must say.
    """

    fault: str | None
    listed: tuple[Listed, ...]
    astray: tuple[int, ...]


class FolderCheck:
    """The list of one folder. Raises EvidenceError where the volume cannot be read."""

    def __init__(self, index: Index, media: Media, cluster_bytes: int) -> None:
        self._index, self._media, self._cluster = index, media, cluster_bytes
        self._unit = cluster_bytes if index.block_bytes >= cluster_bytes else _SMALLEST_UNIT

    def run(self) -> Check:
        """Follows the list from its root, then looks at the blocks in use that it has not met."""
        nodes, fault = {-1: self._index.root}, None
        pending = deque(self._index.root.children)
        while pending:
            at = pending.popleft() * self._unit
            number, within = divmod(at, self._index.block_bytes)
            node = None if within or at >= self._index.blocks.size or number in nodes else self._node(number)
            if node is None:
                fault = "it leads to a block that is damaged, none of its own, or met twice"
                continue
            nodes[number] = node
            pending += node.children
        if not all(node.whole for node in nodes.values()):
            fault = fault or "one of its blocks ends before it should"
        listed = tuple(file for node in nodes.values() for file in node.files)
        known = {file.reference for file in listed}
        others = (self._node(number) for number in self._used() if number not in nodes)
        astray = (file.reference for node in others if node for file in node.files if file.reference not in known)
        return Check(fault, listed, tuple(dict.fromkeys(astray)))

    def _used(self) -> Iterator[int]:
        bits = self._read(self._index.used, 0, _LARGEST_BITMAP)
        blocks = min(8 * len(bits), self._index.blocks.size // self._index.block_bytes)
        return (number for number in range(blocks) if bits[number // 8] >> number % 8 & 1)

    def _node(self, number: int) -> Node | None:
        at = number * self._index.block_bytes
        return read_block(self._read(self._index.blocks, at, self._index.block_bytes), at // self._unit)

    def _read(self, value: Value, offset: int, size: int) -> bytes:
        return part_of(value, offset, size, self._media, self._cluster)


def part_of(value: Value, offset: int, size: int, media: Media, cluster_bytes: int) -> bytes:
    """A part of what an attribute holds; less where it ends. Raises EvidenceError where the volume cannot be read."""
    if value.resident is not None:
        return value.resident[offset : offset + size]
    found, start = b"", 0
    for cluster, clusters in value.runs:
        low, high = max(offset, start), min(offset + size, start + clusters * cluster_bytes)
        if low < high:
            place = cluster * cluster_bytes + low - start if cluster is not None and cluster >= 0 else None
            found += bytes(high - low) if place is None else media.read_at(place, high - low)
        start += clusters * cluster_bytes
    return found

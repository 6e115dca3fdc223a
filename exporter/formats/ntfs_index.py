"""The list of entries of an NTFS folder: a tree of blocks, of which libfsntfs leaves out in silence what it cannot reach.

Layout: libfsntfs's documentation, MFT attributes, Index, and Data runs. A folder's index is called `$I30`.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from exporter.formats.mft_entry import fixed

_NAME = "$I30".encode("utf-16-le")
_LIST, _ROOT, _ALLOCATION, _BITMAP, _END = 0x20, 0x90, 0xA0, 0xB0, 0xFFFFFFFF
_ROOT_NODE, _BLOCK_NODE = 16, 24
_HAS_CHILD, _IS_LAST = 1, 2
BLOCK_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)


class Value(NamedTuple):
    """What an attribute holds: its bytes, or where they are (first cluster, None for a hole, and number of clusters) and how many."""

    resident: bytes | None
    runs: tuple[tuple[int | None, int], ...] = ()
    size: int = 0


class Index(NamedTuple):
    """A folder's list: the node in the MFT entry, the size of its blocks in bytes, the blocks, and a bit for each that is in use."""

    root: "Node"
    block_bytes: int
    blocks: Value
    used: Value


class Node(NamedTuple):
    """What is in one block: the files it lists, by their reference, and the blocks below it, by their number in clusters.

    `whole` when its entries fill what it says it uses.
    """

    files: tuple[int, ...]
    children: tuple[int, ...]
    whole: bool


def read_index(entry: bytes) -> Index | None:
    """The list of a folder, of its entry in the MFT as it lies on the disk; None when not all of it is told there."""
    found = {kind: value for kind, name, value in _attributes(fixed(entry)) if name == _NAME or kind == _LIST}
    root = found.get(_ROOT)
    if root is None or root.resident is None or len(root.resident) < _ROOT_NODE or _LIST in found:
        return None
    (block_bytes,) = struct.unpack_from("<I", root.resident, 8)
    if block_bytes not in BLOCK_SIZES:
        return None
    nothing = Value(b"")
    return Index(_node(root.resident, _ROOT_NODE), block_bytes, found.get(_ALLOCATION, nothing), found.get(_BITMAP, nothing))


def read_block(block: bytes, number: int) -> Node | None:
    """The node of one block; None when it is none, or not the one of this number."""
    if len(block) < _BLOCK_NODE or not block.startswith(b"INDX") or int.from_bytes(block[16:24], "little") != number:
        return None
    return _node(fixed(block), _BLOCK_NODE)


def _attributes(entry: bytes) -> Iterator[tuple[int, bytes, Value]]:
    """Type, name and value of each."""
    at = int.from_bytes(entry[20:22], "little")
    while at + 24 <= len(entry):
        kind, length, elsewhere, letters, name_at = struct.unpack_from("<IIBBH", entry, at)
        if kind == _END or length < 24 or at + length > len(entry):
            return
        attribute = entry[at : at + length]
        yield kind, attribute[name_at : name_at + 2 * letters], _runs(attribute) if elsewhere else _resident(attribute)
        at += length


def _resident(attribute: bytes) -> Value:
    length, start = struct.unpack_from("<IH", attribute, 16)
    return Value(attribute[start : start + length])


def _runs(attribute: bytes) -> Value:
    if len(attribute) < 64:
        return Value(None)
    (at,) = struct.unpack_from("<H", attribute, 32)
    found, cluster = list[tuple[int | None, int]](), 0
    while at < len(attribute) and attribute[at]:
        lengths, offsets = attribute[at] & 15, attribute[at] >> 4
        middle, end = at + 1 + lengths, at + 1 + lengths + offsets
        cluster += int.from_bytes(attribute[middle:end], "little", signed=True)
        found.append((cluster if offsets else None, int.from_bytes(attribute[at + 1 : middle], "little")))
        at = end
    return Value(None, tuple(found), struct.unpack_from("<Q", attribute, 48)[0])


def _node(data: bytes, start: int) -> Node:
    if len(data) < start + 8:
        return Node((), (), False)
    first, used = struct.unpack_from("<II", data, start)
    at, end = start + first, min(start + used, len(data))
    files, children = list[int](), list[int]()
    while at + 16 <= end:
        reference, length, _, flags = struct.unpack_from("<QHHH", data, at)
        if length < 16 or at + length > end:
            break
        at += length
        children += [int.from_bytes(data[at - 8 : at], "little")] if flags & _HAS_CHILD else []
        if flags & _IS_LAST:
            return Node(tuple(files), tuple(children), at == start + used)
        files.append(reference)
    return Node(tuple(files), tuple(children), False)

"""The list of entries of an NTFS folder: a tree of blocks, of which libfsntfs leaves out in silence what it cannot reach.

Layout: libfsntfs's documentation, MFT attributes, Index, and Data runs. A folder's index is called `$I30`.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from exporter.formats.mft_entry import fixed

_NAME = "$I30".encode("utf-16-le")
_LIST, _ROOT, _ALLOCATION, _BITMAP, _END = 0x20, 0x90, 0xA0, 0xB0, 0xFFFFFFFF
_ROOT_NODE, _BLOCK_NODE = 16, 24
_HAS_CHILD, _IS_LAST = 1, 2
_FILE_NAME_BYTES = 66
_NUMBER = (1 << 48) - 1
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


class Listed(NamedTuple):
    """A file as a list names it: `name_space` is 2 for a name of DOS beside another one, `flags` are its attributes, time in ticks."""

    reference: int
    name: str = ""
    name_space: int = 0
    flags: int = 0
    modified_at: int = 0


class Node(NamedTuple):
    """What is in one block: the files it lists, and the blocks below it, by their number in clusters (or sectors, in smaller blocks).

    `whole` when its entries fill what it says it uses.
    """

    files: tuple[Listed, ...]
    children: tuple[int, ...]
    whole: bool


def attribute_list(entry: bytes) -> Value:
    """What tells which entries of the MFT hold a file's attributes, of its first one as it lies on the disk; empty when that is all."""
    return next((value for kind, _, _, value in _attributes(fixed(entry)) if kind == _LIST), Value(b""))


def further_entries(told: bytes, own: int) -> tuple[int, ...]:
    """The references in an attribute list, without that of the file's first entry, whose number is `own`."""
    references, at = dict[int, None](), 0
    while at + 26 <= len(told):
        (length,) = struct.unpack_from("<H", told, at + 4)
        (reference,) = struct.unpack_from("<Q", told, at + 16)
        if length < 26:
            break
        references[reference] = None
        at += length
    return tuple(reference for reference in references if reference & _NUMBER != own)


def read_index(entries: Iterable[bytes]) -> Index | None:
    """The list of a folder, of its entries in the MFT as they lie on the disk; None when it is not told there."""
    found: dict[int, Value] = {}
    pieces = (piece for entry in entries for piece in _attributes(fixed(entry)) if piece[1] == _NAME)
    for kind, _, _, value in sorted(pieces, key=lambda piece: piece[2]):
        before = found.get(kind, Value(value.resident, (), value.size))
        found[kind] = before._replace(runs=before.runs + value.runs)
    root = found.get(_ROOT)
    if root is None or root.resident is None or len(root.resident) < _ROOT_NODE:
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


def _attributes(entry: bytes) -> Iterator[tuple[int, bytes, int, Value]]:
    """Type, name, first cluster and value of each, or of a piece of it."""
    at = int.from_bytes(entry[20:22], "little")
    while at + 24 <= len(entry):
        kind, length, elsewhere, letters, name_at = struct.unpack_from("<IIBBH", entry, at)
        if kind == _END or length < 24 or at + length > len(entry):
            return
        attribute = entry[at : at + length]
        first = int.from_bytes(attribute[16:24], "little") if elsewhere else 0
        yield kind, attribute[name_at : name_at + 2 * letters], first, _runs(attribute) if elsewhere else _resident(attribute)
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
    files, children = list[Listed](), list[int]()
    while at + 16 <= end:
        reference, length, key, flags = struct.unpack_from("<QHHH", data, at)
        if length < 16 or at + length > end:
            break
        named, at = data[at + 16 : at + 16 + min(key, length - 16)], at + length
        children += [int.from_bytes(data[at - 8 : at], "little")] if flags & _HAS_CHILD else []
        if flags & _IS_LAST:
            return Node(tuple(files), tuple(children), at == start + used)
        files.append(_listed(reference, named))
    return Node(tuple(files), tuple(children), False)


def _listed(reference: int, key: bytes) -> Listed:
    """The key of a folder's list is a copy of the file's $FILE_NAME."""
    if len(key) < _FILE_NAME_BYTES:
        return Listed(reference)
    modified_at, flags, letters, name_space = struct.unpack_from("<16xQ32xI4xBB", key)
    name = key[_FILE_NAME_BYTES : _FILE_NAME_BYTES + 2 * letters].decode("utf-16-le", "replace")
    return Listed(reference, name, name_space, flags, modified_at)

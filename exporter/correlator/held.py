"""What is kept in memory of held records: in columns some 60 bytes of each, and once, packed, what several of them say."""

import typing
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from struct import Struct

from exporter.correlator.encoding import pack, unpacker
from exporter.correlator.keys import Anchor, Keys, Threat

FAR = 1 << 63
"""Further than any two times."""
_ORDER = Struct(">BQ20s")
_IDENTITY = 20
_LENGTH = 4
"""Bytes before a packed anchor."""
_Texts: typing.TypeAlias = tuple[str, ...]
_Numbers: typing.TypeAlias = tuple[int, ...]
_unpack = unpacker(tuple[_Texts, _Texts, _Texts, _Numbers, int, _Numbers, int, int | None])
_KNOWN = 4096
_UNPACKED = 512


class Held:
    """Positions are those in the order of `add`, which is that of the spool; `numbers` gives for each of them which of the things said it
    says. What was said is to be asked for after `complete` only.

    A record's order is 29 bytes: the rank of its payload's class, the first of its times (else FAR), its identity. Members are believed in
    this order, and listed in the order of what follows the rank.
    """

    def __init__(self) -> None:
        self.numbers = array("I")
        self.threats: dict[tuple[Threat, ...], int] = {}
        """All that is said of threats, numbered."""
        self.naming: list[int] = []
        """Which of the things said name ids besides their anchor."""
        self.entries: set[str] = set()
        """The quarantine ids that are an anchor."""
        self._kinds: set[str] = set()
        self._said: list[bytes] = []
        self._known: dict[bytes, int] = {}
        self._orders = bytearray()
        self._times = array("q")
        self._ends = array("I", (0,))
        self._unpacked: dict[int, Keys] = {}
        self._threats: list[tuple[Threat, ...]] = []
        self._by_anchor = array("I")
        self._ranks = array("I")
        self._by_number = array("I")
        self._starts = array("I")

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, keys: Keys, times: Sequence[int], rank: int, identity: str) -> None:
        """Take a record. `identity` is that of its document, in hex digits."""
        said = _packed(keys, self.threats.setdefault(keys.threats, len(self.threats)))
        if len(self._known) >= _KNOWN:
            self._known.clear()
        number = self._known.setdefault(said, len(self._said))
        if number == len(self._said):
            self._said.append(said)
            self._note(keys, number)
        self.numbers.append(number)
        self._times.extend(times)
        self._ends.append(len(self._times))
        self._orders += _ORDER.pack(rank, min(times) if times else FAR, bytes.fromhex(identity))

    def _note(self, keys: Keys, number: int) -> None:
        if keys.quarantines or keys.resources:
            self.naming.append(number)
        if keys.anchor is not None:
            self._kinds.add(keys.anchor[0])
            if keys.anchor[0] == "quarantine":
                self.entries.add(keys.anchor[1])

    def complete(self) -> None:
        """No record follows."""
        self._known.clear()
        self._by_anchor = array("I", sorted(range(len(self._said)), key=self._said.__getitem__))
        self._ranks = array("I", bytes(len(self._by_anchor) * self._by_anchor.itemsize))
        for place, number in enumerate(self._by_anchor):
            self._ranks[number] = place
        counts = array("I", bytes((len(self._said) + 1) * self.numbers.itemsize))
        for number in self.numbers:
            counts[number + 1] += 1
        self._starts, following = array("I", accumulate(counts)), array("I", accumulate(counts))
        self._by_number = array("I", bytes(len(self.numbers) * self.numbers.itemsize))
        for position, number in enumerate(self.numbers):
            self._by_number[following[number]] = position
            following[number] += 1
        self._threats = list(self.threats)

    def anchors(self, kind: str = "") -> Iterator[Anchor]:
        """All of them, or those of a kind, in the order in which they came."""
        start = f"{kind}\0".encode() if kind else b""
        last, heads = b"", []
        for place, number in enumerate(self._by_anchor) if not kind or kind in self._kinds else ():
            head = _head(self._said[number])
            if head != last and len(head) > _LENGTH and head.startswith(start, _LENGTH):
                heads.append(place)
            last = head
        for place in sorted(heads, key=self._by_anchor.__getitem__):
            yield _anchor(self._said[self._by_anchor[place]]) or ("", "")

    def numbers_of(self, anchor: Anchor | None) -> list[int]:
        """Which of the things said have this anchor, in their order."""
        head = _packed_anchor(anchor)
        return self._run(bisect_left(self._by_anchor, head, key=self._said.__getitem__), head)

    def numbers_beside(self, number: int) -> list[int]:
        """Which of the things said have the anchor of this one, in their order."""
        head, place = _head(self._said[number]), self._ranks[number]
        while place and self._said[self._by_anchor[place - 1]].startswith(head):
            place -= 1
        return self._run(place, head)

    def _run(self, place: int, head: bytes) -> list[int]:
        found = []
        while place < len(self._by_anchor) and self._said[self._by_anchor[place]].startswith(head):
            found.append(self._by_anchor[place])
            place += 1
        return found if len(found) < 2 else sorted(found)

    def positions(self, numbers: Sequence[int]) -> Sequence[int]:
        """The records that say these things, in their order."""
        found = array("I")
        for number in numbers:
            found += self._by_number[self._starts[number] : self._starts[number + 1]]
        return found if len(numbers) < 2 else array("I", sorted(found))

    def said(self, number: int) -> Keys:
        """One of the things said."""
        found = self._unpacked.get(number)
        if found is None:
            if len(self._unpacked) >= _UNPACKED:
                self._unpacked.clear()
            self._unpacked[number] = found = _unpacked(self._said[number], self._threats)
        return found

    def keys(self, position: int) -> Keys:
        """What a record says."""
        return self.said(self.numbers[position])

    def head(self, position: int) -> bytes:
        """What stands for the anchor of a record, empty for one without."""
        said = self._said[self.numbers[position]]
        size = int.from_bytes(said[:_LENGTH], "big")
        return said[_LENGTH : _LENGTH + size]

    def anchor(self, position: int) -> Anchor:
        """The anchor of a record that has one."""
        found = _anchor(self._said[self.numbers[position]])
        assert found is not None
        return found

    def order(self, position: int) -> bytes:
        """Its order."""
        return bytes(self._orders[position * _ORDER.size : (position + 1) * _ORDER.size])

    def parts(self, position: int) -> tuple[int, int, bytes]:
        """Of the order the rank, the time and the identity."""
        rank, time, identity = _ORDER.unpack_from(self._orders, position * _ORDER.size)
        return rank, time, identity

    def times(self, position: int) -> Sequence[int]:
        """A record's times, its own first."""
        return self._times[self._ends[position] : self._ends[position + 1]]

    def identity(self, position: int) -> bytes:
        """20 bytes."""
        end = (position + 1) * _ORDER.size
        return bytes(self._orders[end - _IDENTITY : end])


def _packed(keys: Keys, threats: int) -> bytes:
    """The anchor, which all that have it begin with, and the rest."""
    rest = keys.quarantines, keys.resources, keys.sha1s, keys.signatures, threats, keys.paths, keys.breadth, keys.threat_id
    return _packed_anchor(keys.anchor) + pack(rest)


def _unpacked(said: bytes, threats: Sequence[tuple[Threat, ...]]) -> Keys:
    quarantines, resources, sha1s, signatures, number, paths, breadth, threat_id = _unpack(said[len(_head(said)) :])
    return Keys(_anchor(said), quarantines, resources, sha1s, signatures, threats[number], paths, breadth, threat_id)


def _packed_anchor(anchor: Anchor | None) -> bytes:
    text = b"" if anchor is None else "\0".join(anchor).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(_LENGTH, "big") + text


def _head(said: bytes) -> bytes:
    return said[: _LENGTH + int.from_bytes(said[:_LENGTH], "big")]


def _anchor(said: bytes) -> Anchor | None:
    kind, _, value = _head(said)[_LENGTH:].decode("utf-8", "surrogatepass").partition("\0")
    return (kind, value) if kind else None

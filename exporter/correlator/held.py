"""What is kept in memory of held records: in columns some 60 bytes of each, and once whatever several of them say."""

from array import array
from collections.abc import Sequence
from struct import Struct

from exporter.correlator.keys import Keys

FAR = 1 << 63
"""Further than any two times."""
_ORDER = Struct(">BQ20s")


class Held:
    """Positions are those in the order of `add`, which is that of the spool.

    A record's order is 29 bytes: the rank of its payload's class, the first of its times (else FAR), its identity. Members are believed in
    this order, and listed in the order of what follows the rank.
    """

    def __init__(self) -> None:
        self.said: list[Keys] = []
        self.numbers = array("I")
        """For each position, which of `said` the record says."""
        self._known: dict[Keys, int] = {}
        self._orders = bytearray()
        self._times = array("q")
        self._ends = array("L", (0,))

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, keys: Keys, times: Sequence[int], rank: int, identity: str) -> bytes:
        """Take a record; its order is returned. `identity` is that of its document, in hex digits."""
        number = self._known.setdefault(keys, len(self.said))
        if number == len(self.said):
            self.said.append(keys)
        self.numbers.append(number)
        self._times.extend(times)
        self._ends.append(len(self._times))
        order = _ORDER.pack(rank, min(times) if times else FAR, bytes.fromhex(identity))
        self._orders += order
        return order

    def keys(self, position: int) -> Keys:
        """What a record says."""
        return self.said[self.numbers[position]]

    def order(self, position: int) -> bytes:
        """As `add` returned it."""
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
        return self.parts(position)[2]

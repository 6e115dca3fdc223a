"""Lines of records that say what another said before: only what is the record's own is put in anew.

What stands around it is learned from the line of a probe: a record that says the same, with own values that occur nowhere else. It is kept
only when it makes the line of the real record too, byte for byte, so whatever else depends on the own values forbids it.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter, methodcaller
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from exporter.records import Lines, Mapped, Messages, Output, Row
from exporter.times import iso

NUMBERS_END = 10**18
"""Only lower numbers are put in: the probe's are longer, so a text that is cut at a length is not the same around both."""


class Own(Protocol):
    """What two records differ in whose System and Data say the same: their only time, as text too, number, place and identity."""

    @property
    def created_at(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def record_id(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def id(self) -> str: ...


class Probe(NamedTuple):
    """Values that no evidence has."""

    created_at: int = 204_839_512_437_186_059
    text: str = iso(204_839_512_437_186_059, 7)
    record_id: int = 7_306_918_254_730_659_182
    offset: int = 8_527_403_961_852_740_396
    id: str = "badc0ffeebadc0deadfacadedecadecafefacade"


PROBE = Probe()
OwnParts: TypeAlias = tuple[bytes, bytes, Sequence[str]]
"""How a sort key begins and ends, and the texts that a line may have, each as often as it likes."""
Repeat: TypeAlias = Callable[[Any], Output]
"""The output of a further record by what is its own."""


class RowEncoder(Protocol):
    """What a timeline makes of rows."""

    def encode(self, row: Row) -> tuple[bytes, bytes]:
        """The sort key and the line; raises RowRefused."""
        ...

    def own_parts(self, own: Own) -> OwnParts:
        """What of key and line is the record's own."""
        ...


class DocumentMaker:
    """Makes the documents of records."""

    make: Callable[[Mapped], Output] = methodcaller("document")


class LineMaker:
    """Makes the lines of records."""

    def __init__(self, encoder: RowEncoder, messages: Messages) -> None:
        self._encode, self._messages = encoder.encode, messages
        self._parts = encoder.own_parts

    def make(self, event: Mapped) -> Output:
        """The lines of a record; raises RowRefused."""
        return [self._encode(row) for row in event.rows(self._messages)]

    def learn(self, own: Own, output: Output, probe: Mapped) -> Repeat | None:
        """What makes the lines of records that say what this one says; None where that is not certain. `probe` says it of `PROBE`."""
        lines = cast(Lines, self.make(probe))
        if len(lines) != 1 or b"\0" in lines[0][1]:
            return None
        [(key, line)], (start, end, texts) = lines, self._parts(PROBE)
        text = line.decode()
        for place, found in enumerate(texts):
            text = text.replace(found, f"\0{place}\0")
        pieces = text.split("\0")
        order = [int(place) for place in pieces[1::2]]
        if len(order) < 2:
            return None
        repeat = self._repeat(key[len(start) : len(key) - len(end)], pieces, itemgetter(*order))
        return repeat if repeat(own) == output else None

    def _repeat(self, middle: bytes, pieces: list[str], in_order: Callable[[Sequence[str]], Sequence[str]]) -> Repeat:
        parts = self._parts

        def repeat(own: Own) -> Output:
            start, end, texts = parts(own)
            line = pieces.copy()
            line[1::2] = in_order(texts)
            return [(start + middle + end, "".join(line).encode())]

        return repeat

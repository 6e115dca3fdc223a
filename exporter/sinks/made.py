"""What a sink makes of a record, made in another process than the sink's own."""

from collections.abc import Sequence

from exporter.records import Made, Messages, Output, Record, Row


class MadeEvent:
    """A `Mapped` that is the output of one sink already."""

    __slots__ = ("id", "output")

    def __init__(self, made: Made, number: int) -> None:
        self.id = made.id
        self.output: Output = made.outputs[number]

    @property
    def record(self) -> Record:
        """Raises LookupError: it stayed in the process that mapped it."""
        raise LookupError(f"the record of {self.id} was mapped elsewhere")

    def document(self) -> bytes:
        """As it was made."""
        assert isinstance(self.output, bytes)
        return self.output

    def lines(self) -> list[tuple[bytes, bytes]]:
        """Sort keys and lines of its rows."""
        assert isinstance(self.output, list)
        return self.output

    def rows(self, messages: Messages = Messages.OWN) -> Sequence[Row]:
        """None: they are lines already."""
        return ()

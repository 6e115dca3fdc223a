"""Records that tell of one detection leave with its incident, followed by the incident itself."""

from collections.abc import Iterator
from pathlib import Path

from exporter.records import Record


class Correlator:
    """Joins the records of one host; see `keys` for what joins and how strongly.

    A record that no join can touch comes straight back; the others are held until the host is complete, encoded, in memory up to
    a budget and beyond it in a temporary file in `spool_dir`.
    """

    def __init__(self, case: str, host: str, spool_dir: Path | None = None) -> None:
        self._case = case
        self._host = host
        self._spool_dir = spool_dir

    def offer(self, record: Record) -> Iterator[Record]:
        """Take one record; what can be passed on at once is returned."""
        return iter((record,))

    def finish(self) -> Iterator[Record]:
        """The held records in the order offered, each with its correlation, then the incidents in time order."""
        return iter(())

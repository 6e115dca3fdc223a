"""`event.ingested`: the wall clock of the flush (sink-contracts E5), added to finished documents."""

import re

from exporter.times import iso

END = b"}}"
"""How a document ends: `event` is its last object (see `exporter.records.Mapped.document`)."""
_INGESTED = re.compile(rb',"ingested":"[^"\\]*"\}\}\s*$')


def ending(ticks: int | None) -> bytes:
    """What replaces a document's last two bytes; None leaves it as it is."""
    return END if ticks is None else b',"ingested":"%b"}}' % iso(ticks).encode()


def without(document: bytes) -> bytes:
    """The document as it was before it was sent: a second `ingested` would make it unreadable to a strict parser."""
    return _INGESTED.sub(END, document)

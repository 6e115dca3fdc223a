"""What a log says its host is called."""

from typing import BinaryIO

from exporter.errors import FormatError
from exporter.formats.evtx import ZEROS, read_bytes, read_chunks
from exporter.formats.evtx_chunks import (
    CHUNK,
    FILE_HEADER,
    FILE_MAGIC,
    Walk,
    is_chunk,
    last_record_id,
    newest_alone,
    newest_by_header,
    walk,
)
from exporter.formats.evtx_normalize import Normalizer
from exporter.formats.evtx_pairs import paired

_NEWEST = 4


def computer_name(stream: BinaryIO, engine: str = "evtx") -> str | None:
    """The Computer of the newest record (that with the highest id) of a log: what the host was called last. None where none can be read.

    Reads the whole stream and renders one chunk, or a few where the newest ones are damaged.
    """
    newest: list[tuple[int, bytes]] = []
    header, first = read_bytes(stream, FILE_HEADER), read_bytes(stream, CHUNK)
    if header[:8] != FILE_MAGIC and not is_chunk(first):
        return None
    for chunk in read_chunks(stream, first):
        if not is_chunk(chunk.data) or ZEROS.startswith(chunk.data):
            continue
        last = last_record_id(chunk.data)
        if last is not None:
            newest = sorted([*newest, (last, chunk.data)], key=lambda pair: -pair[0])[:_NEWEST]
    for _, data in newest:
        if (found := newest_by_header(data)) is not None and (name := newest_computer(found, engine, found.records[-1].id)):
            return name
        found = walk(data)
        name = newest_computer(newest_alone(found), engine, max((record.id for record in found.records), default=-1))
        name = name or newest_computer(found, engine)
        if name:
            return name
    return None


def newest_computer(found: Walk, engine: str, highest: int = -1) -> str | None:
    """The Computer of the record with the highest id of a chunk, `highest` at least; None where none can be read."""
    normalizer = Normalizer()
    name = None
    for record, rendering in paired(found, engine):
        if isinstance(rendering, FormatError) or record.id < highest:
            continue
        try:
            computer = normalizer.fields(rendering, record.id, record.written_at)["computer"]
        except FormatError:
            continue
        if computer:
            name, highest = computer, record.id
    return name

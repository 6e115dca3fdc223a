"""Records whose template is damaged, read with the same template from another chunk of the log.

Every chunk holds the templates of its records anew, where its first record needs them: damage there takes all of them. A record names its
template by the first four bytes of the template's GUID. Measured on public logs of several machines: 199 templates of 85 GUIDs, and never
two contents under one GUID; so another chunk's is the same one. What is read so is never called verified.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.errors import FormatError
from exporter.formats.defender_typing import typed
from exporter.formats.evtx_chunks import CHUNK, FILE_HEADER, FIRST_RECORD, engine_file, walk
from exporter.formats.evtx_form import NAMES, PROVIDER, PROVIDER_GUID
from exporter.formats.evtx_normalize import Normalizer
from exporter.formats.evtx_reading import Chunk
from exporter.formats.evtx_second import SECOND
from exporter.records import Integrity, Parsed, Rejected, Verdict

CHECK = "chunk-crc32-template-of-another-chunk"
_FAILED = Integrity(Verdict.FAILED, CHECK)
_TABLE = struct.Struct("<32I")
_TABLE_AT = 384
_DEFINITION_BYTES = 24
_MOST_CHUNKS = 64
_MOST_TEMPLATES = 512
_PROVIDER, _PROVIDER_GUID = NAMES.index("provider_name"), NAMES.index("provider_guid")

Donors = Mapping[int, tuple[bytes, int]]
"""Template id to the chunk that has it and its offset there."""


def salvage(chunks: Iterable[Chunk | Rejected], lost: Sequence[Rejected]) -> Iterator[Parsed | Rejected]:
    """`lost` records of a log, each as it was or, where a template of `chunks` reads it, as what it says; and of each chunk how many.

    `chunks` are those of the whole log; the 64 first ones with losses and those with new templates are kept.
    """
    wanted = list(dict.fromkeys(((item.offset or 0) - FILE_HEADER) // CHUNK for item in lost))[:_MOST_CHUNKS]
    damaged: dict[int, Chunk] = {}
    donors: dict[int, tuple[bytes, int]] = {}
    for chunk in chunks:
        if isinstance(chunk, Chunk) and chunk.number in wanted:
            damaged[chunk.number] = chunk
        elif isinstance(chunk, Chunk):
            _note(chunk.data, donors)
    yield from _read(damaged, donors, lost)


def _read(damaged: Mapping[int, Chunk], donors: Donors, lost: Sequence[Rejected]) -> Iterator[Parsed | Rejected]:
    by_chunk: dict[int, list[Rejected]] = {}
    for item in lost:
        by_chunk.setdefault(((item.offset or 0) - FILE_HEADER) // CHUNK, []).append(item)
    for number, items in by_chunk.items():
        found = list(_of_chunk(damaged[number], donors, items)) if number in damaged and donors else items
        yield from found
        read = sum(isinstance(item, Parsed) for item in found)
        if read:
            reason = f"chunk {number}: {read} records were read with templates of other chunks"
            yield Rejected(FILE_HEADER + number * CHUNK, reason, units=0)


def _of_chunk(chunk: Chunk, donors: Donors, lost: Iterable[Rejected]) -> Iterator[Parsed | Rejected]:
    from exporter.formats.evtx_python import Records

    walked = walk(chunk.data)
    places = {chunk.offset + record.offset: record for record in walked.records}
    records, normalizer = Records(engine_file(walked), donors), Normalizer()
    for item in lost:
        record = places.get(item.offset or 0)
        try:
            if record is None:
                raise FormatError("no record")
            values, form = normalizer.read(records.render(record.offset, record.size), record.id, record.written_at)
        except FormatError:
            yield item
            continue
        if values[_PROVIDER] != PROVIDER and values[_PROVIDER_GUID] != PROVIDER_GUID:
            yield item
            continue
        raw = chunk.data[record.offset : record.offset + record.size]
        event = typed(values, form, SECOND, chunk.origin)
        yield Parsed(event, chunk.offset + record.offset, hashlib.sha256(raw).hexdigest(), _FAILED, number=event.record_id)


def _note(data: bytes, donors: dict[int, tuple[bytes, int]]) -> None:
    """Keep the templates of a sound chunk that none before it has."""
    new = [(template_id, offset) for template_id, offset in _templates(data) if template_id not in donors]
    if new and len(donors) < _MOST_TEMPLATES and (found := walk(data)).header_sound and found.sound:
        donors.update((template_id, (data, offset)) for template_id, offset in new)


def _templates(data: bytes) -> Iterator[tuple[int, int]]:
    """Ids and offsets of the templates that a chunk's header leads to."""
    if len(data) < FIRST_RECORD:
        return
    seen: set[int] = set()
    for offset in _TABLE.unpack_from(data, _TABLE_AT):
        while FIRST_RECORD <= offset <= len(data) - _DEFINITION_BYTES and offset not in seen:
            seen.add(offset)
            following, template_id = struct.unpack_from("<II", data, offset)
            yield template_id, offset
            offset = following

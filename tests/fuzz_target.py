"""What the fuzzer does with its bytes: the first one chooses the reader, the rest is what that reads.

Bits 0 and 1: 0 a log's chunks as they are, 1 a chunk with right sums, so that the engines see it as a sound one, 2 a trace, 3 the values of
an event. Bit 2: both engines, or a trace's texts. With bit 3 they say: 0 an MPLog, 1 MPDetection, 2 a log of MpCmdRun, 3 a cabinet.
Every input must be read or named, and the counts must add up.
"""

import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO

from exporter.errors import EvidenceError
from exporter.evidence.cab_members import Cabinet, CabMember, FolderData
from exporter.evidence.streams import Limits
from exporter.formats.etl import parse_etl
from exporter.formats.evtx import parse
from exporter.formats.evtx_carve import carve
from exporter.formats.evtx_chunks import CHUNK, CHUNK_MAGIC, FILE_HEADER, FILE_MAGIC, FIRST_RECORD
from exporter.formats.evtx_reading import Reading
from exporter.formats.mpcmdrun import parse_mpcmdrun
from exporter.formats.mpdetection import parse_mpdetection
from exporter.formats.mplog import parse_mplog
from exporter.records import Item, Tally
from exporter.synthetic.evtx import Event, build_evtx
from tests.defender_events import DATA, MOMENT

CORPUS = "fuzz_corpus"
SEPARATOR = "\x1f"
CHUNKS, SEALED, TRACE, VALUES = range(4)
THOROUGH = 4
LOGS = 8
MPLOG, MPDETECTION, MPCMDRUN, CABINET = range(4)
_IDS = sorted(DATA)
_HEADER = FILE_MAGIC.ljust(FILE_HEADER, b"\0")


def one_input(data: bytes) -> None:
    """Fails on any exception, and where the counts do not add up."""
    choice, body = data[:1] and data[0] & 3, data[1:]
    if data[:1] and data[0] & LOGS:
        _log(data[0] & 3, body)
        return
    thorough = bool(data[:1] and data[0] & THOROUGH)
    if choice == TRACE:
        _balanced(parse_etl(BytesIO(body), strings=thorough))
    elif choice == VALUES:
        _values(body, thorough)
    else:
        reading = Reading(all_events=True, cross_check=thorough)
        chunk = chunk_of(body) if choice == SEALED else body
        _balanced(parse(BytesIO(_HEADER + chunk), reading))
        _balanced(carve(BytesIO(chunk), reading))


def _log(choice: int, body: bytes) -> None:
    if choice == CABINET:
        _cabinet(body)
    else:
        _balanced((parse_mplog, parse_mpdetection, parse_mpcmdrun)[choice](BytesIO(body)))


def _cabinet(body: bytes) -> None:
    """Everything in it is read, or an EvidenceError says why not."""
    with suppress(EvidenceError):
        cabinet = Cabinet(BytesIO(body), Limits(ratio_floor_bytes=1 << 20))
        for member in cabinet.members():
            if isinstance(member, CabMember) and member.refusal is None:
                FolderData(cabinet, member.folder).read()


def _balanced(items: Iterable[Item]) -> None:
    *others, tally = items
    assert isinstance(tally, Tally)
    assert tally.seen == sum(item.units for item in others) + sum(tally.unparsed.values())


def chunk_of(data: bytes) -> bytes:
    """A chunk whose records are `data`, with right sums."""
    data = data[: CHUNK - FIRST_RECORD]
    chunk = bytearray(CHUNK_MAGIC.ljust(FIRST_RECORD, b"\0") + data).ljust(CHUNK, b"\0")
    struct.pack_into("<III", chunk, 40, 128, 0, FIRST_RECORD + len(data))
    struct.pack_into("<I", chunk, 52, zlib.crc32(data))
    struct.pack_into("<I", chunk, 124, zlib.crc32(chunk[:120] + chunk[128:FIRST_RECORD]))
    return bytes(chunk)


def _values(body: bytes, nameless: bool) -> None:
    """An event whose id the first byte chooses and whose values are the texts, instead of those of `DATA`; more texts get made-up names."""
    event_id = _IDS[body[0] % len(_IDS)] if body else _IDS[0]
    texts = body[1:].decode("utf-8", "replace").split(SEPARATOR)
    names = [*DATA[event_id], *(f"Name {number}" for number in range(40))]
    data = {**DATA[event_id], **{name: text for name, text in zip(names, texts, strict=False) if text}}
    try:
        log = build_evtx([Event(event_id=event_id, record_id=1, created_at=MOMENT, data=data, named=not nameless)])
    except ValueError:  # more than a record has room for
        return
    _balanced(parse(BytesIO(log)))

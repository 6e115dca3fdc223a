"""What nobody who makes ECS documents with the wheel can leave out: the same log with one more step each time, without any of our mapping.

`python -m tests.benchmarks.floor STEP LOG TARGET` does every step up to this one. The difference between two steps is what one costs.
"""

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import evtx
import orjson

from exporter.formats.evtx import read_chunks
from exporter.formats.evtx_chunks import FILE_HEADER, Walk, engine_file, walk

STEPS = {
    "wheel": "the wheel alone",
    "chunks": "+ chunk by chunk, with CRC",
    "loads": "+ orjson.loads",
    "hash": "+ SHA-256 of the record (event.hash)",
    "id": "+ SHA-256 of the key (_id)",
    "data": "+ event data renamed, orjson.dumps",
    "write": "+ lines of this length written",
}
_LINE = 2200
_BATCH = 28


def main() -> None:
    """Do it."""
    step, log, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    depth = list(STEPS).index(step)
    if not depth:
        for _ in evtx.PyEvtxParser(str(log)).records_json():
            pass
        return
    with target.open("wb", buffering=0) as file:
        batch = []
        for line in _lines(log, depth):
            if depth == len(STEPS) - 1:
                batch.append(line)
                if len(batch) == _BATCH:
                    file.write(b"\n".join(batch))
                    batch.clear()


def _lines(log: Path, depth: int) -> Iterator[bytes]:
    names: dict[tuple[str, ...], tuple[str, ...]] = {}
    rest = b" " * _LINE
    with log.open("rb") as stream:
        stream.read(FILE_HEADER)
        for chunk in read_chunks(stream):
            found = walk(chunk.data)
            view = memoryview(chunk.data)
            for record, rendering in zip(found.records, _rendered(found), strict=True):
                event = orjson.loads(rendering)["Event"] if depth > 1 else None
                digest = hashlib.sha256(view[record.offset : record.offset + record.size]).hexdigest() if depth > 2 else ""
                identity = (
                    hashlib.sha256(f"v1\0bench\0host\0evtx\0channel\0{record.id}\0{digest[:17]}".encode()).hexdigest() if depth > 3 else ""
                )
                encoded = _data(event["EventData"] or {}, names) if depth > 4 and event is not None else b""
                yield b"".join((rest[len(encoded) :], identity.encode(), digest.encode(), encoded)) if depth > 5 else b""


def _rendered(found: Walk) -> Iterator[str]:
    for record in evtx.PyEvtxParser(io.BytesIO(engine_file(found)), number_of_threads=1).records_json():
        yield record["data"]


def _data(data: dict[str, str], names: dict[tuple[str, ...], tuple[str, ...]]) -> bytes:
    known = names.get(tuple(data)) or names.setdefault(tuple(data), tuple(name.replace(" ", "_") for name in data))
    return orjson.dumps({name: value for name, value in zip(known, data.values(), strict=True) if value})


if __name__ == "__main__":
    main()

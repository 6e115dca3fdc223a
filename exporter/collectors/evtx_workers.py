"""One log read by several processes: ranges of chunks go out, encoded records come back, in the order of the file.

Each process has one range at a time, so memory is bounded by their number. A process that dies costs its range.
"""

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import TypeAlias

import msgspec

from exporter.collectors import MadeBy
from exporter.formats.defender_events import WindowsEvent
from exporter.formats.evtx import ReadChunks, parse_chunk, read_in_order
from exporter.formats.evtx_reading import Chunk, Counts, Reading
from exporter.records import UNVERIFIABLE, Integrity, Item, Made, Maker, Parsed, Rejected, Source, Tally

WORTH_BYTES = 32 << 20
"""Smaller logs are read before a process has started."""
_CHUNKS = 16
_START_SECONDS = 60
_READY = b"ready"
_AGAIN = b""
_MADE = "made"
_Batch: TypeAlias = list[Chunk | Rejected]
_Mapping: TypeAlias = tuple[str, bytes, Source]
"""What `MadeBy` says of another process, and the source of the records."""
_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode


class _Wire(msgspec.Struct, array_like=True):
    """An item: a payload of this kind with what goes with it, without a kind a Rejected, or a Made."""

    kind: str
    body: msgspec.Raw
    offset: int = 0
    raw_hash: str = ""
    integrity: Integrity = UNVERIFIABLE
    number: int | None = None
    host: str | None = None


class _Answer(msgspec.Struct, array_like=True):
    seen: int
    unparsed: dict[str, int]
    chunks: list[list[_Wire]]


_decode_chunks = msgspec.msgpack.Decoder(list[Chunk]).decode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode
_decode_made = msgspec.msgpack.Decoder(Made).decode
_decode_rejected = msgspec.msgpack.Decoder(Rejected).decode


def _classes(base: type[WindowsEvent]) -> Iterator[type[WindowsEvent]]:
    yield base
    for one in base.__subclasses__():
        yield from _classes(one)


_DECODERS = {one.kind: msgspec.msgpack.Decoder(one) for one in reversed(list(_classes(WindowsEvent)))}


def with_jobs(jobs: int, size: int | None, made_by: MadeBy | None = None, source: Source | None = None) -> ReadChunks | None:
    """How a log of this size (bytes) is read; None for one process. With `made_by` payloads come mapped, as records of `source`."""
    if jobs == 1 or size is None or size < WORTH_BYTES:
        return None
    return partial(read_parallel, jobs=jobs, mapping=(made_by.start, made_by.arguments, source) if made_by and source else None)


def read_parallel(
    units: Iterable[Chunk | Rejected],
    reading: Reading,
    counts: Counts,
    maker: Maker | None = None,
    *,
    jobs: int,
    mapping: _Mapping | None = None,
) -> Iterator[Item]:
    """The same items as `read_in_order`, rendered by that many processes; by this one where none can be started."""
    workers: list[_Worker] = []
    try:
        workers += _started(jobs, reading, mapping)
        if not workers:
            yield from read_in_order(units, reading, counts, maker)
            return
        batches = _batches(units)
        pending = deque((worker, batch) for worker, batch in zip(workers, batches, strict=False) if worker.send(batch))
        while pending:
            worker, batch = pending.popleft()
            answer = worker.answer()
            following = next(batches, None)
            if following is not None:
                worker.send(following)
                pending.append((worker, following))
            yield from _items(batch, answer, reading, counts, maker)
    finally:
        for worker in workers:
            worker.close()


class _Worker:
    """A process and our end of its pipe. One that has died is replaced when it gets its next range."""

    def __init__(self, reading: Reading, mapping: _Mapping | None) -> None:
        self._reading = reading
        self._mapping = mapping
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._reading, self._mapping), daemon=True)
        self._alive = True
        try:
            self._process.start()
        finally:
            theirs.close()

    def wait(self) -> None:
        """Until it is ready; raises OSError or EOFError when it does not come up."""
        if not self._pipe.poll(_START_SECONDS):
            raise OSError(f"a process did not start within {_START_SECONDS} seconds")
        self._pipe.recv_bytes()

    def send(self, batch: _Batch) -> bool:
        """Give it a range."""
        try:
            if not self._alive:
                self.close()
                self._start()
                self.wait()
            self._pipe.send_bytes(_encode([unit for unit in batch if isinstance(unit, Chunk)]))
        except (OSError, EOFError):
            self._alive = False
        return True

    def answer(self) -> bytes | None:
        """What it made of its range; None when it has died."""
        try:
            return self._pipe.recv_bytes() if self._alive else None
        except (OSError, EOFError):
            self._alive = False
            return None

    def close(self) -> None:
        self._pipe.close()
        if self._process.pid is not None:
            self._process.terminate()
            self._process.join()


def _started(jobs: int, reading: Reading, mapping: _Mapping | None) -> list[_Worker]:
    workers: list[_Worker] = []
    try:
        for _ in range(jobs):
            workers.append(_Worker(reading, mapping))  # noqa: PERF401 - those that did start must be known when one does not
        for worker in workers:
            worker.wait()
    except (OSError, EOFError, RuntimeError, ValueError) as error:
        _log.warning("event logs are read by one process: others cannot be started (%s: %s)", type(error).__name__, error)
        for worker in workers:
            worker.close()
        return []
    return workers


def _batches(units: Iterable[Chunk | Rejected]) -> Iterator[_Batch]:
    batch: _Batch = []
    for unit in units:
        batch.append(unit)
        if len(batch) == _CHUNKS:
            yield batch
            batch = []
    if batch:
        yield batch


def _items(batch: _Batch, answer: bytes | None, reading: Reading, counts: Counts, maker: Maker | None) -> Iterator[Item]:
    if answer == _AGAIN:
        yield from read_in_order(batch, reading, counts, maker)
        return
    chunks = [unit for unit in batch if isinstance(unit, Chunk)]
    if answer is None:
        yield from (unit for unit in batch if isinstance(unit, Rejected))
        if chunks:
            counts.seen += 1
            yield Rejected(chunks[0].offset, f"chunks {chunks[0].number} to {chunks[-1].number}: the process that read them died")
        return
    found = _decode_answer(answer)
    counts.seen += found.seen
    for kind, number in found.unparsed.items():
        counts.leave(kind, number)
    rest = iter(found.chunks)
    for unit in batch:
        if isinstance(unit, Rejected):
            yield unit
        else:
            yield from map(_unwired, next(rest))


def _unwired(wire: _Wire) -> Item:
    if wire.kind == _MADE:
        return _decode_made(wire.body)
    if not wire.kind:
        return _decode_rejected(wire.body)
    return Parsed(_DECODERS[wire.kind].decode(wire.body), wire.offset, wire.raw_hash, wire.integrity, number=wire.number, host=wire.host)


def _wired(item: Item) -> _Wire:
    assert not isinstance(item, Tally)
    if isinstance(item, Rejected):
        return _Wire("", msgspec.Raw(_encode(item)))
    if isinstance(item, Made):
        return _Wire(_MADE, msgspec.Raw(_encode(item)))
    return _Wire(item.payload.kind, msgspec.Raw(_encode(item.payload)), item.offset, item.raw_hash, item.integrity, item.number, item.host)


def serve(pipe: Connection, reading: Reading, mapping: _Mapping | None = None) -> None:
    """What a process does: reads ranges until its pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    maker = None
    if mapping is not None:
        start, arguments, source = mapping
        module, _, name = start.partition(":")
        maker = getattr(import_module(module), name)(arguments, source)
    try:
        pipe.send_bytes(_READY)
        while True:
            pipe.send_bytes(answer_to(pipe.recv_bytes(), reading, maker))
    except (EOFError, OSError):
        return


def answer_to(request: bytes, reading: Reading, maker: Maker | None = None) -> bytes:
    """The encoded items of the encoded chunks; nothing where a text or number has no encoding and our parent must read them itself."""
    counts = Counts()
    try:
        chunks = [[_wired(item) for item in parse_chunk(chunk, reading, counts, maker)] for chunk in _decode_chunks(request)]
        return _encode(_Answer(counts.seen, dict(counts.unparsed), chunks))
    except (UnicodeEncodeError, OverflowError):
        if maker is not None:
            maker.made()
        return _AGAIN

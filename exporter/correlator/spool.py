"""Held records, encoded: in memory up to a budget, beyond it in a temporary file that its last reader removes."""

import contextlib
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from exporter.correlator.encoding import decode, encode, escaped, unescape, unescaped
from exporter.correlator.keys import JOINABLE
from exporter.correlator.store import no_room
from exporter.records import Payload, Record

MEMORY_BYTES = 1 << 20
"""Encoded records kept in memory; one of an event has about 2 KB."""
_BLOCK_BYTES = 1 << 16
_BLOCK_HEAD = struct.Struct("<BII")
"""Class of the payload, number of the origin, size of the encoded payload."""
_HEAD = struct.Struct("<BII")
_CLASSES: tuple[type[Any], ...] = tuple(JOINABLE)
_INDEX = {payload: index for index, payload in enumerate(_CLASSES)}
_POSITIONAL = [kind.__match_args__ == kind.__struct_fields__ for kind in _CLASSES]
"""Whether a class takes its fields by position; the others take them by name only."""
_NOTHING = Payload()
_ESCAPED = 0x80
_decode_rest = msgspec.msgpack.Decoder(tuple[tuple[str, ...], str, int | None, int | None]).decode


class Spool:
    """Records in, the same records out, in order. Holds payload classes of `JOINABLE` only.

    What records of a file have in common is kept once, beside the encoded records.
    """

    def __init__(self, folder: Path | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115
        self._origins: dict[tuple[Any, ...], int] = {}
        self._block: list[bytes] = []
        self._size = 0
        self._sizes: list[int] = []

    def add(self, record: Record) -> None:
        """Keep a record. Raises SinkUnavailable when the disk is full."""
        origin = (record.host, record.source, record.collector, record.integrity, record.incomplete, record.correlation)
        number = self._origins.setdefault(origin, len(self._origins))
        data = _encoded(record, number)
        self._block.append(data)
        self._size += len(data)
        if self._size >= _BLOCK_BYTES:
            self._write()

    def records(self) -> Iterator[Record]:
        """Every record, once; the spool is empty and closed afterwards. Raises SinkUnavailable when the disk is full."""
        with contextlib.closing(self):
            self._write()
            try:
                self._file.seek(0)
            except OSError as error:
                raise no_room(error) from error
            origins = list(self._origins)
            for size in self._sizes:
                yield from _decoded_block(self._file.read(size), origins)

    def _write(self) -> None:
        try:
            self._file.write(b"".join(self._block))
        except OSError as error:
            raise no_room(error) from error
        self._sizes.append(self._size)
        self._block, self._size = [], 0

    def close(self) -> None:
        """Drop what is held."""
        self._block = []
        with contextlib.suppress(OSError):
            self._file.close()


def _encoded(record: Record, origin: int) -> bytes:
    payload = record.payload
    index = _INDEX[type(payload)]
    rest = (record.key, record.hash, record.offset, record.number)
    try:
        # without the names of fields, where the class takes them by position: half the work and two thirds of the bytes
        body = encode(msgspec.structs.astuple(payload) if _POSITIONAL[index] else payload)
        return b"".join((_BLOCK_HEAD.pack(index, origin, len(body)), body, _framed(encode(rest))))
    except (UnicodeEncodeError, OverflowError):
        body = escaped(payload)
        return b"".join((_BLOCK_HEAD.pack(index | _ESCAPED, origin, len(body)), body, _framed(escaped(rest))))


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _decoded_block(block: bytes, origins: list[tuple[Any, ...]]) -> Iterator[Record]:
    view, place = memoryview(block), 0
    while place < len(view):
        index, origin, size = _BLOCK_HEAD.unpack_from(view, place)
        start = place + _BLOCK_HEAD.size
        end = start + size
        place = end + 4 + int.from_bytes(view[end : end + 4], "little")
        body, rest = view[start:end], view[end + 4 : place]
        host, source, collector, integrity, incomplete, correlation = origins[origin]
        if index & _ESCAPED:
            payload = unescaped(body, _CLASSES[index & ~_ESCAPED])
            key, digest, offset, number = msgspec.msgpack.decode(rest, ext_hook=unescape)
        else:
            payload = _CLASSES[index](*_fields(index)(body)) if _POSITIONAL[index] else decode(body, _CLASSES[index])
            key, digest, offset, number = _decode_rest(rest)
        yield Record(payload, host, source, collector, tuple(key), digest, offset, number, integrity, incomplete, correlation)


@cache
def _fields(index: int) -> Callable[[memoryview], tuple[Any, ...]]:
    """What decodes the fields of a class."""
    hints = get_type_hints(_CLASSES[index])
    fields = tuple[tuple(hints[name] for name in _CLASSES[index].__struct_fields__)]  # type: ignore[misc, valid-type]
    decode: Callable[[memoryview], tuple[Any, ...]] = msgspec.msgpack.Decoder(fields).decode
    return decode


def packed(record: Record) -> bytes:
    """One record, as this version of the program reads it again."""
    index = _INDEX[type(record.payload)]
    rest = msgspec.structs.replace(record, payload=_NOTHING)
    try:
        parts = encode(record.payload), encode(rest)
    except (UnicodeEncodeError, OverflowError):
        index |= _ESCAPED
        parts = escaped(record.payload), escaped(rest)
    return b"".join((_HEAD.pack(index, len(parts[0]), len(parts[1])), *parts))


def unpacked(data: bytes) -> Record:
    """The record that `packed` was given."""
    index, first, _ = _HEAD.unpack_from(data)
    read = unescaped if index & _ESCAPED else decode
    end = _HEAD.size + first
    payload = read(data[_HEAD.size : end], _CLASSES[index & ~_ESCAPED])
    record: Record = msgspec.structs.replace(read(data[end:], Record), payload=payload)
    return record

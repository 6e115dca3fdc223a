"""Held records, encoded: in memory up to a budget, beyond it in a temporary file that its last reader removes."""

import contextlib
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from exporter.correlator.keys import JOINABLE
from exporter.errors import SinkUnavailable
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
_TEXT, _NUMBER, _MAP = 1, 2, 3
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
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
                raise _no_room(error) from error
            origins = list(self._origins)
            for size in self._sizes:
                yield from _decoded_block(self._file.read(size), origins)

    def _write(self) -> None:
        try:
            self._file.write(b"".join(self._block))
        except OSError as error:
            raise _no_room(error) from error
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
        body = _ENCODER.encode(msgspec.structs.astuple(payload) if _POSITIONAL[index] else payload)
        return b"".join((_BLOCK_HEAD.pack(index, origin, len(body)), body, _framed(_ENCODER.encode(rest))))
    except (UnicodeEncodeError, OverflowError):
        body = _escaped(payload)
        escaped = _ENCODER.encode(_escape(rest))
        return b"".join((_BLOCK_HEAD.pack(index | _ESCAPED, origin, len(body)), body, _framed(escaped)))


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
            payload = _unescaped(body, _CLASSES[index & ~_ESCAPED])
            key, digest, offset, number = msgspec.msgpack.decode(rest, ext_hook=_unescape)
        else:
            payload = _CLASSES[index](*_fields(index)(body)) if _POSITIONAL[index] else _decoded(body, _CLASSES[index])
            key, digest, offset, number = _decode_rest(rest)
        yield Record(payload, host, source, collector, tuple(key), digest, offset, number, integrity, incomplete, correlation)


@cache
def _fields(index: int) -> Callable[[memoryview], tuple[Any, ...]]:
    """What decodes the fields of a class."""
    hints = get_type_hints(_CLASSES[index])
    fields = tuple[tuple(hints[name] for name in _CLASSES[index].__struct_fields__)]  # type: ignore[misc, valid-type]
    decode: Callable[[memoryview], tuple[Any, ...]] = msgspec.msgpack.Decoder(fields).decode
    return decode


def _no_room(error: OSError) -> SinkUnavailable:
    return SinkUnavailable(f"no room for temporary files: {error.strerror}")


def packed(record: Record) -> bytes:
    """One record, as this version of the program reads it again."""
    index = _INDEX[type(record.payload)]
    rest = msgspec.structs.replace(record, payload=_NOTHING)
    try:
        parts = _ENCODER.encode(record.payload), _ENCODER.encode(rest)
    except (UnicodeEncodeError, OverflowError):
        index |= _ESCAPED
        parts = _escaped(record.payload), _escaped(rest)
    return b"".join((_HEAD.pack(index, len(parts[0]), len(parts[1])), *parts))


def unpacked(data: bytes) -> Record:
    """The record that `packed` was given."""
    index, first, _ = _HEAD.unpack_from(data)
    decode = _unescaped if index & _ESCAPED else _decoded
    end = _HEAD.size + first
    payload = decode(data[_HEAD.size : end], _CLASSES[index & ~_ESCAPED])
    record: Record = msgspec.structs.replace(decode(data[end:], Record), payload=payload)
    return record


def _decoded(data: bytes | memoryview, kind: Any) -> Any:
    decoder = _DECODERS.get(kind) or _DECODERS.setdefault(kind, msgspec.msgpack.Decoder(kind))
    return decoder.decode(data)


def _escaped(value: msgspec.Struct) -> bytes:
    """For texts with lone surrogates and integers beyond 64 bits, which msgpack has no form for."""
    return _ENCODER.encode(_escape(msgspec.to_builtins(value)))


def _escape(value: Any) -> Any:
    match value:
        case dict():
            return msgspec.msgpack.Ext(_MAP, _ENCODER.encode([[_escape(key), _escape(item)] for key, item in value.items()]))
        case list() | tuple():
            return [_escape(item) for item in value]
        case str() if not value.isascii():
            return msgspec.msgpack.Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
        case int() if value.bit_length() > 63:
            return msgspec.msgpack.Ext(_NUMBER, str(value).encode())
    return value


def _unescaped(data: bytes | memoryview, kind: type[Any]) -> Any:
    return msgspec.convert(msgspec.msgpack.decode(data, ext_hook=_unescape), kind)


def _unescape(code: int, data: memoryview) -> Any:
    if code == _MAP:
        return dict(msgspec.msgpack.decode(data, ext_hook=_unescape))
    return bytes(data).decode("utf-8", "surrogatepass") if code == _TEXT else int(bytes(data))

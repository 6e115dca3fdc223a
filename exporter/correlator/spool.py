"""Held records, encoded: in memory up to a budget, beyond it in a temporary file that its last reader removes."""

import contextlib
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from exporter.correlator.keys import JOINABLE
from exporter.errors import SinkUnavailable
from exporter.records import Payload, Record

MEMORY_BYTES = 1 << 20
"""Encoded records kept in memory; one of an event has about 2 KB."""
_HEAD = struct.Struct("<BII")
_CLASSES: tuple[type[Any], ...] = tuple(JOINABLE)
_INDEX = {payload: index for index, payload in enumerate(_CLASSES)}
_NOTHING = Payload()
_ESCAPED = 0x80
_TEXT, _NUMBER, _MAP = 1, 2, 3
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[type[Any], msgspec.msgpack.Decoder[Any]] = {}


class Spool:
    """Records in, the same records out, in order. Holds payload classes of `JOINABLE` only."""

    def __init__(self, folder: Path | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115

    def add(self, record: Record) -> None:
        """Keep a record. Raises SinkUnavailable when the disk is full."""
        data = packed(record)
        try:
            self._file.write(data)
        except OSError as error:
            raise _no_room(error) from error

    def records(self) -> Iterator[Record]:
        """Every record, once; the spool is empty and closed afterwards."""
        file = self._file
        with contextlib.closing(self):
            try:
                file.seek(0)
            except OSError as error:
                raise _no_room(error) from error
            while head := file.read(_HEAD.size):
                _, first, second = _HEAD.unpack(head)
                yield unpacked(head + file.read(first + second))

    def close(self) -> None:
        """Drop what is held."""
        with contextlib.suppress(OSError):
            self._file.close()


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


def _decoded(data: bytes, kind: type[Any]) -> Any:
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


def _unescaped(data: bytes, kind: type[Any]) -> Any:
    return msgspec.convert(msgspec.msgpack.decode(data, ext_hook=_unescape), kind)


def _unescape(code: int, data: memoryview) -> Any:
    if code == _MAP:
        return dict(msgspec.msgpack.decode(data, ext_hook=_unescape))
    return bytes(data).decode("utf-8", "surrogatepass") if code == _TEXT else int(bytes(data))

"""Values as bytes that this process reads again: msgpack, and a form for what it has none for."""

from collections.abc import Callable
from typing import Any

import msgspec

_TEXT, _NUMBER, _MAP = 1, 2, 3
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
_PLAIN, _ESCAPED = b"\0", b"\1"

encode = _ENCODER.encode


def pack(value: Any) -> bytes:
    """Of tuples, lists, structs, texts, numbers, bytes and None, any texts and numbers."""
    try:
        return encode(value) + _PLAIN
    except (UnicodeEncodeError, OverflowError):
        return encode(_escape(msgspec.to_builtins(value, builtin_types=(bytes,)))) + _ESCAPED


def unpacker(kind: Any) -> Callable[[bytes], Any]:
    """What gives what `pack` was given, as a type."""
    plain = msgspec.msgpack.Decoder(kind).decode

    def unpack(data: bytes) -> Any:
        if data.endswith(_PLAIN):
            return plain(memoryview(data)[:-1])
        return unescaped(memoryview(data)[:-1], kind)

    return unpack


def decode(data: bytes | memoryview, kind: Any) -> Any:
    """What `encode` was given, as a type."""
    decoder = _DECODERS.get(kind) or _DECODERS.setdefault(kind, msgspec.msgpack.Decoder(kind))
    return decoder.decode(data)


def escaped(value: msgspec.Struct | tuple[Any, ...]) -> bytes:
    """For texts with lone surrogates and integers beyond 64 bits, which msgpack has no form for."""
    return encode(_escape(msgspec.to_builtins(value)))


def unescaped(data: bytes | memoryview, kind: type[Any]) -> Any:
    """What `escaped` was given, as a type."""
    return msgspec.convert(msgspec.msgpack.decode(data, ext_hook=unescape), kind)


def unescape(code: int, data: memoryview) -> Any:
    """What an extension of `escaped` stands for."""
    if code == _MAP:
        return dict(msgspec.msgpack.decode(data, ext_hook=unescape))
    return bytes(data).decode("utf-8", "surrogatepass") if code == _TEXT else int(bytes(data))


def _escape(value: Any) -> Any:
    match value:
        case dict():
            return msgspec.msgpack.Ext(_MAP, encode([[_escape(key), _escape(item)] for key, item in value.items()]))
        case list() | tuple():
            return [_escape(item) for item in value]
        case str() if not value.isascii():
            return msgspec.msgpack.Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
        case int() if value.bit_length() > 63:
            return msgspec.msgpack.Ext(_NUMBER, str(value).encode())
    return value

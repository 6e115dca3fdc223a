"""A startup key (`.BEK`): the 32 bytes that open the protector whose GUID it names, without any derivation.

48 bytes of header (size, version 1, size of the header, size again, GUID), then an entry of role 6 and type 9: GUID, time, and in it a key
entry. Source: libbde's format documentation, External key file; real files of dissect.fve's and cryptsetup's tests.
"""

import struct

import msgspec

from exporter.errors import FormatError
from exporter.formats.bitlocker import entries, first, guid

LARGEST_BYTES = 1 << 16
_HEADER, _VERSION = 48, 1
_ROLE, _EXTERNAL_KEY, _KEY = 6, 9, 1
_INSIDE, _KEY_AT, _KEY_BYTES = 24, 4, 32


class StartupKey(msgspec.Struct, frozen=True):
    """The protector that it opens, and what it is opened with."""

    guid: str
    key: bytes

    def __repr__(self) -> str:
        return f"StartupKey({self.guid})"


def looks_like_startup_key(data: bytes) -> bool:
    """True when a file begins like one."""
    return data[4:12] == struct.pack("<II", _VERSION, _HEADER)


def read_startup_key(data: bytes) -> StartupKey:
    """The key of a file; raises FormatError when it is none, or damaged."""
    if not looks_like_startup_key(data):
        raise FormatError("it does not begin like a startup key", 0)
    (size,) = struct.unpack_from("<I", data)
    if size > len(data):
        raise FormatError(f"it ends at byte {len(data)} of {size}", 0)
    external = first(entries(data, _HEADER, size), _EXTERNAL_KEY, _ROLE)
    key = first(entries(external, _INSIDE, len(external)), _KEY) if external is not None else None
    if external is None or key is None or len(key) != _KEY_AT + _KEY_BYTES:
        raise FormatError("no key of 32 bytes is in it", _HEADER)
    return StartupKey(guid(external[:16]), key[_KEY_AT:])

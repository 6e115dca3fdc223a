"""The quarantine's cipher: RC4 with one fixed key, restarted at zero for each piece (formats-quarantine.md 2.2).

Because the key never changes, neither does the key stream: it is made once, kept, and decrypting is an XOR with its start.
Encrypting is the same operation. `Crypto` is imported when the first piece comes, not before.
"""

from functools import cache
from typing import Any

KEY = bytes.fromhex(
    "1e87781b8dbaa844ce69702c0c78b786a3f623b738f5edf9af83530fb3fc54faa21eb9cf1331fd0f0da954f687cb9e18"
    "279697900e53fb317c9cbce48e23d05371ecc15951b8f3649d7ca33ed68dc9047e82c9baad9799d0d458cb847ca9ffbe"
    "3c8a775233557dde13a8b14087cc1bc8f10f6ecdd083a959cff84a9d1d50755e3e191818af23e2293558766d2c07e257"
    "12b2ca0b535ed8f6c56ce73d24bdd0291771861a54b4c285a9a3db7aca6d224aeacd621db9f2a22ed1e9e11d75bed7dc"
    "0ecb0a8e68a2ff1263408dc808dffd164b116774cd0b9b8d05411ed6262e429ba495676b8398db2f35d3c1b9ced52636"
    "f2765e1a95cb7ca4c3ddabddbff38253"
)
BLOCK_SIZE = 1 << 20
"""Bytes in which a long piece is best given to a `Decryptor`."""
_SHORT = 1 << 10
_MEDIUM = 1 << 16
_CACHED = 1 << 22


@cache
def _key_stream(size: int) -> bytes:
    return bytes(_cipher(0).encrypt(bytes(size)))


def _cipher(skip: int) -> Any:
    from Crypto.Cipher import ARC4

    return ARC4.new(KEY, drop=skip)


def decrypt(piece: bytes) -> bytes:
    """A whole piece, decrypted (or encrypted)."""
    size = len(piece)
    if size <= _SHORT:  # faster than strxor for the few hundred bytes of a section
        return (int.from_bytes(piece, "little") ^ int.from_bytes(_key_stream(_SHORT)[:size], "little")).to_bytes(size, "little")
    return Decryptor().update(piece)


class Decryptor:
    """One long piece, decrypted block by block, in memory bounded by the block and the kept key stream (4 MiB)."""

    def __init__(self) -> None:
        self._position = 0
        self._live: Any = None

    def update(self, block: bytes) -> bytes:
        """The next block, of any length, decrypted."""
        kept = max(0, min(len(block), _CACHED - self._position))
        head = self._from_cache(block[:kept]) if kept else b""
        self._position += len(block)
        if kept == len(block):
            return head
        self._live = self._live or _cipher(_CACHED)
        return head + bytes(self._live.encrypt(block[kept:]))

    def _from_cache(self, block: bytes) -> bytes:
        from Crypto.Util.strxor import strxor

        end = self._position + len(block)
        stream = memoryview(_key_stream(_MEDIUM if end <= _MEDIUM else _CACHED))
        return bytes(strxor(block, stream[self._position : end]) or b"")

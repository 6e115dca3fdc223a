"""From a recovery password or a password to the volume master key.

A secret is hashed to 32 bytes, those are stretched with the protector's salt by 2**20 rounds of SHA-256 (half a second), and the result
opens the protector's copy of the master key, which opens everything else: all by AES-CCM over a key entry, whose own header is known
text. So a key that opens nothing is told from damage: under a wrong key the header is noise, under the right one it stands there even
where the tag fails. Source: libbde's format documentation.
"""

import hashlib
import re
import struct
import uuid

import msgspec

from exporter.errors import FormatError
from exporter.formats.bitlocker import CLEAR_KEY, Block, entry, with_only

_DIGITS = re.compile(r"[0-9]{6}(?:[-\u2010-\u2015 ]*[0-9]{6}){7}", re.ASCII)
_BETWEEN = re.compile(r"[^0-9]")
_GROUPS, _LARGEST_GROUP = 8, 720_896
_ROUNDS = 1 << 20
_NONCE, _TAG, _HEADER = 12, 16, 12
MASTER_KEY, BLOCK_DIGEST, _CLEAR = 0x2003, 0x2005, 0x2000
_KEY_ENTRY, _SEALED, _VMK, _PROTECTOR = 1, 5, 2, 8


class Opened(msgspec.Struct, frozen=True):
    """What a key opened. `sound`: the tag holds; otherwise the key is right and the bytes are damaged."""

    secret: bytes
    sound: bool

    def __repr__(self) -> str:
        return f"Opened(sound={self.sound})"


def looks_like_recovery_password(text: str) -> bool:
    """True for 48 digits in 8 groups, with dashes or blanks between them or nothing."""
    return _DIGITS.fullmatch(text.strip()) is not None


def recovery_start(text: str) -> bytes:
    """What a recovery password is hashed to; FormatError, without the text, when its own check digits say that it is mistyped."""
    if not looks_like_recovery_password(text):
        raise FormatError("it has not 8 groups of 6 digits")
    digits = _BETWEEN.sub("", text)
    groups = [int(digits[at : at + 6]) for at in range(0, 6 * _GROUPS, 6)]
    wrong = [number for number, group in enumerate(groups, 1) if group % 11 or group >= _LARGEST_GROUP]
    if wrong:
        raise FormatError(f"it is mistyped in group {wrong[0]}: each group is divisible by 11 and below {_LARGEST_GROUP}")
    return hashlib.sha256(struct.pack("<8H", *(group // 11 for group in groups))).digest()


def password_start(text: str) -> bytes:
    """What a password is hashed to."""
    return hashlib.sha256(hashlib.sha256(text.encode("utf-16-le", "surrogatepass")).digest()).digest()


def stretch(start: bytes, salt: bytes) -> bytes:
    """The key that opens a protector; half a second."""
    sha256, tail, last = hashlib.sha256, start + salt, bytes(32)
    for count in range(_ROUNDS):
        last = sha256(last + tail + count.to_bytes(8, "little")).digest()
    return last


def unseal(key: bytes, sealed: bytes | None, method: int) -> Opened | None:
    """The secret of this method in a sealed value (its first 12 bytes are the nonce, then 16 of tag); None when the key is another."""
    from Crypto.Cipher import AES

    if sealed is None or len(sealed) <= _NONCE + _TAG + _HEADER or len(key) not in AES.key_size:
        return None
    cipher = AES.new(key, AES.MODE_CCM, nonce=sealed[:_NONCE], mac_len=_TAG)
    plain = bytes(cipher.decrypt(sealed[_NONCE + _TAG :]))
    size, role, kind, _version, found = struct.unpack_from("<4HI", plain)  # the version is 0 in Windows' own volumes, 1 in others
    if (size, role, kind, found) != (len(plain), 0, _KEY_ENTRY, method):
        return None
    try:
        cipher.verify(sealed[_NONCE : _NONCE + _TAG])
    except ValueError:
        return Opened(plain[_HEADER:], sound=False)
    return Opened(plain[_HEADER:], sound=True)


def opened_block(block: Block, master_key: bytes) -> bytes:
    """The block with a clear key in place of its protectors, under which lies the master key: it opens without anything further.

    It lives in memory only. Raises FormatError when it grows beyond 64 KiB.
    """
    from Crypto.Cipher import AES

    key, nonce = bytes(32), bytes(_NONCE)
    cipher = AES.new(key, AES.MODE_CCM, nonce=nonce, mac_len=_TAG)
    body, tag = cipher.encrypt_and_digest(_key_entry(MASTER_KEY, master_key))
    head = uuid.UUID(int=0).bytes_le + struct.pack("<QHH", 0, 0, CLEAR_KEY)
    return with_only(block, entry(_VMK, _PROTECTOR, head + _key_entry(_CLEAR, key) + entry(0, _SEALED, nonce + tag + body), 3))


def _key_entry(method: int, key: bytes) -> bytes:
    return entry(0, _KEY_ENTRY, struct.pack("<I", method) + key)

"""From the copies of the metadata and a key store to the master key of a volume, or to what stands in the way."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from exporter.errors import EvidenceError, FormatError
from exporter.formats.bitlocker import CLEAR_KEY, LARGEST_BLOCK, PASSWORD, RECOVERY_PASSWORD, STARTUP_KEY, Block, Protector, read_block
from exporter.formats.bitlocker_keys import BLOCK_DIGEST, MASTER_KEY, stretch, unseal

if TYPE_CHECKING:
    from exporter.evidence.keys import KeyStore

_ORDER = (CLEAR_KEY, STARTUP_KEY, RECOVERY_PASSWORD, PASSWORD)
"""Those that cost nothing first."""


class Found(msgspec.Struct, frozen=True):
    """A master key, and the copy of the metadata that it opens. `proven`: the hash sealed with it is that of the copy."""

    block: Block
    master_key: bytes
    proven: bool

    def __repr__(self) -> str:
        return f"Found(proven={self.proven})"


def read_copies(stream: BinaryIO, offsets: Iterable[int]) -> list[Block]:
    """The different copies that are sound, in the order of their offsets; when none is, those that can be read at all.

    A sound copy names all three places, so that one readable place is enough.
    """
    copies: list[Block] = []
    places = list(offsets)
    for place in places:  # grows
        try:
            stream.seek(place)
            block = read_block(stream.read(LARGEST_BLOCK))
        except (EvidenceError, FormatError):
            continue
        copies += [block] if block not in copies else []
        places += [offset for offset in block.offsets if block.sound and offset not in places]
    return [block for block in copies if block.sound] or copies


class Search:
    """One search for the master key of a volume. `obstacles` says in words what was wrong with the keys that were tried."""

    def __init__(self, keys: "KeyStore | None") -> None:
        self.obstacles: list[str] = []
        self._keys = keys
        self._stretched: dict[bytes, bytes] = {}

    def run(self, blocks: Iterable[Block]) -> Found | None:
        """The master key with the first copy for which it is proven; without such, with the first that it opens."""
        first = None
        for block in blocks:
            key = self._master_key(block)
            if key is not None:
                found = Found(block, key, _proven(block, key))
                if found.proven:
                    return found
                first = first or found
        return first

    def _master_key(self, block: Block) -> bytes | None:
        """By what opened this volume before in this process, else by its clear key, else by the keys that we have for its protectors."""
        known = self._keys.master_key(block.identifier) if self._keys is not None else None
        if known is not None and _opens(block, known.reveal()):
            return known.reveal()
        ours = (protector for protector in block.protectors if protector.kind in _ORDER)
        for protector in sorted(ours, key=lambda one: _ORDER.index(one.kind)):
            key = self._through(block, protector)
            if key is not None:
                if self._keys is not None:
                    self._keys.remember(block.identifier, key)
                return key
        return None

    def _through(self, block: Block, protector: Protector) -> bytes | None:
        key = protector.clear_key if protector.kind == CLEAR_KEY else self._given(block, protector)
        if key is None:
            return None
        opened = unseal(key, protector.sealed, MASTER_KEY)
        if opened is not None and _opens(block, opened.secret):
            return opened.secret
        wrong = "is not the key of" if opened is None else "is right, but damaged is what is sealed with it: that of"
        self._note(f"the key for {protector} {wrong} this volume")
        return None

    def _note(self, obstacle: str | None) -> None:
        if obstacle is not None and obstacle not in self.obstacles:
            self.obstacles.append(obstacle)

    def _given(self, block: Block, protector: Protector) -> bytes | None:
        """The key of a protector of ours; None when we have none."""
        if self._keys is None or (protector.salt is None and protector.kind != STARTUP_KEY):
            return None
        secret = self._keys.find(protector.guid, block.identifier, protector.kind_name)
        if secret is None:
            self._note(self._keys.complaint(protector.guid, block.identifier))
            return None
        return self._stretch(self._keys, block, secret.reveal(), protector.salt) if protector.salt is not None else secret.reveal()

    def _stretch(self, keys: "KeyStore", block: Block, start: bytes, salt: bytes) -> bytes:
        """Derived once for all copies."""
        if start + salt not in self._stretched:
            keys.derivations[block.identifier] += 1
            self._stretched[start + salt] = stretch(start, salt)
        return self._stretched[start + salt]


def _opens(block: Block, master_key: bytes) -> bool:
    """True when the master key opens the key of the sectors."""
    opened = unseal(master_key, block.fvek, block.method)
    return opened is not None and opened.sound


def _proven(block: Block, master_key: bytes) -> bool:
    opened = unseal(master_key, block.digest, BLOCK_DIGEST)
    return opened is not None and opened.sound and opened.secret == hashlib.sha256(block.raw).digest()

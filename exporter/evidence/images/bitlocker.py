"""BitLocker volumes: unlocked with the one key that their protectors name, read through libbde.

libbde decrypts, but knows one protector of each kind only, gives up when the first copy of the metadata is damaged, checks no checksum,
and reads volumes under encryption wrongly without a word. So the metadata are read and checked here, keys are derived here, and libbde
is given a view of the volume with sound metadata and a clear key. It never sees a key of ours.
"""

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from exporter.errors import EvidenceError, FormatError
from exporter.evidence.images.bitlocker_search import Found, Search, read_copies
from exporter.evidence.images.bitlocker_view import open_plain
from exporter.evidence.images.media import Media
from exporter.formats.bitlocker import CLEAR_KEY, DECRYPTED, ENCRYPTED, SECTOR, Block, Boot, read_boot
from exporter.formats.bitlocker_keys import opened_block

if TYPE_CHECKING:
    from exporter.evidence.keys import KeyStore


class Protector(NamedTuple):
    """A way to unlock a volume: its GUID in lower case, and its kind in words."""

    guid: str
    kind: str


class Unlocked(msgspec.Struct, frozen=True, kw_only=True):
    """A BitLocker volume, opened or not.

    `stream` is the plain volume, or None, and then `reason` says why. `state` is what the metadata say: `encrypted`, `suspended` (a clear
    key lies in it), `decrypted`, `converting`, `vista`, or `damaged`. `partial`: not all of the volume can be read, or be vouched for;
    `reason` says what.
    """

    stream: Media | None
    state: str
    partial: bool
    protectors: tuple[Protector, ...] = ()
    identifier: str | None = None
    description: str | None = None
    reason: str | None = None


def is_bitlocker(stream: BinaryIO) -> bool:
    """True when the first sector is that of a BitLocker volume, whatever its state. Raises EvidenceError when it cannot be read."""
    stream.seek(0)
    return read_boot(stream.read(SECTOR)) is not None


def unlock(stream: BinaryIO, keys: "KeyStore | None", name: str) -> Unlocked:
    """The volume as it can be read with these keys; `name` is what `reason` calls it.

    Raises nothing for what is wrong with the volume. `stream` stays open, and must while the plain volume is read.
    """
    told: Block | None = None
    try:
        stream.seek(0)
        boot = read_boot(stream.read(SECTOR))
        if boot is None:
            return _result(name, None, "damaged", "its first sector is not that of a BitLocker volume")
        blocks = read_copies(stream, boot.offsets)
        if not blocks:
            return _result(name, None, "damaged", "none of the copies of its metadata can be read")
        told = blocks[0]
        state, obstacle = _state(boot, told)
        if obstacle is not None:
            return _result(name, told, state, obstacle)
        if state == "decrypted":
            return _result(name, told, state, None, open_plain(stream, boot, told, None))
        return _with_key(stream, boot, blocks, keys, name, state)
    except (EvidenceError, FormatError) as error:
        return _result(name, told, "damaged", f"it cannot be read: {error}")


def _state(boot: Boot, told: Block) -> tuple[str, str | None]:
    """The state, and what about it makes the volume unreadable, if anything does."""
    if boot.layout == "vista" or told.version < 2:
        return "vista", "it has the format of Windows Vista, which is not read"
    states = (told.state, told.next_state)
    if states == (DECRYPTED, DECRYPTED):
        return "decrypted", None if told.sound else "the checksum holds in no copy of its metadata"
    if boot.layout == "unknown":
        return "damaged", "the identifier in its first sector is damaged, and with it whether it is wholly encrypted"
    if boot.layout != "bitlocker":
        return "converting", "it was being encrypted (encrypt on write): some of its sectors are plain, and it is not known which"
    if states != (ENCRYPTED, ENCRYPTED):
        return "converting", f"it was being encrypted or decrypted (state {states[0]}, next {states[1]}), and it is not known how far"
    return ("suspended" if any(one.kind == CLEAR_KEY for one in told.protectors) else "encrypted"), None


def _with_key(stream: BinaryIO, boot: Boot, blocks: list[Block], keys: "KeyStore | None", name: str, state: str) -> Unlocked:
    search = Search(keys)
    found = search.run(blocks)
    if found is None:
        return _result(name, blocks[0], state if blocks[0].sound else "damaged", _locked(blocks[0], search.obstacles))
    if not (found.proven or found.block.sound):
        return _result(name, found.block, "damaged", "the key is right, but the checksum holds in no copy of its metadata")
    doubt = None if found.proven else "it is read, but the hash that is sealed in its metadata does not hold"
    return _result(name, found.block, state, doubt, _opened(stream, boot, found))


def _opened(stream: BinaryIO, boot: Boot, found: Found) -> Media:
    return open_plain(stream, boot, found.block, opened_block(found.block, found.master_key))


def _locked(block: Block, obstacles: list[str]) -> str:
    damaged = "" if block.sound else "the checksum holds in no copy of its metadata, and "
    return damaged + ("; ".join(obstacles) or "there is no key for any of its protectors")


def _result(name: str, told: Block | None, state: str, reason: str | None, stream: Media | None = None) -> Unlocked:
    protectors = told.protectors if told is not None else ()
    if reason is not None:
        identifier = f" {{{told.identifier}}}" if told is not None else ""
        has = f" (its protectors: {', '.join(map(str, protectors))})" if protectors else ""
        reason = f"BitLocker volume `{name}`{identifier}: {reason}{has}"
    return Unlocked(
        stream=stream,
        state=state,
        partial=reason is not None,
        protectors=tuple(Protector(one.guid, one.kind_name) for one in protectors),
        identifier=told.identifier if told is not None else None,
        description=told.description if told is not None else None,
        reason=reason,
    )

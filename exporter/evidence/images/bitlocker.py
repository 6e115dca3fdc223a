"""BitLocker volumes: recognized here, and named as what cannot be read."""

from typing import Any, BinaryIO

import msgspec

_SIGNATURE = b"-FVE-FS-"


class Unlocked(msgspec.Struct, kw_only=True):
    """A BitLocker volume: `stream` is its plain text, None while it stays locked for the `reason`."""

    stream: BinaryIO | None = None
    state: str = "encrypted"
    partial: bool = False
    protectors: list[tuple[str, str]] = []
    reason: str | None = None


def is_bitlocker(stream: BinaryIO) -> bool:
    """Whether a volume begins like one that BitLocker made."""
    stream.seek(0)
    head = stream.read(512)
    return head[3:11] == _SIGNATURE


def unlock(_stream: BinaryIO, _keys: Any, _name: str) -> Unlocked:
    """Nothing is unlocked yet."""
    return Unlocked(reason="encrypted by BitLocker: not read")

"""Members of a zip, read from its central directory in bounded memory, and their bytes.

The standard library's reader keeps about a kilobyte for each of up to a million members and gives the whole archive up for one damaged
directory entry; here members are yielded one by one and damage costs only itself. Facts: PKWARE APPNOTE 6.3.

End of central directory   0 `PK\\5\\6`   4 disk   8 entries on disk   10 entries   12 size   16 offset   20 comment length
Zip64 locator (before it)  0 `PK\\6\\7`   8 offset of the zip64 end: 0 `PK\\6\\6`   32 entries   40 size   48 offset
Central header             0 `PK\\1\\2`   4 made by   8 flags   10 method   16 CRC   20 compressed   24 size   28 name length
                           30 extra length   32 comment length   38 external attributes   42 offset of the local header   46 name …
Local header               0 `PK\\3\\4`   6 flags   8 method   14 CRC   18 compressed   22 size   26 name length
                           28 extra length   30 name …
"""

import io
import stat
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from exporter import times
from exporter.errors import EvidenceError
from exporter.evidence.streams import PIECE_BYTES, Checked, Decompressed, Limits, Window
from exporter.records import Rejected

_CENTRAL = struct.Struct("<4s2H2H2H3I3H2H2I")
LOCAL = struct.Struct("<4sH2H2H3I2H")
_END = struct.Struct("<4s4H2IH")
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")
_METHODS = {8: "deflate", 12: "bzip2"}
_ALL_ONES = 0xFFFFFFFF
_MOST_DAMAGES = 1000
"""So many damaged places in a directory are named one by one; then the rest of it is given up."""


class ZipMember(msgspec.Struct, frozen=True):
    """A file in a zip. `name` is as stored; `start` the offset of its local header; `modified_at` in ticks, where an extra field has it.

    The DOS time that every member has is local time without a zone and not used. `refusal` says why the member cannot be read.
    """

    name: str
    size: int
    compressed: int
    crc: int
    method: int
    start: int
    modified_at: int | None
    refusal: str | None


def zip_members(stream: BinaryIO, most: int) -> Iterator[ZipMember | Rejected]:
    """Every file (no folders) of the central directory. Raises EvidenceError where none is found: cut off, or not a zip."""
    entries, position, end, shift = _directory(stream)
    seen = damaged = 0
    while position + _CENTRAL.size <= end and seen < most and damaged < _MOST_DAMAGES:
        stream.seek(position)
        fields = _CENTRAL.unpack(_exactly(stream, _CENTRAL.size))
        name = stream.read(fields[10])
        if fields[0] != b"PK\1\2" or b"PK\1\2" in name or len(name) < fields[10]:
            following = search(stream, b"PK\1\2", position + 1, end)
            yield Rejected(position, f"damaged zip directory: {following - position} bytes passed over")
            position, damaged = following, damaged + 1
            continue
        seen += 1
        member = _member(fields, name, stream.read(fields[11]), shift)
        if member.size or not member.name.endswith(("/", "\\")):
            yield member
        position += _CENTRAL.size + sum(fields[10:13])
    if seen >= most and entries > most:
        yield Rejected(position, f"more than {most} members: the rest is not read")
    elif seen != entries:
        yield Rejected(end, f"the zip says it has {entries} members, its directory lists {seen}")


def _directory(stream: BinaryIO) -> tuple[int, int, int, int]:
    """Number of entries, where the directory begins and ends, and how many bytes lie before the zip proper."""
    length = stream.seek(0, io.SEEK_END)
    tail_start = max(0, length - _END.size - 0xFFFF)
    stream.seek(tail_start)
    tail = stream.read()
    at = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    while at >= 0:
        _, disk, _, _, entries, size, offset, _ = _END.unpack_from(tail, at)
        end = tail_start + at
        if tail[max(0, at - 20) : max(0, at - 16)] == b"PK\6\7":
            entries, size, offset, end = _zip64(stream, tail[at - 20 : at], end)
        if disk in (0, 0xFFFF) and size <= end and offset + size <= end:
            return entries, end - size, end, end - size - offset
        at = tail.rfind(b"PK\5\6", 0, at)
    raise EvidenceError("no zip directory at its end: cut off or damaged")


def _zip64(stream: BinaryIO, locator: bytes, end: int) -> tuple[int, int, int, int]:
    """The same from the 64-bit record, found right before its locator (or where the locator points)."""
    for position in (end - 20 - _ZIP64_END.size, struct.unpack_from("<Q", locator, 8)[0]):
        if 0 <= position <= end - _ZIP64_END.size:
            stream.seek(position)
            fields = _ZIP64_END.unpack(_exactly(stream, _ZIP64_END.size))
            if fields[0] == b"PK\6\6":
                return fields[7], fields[8], fields[9], position
    raise EvidenceError("damaged zip64 end of directory")


def _member(fields: tuple[int, ...], name: bytes, extra: bytes, shift: int) -> ZipMember:
    _, version, _, flags, method, _, _, crc, compressed, size, *_, attributes, start = fields
    known = dict(extras(extra))
    wide = io.BytesIO(known.get(0x0001, b""))
    size, compressed, start = (_widened(value, wide) for value in (size, compressed, start))
    linked = version >> 8 == 3 and stat.S_ISLNK(attributes >> 16)
    return ZipMember(
        member_name(name, flags), size, compressed, crc, method, start + shift, modified(known), refusal(flags, method, linked)
    )


def refusal(flags: int, method: int, linked: bool) -> str | None:
    """Why a member with these properties cannot be read; None if it can."""
    if flags & 1:
        return "encrypted: decrypt the archive first"
    if linked:
        return "a link in a zip is not followed"
    return None if method == 0 or method in _METHODS else f"compression method {method} is not supported: unpack the archive"


def extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The extra fields of a member, by their tags."""
    position = 0
    while position + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, position)
        yield tag, extra[position + 4 : position + 4 + size]
        position += 4 + size


def _widened(value: int, wide: io.BytesIO) -> int:
    if value != _ALL_ONES:
        return value
    piece = wide.read(8)
    return int.from_bytes(piece, "little") if len(piece) == 8 else value


def modified(extras: dict[int, bytes]) -> int | None:
    """NTFS extra field (tag 1 at 4, ticks at 8), else the Info-ZIP time (flags at 0, Unix seconds at 1)."""
    ntfs, unix = extras.get(0x000A, b""), extras.get(0x5455, b"")
    if len(ntfs) >= 16 and ntfs[4:6] == b"\1\0":
        return int.from_bytes(ntfs[8:16], "little")
    if len(unix) >= 5 and unix[0] & 1:
        return times.from_unix_ns(struct.unpack_from("<i", unix, 1)[0] * 1_000_000_000)
    return None


def member_name(name: bytes, flags: int) -> str:
    """UTF-8 where it says so or is so, else code page 437 as the standard has it."""
    if flags & 0x800:
        return name.decode("utf-8", "surrogateescape")
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")


def search(stream: BinaryIO, wanted: bytes, position: int, end: int) -> int:
    """Offset of the first occurrence from `position` on, or `end`."""
    while position < end:
        stream.seek(position)
        piece = stream.read(min(PIECE_BYTES, end - position))
        at = piece.find(wanted)
        if at >= 0:
            return position + at
        if len(piece) < len(wanted):
            break
        position += len(piece) - len(wanted) + 1
    return end


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EvidenceError("the zip ends in the middle of its directory")
    return data


def open_zip_member(opener: Callable[[], BinaryIO], member: ZipMember, limits: Limits) -> BinaryIO:
    """The member's bytes; EvidenceError when they are damaged, also while they are read."""
    stream = opener()
    try:
        stream.seek(member.start)
        header = stream.read(LOCAL.size)
        if len(header) < LOCAL.size or header[:4] != b"PK\3\4":
            raise EvidenceError(f"no zip member at offset {member.start}: damaged")
        fields = LOCAL.unpack(header)
        data: BinaryIO = Window(stream, member.start + LOCAL.size + fields[9] + fields[10], member.compressed)  # type: ignore[assignment]
        if member.method:
            data = Decompressed(data, _METHODS[member.method], limits)  # type: ignore[assignment]
        return io.BufferedReader(Checked(data, member.size, member.crc), PIECE_BYTES)
    except BaseException:
        stream.close()
        raise

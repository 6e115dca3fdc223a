"""One form for the many ways in which Defender writes the same place."""

import re
from collections.abc import Iterable
from hashlib import blake2b

from exporter.formats.known import Known
from exporter.formats.resources import Resource

_SCHEMA = re.compile(r"^[a-z]+:_")
_VOLUME = re.compile(
    r"^(?:\\\\[?.]\\|\\\?\?\\)?(?:unc(?=\\)|\\?device\\mup(?=\\)|\\?(?:device\\)?harddiskvolume(?:shadowcopy)?\d+(?=\\)|[a-z]:(?=\\)|(?=\\\\))"
)


def normalize(path: str) -> tuple[str, bool]:
    r"""A path (or another resource's value) as it is compared, and whether it is a place in a file system.

    Lower case, no prefix, no volume, no inner name. The drive letter goes, because the same file is `C:\x` in an event and
    `\Device\HarddiskVolume3\x` in a log; so do `\\?\`, `file:_`, what follows `->` (members of archives) and `|` (source of a webfile).

    >>> normalize(r"\\?\C:\Users\A\Eicar.zip->eicar.com")
    ('users\\a\\eicar.zip', True)
    >>> normalize(r"\\?\UNC\server\share\x.exe") == normalize(r"file:_\\server\share\x.exe") == normalize(r"\Device\Mup\server\share\x.exe")
    True
    >>> normalize("pid:42,ProcessStart:133")
    ('pid:42,processstart:133', False)
    """
    text = _SCHEMA.sub("", path.lower().replace("/", "\\")).partition("->")[0].partition("|")[0].strip()
    volume = _VOLUME.match(text)
    return text[volume.end() if volume else 0 :].lstrip("\\"), volume is not None


def digests(resources: Iterable[Resource], paths: Iterable[str | None] = ()) -> tuple[int, ...]:
    """64-bit digests of the distinct normalized values; those of places in a file system are even, the others odd."""
    found = [*[_KNOWN[resource.value] for resource in resources], *[_KNOWN[path] for path in paths if path]]
    return tuple(dict.fromkeys([digest for digest in found if digest is not None]))


def is_place(digest: int) -> bool:
    """True for the digest of a place in a file system."""
    return not digest & 1


def _digest(value: str) -> int | None:
    text, place = normalize(value)
    if not text:
        return None
    number = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return number & ~1 if place else number | 1


_KNOWN = Known(_digest, 1024)
"""One place is named by an event, by what was done about it, and twice in each."""

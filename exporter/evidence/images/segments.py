"""The files that an image is made of: read-only, few of them open at a time, their names found beside the first one."""

import re
import string
from collections import OrderedDict
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from exporter.errors import EvidenceError
from exporter.evidence.handles import RawFile, open_folder, open_raw, reason
from exporter.evidence.images.media import Media

_MOST_OPEN = 32
_EWF = re.compile(r"(?P<letters>[ELS]x?)01", re.IGNORECASE)
_NUMBERED = re.compile(r"0{2,}[01]")


class Siblings:
    """The files of the folder that an image lies in; nothing outside it is opened. `names` are as the system spells them."""

    def __init__(self, root: Path, below: tuple[str, ...]) -> None:
        self._root, self._folder, self.name = root, below[:-1], below[-1]
        self._open: OrderedDict[str, RawFile] = OrderedDict()
        self._names: dict[str, str] | None = None

    def media(self, name: str) -> Media:
        """A file as a stream; raises EvidenceError when it is not there or no regular file."""
        return Media(lambda offset, size: self._read(name, offset, size), self._stream(name).size)

    def find(self, name: str) -> str | None:
        """The name of a file of this folder, ignoring case; None when it is not there. A path is cut down to its last component."""
        if self._names is None:
            self._names = {entry.casefold(): entry for entry in self._listed()}
        return self._names.get(base_name(name).casefold())

    def _listed(self) -> list[str]:
        try:
            folder = open_folder(self._root, self._folder)
            try:
                return [entry.name for entry in folder.entries()]
            finally:
                folder.close()
        except OSError as error:
            raise EvidenceError(f"the folder of the image cannot be listed: {reason(error)}") from error

    def _stream(self, name: str) -> RawFile:
        stream = self._open.pop(name, None) or open_raw(self._root, (*self._folder, name))
        self._open[name] = stream
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return stream

    def _read(self, name: str, offset: int, size: int) -> bytes:
        stream = self._stream(name)
        stream.seek(offset)
        data = stream.read(size) or b""
        while len(data) < size and (piece := stream.read(size - len(data))):
            data += piece
        return data

    def close(self) -> None:
        """Closes all of them."""
        while self._open:
            self._open.popitem()[1].close()


def base_name(path: str) -> str:
    """The last component of a path of any system."""
    return re.split(r"[\\/]", path)[-1]


def segments(files: Siblings, first: str) -> list[str]:
    """The names of all segments of an image, in order; raises EvidenceError when one in the middle is missing."""
    found, gap = [first], ""
    for name in _following(first):
        there = files.find(name)
        if there is None:
            if gap:
                return found
            gap = name
        elif gap:
            raise EvidenceError(f"segment `{gap}` of the image is missing")
        else:
            found.append(there)
    return found


def _following(name: str) -> Iterator[str]:
    stem, _, suffix = name.rpartition(".")
    if stem and (ewf := _EWF.fullmatch(suffix)):
        yield from (f"{stem}.{suffix}" for suffix in _ewf_suffixes(ewf["letters"]))
    elif stem and _NUMBERED.fullmatch(suffix):
        yield from (f"{stem}.{number:0{len(suffix)}}" for number in count(int(suffix) + 1))


def _ewf_suffixes(letters: str) -> Iterator[str]:
    """E02 … E99, EAA … EZZ, FAA … ZZZ; with a second letter (Ex01) that one stays."""
    yield from (f"{letters}{number:02}" for number in range(2, 100))
    alphabet = string.ascii_uppercase
    for first in alphabet[alphabet.index(letters[0].upper()) :]:
        yield from (f"{first}{letters[1:]}{second}{third}" for second in alphabet for third in alphabet)

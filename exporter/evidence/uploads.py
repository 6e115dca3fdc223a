"""When collected files were last changed on their host, as Velociraptor tells it: its archives keep other times.

`results/Windows.KapeFiles.Targets%2FUploads.json` (and that of Windows.Triage.Targets) has one JSON object a line, with `SourceFile`, a
path such as `C:\\Users\\a` or `\\\\.\\C:\\Users\\a`, and `Modified`, ISO 8601 (formats-logs 4.1).
"""

import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from exporter.errors import EvidenceError
from exporter.evidence.files import File
from exporter.times import from_iso, usable

UPLOADS = "results/*%2fuploads.json"
_FOLDER = "uploads"
_LARGEST_BYTES = 64 << 20
_LONGEST_LINE_BYTES = 1 << 20
_DEVICES = ("//./", "//?/")


def set_times(listings: Iterable[File], files: Iterable[File]) -> Iterator[tuple[File, str]]:
    """Give files below the `uploads` beside a listing the time that it states; yields listings that cannot be read, and why."""
    times: dict[str, dict[str, int]] = {}
    for listing in listings:
        try:
            with listing.open() as stream:
                times.setdefault(listing.root, {}).update(_stated(stream))
        except EvidenceError as error:
            yield listing, error.reason
    for file in files if times else ():
        for root, stated in times.items():
            at = stated.get(_place_of_upload(file.path, root))
            if at is not None:
                file.modified_at = at


def _stated(stream: BinaryIO) -> Iterator[tuple[str, int]]:
    left, rest = _LARGEST_BYTES, b""
    while left > 0 and (piece := stream.read(min(left, _LONGEST_LINE_BYTES))):
        left -= len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, map(_row, lines))
        rest = rest if len(rest) <= _LONGEST_LINE_BYTES else b""
    if found := _row(rest):
        yield found


def _row(line: bytes) -> tuple[str, int] | None:
    try:
        row = json.loads(line)
        ticks, _ = from_iso(row["Modified"])
        return (_place(row["SourceFile"]), ticks) if usable(ticks) else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):  # a line of another kind says nothing here
        return None


def _place(path: str) -> str:
    folded = path.replace("\\", "/").casefold()
    return folded[4:] if folded.startswith(_DEVICES) else folded


def _place_of_upload(path: str, root: str) -> str:
    """The path on its host of an upload: what follows `uploads` and the accessor below `root`."""
    inside = path.removeprefix(root).lstrip("/") if path.startswith(root) else ""
    folder, _, rest = inside.partition("/")
    return _place(rest.partition("/")[2]) if folder == _FOLDER else ""

"""MPDetection: the small log beside MPLog, of one stamped line each (formats-logs.md 1.1).

    <stamp> Service started - <product, localized> (<guid>)
    <stamp> Service stopped with exit code 0x<code>
    <stamp> Version: Product <v> Service <v> Engine <v> AS <v> AV <v>
    <stamp> DETECTION <threat> <schema>:<value>

Encoding and stamps are those of MPLog; clocks are set back here too, so lines need not be in order of time. The first three lines were seen
in a real log, the last one is known from a public description and from programs that read it. A line that says anything else is counted,
one that begins like a detection and is none of ours is a loss. A file may hold nothing but its byte order mark.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, ClassVar, TypeAlias

from exporter.errors import FormatError
from exporter.formats.line_reader import UNTERMINATED, LineReader
from exporter.formats.mplog_clock import STAMP, Clock
from exporter.formats.mplog_lines import number, resources_lacking, subject
from exporter.formats.resources import Resource
from exporter.formats.text_lines import Chunk, TextLines
from exporter.records import Item, Parsed, Payload, Rejected

_VERSIONS = {
    "Product": "product_version",
    "Service": "service_version",
    "Engine": "engine_version",
    "AS": "antispyware_version",
    "AV": "antivirus_version",
}
"""The words of a `Version:` line, and what they are the versions of."""
_EXIT_CODES = 1 << 32


class DetectionLogRecord(Payload, frozen=True, kw_only=True):
    """Base: `logged_at` is the line's stamp (UTC), or for a line without one the nearest stamp before; `time_basis` says which.

    `time_basis`: `line`, `previous_line`, `none`.
    """

    logged_at: int | None = None
    time_basis: str = "line"


class ServiceStart(DetectionLogRecord, frozen=True, kw_only=True):
    """`Service started - <product> (<guid>)`."""

    kind: ClassVar[str] = "mpdetection_service_start"
    product: str | None = None
    product_guid: str | None = None


class ServiceStop(DetectionLogRecord, frozen=True, kw_only=True):
    """`Service stopped with exit code 0x<code>`; the code has 32 bits."""

    kind: ClassVar[str] = "mpdetection_service_stop"
    exit_code: int | None = None


class Versions(DetectionLogRecord, frozen=True, kw_only=True):
    """`Version: …`: what the service had loaded; `antispyware_version` and `antivirus_version` are those of the signatures."""

    kind: ClassVar[str] = "mpdetection_versions"
    product_version: str | None = None
    service_version: str | None = None
    engine_version: str | None = None
    antispyware_version: str | None = None
    antivirus_version: str | None = None


class DetectionLine(DetectionLogRecord, frozen=True, kw_only=True):
    """`DETECTION <threat> <schema>:<value>`; `threat_id` and `sig_seq` from an internalCmdLine resource, if any."""

    kind: ClassVar[str] = "mpdetection_detection"
    threat_name: str
    threat_id: int | None = None
    sig_seq: int | None = None
    resources: tuple[Resource, ...] = ()
    file_path: str | None = None


def parse_mpdetection(stream: BinaryIO) -> Iterator[Item]:
    """The four `mpdetection_…` payloads, what could not be read, and a Tally in lines.

    `raw_hash` is that of the line without its terminator, `number` counts from 1. Memory is bounded by the limits of `text_lines`.
    """
    return _Reader(TextLines(stream)).items()


class _Reader(LineReader):
    """The items of one log."""

    log = "a detection log"

    def __init__(self, lines: TextLines) -> None:
        super().__init__(lines)
        self._clock = Clock()

    def _is_foreign(self) -> bool:
        return not self._known and self._clock.stamp is None

    def _chunk(self, chunk: Chunk) -> Iterator[Item]:
        for index, text in enumerate(chunk.texts):
            self._number += 1
            rest, shift, lost = self._behind_zeros(text, chunk, index, self._number)
            yield from lost
            if lost and not rest:
                continue
            stamp = STAMP.match(rest)
            if stamp is not None:
                self._clock.stamp = stamp
            message = (rest if stamp is None else rest[stamp.end() :]).removesuffix("\r")
            if not message.startswith(_TOLD):
                self._counts["other" if message.strip() else "blank"] += 1
                continue
            self._known = True
            yield self._record(rest, message, chunk.offset(index) + shift, stamped=stamp is not None, whole=chunk.complete)

    def _record(self, text: str, message: str, offset: int, *, stamped: bool, whole: bool) -> Item:
        logged_at, basis = self._clock.of_line(stamped)
        try:
            begin = next((begin for begin in _READERS if message.startswith(begin)), None)
            if begin is None:
                raise FormatError("a detection line of a form that is not known here")
            payload, lacking = _READERS[begin](message.removeprefix(begin), {"logged_at": logged_at, "time_basis": basis})
        except FormatError as error:
            return Rejected(offset, error.reason, text[:80].rstrip(), number=self._number)
        raw_hash = hashlib.sha256(self._lines.encode(text.removesuffix("\r"))).hexdigest()
        return Parsed(payload, offset, raw_hash, number=self._number, incomplete=lacking if whole else UNTERMINATED)


_Found: TypeAlias = tuple[DetectionLogRecord, str | None]
"""A payload, and what it should have had and has not."""


def _start(text: str, common: dict[str, Any]) -> _Found:
    product, _, guid = text.rstrip().removesuffix(")").rpartition("(")
    if not product:
        return ServiceStart(product=guid or None, **common), "no product GUID"
    return ServiceStart(product=product.strip() or None, product_guid=guid.upper() or None, **common), None


def _stop(text: str, common: dict[str, Any]) -> _Found:
    code = number(text)
    if code is None or code >= _EXIT_CODES:
        return ServiceStop(**common), "no exit code"
    return ServiceStop(exit_code=code, **common), None


def _versions(text: str, common: dict[str, Any]) -> _Found:
    found: dict[str, Any] = {
        attribute: match[1] for word, attribute in _VERSIONS.items() if (match := re.search(rf"\b{word} (\S{{1,64}})", text))
    }
    lacking = [word for word, attribute in _VERSIONS.items() if attribute not in found]
    return Versions(**found, **common), f"no version of {', '.join(lacking)}" if lacking else None


def _detection(text: str, common: dict[str, Any]) -> _Found:
    line = DetectionLine(**subject(text), **common)
    return line, resources_lacking(line.resources)


_READERS: dict[str, Callable[[str, dict[str, Any]], _Found]] = {
    "Service started - ": _start,
    "Service stopped with exit code ": _stop,
    "Version: ": _versions,
    "DETECTION ": _detection,
}
_TOLD = (*_READERS, "DETECTION")

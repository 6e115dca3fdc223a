"""The detection lines of an MPLog.

    DETECTIONEVENT MPSOURCE_<…> <threat> <schema>:<value>;<schema>:<value>;
    DETECTION_ADD#n <threat> <schema>:<value>[ PropBag [length: n, data: (null)]]
    DETECTION_CLEANEVENT MPSOURCE_<…> MP_THREAT_ACTION_<…> <0 or 0x…> <threat> <resources>

The value of an `internalCmdLine` resource is a letter, base64, two numbers, image and command line. The base64 holds (formats-logs.md 1.3):

| offset | size | what                    |
|-------:|-----:|-------------------------|
|      0 |    4 | version, 1              |
|      4 |    4 | threat id               |
|      8 |    8 | 0                       |
|     16 |    8 | sigseq                  |
|     24 |   20 | sigsha                  |
|     44 |      | threat name, zero padded |
"""

import binascii
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from exporter.errors import FormatError
from exporter.formats import mplog_kinds as kinds
from exporter.formats.mplog_records import DetectionAdd, DetectionClean, DetectionEvent, LogRecord
from exporter.formats.resources import Resource, file_path

NO_THREAT = 0x80000000
"""What a verdict without a threat carries instead of a threat id."""
RESOURCE_LIMIT = 4096
LIST_LIMIT = 1 << 17
"""Resources of one line, and characters in which they are looked for; what a hostile line has more stays in the last value."""
_SCHEMAS = (
    "amsi|behavior|bho|boot|bootsector|clsid|CmdLine|cmdline|containerfile|driver|emsdrop|file|firewall|folder|ieaddon|"
    "interface|internalamsi|internalbehavior|internalCmdLine|lsp|process|queryfilertsig|regkey|regkeyvalue|rootkit|runkey|"
    "samplefile|service|shellopencmd|startup|taskscheduler|typelib|uninstall|webfile|webscript|winlogon|wmi"
)
_FIRST = re.compile(" (?=[A-Za-z]{2,32}:)")
_NEXT = re.compile(f";(?=(?:{_SCHEMAS}):)")
_BLOB = struct.Struct("<IIQQ")
_BLOB_TEXT_LIMIT = 4096
_PROPERTY_BAG = " PropBag ["


def threat_id(text: str) -> int | None:
    """The threat id written here; None for 0, for the placeholder 0x80000000, and for what is no number."""
    value = number(text)
    return value if value and value != NO_THREAT else None


def number(text: str) -> int | None:
    """Decimal, or hexadecimal after `0x`; None for anything else, or below 0 or above 64 bits."""
    text = text[:32].strip()
    digits, base = (text[2:], 16) if text[:2] == "0x" else (text, 10)
    if not digits.isascii() or not digits.isalnum():
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    return value if value < 1 << 64 else None


def resource_list(text: str) -> tuple[Resource, ...]:
    """`schema:value;schema:value;` as resources; a `;` in a file name does not split, only one before a known schema does."""
    text = text.removesuffix(";")
    pieces = _NEXT.split(text[:LIST_LIMIT], RESOURCE_LIMIT - 1)
    pieces[-1] += text[LIST_LIMIT:]
    return tuple(Resource(schema, value) for schema, colon, value in (piece.partition(":") for piece in pieces) if colon)


def internal_command_line(value: str) -> tuple[int | None, int | None]:
    """Threat id and sigseq of an `internalCmdLine` value; None for each that is not there."""
    words = value[:_BLOB_TEXT_LIMIT].split(" ", 2)
    try:
        blob = binascii.a2b_base64(words[1], strict_mode=True) if len(words) == 3 else b""
    except ValueError:
        return None, None
    if len(blob) < _BLOB.size:
        return None, None
    version, found, _, sequence = _BLOB.unpack_from(blob)
    return (None, None) if version != 1 else (found if found not in (0, NO_THREAT) else None, sequence or None)


def detection(kind: str, text: str, logged_at: int | None, basis: str, offset: Mapping[str, Any]) -> LogRecord:
    """The record of a line (without stamp and tag) of one of `mplog_kinds.DETECTIONS`; raises FormatError when it names no threat."""
    return _READERS[kind](text, {"logged_at": logged_at, "time_basis": basis, **offset})


def detection_lacking(record: LogRecord) -> str | None:
    """What a detection line should have had and has not."""
    assert isinstance(record, DetectionEvent | DetectionAdd | DetectionClean)
    return resources_lacking(record.resources)


def resources_lacking(resources: tuple[Resource, ...]) -> str | None:
    """What the resources of a detection should have been and are not."""
    if len(resources) >= RESOURCE_LIMIT or any(len(resource.value) > LIST_LIMIT for resource in resources):
        return f"resources after the first {RESOURCE_LIMIT}, or after {LIST_LIMIT} characters, are not split"
    return None if resources else "no resource"


def _event(text: str, common: dict[str, Any]) -> LogRecord:
    _, source, rest = _words(text, 2)
    return DetectionEvent(source=source, **subject(rest), **common)


def _add(text: str, common: dict[str, Any]) -> LogRecord:
    opening, rest = _words(text, 1)
    end = rest.rfind(_PROPERTY_BAG)
    return DetectionAdd(number=number(opening.partition("#")[2]), **subject(rest if end < 0 else rest[:end], one=True), **common)


def _clean(text: str, common: dict[str, Any]) -> LogRecord:
    _, source, action, result, rest = _words(text, 4)
    return DetectionClean(source=source, action=action, result=number(result), **subject(rest), **common)


_READERS: dict[str, Callable[[str, dict[str, Any]], LogRecord]] = {
    kinds.DETECTION_EVENT: _event,
    kinds.DETECTION_ADD: _add,
    kinds.DETECTION_CLEAN: _clean,
}


def _words(text: str, count: int) -> list[str]:
    """The first `count` words, and the rest."""
    words = text.split(" ", count)
    if len(words) <= count:
        raise FormatError("a detection line that ends before its threat")
    return words


def subject(text: str, one: bool = False) -> dict[str, Any]:
    """Threat and resources: the fields that all detection lines share. The first schema may be any word, so that new ones are read.

    Raises FormatError when no threat is named.
    """
    first = _FIRST.search(text)
    name, listed = (text[: first.start()], text[first.end() :]) if first else text.partition(" ")[::2]
    if not name:
        raise FormatError("a detection line without a threat name")
    schema, colon, value = listed.partition(":")
    resources = ((Resource(schema, value),) if colon else ()) if one else resource_list(listed)
    coded = [internal_command_line(resource.value) for resource in resources if resource.schema == "internalCmdLine"]
    found = next((pair for pair in coded if pair[0] is not None), (None, None))
    return {
        "threat_name": name,
        "threat_id": found[0],
        "sig_seq": found[1],
        "resources": resources,
        "file_path": file_path(resources),
    }

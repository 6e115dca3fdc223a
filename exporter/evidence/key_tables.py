"""Key files as people export them: CSV from Active Directory, Entra, Intune or MBAM, or JSON, one object a line or a whole array.

Nothing here quotes a cell: a line that is no good is named by its number.
"""

import csv
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from exporter.errors import ConfigurationError

_LARGEST_BYTES = 64 << 20
_NOT_LETTERS = re.compile(r"[^a-z0-9]")
_GUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE | re.ASCII)
_OCTETS = re.compile(r"X'([0-9a-f]{32})'", re.IGNORECASE | re.ASCII)
_PROTECTOR = (
    *("keyid", "recoverykeyid", "keyprotectorid", "bitlockerkeyid", "bitlockerrecoverykeyid", "recoverypasswordid", "passwordid"),
    *("protectorid", "protectorguid", "msfverecoveryguid", "recoveryguid", "recoveryid", "recoverykeyidentifier", "identifier", "id"),
    *("guid", "name", "cn", "distinguishedname", "dn"),
)
"""Columns with the GUID of the protector, the best first. Active Directory's `name` and `dn` hold it behind the time of creation."""
_VOLUME = ("volumeid", "volumeguid", "volumeidentifier", "bitlockervolumeid", "msfvevolumeguid")
_RECOVERY = (
    *("recoverykey", "recoverypassword", "msfverecoverypassword", "bitlockerkey", "bitlockerrecoverykey", "bitlockerrecoverypassword"),
    *("recoverykeyvalue", "recoverypasswordvalue", "key", "keyvalue"),
)
_PASSWORD = ("password", "passphrase")


class Row(NamedTuple):
    """A line: which protector or volume (as GUID) its secret is for. `secret` is never shown."""

    where: str
    protector: str | None
    volume: str | None
    secret: str
    column: str

    @property
    def guid(self) -> str:
        """The better of the two."""
        return self.protector or self.volume or ""

    def __repr__(self) -> str:
        return f"Row({self.where})"


def read_rows(path: Path) -> Iterator[Row | str]:
    """The rows, and a text for each line that is none. Raises ConfigurationError for a file that cannot be read or has no such columns."""
    text = _text(path)
    for where, cells in _objects(path, text) if text.lstrip()[:1] in ("{", "[") else _lines(path, text):
        yield _row(where, cells) if isinstance(cells, Mapping) else f"{where} {cells}"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"key file `{path}` cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST_BYTES:
        raise ConfigurationError(f"key file `{path}` is larger than {_LARGEST_BYTES >> 20} MiB")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le" if data[1:2] == b"\0" else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ConfigurationError(f"key file `{path}` is neither UTF-8 nor UTF-16 text") from None


def _lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """The rows of a CSV, separated by comma, semicolon or tab; `#TYPE` and `sep=` lines before the header are PowerShell's and Excel's."""
    lines = text.splitlines(keepends=True)
    above = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith(("#TYPE", "sep="))), len(lines))
    header = lines[above] if above < len(lines) else ""
    reader = csv.reader(lines[above:], delimiter=max(",;\t", key=header.count))
    names: list[str] | None = None
    try:
        for row in reader:
            where = f"line {above + reader.line_num}"
            if names is None:
                names = [_normal(cell) for cell in row]
                _check_columns(path, names)
            elif any(cell.strip() for cell in row):
                yield where, dict(zip(reversed(names), reversed(row), strict=True)) if len(row) == len(names) else _MISCOUNTED
    except csv.Error:
        yield f"line {above + reader.line_num}", "is not CSV; nothing after it was read"
    if names is None:
        raise ConfigurationError(f"key file `{path}` is empty")


_MISCOUNTED = "has more or fewer cells than the header"


def _check_columns(path: Path, names: Iterable[str]) -> None:
    known = set(names)
    if not known & {*_PROTECTOR, *_VOLUME} or not known & {*_RECOVERY, *_PASSWORD}:
        raise ConfigurationError(
            f"key file `{path}` has no header with a column KeyID (or VolumeID) and a column RecoveryKey (or Password), or what AD, Entra "
            "and Intune call them"
        )


def _objects(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """JSON: an object a line; or an array, alone or as the `value` of an answer of Microsoft Graph."""
    whole = _parsed(text)
    if isinstance(whole, dict) and isinstance(whole.get("value"), list):
        whole = whole["value"]
    pieces: Iterable[tuple[str, Any]]
    if isinstance(whole, list):
        pieces = ((f"entry {number}", value) for number, value in enumerate(whole, 1))
    else:
        lines = [text] if isinstance(whole, dict) else text.splitlines()
        pieces = ((f"line {number}", _parsed(line)) for number, line in enumerate(lines, 1) if line.strip())
    seen = False
    for where, value in pieces:
        seen = seen or isinstance(value, dict)
        yield where, {_normal(str(name)): cell for name, cell in value.items()} if isinstance(value, dict) else "is not a JSON object"
    if not seen:
        raise ConfigurationError(f"key file `{path}` has no JSON object in it")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _normal(name: str) -> str:
    return _NOT_LETTERS.sub("", name.lower())


def _row(where: str, cells: Mapping[str, Any]) -> Row | str:
    protector, volume = _guid(cells, _PROTECTOR), _guid(cells, _VOLUME)
    column = next((name for name in (*_RECOVERY, *_PASSWORD) if isinstance(cells.get(name), str) and cells[name].strip()), None)
    if column is None:
        return f"{where} has no key"
    if protector is None and volume is None:
        return f"{where} does not say which protector or volume its key is for"
    return Row(where, protector, volume, cells[column], "password" if column in _PASSWORD else "recovery password")


def _guid(cells: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((found for name in names if (found := guid_in(cells.get(name))) is not None), None)


def guid_in(cell: Any) -> str | None:
    """The last GUID of a text, or the 16 bytes that directories store (as an array, or as csvde's X'...'); lower case, without braces."""
    if isinstance(cell, list) and len(cell) == 16 and all(isinstance(byte, int) and 0 <= byte < 256 for byte in cell):
        return str(uuid.UUID(bytes_le=bytes(cell)))
    if not isinstance(cell, str):
        return None
    if octets := _OCTETS.fullmatch(cell.strip()):
        return str(uuid.UUID(bytes_le=bytes.fromhex(octets[1])))
    found = _GUID.findall(cell)
    return found[-1].lower() if found else None

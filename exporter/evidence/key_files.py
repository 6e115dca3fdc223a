"""Startup keys (`.BEK`) and folders that hold keys, as they are given with `--keys`."""

from pathlib import Path

from exporter.errors import ConfigurationError, FormatError
from exporter.formats.bitlocker_startup import LARGEST_BYTES, StartupKey, looks_like_startup_key, read_startup_key

_STARTUP = ".bek"
_TABLES = (".csv", ".tsv", ".json", ".jsonl")


def key_files(path: Path) -> list[Path]:
    """The files of a folder that may hold keys, by name; the path itself when it is no folder. Raises ConfigurationError."""
    if not path.is_dir():
        return [path]
    try:
        return sorted(file for file in path.iterdir() if file.suffix.casefold() in (_STARTUP, *_TABLES) and file.is_file())
    except OSError as error:
        raise ConfigurationError(f"folder of keys `{path}` cannot be listed: {error.strerror}") from None


def startup_key(path: Path) -> StartupKey | None:
    """What a file holds; None when it is none and does not call itself one. Raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES)
    except OSError as error:
        raise ConfigurationError(f"key file `{path}` cannot be read: {error.strerror}") from None
    if not looks_like_startup_key(data) and path.suffix.casefold() != _STARTUP:
        return None
    try:
        return read_startup_key(data)
    except FormatError as error:
        raise ConfigurationError(f"startup key `{path}` cannot be read: {error}") from None

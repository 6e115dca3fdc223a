"""The configuration file: TOML, one table per command, every key an option of that command; and secrets of sinks."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from exporter.errors import ConfigurationError

SECRETS = "secrets"
_SERVER = frozenset(("user", "password", "api_key", "bearer"))
_KEYS: Mapping[str, frozenset[str]] = {
    "elasticsearch": _SERVER,
    "opensearch": _SERVER,
    "timesketch": frozenset(("user", "password", "token")),
}


class Config(NamedTuple):
    """Command to option to value; and secrets, by the environment variable that says the same."""

    tables: dict[str, dict[str, Any]]
    secrets: dict[str, str]


def read_config(path: Path, known: Mapping[str, frozenset[str]]) -> Config:
    """The file. Raises ConfigurationError for what is not TOML, for tables and keys that are not in `known`, and for secrets that others
    can read; no error repeats a value.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = tomllib.loads(file.read().decode())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {_without_content(error)}") from None
    secrets = _secrets(path, mode, content.pop(SECRETS, {}))
    for table, options in content.items():
        if table not in known or not isinstance(options, dict):
            raise ConfigurationError(f"{path}: unknown table `{table}` (known: {', '.join((*known, SECRETS))})")
        for key in options:
            if key not in known[table]:
                raise ConfigurationError(f"{path}: [{table}] has the unknown key `{key}`")
    return Config(content, secrets)


def _secrets(path: Path, mode: int, content: Any) -> dict[str, str]:
    """`[secrets.elasticsearch] api_key = "..."` as DEFENDER_EXPORTER_ELASTICSEARCH_API_KEY."""
    found: dict[str, str] = {}
    for sink, values in content.items() if isinstance(content, dict) else [("", {})]:
        if sink not in _KEYS or not isinstance(values, dict):
            raise ConfigurationError(f"{path}: [{SECRETS}] holds tables for {', '.join(_KEYS)}: [{SECRETS}.elasticsearch]")
        for key, value in values.items():
            if key not in _KEYS[sink] or not isinstance(value, str):
                known = ", ".join(sorted(_KEYS[sink]))
                raise ConfigurationError(f"{path}: [{SECRETS}.{sink}] takes texts named {known}, not `{key}` as it is there")
            found[f"DEFENDER_EXPORTER_{sink.upper()}_{key.upper()}"] = value
    if found and os.name == "posix" and stat.S_IMODE(mode) & (stat.S_IRWXO | stat.S_IWGRP):
        raise ConfigurationError(f"{path} holds secrets, and others may read it: take that away from them (chmod 600)")
    return found


def _without_content(error: ValueError) -> str:
    """Where the file is wrong, but not what stands there: it may be a secret."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    place = str(error).rpartition("(")[2].rstrip(")")
    return f"it is not TOML ({place})" if place.startswith("at ") else "it is not TOML"

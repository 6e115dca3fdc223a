"""The configuration file: TOML, one table per command, every key an option of that command."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.errors import ConfigurationError


def read_config(path: Path, known: Mapping[str, frozenset[str]]) -> dict[str, dict[str, Any]]:
    """Command to option to value. Raises ConfigurationError for what is not TOML, and for tables and keys that are not in `known`."""
    import tomllib

    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    for table, options in content.items():
        if table not in known or not isinstance(options, dict):
            raise ConfigurationError(f"{path}: unknown table `{table}` (known: {', '.join(known)})")
        for key in options:
            if key not in known[table]:
                raise ConfigurationError(f"{path}: [{table}] has the unknown key `{key}`")
    return content

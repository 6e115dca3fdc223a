"""Options that several commands share, and where their values come from: option, environment, configuration file, default."""

from pathlib import Path
from typing import Any

import click

from exporter.config import read_config

ENVIRONMENT = "DEFENDER_EXPORTER"
_NOT_IN_FILE = frozenset(("config", "help", "evidence"))


def from_file(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Callback of `--config`: its table for this command becomes the defaults."""
    if value is None or ctx.command.name is None:
        return
    names = frozenset(name.replace("_", "-") for parameter in ctx.command.params if (name := parameter.name or "") not in _NOT_IN_FILE)
    known = {ctx.command.name: names, **{other: names for other in ("export", "demo") if other != ctx.command.name}}
    table: dict[str, Any] = read_config(value, known).get(ctx.command.name, {})
    ctx.default_map = {**(ctx.default_map or {}), **{key.replace("-", "_"): item for key, item in table.items()}}


config = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=f"{ENVIRONMENT}_CONFIG",
    is_eager=True,
    expose_value=False,
    callback=from_file,
    help="TOML file with a table per command; see config/exporter.example.toml.",
)
evidence = click.argument("evidence", nargs=-1, required=True, type=click.Path(exists=True))
host = click.option("--host", help="Host name, where the evidence does not say it or says it wrongly.")

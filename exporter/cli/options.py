"""Options that several commands share, and where their values come from: option, environment, configuration file, default."""

from pathlib import Path
from typing import Any

import click

from exporter.config import read_config

ENVIRONMENT = "DEFENDER_EXPORTER"
TABLES = ("export", "ingest")
"""The commands that have a table in the configuration file."""
_NOT_IN_FILE = frozenset(("config", "help"))


def from_file(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Callback of `--config`: its table for this command becomes the defaults."""
    if value is None or ctx.command.name is None:
        return
    root = ctx.find_root().command
    commands = [command for name in TABLES if isinstance(root, click.Group) and (command := root.get_command(ctx, name))]
    known = {command.name or "": names(command) for command in (*commands, ctx.command)}
    table: dict[str, Any] = read_config(value, known).get(ctx.command.name, {})
    ctx.default_map = {**(ctx.default_map or {}), **{key.replace("-", "_"): item for key, item in table.items()}}


def names(command: click.Command) -> frozenset[str]:
    """What the table of a command may hold."""
    options = (parameter.name or "" for parameter in command.params if isinstance(parameter, click.Option))
    return frozenset(name.replace("_", "-") for name in options if name not in _NOT_IN_FILE)


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

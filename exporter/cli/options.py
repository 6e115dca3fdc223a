"""Options that several commands share, and where their values come from: option, environment, configuration file, default."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from exporter.config import read_config
from exporter.text import printable

ENVIRONMENT = "DEFENDER_EXPORTER"
_Command = TypeVar("_Command", bound=Callable[..., Any])
_OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII)
_WIDEST_MINUTES = 14 * 60
TABLES = ("export", "ingest", "batch")
"""The commands that have a table in the configuration file."""
_NOT_IN_FILE = frozenset(("config", "help"))


def from_file(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Callback of `--config`: its table for this command becomes the defaults, its secrets stand in for variables that are not set."""
    if value is None or ctx.command.name is None:
        return
    root = ctx.find_root().command
    commands = [command for name in TABLES if isinstance(root, click.Group) and (command := root.get_command(ctx, name))]
    own = [ctx.command] if ctx.command.name in TABLES else []
    known = {command.name or "": names(command) for command in (*commands, *own)}
    tables, secrets = read_config(value, known)
    for name, secret in secrets.items():
        os.environ.setdefault(name, secret)
    table: dict[str, Any] = tables.get(ctx.command.name, {})
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
    help="TOML file with a table per command, and secrets of sinks; see config/exporter.example.toml.",
)
evidence = click.argument("evidence", nargs=-1, required=True, type=click.Path(exists=True))
host = click.option("--host", help="Host name, where the evidence does not say it or says it wrongly.")


def _keys(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """The reference, which is absolute, of keys that can be read; names the lines of a key file that are no good."""
    if value is None:
        return None
    from exporter.evidence.keys import KeyStore

    store = KeyStore.open(value)
    for problem in store.problems:
        click.echo(printable(f"defender-exporter: key file: {problem}"), err=True)
    return str(store.reference)


keys = click.option(
    "--keys",
    metavar="PATH|command:PROGRAM",
    envvar=f"{ENVIRONMENT}_KEYS",
    callback=_keys,
    help="Keys of BitLocker volumes: CSV or JSON as exported from AD, Entra or Intune, a startup key (.BEK), a folder of these, or a "
    "program that prints the key of the protector whose GUID it is given.",
)
verify_image = click.option("--verify-image", is_flag=True, help="Read disk images whole first and compare the hash that they hold.")


def vss(default: str) -> Callable[[_Command], _Command]:
    """`--vss`, whose default is not the same everywhere."""
    return click.option(
        "--vss",
        type=click.Choice(["none", "all", "latest"]),
        default=default,
        show_default=True,
        help="Which shadow copies of a disk image's volumes are read beside the live volume.",
    )


class UtcOffset(click.ParamType):  # type: ignore[type-arg]
    """Minutes east of UTC of `+02:00`, `-0330` or `+5`."""

    name = "±HH:MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _OFFSET.fullmatch(str(value))
        minutes = int(found[2]) * 60 + int(found[3] or 0) if found else _WIDEST_MINUTES + 1
        if found is None or minutes > _WIDEST_MINUTES:
            self.fail(f"`{value}` is no offset from UTC: write +02:00 or -05:30", param, ctx)
        return -minutes if found[1] == "-" else minutes


def _all(options: Sequence[Callable[[_Command], _Command]]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


host_reading: Callable[[_Command], _Command] = _all(
    [
        click.option(
            "--evtx-engine", type=click.Choice(["evtx", "python-evtx"]), default="evtx", show_default=True, help="Who decodes event logs."
        ),
        click.option("--cross-check", is_flag=True, help="Decode every event log with both engines and tell where they differ (exit 4)."),
        click.option("--all-events", is_flag=True, help="Export the records of every channel, not only those of Defender."),
        click.option(
            "--carve", is_flag=True, help="Search a file given by itself, such as unallocated space, and logs without header for chunks."
        ),
        click.option(
            "--etl-strings", is_flag=True, help="Export texts in messages of Defender's own traces, which only Microsoft's files decode."
        ),
        click.option("--utc-offset", type=UtcOffset(), help="What local times mean where the evidence does not say it, such as +02:00."),
        vss("none"),
        verify_image,
        keys,
    ]
)
"""How the files of a host are read: `ReadingOptions` in `exporter.collectors`."""
reading: Callable[[_Command], _Command] = _all(
    [
        host_reading,
        click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that decode large event logs."),
    ]
)
"""The same, by one process or more."""
delivering = _all(
    [
        click.option(
            "--alerts",
            type=click.Choice(["incident", "detection", "none"]),
            default="incident",
            show_default=True,
            help="Which documents get event.kind `alert`: incidents, detections too, or none.",
        ),
        click.option(
            "--temporary", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder for sorting large timelines."
        ),
        click.option("--reproducible", is_flag=True, help="Leave out what differs between two runs (event.ingested)."),
    ]
)
"""What becomes of the records, and where."""

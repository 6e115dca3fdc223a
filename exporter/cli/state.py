"""`state`: what was delivered, and what may be delivered again."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli import exit_codes
from exporter.text import printable

if TYPE_CHECKING:
    from contextlib import closing

    from exporter.state.checkpoint import State

_folder = click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
_LAST = 20


@click.group()
def state() -> None:
    """What was delivered when, from which file, how far, to which sink.

    \b
    defender-exporter state show /var/lib/defender-exporter
    """


@state.command()
@_folder
@click.option("--files", "show_files", is_flag=True, help="Every evidence file and how far it was read.")
@click.option("--all", "show_all", is_flag=True, help=f"All deliveries instead of the last {_LAST}.")
def show(folder: Path, show_files: bool, show_all: bool) -> int:
    """Print targets, deliveries and collections; a run may be under way."""
    from exporter.state import history

    with _opened(folder) as opened:
        click.echo(printable(f"for: {opened.note('purpose') or 'nothing yet'}"))
        for line in history.deliveries(opened, None if show_all else _LAST):
            end = _time(line.finished) if line.finished else "NOT FINISHED, done again by the next run"
            click.echo(
                printable(f"delivery {line.number}  {end}  case {line.case}: {line.new} new, {line.known} known, {line.rejected} rejected")
            )
            for path in line.outputs:
                click.echo(printable(f"    {path}"))
        for collection in history.collections(opened):
            click.echo(printable(_collection(collection)))
            for file in history.files(opened, collection.name) if show_files else ():
                gone = ", gone" if file.gone else ""
                click.echo(printable(f"    {file.path}: {file.collector}, {file.host}, {file.size} bytes, delivery {file.delivery}{gone}"))
        for arguments, started, finished in history.exports(opened):
            end = f"complete {_time(finished)}" if finished else "not complete: --resume continues it"
            click.echo(printable(f"export of case {arguments['case']} from {', '.join(arguments['evidence'])}, {_time(started)}: {end}"))
    return exit_codes.COMPLETE


@state.command()
@_folder
@click.argument("collections", nargs=-1)
@click.option("--everything", is_flag=True, help="All collections, ids and incidents: the next run delivers the whole share again.")
def forget(folder: Path, collections: tuple[str, ...], everything: bool) -> int:
    """Read COLLECTIONS again the next time. Their events keep their ids, so what was written is not written again."""
    from exporter.state import history
    from exporter.state.lock import Lock

    if bool(collections) == everything:
        raise click.UsageError("name collections, or give --everything")
    with _opened(folder) as opened, Lock(opened.folder):
        if everything:
            history.forget_everything(opened)
            click.echo("everything is forgotten")
        for name in collections:
            click.echo(printable(f"{name}: {history.forget(opened, name)} file(s) are read again"))
    return exit_codes.COMPLETE


@state.command()
@_folder
def verify(folder: Path) -> int:
    """Check the database and its counts, and name delivered files that are not there any more."""
    from exporter.state import history
    from exporter.state.lock import Lock

    with _opened(folder) as opened, Lock(opened.folder):
        problems = list(history.verify(opened))
        for path in history.moved(opened):
            click.echo(printable(f"note: `{path}` was delivered and is not there any more"))
    for problem in problems:
        click.echo(printable(problem))
    click.echo(f"{len(problems)} problem(s)")
    return exit_codes.DAMAGED if problems else exit_codes.COMPLETE


def _opened(folder: Path) -> "closing[State]":
    from contextlib import closing

    from exporter.state.checkpoint import State

    return closing(State(folder, create=False, force_network=True))


def _collection(line: object) -> str:
    from exporter.state.history import CollectionLine

    assert isinstance(line, CollectionLine)
    read = f"delivered {_time(line.delivered_at)}" if line.delivered_at else "not delivered"
    waits = "" if line.complete else f", changed {_time(line.changed)} and waits"
    return f"{line.name}: {line.size:,} bytes, {read}{waits}" + (f"; {line.problem}" if line.problem else "")


def _time(seconds: float | None) -> str:
    from exporter.times import from_unix_ns, iso

    return iso(from_unix_ns(int((seconds or 0) * 1e9)), 0)

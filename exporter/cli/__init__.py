"""The command line: a thin layer; a command and what it needs is imported when it is run."""

import os
import sys
from importlib import import_module

import click

from exporter import __version__
from exporter.cli import exit_codes
from exporter.cli.signals import code_of
from exporter.errors import ConfigurationError, EvidenceError, ExporterError, LockHeld, ReaderGone, SinkRefused, SinkUnavailable
from exporter.text import printable

COMMANDS = {
    "scan": "exporter.cli.scan:scan",
    "export": "exporter.cli.export:export",
    "batch": "exporter.cli.batch:batch",
    "replay": "exporter.cli.replay:replay",
    "ingest": "exporter.cli.ingest:ingest",
    "state": "exporter.cli.state:state",
    "explain": "exporter.cli.explain:explain",
    "setup": "exporter.cli.setup:setup",
    "mappings": "exporter.cli.mappings:mappings",
    "demo": "exporter.cli.demo:demo",
}
"""Verb to `module:command`; a new command is one line here."""

EXIT_CODES: tuple[tuple[type[ExporterError], int], ...] = (
    (ConfigurationError, exit_codes.CONFIGURATION),
    (ReaderGone, exit_codes.INTERRUPTED),
    (SinkRefused, exit_codes.CONFIGURATION),
    (SinkUnavailable, exit_codes.UNAVAILABLE),
    (LockHeld, exit_codes.LOCKED),
    (EvidenceError, exit_codes.DAMAGED),
    (ExporterError, exit_codes.CONFIGURATION),
)


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: " + " · ".join(f"{code} {meaning}" for code, meaning in exit_codes.MEANING.items()),
)
@click.version_option(__version__, prog_name="defender-exporter")
def cli() -> None:
    """What Windows Defender left behind on a machine, as timelines and SIEM documents.

    Evidence is only ever read. Try `defender-exporter demo case` first.
    """


def main() -> None:
    """Entry point: errors as one line, exit codes as in the table."""
    _speak_utf8()
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort as error:
        code = code_of(error.__cause__)
    except click.ClickException as error:
        error.show()
        code = exit_codes.USAGE
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        code = exit_codes.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        code = exit_codes.DAMAGED
    except ExporterError as error:
        click.echo(f"defender-exporter: {printable(str(error))}", err=True)
        code = next(number for kind, number in EXIT_CODES if isinstance(error, kind))
    sys.exit(code or 0)


def _speak_utf8() -> None:
    """Names from evidence must not fail on a console of another encoding: what it lacks is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """The reader went away (`| head`): keep the interpreter from failing again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

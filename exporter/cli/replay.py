"""`replay`: dead letters to a server, once more."""

from pathlib import Path

import click

from exporter.cli import exit_codes, options
from exporter.text import printable


@click.command(context_settings={"auto_envvar_prefix": f"{options.ENVIRONMENT}_REPLAY"})
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options.config
@click.option(
    "--to", required=True, metavar="SINK:URL", help="elasticsearch:https://host:9200 or opensearch:...; the index is that of each line."
)
@click.option(
    "--dead-letters",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write what is refused again; default: FILE with `-again` in its name.",
)
@click.option("--force", is_flag=True, help="Replace an existing file of what was refused again.")
def replay(file: Path, to: str, dead_letters: Path | None, force: bool) -> int:
    """Send the documents of FILE again that a server had refused, once their mapping is mended. Twice is harmless: they keep their ids.

    \b
    defender-exporter replay dead-letters.ndjson --to elasticsearch:https://siem:9200
    """
    from exporter.replay import Replayer
    from exporter.sinks.targets import SinkSettings

    again = dead_letters or file.with_name(f"{file.stem}-again.ndjson")
    report = Replayer(file, to, again, SinkSettings(force=force)).run()
    counts = report.counts
    click.echo(
        f"{counts.incoming} document(s): {counts.written} written, {counts.duplicate} known before, {counts.dead} refused again, "
        f"{counts.unsent} not sent; {report.others} other line(s) left alone, {report.damaged} damaged"
    )
    if report.dead_letter_file:
        click.echo(printable(f"refused again: {report.dead_letter_file}"))
    if report.stopped:
        click.echo(printable(f"STOPPED before the end: {report.stopped}"), err=True)
        return exit_codes.CONFIGURATION if report.refused else exit_codes.UNAVAILABLE
    return exit_codes.DAMAGED if counts.dead or report.damaged or not counts.incoming else exit_codes.COMPLETE

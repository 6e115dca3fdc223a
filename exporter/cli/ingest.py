"""`ingest`: the share that cron reads."""

import re
from pathlib import Path

import click

from exporter.cli import options

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(value: object) -> float:
    """Seconds of a number with `s`, `m`, `h` or `d`, or without."""
    found = _DURATION.fullmatch(str(value))
    if found is None:
        raise click.BadParameter(f"`{value}` is not a duration: write 90, 90s, 5m, 2h or 1d")
    return float(found[1]) * _SECONDS[found[2]]


@click.command(context_settings={"auto_envvar_prefix": f"{options.ENVIRONMENT}_INGEST"})
@click.argument("share", type=click.Path(path_type=Path))
@options.config
@click.option("--state", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the checkpoint, on a local disk.")
@click.option(
    "--case-from",
    required=True,
    metavar="host|folder|NAME",
    help="Case id: of each host its name, of each folder or archive of the share its name, or NAME for all.",
)
@click.option(
    "--to",
    multiple=True,
    required=True,
    metavar="SINK:TARGET",
    help="Where to. A file gets a name of its own in every run: `{case}` and `{run}` stand for the case and for time and number.",
)
@click.option(
    "--settle", type=duration, metavar="DURATION", default="60s", show_default=True, help="How long a collection must have looked the same."
)
@click.option(
    "--deadline",
    type=duration,
    metavar="DURATION",
    default="5m",
    show_default=True,
    help="How long the share may be silent before a collection is left.",
)
@click.option("--once", is_flag=True, help="One run, for cron and timers; waits once for what may settle. The default.")
@click.option("--every", type=duration, metavar="DURATION", help="Run again and again, with this time between: for containers.")
@options.reading
@options.delivering
@click.option("--metrics", type=click.Path(path_type=Path, dir_okay=False), help="Prometheus text file, replaced after every run.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What is said on standard error."
)
@click.option("--force-network-state", is_flag=True, help="Allow a state folder on a network file system, where locks may not hold.")
def ingest(share: Path, once: bool, every: float | None, log_format: str, **values: object) -> int:
    """Deliver what is new on SHARE since the last run: collections as folders, zips and tars.

    A collection is read when it has looked the same for --settle, or at once when `NAME.done` lies beside it. What was delivered is not
    written again; a log that has grown is continued. A killed run is done again by the next one, and nothing is there twice.

    An incident that has grown is written again under a new id; `defender.incident.supersedes` names the ids it replaces.

    \b
    defender-exporter ingest /srv/triage --state /var/lib/defender-exporter --case-from folder \\
      --to 'timesketch:/srv/out/{case}-{run}.jsonl' --to elasticsearch:https://siem:9200
    """
    from exporter.cli.nights import run_nights
    from exporter.ingest import Ingest

    if once and every is not None:
        raise click.UsageError("--once and --every exclude each other")
    return run_nights(Ingest(share=share, **values), every, log_format)  # type: ignore[arg-type]

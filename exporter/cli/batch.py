"""`batch`: many hosts in one command."""

from pathlib import Path

import click

from exporter.cli import options
from exporter.cli.ingest import duration

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(context_settings={"auto_envvar_prefix": f"{options.ENVIRONMENT}_BATCH"})
@click.argument("case_file", metavar="[CASE.yaml]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@options.config
@click.option("--evidence", multiple=True, metavar="PATTERN", help="Each match is a host: folders, archives, images. May be repeated.")
@click.option("--case", help="Case id: part of every document's identity and of `labels.case_id`.")
@click.option("--to", multiple=True, metavar="SINK:PATH|ADDRESS", help="Where to, as for `export`. May be repeated.")
@click.option("--sources", multiple=True, metavar="NAME", help="Read these artifacts only: quarantine, evtx, mplog... May be repeated.")
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), help="Folder, on a local disk, of what is done; default: CASE.batch."
)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for what hosts leave, seen by all machines; default: in --state.",
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Hosts that are read at once; default 1.")
@click.option("--runner", metavar="local|dask", help="Who reads: `local`, processes of this machine; `dask`, a cluster.")
@click.option(
    "--scheduler", metavar="tls://HOST:PORT", help="Dask cluster that is there; without it, --runner dask starts one on this machine."
)
@click.option("--worker-memory", default="2GiB", show_default=True, help="What a Dask worker of this machine may take before it is ended.")
@click.option("--tls-ca", type=_FILE, help="Certificate authority of the Dask cluster.")
@click.option("--tls-cert", type=_FILE, help="Our certificate for the Dask cluster.")
@click.option("--tls-key", type=_FILE, help="The key of --tls-cert.")
@click.option("--insecure", is_flag=True, help="Use a Dask cluster without TLS: whoever reaches it runs code as its workers.")
@click.option(
    "--hang-limit",
    type=duration,
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="A host that is not read on so long is given up.",
)
@click.option("--resume", is_flag=True, help="Continue: hosts that are done, and have not changed, are not read again.")
@click.option("--retry-failed", is_flag=True, help="Continue, and read hosts again that failed or are incomplete.")
@click.option(
    "--only", multiple=True, metavar="HOST", help="Read this host only (name, or number in the plan), and leave its part for --merge."
)
@click.option("--merge", is_flag=True, help="Read nothing: merge what is there.")
@click.option("--dry-run", is_flag=True, help="Say what would be read, with sizes, and do nothing.")
@click.option(
    "--results",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="A line of JSON for each host; `-` shows them as they come.",
)
@click.option("--manifest", type=click.Path(path_type=Path, dir_okay=False), help="Write what was read and written, with hashes, as JSON.")
@click.option(
    "--dead-letters", type=click.Path(path_type=Path, dir_okay=False), help="Where losses are explained; default: beside the first output."
)
@options.host_reading
@options.delivering
@click.option("--force", is_flag=True, help="Replace existing output files, and begin anew.")
@click.option("--allow-dead", is_flag=True, help="Exit 0 even when hosts failed or are incomplete.")
@click.option("--progress", type=click.Choice(["auto", "json", "none"]), default="auto", show_default=True, help="How to tell progress.")
def batch(case_file: Path | None, progress: str, allow_dead: bool, dry_run: bool, **values: object) -> int:
    """Read many hosts, by several processes, into one set of outputs: those that `export` would write.

    A host that cannot be read is explained and costs itself. A killed batch goes on with --resume. Ended by SIGTERM, the exit code is 143.

    \b
    defender-exporter batch CASE.yaml --jobs 4
    defender-exporter batch --evidence 'share/*/' --case C1 --to timesketch:c1.jsonl --jobs 4
    """
    from exporter.cli.batches import run_and_report, show_plan

    if dry_run:
        return show_plan(case_file, values)
    return run_and_report(case_file, values, progress, allow_dead=allow_dead)

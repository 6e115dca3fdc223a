"""`export`: the main job."""

from pathlib import Path

import click

from exporter.cli import options


@click.command(context_settings={"auto_envvar_prefix": f"{options.ENVIRONMENT}_EXPORT"})
@options.evidence
@options.config
@click.option("--case", required=True, help="Case id: part of every document's identity and of `labels.case_id`.")
@click.option(
    "--to",
    multiple=True,
    required=True,
    metavar="SINK:PATH|ADDRESS",
    help="Where to: ecs:x.ndjson, timesketch:x.jsonl, l2tcsv:x.csv, elasticsearch:https://host:9200, opensearch:..., "
    "timesketch:https://host?sketch=S&timeline=T; `-` as path is standard output. May be repeated.",
)
@options.host
@click.option("--manifest", type=click.Path(path_type=Path, dir_okay=False), help="Write what was read and written, with hashes, as JSON.")
@click.option(
    "--dead-letters",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where losses are explained; default: dead-letters.ndjson beside the first output.",
)
@options.reading
@options.delivering
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), help="Folder, on a local disk, that lets --resume continue.")
@click.option("--resume", is_flag=True, help="Bring an interrupted run with this --state to its end; what it left behind is replaced.")
@click.option("--force", is_flag=True, help="Replace existing output files.")
@click.option("--allow-dead", is_flag=True, help="Exit 0 even when documents were rejected or evidence is damaged.")
@click.option("--progress", type=click.Choice(["auto", "json", "none"]), default="auto", show_default=True, help="How to tell progress.")
def export(evidence: tuple[str, ...], progress: str, allow_dead: bool, **values: object) -> int:
    """Export EVIDENCE (folders, zips, tars, disk images, single files) to one or more sinks.

    \b
    defender-exporter export /mnt/case1 --case C1 --to timesketch:c1.jsonl --to l2tcsv:c1.csv --to ecs:c1.ndjson
    """
    from exporter.cli.running import run_and_report
    from exporter.job import Job

    return run_and_report(Job(evidence=evidence, **values), progress, allow_dead=allow_dead)  # type: ignore[arg-type]

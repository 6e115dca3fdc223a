"""`demo`: a synthetic case, exported to every file sink."""

import shutil
from pathlib import Path

import click

from exporter.cli import exit_codes

_MARK = ".defender-exporter-demo"
_SINKS = {"ecs": "case.ndjson", "timesketch": "case.jsonl", "l2tcsv": "case.csv"}


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--evidence", multiple=True, type=click.Path(exists=True), help="Your own evidence instead of the synthetic case.")
@click.option("--case", default="demo", show_default=True, help="Case id.")
@click.option("--force", is_flag=True, help="Replace an earlier demo in DIR.")
def demo(folder: Path, evidence: tuple[str, ...], case: str, force: bool) -> int:
    """Write a synthetic case below DIR (two hosts, a dozen detections, harmless payloads), export it, and sum up.

    \b
    defender-exporter demo case
    """
    from exporter.cli.progress import make
    from exporter.cli.running import exit_code
    from exporter.job import Job, run_job
    from exporter.report.manifest import write_manifest
    from exporter.report.summary import summary

    _prepare(folder, force)
    out = folder / "out"
    out.mkdir()
    job = Job(
        evidence=evidence or (_synthetic(folder / "evidence"),),
        case=case,
        to=tuple(f"{name}:{out / file}" for name, file in _SINKS.items()),
        manifest=out / "run.json",
    )
    progress = make("auto")
    try:
        report = run_job(job, progress)
    finally:
        progress.close()
    code = exit_code(report, allow_dead=False)
    write_manifest(out / "run.json", report, job, code, force=False)
    click.echo(summary(report))
    click.echo(f"    {out / 'run.json'} (manifest)")
    return exit_codes.COMPLETE if evidence and code == exit_codes.DAMAGED and report.files else code


def _prepare(folder: Path, force: bool) -> None:
    """An empty folder; only what an earlier demo made is ever removed."""
    if folder.exists() and any(folder.iterdir()):
        if not (force and (folder / _MARK).exists()):
            raise click.UsageError(f"`{folder}` is not empty" + ("" if force else "; --force replaces an earlier demo"))
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def _synthetic(folder: Path) -> str:
    """The evidence; its truth lies beside it, not in it."""
    from exporter.synthetic.case import write_case

    write_case(folder)
    (folder / "truth.json").replace(folder.parent / "truth.json")
    return str(folder)

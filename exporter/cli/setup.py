"""`setup`: make a server ready for the exports."""

import click

from exporter.cli import exit_codes, options


@click.command(context_settings={"auto_envvar_prefix": f"{options.ENVIRONMENT}_SETUP"})
@options.config
@click.option(
    "--to", required=True, metavar="SINK:URL", help="The server, with the options that `export` takes: elasticsearch:https://host:9200."
)
@click.option("--case", help="Make the index of this case too, and its write alias.")
@click.option("--kibana", metavar="URL", help="Import data view, saved searches and dashboard there; credentials as for the server.")
@click.option("--dry-run", is_flag=True, help="Print the requests for a server that has nothing of ours, and send nothing.")
@click.option("--data-stream", is_flag=True, help="A data stream for the case instead of an index.")
@click.option(
    "--timestamp-type",
    type=click.Choice(["date_nanos", "date"]),
    default="date_nanos",
    show_default=True,
    help="Type of @timestamp: with all seven digits, or to the millisecond, as other indices of yours may have it.",
)
@click.option("--replace", is_flag=True, help="Replace our saved objects in Kibana where they are there already.")
def setup(to: str, case: str | None, kibana: str | None, dry_run: bool, replace: bool, data_stream: bool, timestamp_type: str) -> int:
    """Install the index template, and with --case the index of a case; what is there stays, and nothing newer is replaced.

    \b
    defender-exporter setup --to elasticsearch:https://localhost:9200 --case C1 --kibana https://localhost:5601
    """
    from exporter.setup import run

    plan = run.plan(to, case, kibana, data_stream=data_stream, timestamp_type=timestamp_type)
    for warning in plan.warnings:
        click.echo(f"defender-exporter: {warning}", err=True)
    for line in run.dry(plan, replace=replace) if dry_run else run.install(plan, replace=replace):
        click.echo(line)
    return exit_codes.COMPLETE

"""`mappings`: check, list and export the mapping files."""

from pathlib import Path

import click

from exporter.cli import exit_codes


@click.group()
def mappings() -> None:
    """Check, list and export what turns records into documents.

    \b
    defender-exporter mappings check
    """


@mappings.command()
def check() -> int:
    """Check every mapping against record kinds, ECS and plaso's rules, without any data."""
    from exporter.data import folder
    from exporter.kinds import KINDS
    from exporter.mapping.check import check_mappings
    from exporter.mapping.load import load_mappings

    place = folder("mappings")
    problems = check_mappings(load_mappings(place), KINDS, place)
    for problem in problems:
        click.echo(problem)
    click.echo(f"{len(KINDS)} kinds, {len(problems)} problem(s)")
    return exit_codes.CONFIGURATION if problems else exit_codes.COMPLETE


@mappings.command(name="list")
def list_() -> int:
    """List kinds with their data type, their times and the number of fields."""
    from exporter.data import folder
    from exporter.mapping.load import load_mappings

    for name, mapping in sorted(load_mappings(folder("mappings")).records.items()):
        times = ", ".join(time.attribute for time in mapping.timestamps) or "no time of its own"
        click.echo(f"{name:28} {mapping.formatter['data_type']:36} {len(mapping.ecs):3} ECS fields; {times}")
    return exit_codes.COMPLETE


@mappings.command()
@click.argument("folder_", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
def export_plaso(folder_: Path) -> int:
    """Write the formatter and timeliner files that plaso loads (`psort --custom_formatter_definitions`)."""
    from exporter.data import folder
    from exporter.mapping.load import load_mappings
    from exporter.mapping.plaso_export import export

    for path in export(load_mappings(folder("mappings")), folder_):
        click.echo(str(path))
    return exit_codes.COMPLETE

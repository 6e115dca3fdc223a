"""`scan`: what is here, what is missing, what would be exported."""

from collections import Counter

import click

from exporter.cli import exit_codes, options
from exporter.text import printable


@click.command()
@options.evidence
@options.host
@click.option("--files", "show_files", is_flag=True, help="List every file.")
def scan(evidence: tuple[str, ...], host: str | None, show_files: bool) -> int:
    """Say what EVIDENCE holds and what usual artifacts are missing; write nothing.

    \b
    defender-exporter scan /mnt/case1
    """
    from exporter.job import discovered

    with discovered(evidence, host) as discovery:
        for found in discovery.hosts:
            _host(found, show_files)
        for rejected in discovery.rejected:
            click.echo(printable(f"cannot be read: {rejected.excerpt}: {rejected.reason}"))
        if not discovery.hosts:
            click.echo("no Defender evidence was found")
        return exit_codes.DAMAGED if discovery.rejected or not discovery.hosts else exit_codes.COMPLETE


def _host(found: object, show_files: bool) -> None:
    from exporter.evidence.hosts import Host

    assert isinstance(found, Host)
    click.echo(printable(f"Host {found.name} ({found.name_basis})"))
    numbers = Counter(name for name, _ in found.files)
    sizes: Counter[str] = Counter()
    for name, file in found.files:
        sizes[name] += file.size or 0
    for name, number in sorted(numbers.items()):
        click.echo(f"  {name:18} {number:6} file(s) {sizes[name]:14,} bytes")
        if show_files:
            for collector, file in found.files:
                if collector == name:
                    click.echo(printable(f"    {file.path}"))
    if found.missing:
        click.echo(f"  not there: {', '.join(found.missing)}")

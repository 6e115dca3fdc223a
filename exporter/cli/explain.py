"""`explain`: where every value of a record's documents comes from."""

from collections.abc import Iterator
from typing import Any

import click

from exporter.cli import options
from exporter.text import printable


@click.command()
@click.argument("file", type=click.Path(exists=True))
@click.option("--record", "number", type=int, required=True, help="EventRecordID of an event log, else the ordinal of the record, from 1.")
@click.option("--case", default="explain", show_default=True, help="Case id, part of the document's id.")
@options.host
@options.reading
def explain(file: str, number: int, case: str, host: str | None, **reading: Any) -> int:
    """Print every output field of one record of FILE: value ← transform ← attribute ← file and offset, and the mapping line.

    \b
    defender-exporter explain "Microsoft-Windows-Windows Defender%4Operational.evtx" --record 13
    """
    from exporter.job import make_mapper
    from exporter.mapping.explain import explain as origins

    record = _find(file, number, host, reading)
    name = record.source.path.rpartition("/")[2]
    where = f" ← {name}@{record.offset}"
    click.echo(printable(f"{record.payload.kind} from {record.source.path}, offset {record.offset}, {_integrity(record)}"))
    for origin in origins(make_mapper(case), record):
        from_file = any(not name.startswith("run.") for name, _ in origin.attributes)
        sources = _sources(origin.attributes) + (where if from_file else "")
        click.echo(printable(f"{origin.field} = {_short(origin.value)}  ← {origin.how}{sources}  ({origin.place})"))
    return 0


def _integrity(record: Any) -> str:
    return f"integrity {record.integrity.verdict.value} ({record.integrity.check})"


def _find(path: str, number: int, host: str | None, reading: dict[str, Any]) -> Any:
    seen = []
    for ordinal, record in enumerate(_records(path, host, reading), 1):
        own = record.payload.record_id if record.collector == "evtx" else ordinal
        if own == number:
            return record
        seen.append(own)
    numbers = f"its records are {min(seen)} to {max(seen)}" if seen else "it has none"
    raise click.UsageError(f"`{path}` has no record {number}: {numbers}")


def _records(path: str, host: str | None, reading: dict[str, Any]) -> Iterator[Any]:
    from exporter.collectors import Settings
    from exporter.collectors.guard import collect, load
    from exporter.collectors.host_settings import settings_of
    from exporter.job import discovered, images_of
    from exporter.records import Record

    with discovered([path], host, carve=reading["carve"], images=images_of(Settings(**reading))) as discovery:
        for found in discovery.hosts:
            settings = settings_of(Settings(**reading), found)
            for name, file in found.files:
                yield from (item for item in collect(load(name), file, found.name, settings) if isinstance(item, Record))


def _sources(attributes: tuple[tuple[str, Any], ...]) -> str:
    return " ← " + ", ".join(f"{name} = {_short(value)}" for name, value in attributes) if attributes else ""


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 200 else f"{text[:197]}..."

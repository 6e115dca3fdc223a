"""`scan`: what is here, what is missing, what would be exported."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from exporter.cli import exit_codes, options
from exporter.text import printable

if TYPE_CHECKING:
    from exporter.evidence.hosts import Host
    from exporter.evidence.images import Image, Volume


@click.command()
@options.evidence
@options.host
@click.option("--files", "show_files", is_flag=True, help="List every file.")
@options.vss("all")
@options.verify_image
@options.keys
def scan(evidence: tuple[str, ...], host: str | None, show_files: bool, vss: str, verify_image: bool, keys: str | None) -> int:
    """Say what EVIDENCE holds and what usual artifacts are missing; write nothing.

    \b
    defender-exporter scan /mnt/case1
    defender-exporter scan disk.E01 --keys keys.csv
    """
    from exporter.collectors import ReadingOptions
    from exporter.job import discovered, images_of

    with discovered(evidence, host, images=images_of(ReadingOptions(vss=vss, verify_image=verify_image, keys=keys))) as discovery:
        lines = [line for image in discovery.images for line in _image(image)]
        lines += [line for found in discovery.hosts for line in _host(found, show_files)]
        lines += [f"cannot be read: {rejected.excerpt}: {rejected.reason}" for rejected in discovery.rejected]
        lines += [] if discovery.hosts else ["no Defender evidence was found"]
        for line in lines:
            click.echo(printable(line))
        return exit_codes.DAMAGED if discovery.rejected or not discovery.hosts else exit_codes.COMPLETE


def _image(image: "Image") -> Iterator[str]:
    segments = f" in {image.segments} files" if image.segments > 1 else ""
    table = "no partition table" if image.table is None else f"{image.table.upper()}, sectors of {image.sectors} bytes"
    yield f"Image {image.name} ({image.container}{segments}): {image.size:,} bytes, {table}"
    if image.stored_hash or image.verification != "not asked for":
        yield f"  stored hash {image.stored_hash or 'none'}: {image.verification}"
    for volume in image.volumes:
        yield from _volume(volume)


def _volume(volume: "Volume") -> Iterator[str]:
    label = f' "{volume.label}"' if volume.label else ""
    kind = f", {volume.kind}" if volume.kind else ""
    yield f"  {volume.name:8} {volume.file_system}{label}{kind}: {volume.size:,} bytes at {volume.start:,}; {_found(volume)}"
    if volume.encryption is not None:
        yield f"    BitLocker: {volume.encryption}{', PARTIAL' if volume.partial else ''}"
        yield from (f"    protector {identifier} ({kind})" for identifier, kind in volume.protectors)
    for snapshot in volume.snapshots:
        found = f"{snapshot.files} file(s) with evidence" if snapshot.read else "not read"
        yield f"    {snapshot.name:6} shadow copy of {snapshot.created or 'no time'}: {found}"


def _found(volume: "Volume") -> str:
    if volume.searched is None:
        return "not read"
    how = {"windows": "a Windows drive", "folders": "no Windows drive, searched folder by folder"}[volume.searched]
    return f"{how}{' (not all of them)' if volume.cut else ''}, {volume.files} file(s) with evidence"


def _host(found: "Host", show_files: bool) -> Iterator[str]:
    from exporter.report.summary import unread_lines

    yield f"Host {found.name} ({found.name_basis})"
    numbers = Counter(name for name, _ in found.files)
    older = Counter(name for name, file in found.files if file.snapshot)
    sizes: Counter[str] = Counter()
    for name, file in found.files:
        sizes[name] += file.size or 0
    for name, number in sorted(numbers.items()):
        of_copies = f", {older[name]} of them in shadow copies" if older[name] else ""
        yield f"  {name:18} {number:6} file(s) {sizes[name]:14,} bytes{of_copies}"
        if show_files:
            shown = (f"{file.path}{f' [{file.snapshot}]' if file.snapshot else ''}" for collector, file in found.files if collector == name)
            yield from (f"    {path}" for path in shown)
    yield from unread_lines(found.unread)
    if found.missing:
        yield f"  not there: {', '.join(found.missing)}"

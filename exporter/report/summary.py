"""The summary that a person reads at the end of a run."""

from collections.abc import Iterable, Iterator, Sequence

from exporter.evidence.images import Image
from exporter.evidence.unread import Unread
from exporter.report.run import HostReport, RunReport, SinkReport
from exporter.text import printable

_SHOWN = 25
_FORWARDED = "forwarded"
_COMPARED = {
    "not asked for": "its stored hash was not compared (--verify-image does)",
    "matches": "its stored hash matches",
    "differs": "its stored hash DIFFERS",
    "cannot be read to its end": "its stored hash could NOT be compared",
}


def summary(report: RunReport) -> str:
    """Hosts, records per collector, incidents, files written, and what was missing or damaged; every text of the evidence is inert."""
    return "\n".join(printable(line) for line in _lines(report))


def _lines(report: RunReport) -> Iterator[str]:
    if report.finished_before:
        yield f"Case {report.case}: this export was complete on {report.finished_before}; nothing is left to do"
        return
    yield f"Case {report.case}: {len(report.hosts)} host(s), {len(report.files)} evidence file(s)"
    if report.delivered_before:
        yield f"Delivered by the run before: {', '.join(report.delivered_before)}"
    yield from (line for image in report.images[:_SHOWN] for line in _image(image))
    if len(report.images) > _SHOWN:
        yield f"… and {len(report.images) - _SHOWN} more image(s)"
    for host in report.hosts:
        if host.name_basis != _FORWARDED:
            yield ""
            yield from _host(host)
    yield from _senders([host for host in report.hosts if host.forwarded or host.name_basis == _FORWARDED])
    yield ""
    yield from _incidents(report)
    yield ""
    yield from sink_lines(report.sinks)
    yield from _losses(report)


def _image(image: Image) -> Iterator[str]:
    """What its hash vouches for, and which states and volumes of it were not read."""
    verdict = _COMPARED.get(image.verification, image.verification) if image.stored_hash else "no hash is stored in it"
    yield f"Image {image.name} ({image.container}): {verdict}"
    for volume in image.volumes:
        if volume.encryption is not None and (volume.partial or volume.file_system == "bitlocker"):
            verdict = "NOT READ" if volume.file_system == "bitlocker" else "read, but NOT vouched for"
            yield f"  {volume.name}: BitLocker ({volume.encryption}), {verdict}"
        unread = [snapshot.label for snapshot in volume.snapshots if not snapshot.read]
        if unread:
            among = unread[0] if len(unread) == 1 else f"{unread[0]} to {unread[-1]}"
            yield f"  {volume.name}: {len(unread)} shadow copy(s) not read: {among} (--vss all does)"


def _host(host: HostReport) -> Iterator[str]:
    yield f"Host {host.name} ({host.name_basis}): {host.incidents} incident(s)"
    for name, counts in host.collectors.items():
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(counts.kinds.items())) or "no records"
        unparsed = sum(counts.unparsed.values())
        rest = "".join(f"; {number} {what}" for number, what in ((unparsed, "left unparsed"), (counts.rejected, "REJECTED")) if number)
        failed = counts.verdicts.get("failed", 0)
        yield f"  {name:18} {host.file_count[name]:4} file(s): {kinds}{rest}" + (f"; {failed} with FAILED integrity" if failed else "")
    if host.repeated:
        yield f"  {host.repeated} record(s) of shadow copies stand in a newer state too, and were told there"
    yield from unread_lines(host.unread)
    if host.missing:
        yield f"  not there: {', '.join(host.missing)}"


def _senders(hosts: Sequence[HostReport]) -> Iterator[str]:
    """Whose records logs of forwarded events hold."""
    if hosts:
        yield ""
        yield f"Events of {len(hosts)} other computer(s) in logs of forwarded events:"
    for host in sorted(hosts, key=lambda host: (-host.incidents, host.name))[:_SHOWN]:
        yield f"  {host.name}: {host.forwarded} record(s), {host.incidents} incident(s)"
    if len(hosts) > _SHOWN:
        yield f"  … and {len(hosts) - _SHOWN} more computer(s)"


def unread_lines(unread: Iterable[Unread]) -> Iterator[str]:
    """Which files of Defender were seen and not read, by what they hold."""
    by_content: dict[str, list[str]] = {}
    for file in unread:
        by_content.setdefault(file.content, []).append(file.path)
    for content, paths in sorted(by_content.items()):
        yield f"  seen and not read: {paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''} ({content})"


def _incidents(report: RunReport) -> Iterator[str]:
    total = sum(host.incidents for host in report.hosts)
    yield f"Incidents: {total}"
    shown = sorted(report.incidents, key=lambda line: (line.first or "", line.host, line.id))[:_SHOWN]
    for line in shown:
        yield (
            f"  {(line.first or 'no time')[:19]:19}  {line.host:16} {line.threat or 'unnamed threat'}"
            f" [{line.outcome or 'unknown'}, {line.members} record(s)] {line.path or ''}"
        )
    if total > len(shown):
        yield f"  … and {total - len(shown)} more"


def sink_lines(sinks: Iterable[SinkReport]) -> Iterator[str]:
    """What was written where."""
    yield "Written:"
    for sink in sinks:
        counts = sink.counts
        rest = "".join(
            f", {number} {what}"
            for number, what in (
                (counts.duplicate, "known before"),
                (counts.skipped, "without a time skipped"),
                (counts.dead, "DEAD"),
                (counts.unsent, "NOT WRITTEN"),
            )
            if number
        )
        yield f"  {sink.name:11} {counts.written} record(s) in {counts.rows} line(s){rest}"
        yield from (f"    {path}" for path in sink.written)


def _losses(report: RunReport) -> Iterator[str]:
    if report.engine_differences is not None:
        yield ""
        yield f"EVTX engines compared: {report.engine_differences} difference(s)"
    if report.dead_letters:
        yield ""
        yield f"Damaged or rejected: {report.dead_letters}, explained in {report.dead_letter_file}"
        shown = list(report.reasons.items())[:_SHOWN]
        yield from (f"  {where}" + (f" (×{number})" if number > 1 else "") for where, number in shown)
        if len(report.reasons) > len(shown):
            yield f"  … and {len(report.reasons) - len(shown)} more"
    failed = [(file.path, number) for file in report.files if (number := file.counts.verdicts.get("failed"))]
    yield from (f"FAILED integrity: {number} record(s) of {path}" for path, number in failed[:_SHOWN])
    if len(failed) > _SHOWN:
        yield f"  … and those of {len(failed) - _SHOWN} more file(s)"
    for line in report.unbalanced:
        yield f"NOT ACCOUNTED FOR: {line}"
    if report.stopped:
        yield f"STOPPED before the end: {report.stopped}"
        yield "The same command again continues: what a server has taken is known by its ids and not written twice."

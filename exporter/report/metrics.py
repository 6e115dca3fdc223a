"""What a night did, as a Prometheus text file (for the textfile collector of node_exporter), written by rename."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from exporter.errors import SinkRefused

_PREFIX = "defender_exporter"
_OUTCOMES = "documents_"
_HELP = {
    "events_total": ("counter", "Events handed to a sink, by source"),
    "documents_total": ("counter", "What became of documents at a sink"),
    "rejected_total": ("counter", "Losses explained in dead letter files"),
    "duplicates_total": ("counter", "Events read again and not written again"),
    "collections": ("gauge", "Collections on the share"),
    "collections_failed": ("gauge", "Collections that could not be read this time"),
    "collections_unsettled": ("gauge", "Collections that still change"),
    "lag_seconds": ("gauge", "Age of the oldest change that is not delivered"),
    "last_run_timestamp_seconds": ("gauge", "When the last run ended"),
    "last_success_timestamp_seconds": ("gauge", "When the last run ended that delivered all it could read"),
    "last_run_exit_code": ("gauge", "Exit code of the last run"),
}


def write_metrics(path: Path, totals: Iterable[tuple[str, str, str, int]], gauges: Mapping[str, float]) -> None:
    """Replace the file. `totals` are metric, source, sink, number, as the state has them. Raises SinkRefused."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(render(totals, gauges))
            file.flush()
            if hasattr(os, "fchmod"):  # a service's umask must not keep the collector of metrics out
                os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise SinkRefused(f"`{path}` cannot be written: {error.strerror}") from error


def render(totals: Iterable[tuple[str, str, str, int]], gauges: Mapping[str, float]) -> str:
    """The text of the file."""
    samples: dict[str, list[str]] = {name: [] for name in _HELP}
    for metric, source, sink, number in sorted(totals):
        outcome = metric.removeprefix(_OUTCOMES) if metric.startswith(_OUTCOMES) else ""
        name = "documents_total" if outcome else f"{metric}_total"
        labels = {"source": source, "sink": sink, "outcome": outcome}
        samples[name].append(f"{_PREFIX}_{name}{_labels(labels)} {number}")
    for name, value in gauges.items():
        samples[name].append(f"{_PREFIX}_{name} {value:g}" if abs(value) < 1e6 else f"{_PREFIX}_{name} {value:.0f}")
    return "".join(f"{line}\n" for line in _lines(samples))


def _lines(samples: Mapping[str, list[str]]) -> Iterator[str]:
    for name, (kind, text) in _HELP.items():
        if samples[name]:
            yield f"# HELP {_PREFIX}_{name} {text}."
            yield f"# TYPE {_PREFIX}_{name} {kind}"
            yield from samples[name]


def _labels(labels: Mapping[str, str]) -> str:
    escaped = (f'{name}="{_escaped(value)}"' for name, value in labels.items() if value)
    text = ",".join(escaped)
    return f"{{{text}}}" if text else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

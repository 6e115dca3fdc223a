"""Runs a batch for a person or a scheduler: plan, signals, progress, result lines, summary, exit code."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from exporter.batch.options import Batch, batch
from exporter.batch.plan import looked_at
from exporter.batch.run import run_batch
from exporter.batch.totals import BatchReport
from exporter.cli import batch_progress, exit_codes
from exporter.report.summary import sink_lines
from exporter.text import printable

_TERMINATED = 128 + 15
_SHOWN = 10


class _Terminated(KeyboardInterrupt):
    """SIGTERM: an interruption whose exit code says so."""


def show_plan(case_file: Path | None, values: dict[str, Any]) -> int:
    """Print the plan; nothing is opened."""
    chosen = _batch(case_file, values)
    total = 0
    for number, item in enumerate(looked_at(chosen.items), 1):
        total += item.size
        click.echo(printable(f"{number:6} {item.size:16,} bytes  {item.label}  {', '.join(item.evidence)}"))
    click.echo(f"{len(chosen.items)} host(s), {total:,} bytes, to {', '.join(chosen.to)}; {chosen.jobs} at once")
    return exit_codes.COMPLETE


def run_and_report(case_file: Path | None, values: dict[str, Any], progress: str, *, allow_dead: bool) -> int:
    """The exit code. The summary goes to standard error: standard output belongs to sinks, and to results where they are asked for."""
    chosen = _batch(case_file, values)
    teller = batch_progress.make(progress)
    try:
        report = _terminable(lambda: run_batch(chosen, teller))
    except _Terminated:
        click.echo("terminated; --resume goes on from here", err=True)
        return _TERMINATED
    finally:
        teller.close()
    for line in summary(report):
        click.echo(printable(line), err=True)
    return _exit_code(report, allow_dead=allow_dead)


def _batch(case_file: Path | None, values: dict[str, Any]) -> Batch:
    given = {**values, "silence": values["hang_limit"], "read": not values["merge"]}
    del given["hang_limit"], given["merge"]
    if given["only"] and not given["read"]:
        raise click.UsageError("--only and --merge exclude each other")
    return batch(case_file, given)


def _terminable(run: Callable[[], BatchReport]) -> BatchReport:
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run()
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


def summary(report: BatchReport) -> Iterator[str]:
    """Hosts by state, the first of those that are not complete with the reason, what was written."""
    states = ", ".join(f"{number} {state}" for state, number in sorted(report.states.items())) or "nothing"
    names = f"; {len(report.names)} names in them" if len(report.names) > report.states.total() else ""
    yield f"Case {report.case}: {report.states.total()} host(s): {states}{names}"
    if report.finished_before:
        yield "Nothing was left to do"
    elif report.done_before:
        yield f"Read by an earlier run: {report.done_before}"
    sums = report.sums
    yield (
        f"{report.files} evidence file(s): {sums.seen} seen = {sums.emitted} emitted + {sums.rejected} rejected"
        f" + {sums.unparsed} left unparsed; {report.incidents} incident(s)"
    )
    if report.merged and not report.stopped:
        yield from sink_lines(report.sinks)
    yield from (f"{state.upper()} {host}: {reason}" for host, state, reason in report.explained)
    rest = report.states.total() - report.states["complete"] - len(report.explained)
    if rest > 0:
        yield f"… and {rest} more"
    if report.scattered:
        shown = ", ".join(sorted(report.scattered)[:_SHOWN]) + (" …" if len(report.scattered) > _SHOWN else "")
        yield f"In more than one entry, and joined within each only: {shown} (list them as one host in CASE.yaml)"
    if report.dead_letters:
        yield f"Damaged or rejected: {report.dead_letters}, explained in {report.dead_letter_file or 'the parts of the hosts'}"
    yield from (f"NOT ACCOUNTED FOR: {text}" for text in report.unbalanced)
    if report.stopped:
        yield f"STOPPED before the end: {report.stopped}"
        yield "The same command with --resume goes on from here."


def _exit_code(report: BatchReport, *, allow_dead: bool) -> int:
    if report.stopped:
        return exit_codes.CONFIGURATION if report.refused else exit_codes.UNAVAILABLE
    if report.unbalanced:
        return exit_codes.DAMAGED
    return exit_codes.COMPLETE if report.whole or allow_dead else exit_codes.DAMAGED

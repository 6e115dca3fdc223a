"""Runs a job for a person or a scheduler: progress, signals, summary, manifest, exit code."""

import contextlib
import sys

import click

from exporter.cli import exit_codes, progress
from exporter.cli.signals import endable
from exporter.job import Job, run_job
from exporter.report.manifest import write_manifest
from exporter.report.run import RunReport
from exporter.report.summary import summary


def run_and_report(job: Job, progress_kind: str, *, allow_dead: bool) -> int:
    """The exit code. The summary goes to standard error: standard output belongs to sinks."""
    report = _run(job, progress_kind)
    code = exit_code(report, allow_dead=allow_dead)
    click.echo(summary(report), err=True)
    if job.manifest is not None and not report.finished_before:
        write_manifest(job.manifest, report, job, code, force=job.force or job.resume)
    return code


def _run(job: Job, progress_kind: str) -> RunReport:
    with contextlib.closing(progress.make(progress_kind)) as teller, endable():
        return run_job(job, teller)


def exit_code(report: RunReport, *, allow_dead: bool) -> int:
    """As in the table: 75 or 3 when a sink gave up, 4 for losses, damage, and for evidence in which nothing was found."""
    if report.stopped:
        return exit_codes.CONFIGURATION if report.refused else exit_codes.UNAVAILABLE
    if report.finished_before:
        return exit_codes.DAMAGED if report.finished_damaged and not allow_dead else exit_codes.COMPLETE
    if not report.files and not report.delivered_before:
        print("defender-exporter: no Defender evidence was found", file=sys.stderr)  # noqa: T201 (talk)
        return exit_codes.DAMAGED
    if report.unbalanced:
        return exit_codes.DAMAGED
    return exit_codes.DAMAGED if report.damaged and not allow_dead else exit_codes.COMPLETE

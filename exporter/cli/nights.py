"""Runs `ingest` once or again and again: signals, log, metrics, exit code."""

import sys
import time
from pathlib import Path

from exporter.cli import EXIT_CODES, exit_codes
from exporter.cli.logs import LOGS
from exporter.cli.progress import Silent
from exporter.cli.signals import code_of, endable
from exporter.errors import ExporterError, SinkError
from exporter.file_history import Tell
from exporter.ingest import Ingest, Ingester, Night
from exporter.report.metrics import write_metrics

_SUCCESS = "last_success"


def run_nights(options: Ingest, every: float | None, log_format: str) -> int:
    """The exit code of the last run. Between runs the lock is free; a run that fails does not end the loop."""
    tell: Tell = LOGS[log_format]()
    try:
        with endable():
            while True:
                code = _night(options, tell, wait=every is None)
                if every is None:
                    return code
                time.sleep(every)
    except KeyboardInterrupt as error:
        tell("warning", "interrupted", "interrupted; the next run does again what was not complete")
        return code_of(error)


def _night(options: Ingest, tell: Tell, *, wait: bool) -> int:
    try:
        ingester = Ingester(options, tell, Silent())
    except ExporterError as error:
        return _failed(error, tell)
    code = exit_codes.INTERRUPTED
    try:
        code = _code(ingester.run(wait=wait))
    except KeyboardInterrupt as error:
        code = code_of(error)
        raise
    except ExporterError as error:
        code = _failed(error, tell)
    finally:
        try:
            _close(ingester, options.metrics, code, tell)
        finally:
            ingester.close()
    return code


def _failed(error: ExporterError, tell: Tell) -> int:
    tell("error", "run-failed", f"defender-exporter: {error}")
    return next(number for kind, number in EXIT_CODES if isinstance(error, kind))


def _code(night: Night) -> int:
    return exit_codes.DAMAGED if night.damaged or night.problems else exit_codes.COMPLETE


def _close(ingester: Ingester, metrics: Path | None, code: int, tell: Tell) -> None:
    """The last word of a run, and its metrics."""
    night, now = ingester.night, time.time()
    text = (
        f"{night.collections} collection(s) with {night.files} file(s): {night.delivered} read, {night.events} new event(s), "
        f"{night.known} known before, {night.rejected} rejected, {len(night.problems)} failed, {len(night.unsettled)} unsettled"
    )
    tell("info", "run-complete", text, exit_code=code, seconds=round(now - night.started, 3), written=night.written)
    if metrics is None:
        return
    try:
        if night.complete:
            ingester.state.set_note(_SUCCESS, str(now))
        gauges = {
            "collections": night.collections,
            "collections_failed": len(night.problems),
            "collections_unsettled": len(night.unsettled),
            "lag_seconds": night.lag_seconds,
            "last_run_timestamp_seconds": now,
            "last_success_timestamp_seconds": float(ingester.state.note(_SUCCESS) or 0),
            "last_run_exit_code": code,
        }
        write_metrics(metrics, ingester.state.totals(), gauges)
    except SinkError as error:
        print(f"defender-exporter: no metrics: {error}", file=sys.stderr)  # noqa: T201 (talk)

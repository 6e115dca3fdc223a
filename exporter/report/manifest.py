"""The run manifest: tool, arguments, every evidence file with its hash, every count; as JSON that a court can read."""

import platform
import sys
from pathlib import Path
from typing import Any

import msgspec

from exporter import __version__
from exporter.errors import SinkError
from exporter.report.run import RunReport
from exporter.sinks.atomic import PartFile
from exporter.sinks.targets import wall_clock
from exporter.times import iso


def write_manifest(path: Path, report: RunReport, arguments: msgspec.Struct, exit_code: int, *, force: bool) -> None:
    """Write the manifest by rename. Raises SinkRefused when it exists and `force` is not given, SinkUnavailable when the disk is full."""
    content = msgspec.json.format(msgspec.json.encode(manifest(report, arguments, exit_code)), indent=1)
    file = PartFile(path, force)
    try:
        file.write(content + b"\n")
        file.commit()
    except SinkError:
        file.abort()
        raise


def manifest(report: RunReport, arguments: msgspec.Struct, exit_code: int) -> dict[str, Any]:
    """The manifest as a dictionary. Arguments hold no secrets: there is no option that takes one."""
    return {
        "tool": {"name": "defender-exporter", "version": __version__, "python": platform.python_version(), "platform": sys.platform},
        "written": iso(wall_clock()),
        "arguments": msgspec.to_builtins(arguments, enc_hook=str),
        "exit_code": exit_code,
        "hosts": report.hosts,
        "images": report.images,
        "sources": report.files,
        "sinks": report.sinks,
        "dead_letters": {"count": report.dead_letters, "file": report.dead_letter_file, "reasons": report.reasons},
        "unbalanced": report.unbalanced,
        "stopped": report.stopped,
        "delivered_before": report.delivered_before,
    }

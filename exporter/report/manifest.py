"""The run manifest: tool, arguments, every evidence file with its hash, every count; as JSON that a court can read."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

import msgspec

from exporter import __version__
from exporter.errors import ConfigurationError
from exporter.report.run import RunReport
from exporter.sinks.targets import wall_clock
from exporter.times import iso


def write_manifest(path: Path, report: RunReport, arguments: msgspec.Struct, exit_code: int, *, force: bool) -> None:
    """Write the manifest by rename; raises ConfigurationError when it exists and `force` is not given."""
    if path.exists() and not force:
        raise ConfigurationError(f"`{path}` exists; use --force to replace it")
    content = msgspec.json.format(msgspec.json.encode(manifest(report, arguments, exit_code)), indent=1)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(content + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


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

"""An MPDetection log with known contents: service starts and stops, versions, and a line for each detection.

UTF-16LE with a byte order mark and CRLF, stamps in UTC with `Z`, as in MPLog. The same runs give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporter.synthetic.mplog import PRODUCT, PRODUCT_GUID
from exporter.times import iso


class DetectionNote(msgspec.Struct, frozen=True, kw_only=True):
    """One detection; `detected_at` in ticks."""

    detected_at: int
    threat_name: str
    schema: str
    value: str


class ServiceRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the service, times in ticks; `versions` are those of product and service, engine, and both signature sets."""

    started_at: int
    stopped_at: int | None = None
    exit_code: int = 0
    product: str = PRODUCT
    versions: tuple[str, str, str] = ("4.18.26010.5", "1.1.26010.1", "1.443.512.0")
    detections: Sequence[DetectionNote] = ()


def write_mpdetection(path: Path, runs: Sequence[ServiceRun]) -> dict[str, Any]:
    """Write the log and return what is in it: `size` in bytes, `lines`, and `records` with kind, byte offset and threat name."""
    data = bytearray(b"\xff\xfe")
    records: list[dict[str, Any]] = []
    for run in runs:
        for kind, ticks, text, threat in _lines(run):
            records.append({"kind": f"mpdetection_{kind}", "offset": len(data), "threat_name": threat})
            data += f"{iso(ticks, 3)} {text}\r\n".encode("utf-16-le", "surrogatepass")
    path.write_bytes(data)
    return {"size": len(data), "lines": len(records), "records": records}


def _lines(run: ServiceRun) -> list[tuple[str, int, str, str | None]]:
    """Kind, time, text and threat of each line."""
    product, engine, signatures = run.versions
    versions = f"Version: Product {product} Service {product} Engine {engine} AS {signatures} AV {signatures}"
    lines: list[tuple[str, int, str, str | None]] = [
        ("service_start", run.started_at, f"Service started - {run.product} ({PRODUCT_GUID})", None),
        ("versions", run.started_at, versions, None),
    ]
    lines += [
        ("detection", one.detected_at, f"DETECTION {one.threat_name} {one.schema}:{one.value}", one.threat_name)
        for one in sorted(run.detections, key=lambda one: one.detected_at)
    ]
    if run.stopped_at is not None:
        lines.append(("service_stop", run.stopped_at, f"Service stopped with exit code 0x{run.exit_code:x}", None))
    return lines

"""The scan block of an MPLog.

    Begin Resource Scan, Scan ID:{guid}, Scan Source:n, Start Time:<local>, End Time:<local>
    Explicit resource to scan, Resource Schema:, Resource Path:                             (repeats)
    Result Count:n
    Threat Name:, ID:, Severity:, Number of Resources:   or   Unknown File, Identifier:, …  (n times)
        Resource Schema:, Resource Path:, Extended Info - SigSeq:, Extended Info - SigSha:  (repeats)
    End Scan

A scan that failed says `Unsuccessful Scan` and `Return Code:n` instead and has no `End Scan`: a row of stars is all that ends it.
"""

from exporter.formats import mplog_kinds as kinds
from exporter.formats.mplog_blocks import Step
from exporter.formats.mplog_clock import Clock
from exporter.formats.mplog_lines import number, threat_id
from exporter.formats.mplog_records import ResourceScan, ScanResult
from exporter.formats.resources import Resource, file_path

_BEGIN = "Begin "
_SCAN = " Scan"
_SCAN_KEYS = frozenset(("Scan ID", "Scan Source", "Start Time", "End Time", "Result Count", "Return Code"))
_RESULT_KEYS = frozenset(("Threat Name", "ID", "Severity", "Identifier"))
_NOTHING_SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
"""SHA-1 of no bytes: stands where a resource has no signature."""


def scan_type(text: str) -> str | None:
    """`Resource` of `Begin Resource Scan`; None when the line is no such beginning."""
    name = text[:64].rstrip()
    return name[len(_BEGIN) : -len(_SCAN)].strip() or None if name.startswith(_BEGIN) and name.endswith(_SCAN) else None


class _Result:
    """One result being read."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.resources: list[Resource] = []
        self.sig_seqs: dict[int, None] = {}
        self.sig_shas: dict[str, None] = {}

    def finished(self) -> ScanResult:
        return ScanResult(
            threat_id=threat_id(self.fields.get("ID", "")),
            threat_name=self.fields.get("Threat Name") or None,
            severity_id=number(self.fields.get("Severity", "")),
            identifier=self.fields.get("Identifier") or None,
            resources=tuple(self.resources),
            sig_seqs=tuple(self.sig_seqs),
            sig_shas=tuple(self.sig_shas),
        )


class ScanBlock:
    """A scan being read."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._fields: dict[str, str] = {}
        self._scanned: list[Resource] = []
        self._results: list[_Result] = []
        self._schema = ""
        self._ended = False

    def feed(self, text: str, kind: str) -> Step:
        key, _, value = text.partition(":")
        if kind == kinds.ROW:
            return Step.FOREIGN
        if key.rstrip() == "End Scan":
            self._ended = True
            return Step.LAST
        if key == "Threat Name" or text.rstrip() == "Unknown File":
            self._results.append(_Result())
        if key == "Resource Schema":
            self._schema = value
        elif key == "Resource Path":
            (self._results[-1].resources if self._results else self._scanned).append(Resource(self._schema, value))
        elif key.startswith("Extended Info") and self._results:
            self._signature(key, value.strip())
        elif key in _RESULT_KEYS and self._results:
            self._results[-1].fields.setdefault(key, value)
        elif key in _SCAN_KEYS:
            self._fields.setdefault(key, value)
        return Step.MORE

    def _signature(self, key: str, value: str) -> None:
        result = self._results[-1]
        if key.endswith("SigSeq"):
            sequence = number(f"0x{value[:16]}")
            if sequence:
                result.sig_seqs[sequence] = None
        elif key.endswith("SigSha") and len(value) == 40 and value.lower() != _NOTHING_SHA1:
            result.sig_shas[value.lower()] = None

    def payload(self, clock: Clock) -> ResourceScan | None:
        if not self._fields and not self._scanned and not self._results:
            return None
        fields = self._fields
        results = tuple(result.finished() for result in self._results)
        threats = [result for result in results if result.threat_name is not None]
        found = tuple(resource for result in threats for resource in result.resources)
        started_at, ended_at = clock.utc(fields.get("Start Time")), clock.utc(fields.get("End Time"))
        logged_at, basis = clock.of_block(ended_at if started_at is None else started_at)
        return ResourceScan(
            logged_at=logged_at,
            time_basis=basis,
            **clock.offset_of(fields.get("Start Time"), fields.get("End Time")),
            scan_type=self._name,
            scan_id=fields.get("Scan ID", "").strip(" {}").upper() or None,
            scan_source=number(fields.get("Scan Source", "")),
            started_at=started_at,
            ended_at=ended_at,
            started_local=fields.get("Start Time") or None,
            ended_local=fields.get("End Time") or None,
            return_code=number(fields.get("Return Code", "")),
            scanned=tuple(self._scanned),
            results=results,
            threat_id=next((result.threat_id for result in threats if result.threat_id is not None), None),
            threat_name=threats[0].threat_name if threats else None,
            threat_ids=tuple(dict.fromkeys(result.threat_id for result in threats if result.threat_id is not None)),
            threat_names=tuple(dict.fromkeys(result.threat_name for result in threats if result.threat_name is not None)),
            severity_id=threats[0].severity_id if threats else None,
            file_path=file_path(found) or file_path(tuple(self._scanned)),
        )

    def lacking(self) -> str | None:
        if not self._ended and "Return Code" not in self._fields:
            return "no `End Scan`"
        declared = number(self._fields.get("Result Count", ""))
        if declared is not None and declared != len(self._results):
            return f"{len(self._results)} of {declared} results"
        return None

"""Lines of logs, and what is read from them."""

from exporter.formats.mplog import parse_mplog
from exporter.records import Parsed, Tally
from exporter.times import from_iso
from tests.formats.test_text_lines import Drops

START = from_iso("2024-03-05T10:15:00.1234567Z")[0]
SECOND = 10_000_000
HEADER = (
    "-" * 80,
    "Microsoft Defender Antivirus (77BDAF73-B396-481F-9042-AD358843EC24) Service Log",
    "Started On 03-05-2024 05:15:00",
    "*" * 60,
    "OS install time: 03/10/2022 19:33:20.0 UTC",
    "Current time: 03/05/2024 10:15:00.123456700 UTC (16546 ms since boot)",
)
STAMPED = "2024-03-05T10:15:01.000Z [Cloud] Queued cloud request."
EVENT = "2024-03-05T10:16:00.500Z DETECTIONEVENT MPSOURCE_REALTIME Trojan:BAT/Vigorf.A file:C:\\x.bat;"
SCAN = (
    "Begin Resource Scan",
    "Scan ID:{a17cbe22-6345-46c6-b9f3-7144a8c1115b}",
    "Scan Source:3",
    "Start Time:03-05-2024 05:16:00",
    "End Time:03-05-2024 05:16:01",
    "Explicit resource to scan",
    "Resource Schema:file",
    "Resource Path:C:\\x.bat",
    "Result Count:2",
    "Threat Name:Trojan:BAT/Vigorf.A",
    "ID:2147714419",
    "Severity:5",
    "Number of Resources:1",
    "Resource Schema:file",
    "Resource Path:C:\\x.bat->(UTF-16LE)",
    "Extended Info - SigSeq:00001667b7ddc3ff",
    "Extended Info - SigSha:9B97cb4399541cf437c53396f8864cd0fb969df4",
    "Unknown File",
    "Identifier:1743048119144153086",
    "Number of Resources:1",
    "Resource Schema:queryfilertsig",
    "Resource Path:C:\\x.bat",
    "Extended Info - SigSeq:0000000000000000",
    "Extended Info - SigSha:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "End Scan",
)
ACTIONS = (
    "Beginning threat actions",
    "Start time:03-05-2024 05:17:00",
    "Threat Name:Trojan:BAT/Vigorf.A",
    "Threat ID:2147714419",
    "Action:quarantine",
    "Resource action complete:Quarantine",
    "Schema:file",
    "Path:\\\\?\\C:\\x.bat",
    "Threat ID:2147714419",
    "Resource refcount:1",
    "Result:0",
    "File to act on SHA1:7EA62FD644DD9B9F82944268EA649FD007EE354D",
    "File owner:EXAMPLE\\alice",
    "File cleaned/removed successfully",
    "File Name:C:\\x.bat",
    "Action remove successful on file:\\\\?\\C:\\x.bat",
    "Finished threat ID:2147714419",
    "Threat result:0x80508023",
    "Finished threat actions",
    "End time:03-05-2024 05:17:02",
    "Result:0",
)
FAILED = ("Begin Quick Scan", "Scan ID:{F7526DAF-3FAB-47EB-8E98-D48A9760CA29}", "Scan Source:1", "Start Time:03-05-2024 05:20:00")
PERF = ("*" * 9 + "RTP Perf Log" + "*" * 9, "Path Exclusions:", "  C:\\Begin Resource Scan", " ", "*" * 9 + "END RTP Perf Log" + "*" * 9)
TELEMETRY = ("BEGIN BM telemetry", "GUID:{54CD2CC6-3EFD-AFDD-A19B-9D330B894976}", "ProcessID:2976", "END BM telemetry")


def encoded(*lines, end="\r\n"):
    return "".join(line + end for line in lines).encode()


def items_of(data, step=1 << 20):
    """The items, after checking what holds for every input: one Tally, at the end, and its sum."""
    items = list(parse_mplog(Drops(data, step)))
    tally = items[-1]
    assert isinstance(tally, Tally)
    assert not any(isinstance(item, Tally) for item in items[:-1])
    assert tally.seen == sum(item.units for item in items[:-1]) + sum(tally.unparsed.values())
    return items


def records_of(data):
    return [item for item in items_of(data) if isinstance(item, Parsed)]


def payload_of(*lines):
    (record,) = records_of(encoded(*lines))
    return record.payload

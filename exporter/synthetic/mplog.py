"""A Microsoft Protection Log with known contents: sessions, everyday lines, and detections told from scan to clean-up.

UTF-16LE with a byte order mark and CRLF, stamps in UTC with `Z`, block times in the session's local time: what a 2023 platform writes.
Everything follows from the arguments, so the same sessions give the same bytes.
"""

import base64
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporter.times import TICKS_PER_SECOND, iso

PRODUCT = "Microsoft Defender Antivirus"
PRODUCT_GUID = "77BDAF73-B396-481F-9042-AD358843EC24"
_STARS = "*" * 60
_EVERYDAY = (
    ("cloud", "{stamp} [Cloud] Queued cloud request."),
    ("cloud", "{stamp} [Cloud] MpEngineParseSpyNetResponse(). hr = 0"),
    ("other", "{stamp} [RtpConfig] Config change detected, type: {n}"),
    (
        "estimated_impact",
        (
            "{stamp} ProcessImageName: setup.exe, Pid: {n}, TotalTime: {n}, Count: 7, MaxTime: 31, "
            "MaxTimeFile: \\Device\\HarddiskVolume3\\Temp\\a, b {n}.tmp->(UTF-16LE), EstimatedImpact: 3%"
        ),
    ),
    ("exclusion", "{stamp} [RTP] [Exclusion] C:\\Tools\\{n}.exe -> \\Device\\HarddiskVolume3\\Tools\\{n}.exe"),
    ("routine_clean", "{stamp} [RoutineClean] Cleaning {n} detections"),
)
"""Kind and text of lines that say nothing about a threat; written in turn."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One detection. Times are ticks; `sha1`, `sig_sha` lower-case hex; `scan_id` a GUID without braces.

    `action` is the block's word (`quarantine`, `remove`, …), `source` that of `MPSOURCE_…`, `result` the code of the clean-up.
    With `cleaned_at` None nothing was done about the threat.
    """

    threat_id: int
    threat_name: str
    resources: Sequence[tuple[str, str]]
    detected_at: int
    cleaned_at: int | None = None
    action: str = "quarantine"
    result: int = 0
    source: str = "REALTIME"
    sha1: str | None = None
    owner: str | None = None
    severity_id: int = 5
    sig_seq: int = 0x1667B7DDC3FF
    sig_sha: str = "9b97cb4399541cf437c53396f8864cd0fb969df4"
    scan_id: str = "A17CBE22-6345-46C6-B9F3-7144A8C1115B"


class LogSession(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the service, from `started_at` (ticks); `utc_offset_minutes` is east of UTC; `everyday` lines are spread over it."""

    started_at: int
    utc_offset_minutes: int = 0
    product: str = PRODUCT
    stories: Sequence[Story] = ()
    everyday: int = 20


def internal_command_line(story: Story, image: str, command_line: str) -> str:
    """The value of an `internalCmdLine` resource: the threat in base64, then image and command line.

    The blob: u32 version 1, u32 threat id, u64 0, u64 sigseq, 20 bytes sigsha, name padded to 64 (formats-logs.md 1.3).
    """
    threat = struct.pack("<IIQQ", 1, story.threat_id, 0, story.sig_seq) + bytes.fromhex(story.sig_sha)
    blob = threat + story.threat_name.encode("ascii", "replace")[:64].ljust(64, b"\0")
    return f"i {base64.b64encode(blob).decode()} {len(image)} {len(command_line)} {image} {command_line}"


def write_mplog(path: Path, sessions: Sequence[LogSession]) -> dict[str, Any]:
    """Write the log and return what is in it: `size` in bytes, `lines`, `kinds` (records of each), and `records`.

    `records` has kind, byte offset, lines and threat id of every record of the six kinds that the exporter emits.
    """
    log = _Log()
    for session in sessions:
        _session(log, session)
    path.write_bytes(bytes(log.data))
    return {"size": len(log.data), "lines": log.lines, "kinds": dict(sorted(log.kinds.items())), "records": log.records}


class _Log:
    """The bytes so far, and what they say."""

    def __init__(self) -> None:
        self.data = bytearray(b"\xff\xfe")
        self.lines = 0
        self.kinds: Counter[str] = Counter()
        self.records: list[dict[str, Any]] = []

    def add(self, kind: str, *lines: str, threat_id: int | None = None) -> None:
        """One record of these lines."""
        if kind.startswith("mplog_"):
            self.records.append({"kind": kind, "offset": len(self.data), "lines": len(lines), "threat_id": threat_id})
        self.kinds[kind] += 1
        self.plain(*lines)

    def plain(self, *lines: str) -> None:
        """Lines that belong to no record, such as the row of stars after a scan."""
        self.lines += len(lines)
        self.data += "".join(f"{line}\r\n" for line in lines).encode("utf-16-le", "surrogatepass")


def _session(log: _Log, session: LogSession) -> None:
    started = session.started_at
    log.plain("", "-" * 80)
    log.add(
        "mplog_session",
        f"{session.product} ({PRODUCT_GUID}) Service Log",
        f"Started On {_local(started, session)}",
        _STARS,
        "OS install time: 03/10/2022 19:33:20.0 UTC",
        f"Current time: {_header_time(started)} UTC (16546 ms since boot)",
    )
    log.add("other", f"{_stamp(started)} ProductId: 2, LaunchedProtected: 3, IsContainerOs: 0, DirtyShutdownDetected: 0")
    moments: list[tuple[int, Story | None, bool]] = [(story.detected_at, story, False) for story in session.stories]
    moments += [(story.cleaned_at, story, True) for story in session.stories if story.cleaned_at is not None]
    moments += [(started + (number + 1) * 7 * TICKS_PER_SECOND, None, False) for number in range(session.everyday)]
    number = 0
    for ticks, story, cleaning in sorted(moments, key=lambda moment: moment[0]):
        if story is None:
            kind, text = _EVERYDAY[number % len(_EVERYDAY)]
            number += 1
            log.add(kind, text.format(stamp=_stamp(ticks), n=number))
        else:
            (_clean_up if cleaning else _detect)(log, session, story, ticks)


def _detect(log: _Log, session: LogSession, story: Story, ticks: int) -> None:
    """The scan, and what was reported of it."""
    scanned = [line for schema, value in story.resources for line in _scanned(schema, value)]
    found = [line for schema, value in story.resources for line in _found(story, schema, value)]
    log.add(
        "mplog_resource_scan",
        "Begin Resource Scan",
        f"Scan ID:{{{story.scan_id}}}",
        "Scan Source:3",
        f"Start Time:{_local(ticks, session)}",
        f"End Time:{_local(ticks, session)}",
        *scanned,
        "Result Count:1",
        f"Threat Name:{story.threat_name}",
        f"ID:{story.threat_id}",
        f"Severity:{story.severity_id}",
        f"Number of Resources:{len(story.resources)}",
        *found,
        "End Scan",
        threat_id=story.threat_id,
    )
    log.plain(_STARS, "")
    listed = "".join(f"{schema}:{value};" for schema, value in story.resources)
    stamp, name, number = _stamp(ticks), story.threat_name, story.threat_id
    log.add("mplog_detection_event", f"{stamp} DETECTIONEVENT MPSOURCE_{story.source} {name} {listed}", threat_id=number)
    for schema, value in story.resources:
        text = f"{stamp} DETECTION_ADD#{len(story.resources)} {name} {schema}:{value} PropBag [length: 0, data: (null)]"
        log.add("mplog_detection_add", text, threat_id=number)


def _clean_up(log: _Log, session: LogSession, story: Story, ticks: int) -> None:
    """The twin of event 1117, and the block that says what was done."""
    listed = "".join(f"{schema}:{value};" for schema, value in story.resources)
    result = f"0x{story.result:x}" if story.result else "0"
    event = f"DETECTION_CLEANEVENT MPSOURCE_{story.source} MP_THREAT_ACTION_{story.action.upper()} {result} {story.threat_name} {listed}"
    log.add("mplog_detection_clean", f"{_stamp(ticks)} {event}", threat_id=story.threat_id)
    done = [line for schema, value in story.resources for line in _acted(story, schema, value)]
    log.add(
        "mplog_threat_actions",
        "Beginning threat actions",
        f"Start time:{_local(ticks, session)}",
        f"Threat Name:{story.threat_name}",
        f"Threat ID:{story.threat_id}",
        f"Action:{story.action}",
        *done,
        *([f"File to act on SHA1:{story.sha1.upper()}"] if story.sha1 else []),
        *([f"File owner:{story.owner}"] if story.owner else []),
        f"Finished threat ID:{story.threat_id}",
        f"Threat result:{story.result}",
        "Threat status flags:0",
        "Finished threat actions",
        f"End time:{_local(ticks, session)}",
        f"Result:{story.result}",
        threat_id=story.threat_id,
    )


def _scanned(schema: str, value: str) -> tuple[str, ...]:
    return "Explicit resource to scan", f"Resource Schema:{schema}", f"Resource Path:{value}"


def _found(story: Story, schema: str, value: str) -> tuple[str, ...]:
    sequence = f"Extended Info - SigSeq:{story.sig_seq:016x}"
    return f"Resource Schema:{schema}", f"Resource Path:{value}", sequence, f"Extended Info - SigSha:{story.sig_sha}"


def _acted(story: Story, schema: str, value: str) -> tuple[str, ...]:
    done = "Resource action complete:" + {"quarantine": "Quarantine", "remove": "Removal"}.get(story.action, story.action.capitalize())
    return done, f"Schema:{schema}", f"Path:{value}", f"Threat ID:{story.threat_id}", "Resource refcount:1", f"Result:{story.result}"


def _stamp(ticks: int) -> str:
    return iso(ticks, 3)


def _local(ticks: int, session: LogSession) -> str:
    """`MM-DD-YYYY HH:MM:SS` on the session's wall clock."""
    text = iso(ticks + session.utc_offset_minutes * 60 * TICKS_PER_SECOND, 0)
    return f"{text[5:10]}-{text[:4]} {text[11:19]}"


def _header_time(ticks: int) -> str:
    """`MM/DD/YYYY HH:MM:SS.n`, where n is nanoseconds without leading zeros: how Defender writes it."""
    text = iso(ticks, 0)
    return f"{text[5:7]}/{text[8:10]}/{text[:4]} {text[11:19]}.{ticks % TICKS_PER_SECOND * 100}"

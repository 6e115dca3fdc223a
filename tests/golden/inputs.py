"""The inputs of the golden cases: small, written by our own writers, or real samples that stay beside the project."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from exporter.synthetic.case import write_case
from exporter.synthetic.case_hosts import WORKSTATION
from exporter.synthetic.detection_history import file_resource, write_detection_history
from exporter.synthetic.evtx import Event, write_evtx
from exporter.synthetic.mplog import LogSession, Story, write_mplog
from exporter.times import TICKS_PER_SECOND, UNIX_EPOCH, from_iso
from tests import defender_events

MOMENT = from_iso("2026-02-03T04:05:06.1234567Z")[0]
"""When things happen that are not part of the synthetic case's story."""
THREAT = {
    "Product Name": "Microsoft Defender Antivirus",
    "Product Version": "4.18.26010.5",
    "Detection ID": "{C0A8F3B1-1D2E-4F60-8A7B-9C0D1E2F3A4B}",
    "Detection Time": "2026-02-03T04:05:06.123Z",
    "Threat ID": "2147811342",
    "Threat Name": "Behavior:Win32/SuspCredentialAccess.A",
    "Severity ID": "5",
    "Severity Name": "Severe",
    "Category ID": "46",
    "Category Name": "Suspicious Behavior",
    "FWLink": "https://go.microsoft.com/fwlink/?linkid=37020&name=Behavior:Win32/SuspCredentialAccess.A&threatid=2147811342",
    "Path Found": "behavior:_pid:4711:61953711253486; process:_pid:4711,ProcessStart:134191080771234567",
    "Source ID": "2",
    "Source Name": "System",
    "Process Name": "C:\\Temp\\tool.exe",
    "Detection User": "LAB\\ana",
    "Error Code": "0x00000000",
}

OF_ANOTHER_CHANNEL = Event(
    event_id=4624,
    record_id=99,
    created_at=MOMENT,
    level=0,
    provider="Microsoft-Windows-Security-Auditing",
    provider_guid="54849625-5478-4994-A5BA-3E3B0328C30D",
    channel="Security",
    data={"TargetUserName": "ana", "LogonType": "3"},
)


def synthetic_host(folder: Path, _samples: Path) -> None:
    """The workstation of the synthetic case with its first incident: event log, MPLog, quarantine, history."""
    host = msgspec.structs.replace(
        WORKSTATION,
        incidents=WORKSTATION.incidents[:1],
        happenings=(),
        sessions=WORKSTATION.sessions[:1],
        log_cleared_at="2026-03-27T08:13:00Z",
    )
    write_case(folder, hosts=[host])
    (folder / "truth.json").unlink()


def mplog_excerpt(folder: Path, _samples: Path) -> None:
    """One session, three hours west of Greenwich, with one threat that was removed and one that was not."""
    stories = [
        Story(
            threat_id=2147519003,
            threat_name="Virus:DOS/EICAR_Test_File",
            resources=[("file", "C:\\Temp\\eicar, copy.com")],
            detected_at=MOMENT,
            cleaned_at=MOMENT + 20 * TICKS_PER_SECOND,
            action="remove",
            sha1="3395856ce81f2b7382dee72602f798b642f14140",
        ),
        Story(
            threat_id=2147705511,
            threat_name="HackTool:Win64/Mikatz!dha",
            resources=[("containerfile", "C:\\Temp\\a.zip"), ("file", "C:\\Temp\\a.zip->mimilib.dll")],
            detected_at=MOMENT + 60 * TICKS_PER_SECOND,
        ),
    ]
    path = folder / "MPLog-20260203-010406.log"
    write_mplog(path, [LogSession(started_at=MOMENT - 60 * TICKS_PER_SECOND, utc_offset_minutes=-180, stories=stories)])


def detection_history(folder: Path, _samples: Path) -> None:
    """A download that was quarantined, and a file that nothing was done about."""
    folder /= "DetectionHistory"
    eicar = {"threat_id": 2147519003, "threat_name": "Virus:DOS/EICAR_Test_File"}
    sizes = {"sig_seq": 0x0555DC2DDDB0, "size": 68, "sha256": "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"}
    write_detection_history(
        folder,
        detection_id="5E1D0C0B-0A09-4807-8605-040302010001",
        **eicar,
        resources=[file_resource("C:\\Users\\ana\\Downloads\\eicar.com", started_at=MOMENT - 5, **eicar, **sizes)],
        detected_at=MOMENT,
        changed_at=MOMENT + 20 * TICKS_PER_SECOND,
        remediated_at=MOMENT + 20 * TICKS_PER_SECOND,
        category_id=42,
        quarantine_id="80008A1B-0000-0000-7065-3EA2B161B275",
        user="LAB\\ana",
        process_name="C:\\Windows\\explorer.exe",
    )
    write_detection_history(
        folder,
        detection_id="5E1D0C0B-0A09-4807-8605-040302010002",
        **eicar,
        resources=[file_resource("D:\\eicar.com", started_at=MOMENT + 7, **eicar, **sizes)],
        detected_at=0,
        changed_at=MOMENT + 7,
        category_id=42,
        status_id=1,
        state=1,
        user="LAB\\ana",
    )


def event_kinds(folder: Path, _samples: Path) -> None:
    """Events that the synthetic case has not: behavior (1015), unwanted software (1160), every id, side events, a log that is none."""
    application = {
        **THREAT,
        "Detection ID": "{C0A8F3B1-1D2E-4F60-8A7B-000000000002}",
        "Threat ID": "236126",
        "Threat Name": "PUA:Win32/uTorrent",
        "Path Found": "file:_C:\\Temp\\uTorrent.exe",
    }
    events = [
        Event(event_id=1015, record_id=7, created_at=MOMENT, level=3, data=THREAT),
        Event(
            event_id=1160,
            record_id=8,
            created_at=MOMENT + 1,
            data={**application, "Detection ID": "{C0A8F3B1-1D2E-4F60-8A7B-000000000002}"},
        ),
    ]
    write_evtx(folder / "events.evtx", events)
    write_evtx(folder / "every-id.evtx", defender_events.every_event())
    write_evtx(folder / "security.evtx", [OF_ANOTHER_CHANNEL])
    write_evtx(folder / "System.evtx", defender_events.side_events())
    (folder / "damaged.evtx").write_bytes(b"ElfFile\0" + bytes(24))


def real_events(folder: Path, samples: Path) -> None:
    """Logs exported from a viewer: 1116 and 1117, 5007. (CC0: their whole content stands in the golden files.)"""
    for name in ("ID1116-1117-Defender threat detected.evtx", "ID5007-Defender threat exclusion (native).evtx"):
        shutil.copyfile(samples / "evtx" / "exported" / name, folder / name)


def real_quarantine(folder: Path, samples: Path) -> None:
    """Two quarantines: one whose container is what its name says, and one whose container was replaced."""
    for name in ("dissect", "maldump"):
        shutil.copytree(samples / "quarantine" / name, folder / name)


CASES: Mapping[str, Callable[[Path, Path], None]] = {
    "synthetic-host": synthetic_host,
    "mplog-excerpt": mplog_excerpt,
    "detection-history": detection_history,
    "event-kinds": event_kinds,
}
REAL_CASES: Mapping[str, Callable[[Path, Path], None]] = {"real-events": real_events, "real-quarantine": real_quarantine}


def write_input(name: str, folder: Path, samples: Path) -> Path:
    """The evidence of a case below `folder`; files that came without a time of their own get a fixed one."""
    evidence = folder / name
    evidence.mkdir()
    {**CASES, **REAL_CASES}[name](evidence, samples)
    if name != "synthetic-host":
        nanoseconds = (MOMENT - UNIX_EPOCH) * 100
        for path in evidence.rglob("*"):
            os.utime(path, ns=(nanoseconds, nanoseconds))
    return evidence

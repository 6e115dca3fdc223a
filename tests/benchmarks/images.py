"""A disk image of 200,000 files in which Defender left traces, and what peers are asked to do with it.

The drive is that of the synthetic case with logs of the sizes that lived-in machines have: 16 MiB of Defender's own event log, 4 MiB
each of three others, 8 MiB of MPLog, 200 quarantined files and their DetectionHistory. The other files are empty, which spares peers
that read them.
"""

import subprocess
import sys
from pathlib import Path

from exporter.synthetic.case import write_case
from tests.conftest import SHARED

FILES = 200_000
_PER_FOLDER = 1000
_DETECTIONS = 200
_TOOLS = SHARED / "tools"
_LOGS = "Windows/System32/winevt/Logs"
_DEFENDER_LOG = "Microsoft-Windows-Windows Defender%4Operational.evtx"
_OTHER_LOGS = ("Application.evtx", "Security.evtx", "System.evtx")
LOG2TIMELINE = """
import pathlib, sys
from plaso.scripts import log2timeline
pathlib.Path(sys.argv[2]).unlink(missing_ok=True)
options = "--parsers winevtx,windefender_history --partitions all --vss-stores none -u --single-process --status-view none -q"
sys.argv = ["log2timeline", *options.split(), "--logfile", sys.argv[2] + ".log", "--storage-file", sys.argv[2], sys.argv[1]]
log2timeline.Main()
"""


def make(folder: Path) -> Path | None:
    """The image, made when it is not there; None without the generators that it needs."""
    image, tool = folder / "files.raw", _TOOLS / "make_image.py"
    if not image.exists() and tool.exists():
        drive = folder / "files" / "WS-0142" / "C"
        if not drive.exists():
            write_case(folder / "files")
            _fill(drive)
        _live_in(drive)
        _run(tool, drive, image, "--table", "gpt", "--size", "2G")
    return image if image.exists() else None


def _fill(drive: Path) -> None:
    for number in range(FILES // _PER_FOLDER):
        folder = drive / "Windows" / "WinSxS" / f"component-{number:03d}"
        folder.mkdir(parents=True)
        for file in range(_PER_FOLDER):
            (folder / f"file-{file:04d}.dll").touch()


def _live_in(drive: Path) -> None:
    """Everything that a machine of some years adds to the story of the case."""
    logs = SHARED / "data" / "evtx"
    own = logs / "server2022-aptsimulator" / _DEFENDER_LOG
    _run(_TOOLS / "make_evtx.py", own, drive / _LOGS / _DEFENDER_LOG, "--size", "16M", "--shift", "61")
    for name in _OTHER_LOGS:
        other = logs / "damaged" / "sample-with-zero-data-size-event.evtx"
        _run(_TOOLS / "make_evtx.py", other, drive / _LOGS / name, "--size", "4M", "--shift", "61")
    support = drive / "ProgramData/Microsoft/Windows Defender/Support"
    _run(_TOOLS / "make_mplog.py", support / "MPLog-20240305-101500.log", "--size", "8M")
    truth = drive.parent / "quarantine.json"
    truth.write_bytes(_run(_TOOLS / "make_quarantine.py", drive, "--entries", _DETECTIONS))
    _run(_TOOLS / "make_detection_history.py", drive, "--entries", _DETECTIONS, "--from-quarantine", truth)


def _run(*command: object) -> bytes:
    return subprocess.run([sys.executable, *map(str, command)], check=True, stdout=subprocess.PIPE).stdout

"""A disk image of 200,000 files in which Defender left traces, and what peers are asked to do with it."""

import subprocess
import sys
from pathlib import Path

from exporter.synthetic.case import write_case
from tests.conftest import SHARED

FILES = 200_000
_PER_FOLDER = 1000
_LOG = "Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx"
DISSECT = """
import sys
from dissect.eventlog.evtx import Evtx
from dissect.target import Target
for system in Target.open(sys.argv[1]).filesystems:
    for path in system.path("/ProgramData/Microsoft/Windows Defender").rglob("*"):
        path.is_file() and path.read_bytes()
    for path in system.path("/Windows/System32/winevt/Logs").glob("*.evtx"):
        for record in Evtx(path.open()):
            dict(record)
"""
"""The same files read, and the event logs taken apart; its own Defender plugins need the registry, which no synthetic drive has."""
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
    image, tool = folder / "files.raw", SHARED / "tools" / "make_image.py"
    if not image.exists() and tool.exists():
        drive = folder / "files" / "WS-0142" / "C"
        if not drive.exists():
            write_case(folder / "files")
            _fill(drive)
        source = SHARED / "data" / "evtx" / "server2022-aptsimulator" / Path(_LOG).name
        _run(SHARED / "tools" / "make_evtx.py", source, drive / _LOG, "--size", "16M", "--shift", "61")
        _run(tool, drive, image, "--table", "gpt", "--size", "2G")
    return image if image.exists() else None


def _fill(drive: Path) -> None:
    for number in range(FILES // _PER_FOLDER):
        folder = drive / "Windows" / "WinSxS" / f"component-{number:03d}"
        folder.mkdir(parents=True)
        for file in range(_PER_FOLDER):
            (folder / f"file-{file:04d}.dll").touch()


def _run(*command: object) -> None:
    subprocess.run([sys.executable, *map(str, command)], check=True, stdout=subprocess.DEVNULL)

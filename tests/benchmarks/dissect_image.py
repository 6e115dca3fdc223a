"""Defender's plugin of dissect.target over a disk image, to JSON lines: run by the Python of that peer's own environment.

Everything that it reads of files: event log, quarantine, MPLog; with `all` its plugin for event logs reads every one of them, as we do.
Its plugins are set up by hand, as no synthetic drive has a registry; that also spares it to find out which system the image holds.
"""

import sys

from dissect.target import Target  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows._os import WindowsPlugin  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows.defender import _plugin as defender  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows.log.evtx import EvtxPlugin  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows.registry import RegistryPlugin  # type: ignore[import-not-found]
from flow.record import RecordWriter  # type: ignore[import-not-found]

files = next(system for system in Target.open(sys.argv[1]).filesystems if system.path("ProgramData").exists())
target = Target()
target.filesystems.add(files)
target.fs.mount("sysvol", files)
target._os_plugin = WindowsPlugin
target.add_plugin(RegistryPlugin, check_compatible=False)
defender.DEFENDER_LOG_DIR = "sysvol/windows/system32/winevt/logs"
target.apply()
target.add_plugin(EvtxPlugin, check_compatible=False)
plain = target.fs.path
# a path whose last name comes from NTFS cannot be made a path again: its names are no plain text
target.fs.path = lambda *parts: plain(*map(str, parts))
plugin = defender.MicrosoftDefenderPlugin(target)
logs = target.evtx(logs_dir=defender.DEFENDER_LOG_DIR, log_file_glob="*.evtx") if sys.argv[3:] == ["all"] else plugin.evtx()
with RecordWriter(f"jsonfile://{sys.argv[2]}") as writer:
    for records in (logs, plugin.quarantine(), plugin.mplog()):
        count = 0
        for record in records:
            writer.write(record)
            count += 1
        assert count, "nothing was read"

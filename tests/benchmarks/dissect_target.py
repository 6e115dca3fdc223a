"""`defender.evtx` of dissect.target over one log, to JSON lines: run by the Python of that peer's own environment.

Driven through its plugin API with a virtual file system, which spares it the start of its command and of a pipe to rdump.
"""

import sys

from dissect.target import Target  # type: ignore[import-not-found]
from dissect.target.filesystem import VirtualFilesystem  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows._os import WindowsPlugin  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows.defender import _plugin as defender  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows.log.evtx import EvtxPlugin  # type: ignore[import-not-found]
from dissect.target.plugins.os.windows.registry import RegistryPlugin  # type: ignore[import-not-found]
from flow.record import RecordWriter  # type: ignore[import-not-found]

_LOGS = "windows/system32/winevt/logs"

files = VirtualFilesystem(case_sensitive=False, alt_separator="\\")
files.map_file(f"{_LOGS}/Microsoft-Windows-Windows Defender%4Operational.evtx", sys.argv[1])
files.makedirs("windows/system32/config")
target = Target()
target.filesystems.add(files)
target.fs.mount("sysvol", files)
target._os_plugin = WindowsPlugin
# without a registry there is no %windir%
target.add_plugin(RegistryPlugin, check_compatible=False)
defender.DEFENDER_LOG_DIR = f"sysvol/{_LOGS}"
target.apply()
target.add_plugin(EvtxPlugin, check_compatible=False)
with RecordWriter(f"jsonfile://{sys.argv[2]}") as writer:
    count = 0
    for record in defender.MicrosoftDefenderPlugin(target).evtx():
        writer.write(record)
        count += 1
assert count, "nothing was read"

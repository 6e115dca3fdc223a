"""Files that belong to Defender and that nothing here reads: they are named where they lie, so that nobody takes them for not there.

Places: formats-logs.md 1.1. Of most no sample was at hand when this was written; a cabinet is read when it is given as evidence by itself,
since it repeats the logs that lie beside it.
"""

from collections.abc import Mapping

import msgspec

_CABINET = "support files in a cabinet: give it as evidence by itself to have it read"
UNREAD: Mapping[str, str] = {
    "windows defender/support/mpsupportfiles.cab": _CABINET,
    "microsoft antimalware/support/mpsupportfiles.cab": _CABINET,
    "windows defender/support/mpscanskip-*.log": "log of skipped scans",
    "windows defender/support/mpdevicecontrol-*.log": "log of device control",
    "windows defender/support/mpdlplog*.log": "log of data loss prevention",
    "history/service/detections.log": "list of detections",
    "history/service/history.log": "list of detections",
    "history/service/unknown.log": "list of detections",
    "mpsigstub.log": "log of signature updates",
    "mpregistry.txt": "settings as text",
    "mpstateinfo.txt": "state of the service as text",
    "mpoperationalevents.txt": "events as text",
    "mpoperationalevents.txt.bak": "events as text",
}
"""Tails (see `places`) and what such a file holds."""


class Unread(msgspec.Struct, frozen=True):
    """A file that was found and not opened; `path` is that in the evidence, `content` what such files hold."""

    path: str
    content: str
    size: int | None

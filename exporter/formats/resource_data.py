"""Quarantine `ResourceData` containers, read as a stream: what is in them, never the payload itself."""

from typing import ClassVar

import msgspec

from exporter.records import Payload


class Stream(msgspec.Struct, frozen=True):
    """One BackupRead stream: `kind` is the WIN32_STREAM_ID name, or `UNKNOWN_<id>`; hashes are lower-case hex."""

    id: int
    kind: str
    attributes: int
    name: str
    size: int
    md5: str
    sha1: str
    sha256: str


class QuarantineContainer(Payload, frozen=True, kw_only=True):
    """One `ResourceData/XX/<id>` file; data_* and hashes are of the DATA stream, the quarantined file."""

    kind: ClassVar[str] = "quarantine_container"
    resource_id: str
    container_size: int
    container_sha1: str
    name_matches: bool
    data_size: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    owner_sid: str | None = None
    stream_names: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()

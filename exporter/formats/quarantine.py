"""Quarantine `Entries` and `Resources` files."""

from typing import ClassVar

import msgspec

from exporter.records import Payload


class Field(msgspec.Struct, frozen=True):
    """A field of a quarantined resource as found: bytes are given as lower-case hex."""

    id: int
    type: int
    size: int
    value: int | str


class QuarantineEntry(Payload, frozen=True, kw_only=True):
    """One `Entries/{GUID}` file. GUIDs here and in all payloads: upper case, no braces."""

    kind: ClassVar[str] = "quarantine_entry"
    quarantine_id: str
    file_name: str
    threat_id: int | None = None
    threat_name: str | None = None
    scan_id: str | None = None
    quarantined_at: int | None = None
    resource_count: int = 0
    paths: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    name_matches: bool = True


class QuarantineResource(Payload, frozen=True, kw_only=True):
    """One resource of an entry, of any type; `path` without the `\\\\?\\` prefix, `raw_path` as stored."""

    kind: ClassVar[str] = "quarantine_resource"
    quarantine_id: str
    threat_id: int
    threat_name: str | None = None
    scan_id: str | None = None
    quarantined_at: int | None = None
    ordinal: int
    resource_type: str
    path: str
    raw_path: str
    resource_id: str | None = None
    physical_path: str | None = None
    flags: int | None = None
    sig_seq: int | None = None
    created_at: int | None = None
    accessed_at: int | None = None
    modified_at: int | None = None
    file_size: int | None = None
    other_fields: tuple[Field, ...] = ()


class QuarantineReference(Payload, frozen=True, kw_only=True):
    """One `Resources/XX/<id>` file: which entries name a container, and how large it is."""

    kind: ClassVar[str] = "quarantine_reference"
    resource_id: str
    container_size: int
    quarantine_ids: tuple[str, ...]
    name_matches: bool = True

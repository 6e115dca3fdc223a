"""The incident: one detection, told from everything that was found of it."""

from typing import ClassVar

from exporter.formats.resources import Resource
from exporter.records import Payload

MOST_MEMBERS = 1000
"""Member ids, kinds and tiers listed in one incident; `member_count` has them all."""
MOST_PATHS = 200


class Incident(Payload, frozen=True, kw_only=True):
    """What the correlator joined, at most one for each Detection ID.

    `member_ids`, `member_kinds` and `member_tiers` are parallel, in time order. `states` is the story in time order: `detected`, then by
    numeric action and error code `quarantined`, `removed`, `cleaned`, `blocked`, `allowed`, each also with `-failed`, and `restored`,
    `restore-failed`, `deleted`, `delete-failed`. `outcome`: `failure` when any remediation failed, `success` when there was one and none
    failed or was taken back, else `unknown`. `content_verified`: the containers' names are their SHA-1; None without container.

    `gaps` name what this evidence lacks: `quarantine-entry-without-event`, `history-without-event`, `log-without-event` (an event log
    that was cleared?), `event-without-quarantine-entry`, `container-missing`, `container-without-entry`.

    `supersedes` are ids under which an earlier night told a part of it (`ingest`); an export of everything at once has none.
    """

    kind: ClassVar[str] = "incident"
    incident_id: str
    host: str
    threat_id: int | None = None
    threat_name: str | None = None
    severity_id: int | None = None
    category_id: int | None = None
    detection_id: str | None = None
    quarantine_ids: tuple[str, ...] = ()
    member_ids: tuple[str, ...] = ()
    member_kinds: tuple[str, ...] = ()
    member_tiers: tuple[int, ...] = ()
    member_count: int = 0
    first_at: int | None = None
    last_at: int | None = None
    detected_at: int | None = None
    states: tuple[str, ...] = ()
    outcome: str = "unknown"
    file_path: str | None = None
    paths: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()
    user: str | None = None
    process_name: str | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    content_verified: bool | None = None
    gaps: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()

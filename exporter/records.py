"""What flows through the program: payloads, records, losses, counts, and the rows and documents made of them."""

from collections.abc import Hashable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any, ClassVar, Protocol, TypeAlias

import msgspec

from exporter.text import cleaned, host_name


class Verdict(StrEnum):
    """How sure we are that a record is what Windows wrote."""

    VERIFIED = "verified"
    UNVERIFIABLE = "unverifiable"
    FAILED = "failed"

    __hash__ = str.__hash__
    """As quick as that of other texts: an Enum's own is a function in Python, and a record's verdict is looked up several times."""


class Integrity(msgspec.Struct, frozen=True):
    """A verdict and the name of the check that gave it, such as `chunk-crc32`."""

    verdict: Verdict
    check: str


UNVERIFIABLE = Integrity(Verdict.UNVERIFIABLE, "none")


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes say: one subclass per kind. Ids are int, times are ticks (see `times`), None means absent.

    `kind` is the one name shared by the class, `mappings/records/<kind>.yaml` and the golden files.
    """

    kind: ClassVar[str] = ""


class Diagnostic(Payload, frozen=True, kw_only=True):
    """A loss as a document of its own, so that a SIEM shows what the export could not read."""

    kind: ClassVar[str] = "diagnostic"
    stage: str
    reason: str
    excerpt: str | None = None


class Parsed(msgspec.Struct, frozen=True):
    """One payload as a format parser yields it.

    `offset` is in bytes from the start of the file, `raw_hash` the SHA-256 (hex) of the record's bytes as read (sink-contracts C6),
    `units` how many of the file's units (lines of a text log, else 1) it stands for. `incomplete` names what could not be read of it.
    `host` is whose it is, where a file holds what several hosts have sent.
    """

    payload: Payload
    offset: int
    raw_hash: str
    integrity: Integrity = UNVERIFIABLE
    units: int = 1
    number: int | None = None
    incomplete: str | None = None
    host: str | None = None


class Rejected(msgspec.Struct, frozen=True):
    """Something that should have been a record and could not be read; with no `units`, something else that is to be told of one."""

    offset: int | None
    reason: str
    excerpt: str = ""
    units: int = 1
    number: int | None = None
    stage: str = "collect"


class Tally(msgspec.Struct, frozen=True):
    """Yielded last by every format parser: units seen, counted independently of what was made of them.

    `unparsed` counts the units that are known and left alone, by kind: seen = units of Parsed + of Rejected + unparsed.
    """

    seen: int
    unparsed: Mapping[str, int] = {}


Lines: TypeAlias = list[tuple[bytes, bytes]]
"""The sort keys and lines of a record's rows."""
Output: TypeAlias = bytes | Lines
"""What one sink writes of a record: a document, or lines."""


class Made(msgspec.Struct, frozen=True, array_like=True):
    """Payloads that were mapped where they were read: how many of which kind and verdict, and for each sink of the run their outputs.

    `senders` counts those that are not of the host whose file they are in (see `Parsed.host`).
    """

    kinds: dict[str, int]
    verdicts: dict[Verdict, int]
    outputs: tuple[list[Output], ...]
    senders: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How many payloads."""
        return sum(self.kinds.values())


Said: TypeAlias = tuple[Hashable, tuple[str | None, int | None, int | None], str, tuple[int, int, int, int | None]]
"""What an event says: one object for all that a log writes of its id; activity, process, thread; its data; its own id, time, the digits of
that, and when it was written."""


class Maker(Protocol):
    """Maps payloads where they are read."""

    def take(
        self, payload: "Payload", said: Said | None, offset: int, raw_hash: str, integrity: Integrity, host: str | None = None
    ) -> bool:
        """Map a payload, whose source offset is in bytes; False, and nothing is done, for one that is to go the ordinary way.

        `said` is what `again` may know it by; None where that is not known. `host` is as in Parsed.
        """
        ...

    def again(self, said: Said, offset: int, raw_hash: str, integrity: Integrity, origin: str | None) -> bool:
        """Map an event of the file's host that says what one has said before; False, and nothing is done, where that is not remembered."""
        ...

    def made(self) -> Made | None:
        """What was taken since it was last asked for; None for nothing."""
        ...


Item: TypeAlias = Parsed | Made | Rejected | Tally


class Source(msgspec.Struct, frozen=True):
    """The evidence file a record came from: `path` is its unescaped path inside `evidence`, with slashes.

    `snapshot` names the states of the volume that hold the record (`live` and shadow copies), where shadow copies were read.
    """

    path: str
    evidence: str
    size: int | None = None
    modified_at: int | None = None
    volume: str | None = None
    snapshot: tuple[str, ...] | None = None


class Correlation(msgspec.Struct, frozen=True):
    """The incident that a record belongs to, and the tier of the join (1 exact … 4 weak; see architecture section 5).

    `others` are further incidents of a record that speaks of several threats.
    """

    incident_id: str
    tier: int
    key: str
    others: tuple[str, ...] = ()


class Record(msgspec.Struct, frozen=True):
    """A payload with its origin. `key` is the natural key of sink-contracts C5 without version, case and host.

    `identity` is what `event_id` makes of it, where that is known already.
    """

    payload: Payload
    host: str
    source: Source
    collector: str
    key: tuple[str, ...]
    hash: str
    offset: int | None = None
    number: int | None = None
    integrity: Integrity = UNVERIFIABLE
    incomplete: str | None = None
    correlation: Correlation | None = None
    identity: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One loss, with everything needed to find it again; a line of `dead-letters.ndjson`."""

    stage: str
    reason: str
    source: str
    host: str = ""
    collector: str = ""
    offset: int | None = None
    number: int | None = None
    excerpt: str = ""
    snapshot: str = ""
    units: int = 1
    document: msgspec.Raw | None = None


def host_of(told: str | None, of_file: str) -> str:
    """Whose a record is: of the host that is told of it (see `Parsed.host`), if there is one, spelled as that of the file if it is that."""
    name = None if told is None else host_name(told)
    return of_file if name is None or name.casefold() == of_file.casefold() else name


def event_id(case: str, record: Record) -> str:
    """The identity of sink-contracts C5: 40 hex digits, the same on every run and every machine."""
    return record.identity or identity(case, record.host, *record.key)


def identity(*parts: str) -> str:
    """The same, of case, host and the parts of the natural key; neighbours may stand joined by NUL."""
    text = "\0".join(("v1", *parts))
    data = text.encode() if text.isascii() else text.encode("utf-8", "surrogatepass")
    return sha256(data).hexdigest()[:40]


class Messages(StrEnum):
    """Which messages of a row a timeline prints: ours, or the one that plaso's psort would print. Making one costs as much as a line."""

    OWN = "own"
    PLASO = "plaso"


class Common(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What many rows of a log have in common: one object for all of them, by which a sink knows what it made of them.

    `attributes` are clean. `own` says which further ones a row may have, and of which type. `path` is where the record lies, `display_name`
    the same for a reader. `message_attributes` names those that `plaso_message` is made of: L2T's `extra` leaves them out (L6).
    """

    timestamp_desc: str
    data_type: str
    source_short: str
    source_long: str
    hostname: str
    path: str
    display_name: str
    parser: str
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = {}
    own: Mapping[str, type] = {}
    message_attributes: frozenset[str] = frozenset()


class Row(msgspec.Struct, frozen=True, gc=False):
    """One line of a timeline: a record at one of its times. Attributes have plaso-style names; `own` are as the evidence has them.

    A message that was not asked for is empty. `position` is the record's place in its source.
    """

    common: Common
    ticks: int
    event_id: str
    own: dict[str, Any]
    position: int
    message: str = ""
    plaso_message: str = ""
    plaso_short_message: str = ""

    @property
    def attributes(self) -> dict[str, Any]:
        """All of them, clean."""
        return {**self.common.attributes, **cleaned(self.own)}


class Mapped(Protocol):
    """A record as the sinks see it."""

    @property
    def id(self) -> str:
        """The document's `_id` (C5)."""
        ...

    @property
    def record(self) -> Record: ...

    def document(self) -> bytes:
        """The ECS document as JSON, ending in `}}`: `event` is its last object, so that a sink can add `ingested` (E5)."""
        ...

    def rows(self, messages: Messages = Messages.OWN) -> Sequence[Row]:
        """One row for each distinct usable time; empty when there is none."""
        ...

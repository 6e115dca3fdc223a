"""DetectionHistory files: one detection each, with its resources and their tracking values.

A file is a row of values without names (`history_values` has their layout); what each means follows from its place
(formats-quarantine.md 3.2 and 3.3: 14 of 23 real files compared with the events of the same machine):

    head       threat id (08), detection id (1E), [`Magic.Version:1.2` (15)], threat name (15)
    begin      unknown_a, severity, category, unknown_b, unknown_c, status (06 each)
    actions    count, then the actions; the first is the one taken
    resources  count, then for each: magic, type, location (15), flags, block length (06), tracking block (28)
    middle     last change (0A), error code (05), type, quarantine id (1E), execution
    extra      only where unknown_a is 4 (wddh's authors; no sample): 15 15 06 06 15 15
    end        state … as in `_END`, a second list of resources, five numbers

There is no checksum: an edited file cannot be told from a genuine one.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from exporter.errors import FormatError
from exporter.formats import resources as resource_lists
from exporter.formats.history_values import BLOCK, GUID, INT, KNOWN, LONG, TEXT, TIME, Tracked, Value, Values, tracking
from exporter.formats.mplog_lines import internal_command_line
from exporter.formats.resources import Resource
from exporter.records import UNVERIFIABLE, Integrity, Item, Parsed, Payload, Rejected, Tally, Verdict


class TrackedResource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource with its ThreatTracking values, in the order of the file.

    A value of an unknown type is kept as the hex of the rest of its block; a repeated key is followed by `#2` and so on.
    """

    type: str
    location: str
    flags: int
    tracking: Mapping[str, Tracked] = {}
    tracking_layout: str


class DetectionHistory(Payload, frozen=True, kw_only=True):
    """One file; names as in formats-quarantine.md section 3.

    Hashes, size, SigSeq and tracking start are those of the first `file` resource, else of the first resource that has them; a command
    line has its SigSeq in its `internalCmdLine` resource only.
    `quarantine_id` is all zeros where nothing was quarantined. `unknown` also holds values of unknown type, as hex.
    """

    kind: ClassVar[str] = "detection_history"
    detection_id: str
    file_name: str
    name_matches: bool = True
    threat_id: int
    magic: str | None = None
    threat_name: str | None = None
    severity_id: int | None = None
    category_id: int | None = None
    status_id: int | None = None
    action_ids: tuple[int, ...] = ()
    tracked: tuple[TrackedResource, ...] = ()
    resources: tuple[Resource, ...] = ()
    file_path: str | None = None
    last_change_at: int | None = None
    error_code: int | None = None
    detection_type_id: int | None = None
    quarantine_id: str | None = None
    execution_id: int | None = None
    state: int | None = None
    user: str | None = None
    source_id: int | None = None
    process_name: str | None = None
    source_id_2: int | None = None
    origin_id: int | None = None
    detected_at: int | None = None
    pre_execution_status: int | None = None
    remediated_at: int | None = None
    remediation_user: str | None = None
    tracking_started_at: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    file_size: int | None = None
    sig_seq: int | None = None
    unknown: Mapping[str, int | str] = {}
    extra: tuple[int | str, ...] = ()
    more_resources: tuple[TrackedResource, ...] = ()
    tail: tuple[int | str, ...] = ()


_BEGIN = (
    ("unknown_a", INT),
    ("severity_id", INT),
    ("category_id", INT),
    ("unknown_b", INT),
    ("unknown_c", INT),
    ("status_id", INT),
)
_MIDDLE = (
    ("last_change_at", TIME),
    ("error_code", INT),
    ("detection_type_id", INT),
    ("quarantine_id", GUID),
    ("execution_id", INT),
)
_END = (
    ("state", INT),
    ("user", TEXT),
    ("source_id", INT),
    ("process_name", TEXT),
    ("source_id_2", INT),
    ("origin_id", INT),
    ("unknown_d", INT),
    ("detected_at", TIME),
    ("pre_execution_status", INT),
    ("remediated_at", TIME),
    ("unknown_e", INT),
    ("unknown_f", INT),
    ("unknown_g", INT),
    ("remediation_user", TEXT),
    ("unknown_h", INT),
)
_TAIL = 5
_PROMOTED = {
    "md5": "ThreatTrackingMD5",
    "sha1": "ThreatTrackingSha1",
    "sha256": "ThreatTrackingSha256",
    "file_size": "ThreatTrackingSize",
    "sig_seq": "ThreatTrackingSigSeq",
    "tracking_started_at": "ThreatTrackingStartTime",
}
_HASHES = {"md5": re.compile("[0-9a-f]{32}"), "sha1": re.compile("[0-9a-f]{40}"), "sha256": re.compile("[0-9a-f]{64}")}
_NAMED_LOSSES = 5


def parse_detection_history(data: bytes, file_name: str) -> Iterator[Item]:
    """The detection of one whole file, or why there is none, then the tally (one unit).

    A file that is damaged behind its head gives what could be read, `incomplete` with reason and offset, and a failed integrity.
    """
    reader = _Reader(data)
    if (loss := reader.head()) is not None:
        yield Rejected(loss.offset, f"not a DetectionHistory file: {loss.reason}", data[:32].hex())
    else:
        reader.body()
        integrity = Integrity(Verdict.FAILED, "layout") if reader.damaged else UNVERIFIABLE
        payload = reader.payload(file_name)
        yield Parsed(payload, 0, hashlib.sha256(data).hexdigest(), integrity, incomplete=reader.incomplete())
    yield Tally(1)


def looks_like_detection_history(head: bytes) -> bool:
    """True when the first 40 bytes are a threat id and a detection id."""
    values = Values(head[:40])
    try:
        return values.take("threat id").kind in LONG and values.take("detection id").kind in GUID
    except FormatError:
        return False


class _Reader:
    """Reads values in order into `found`, by the names of the payload's attributes, until the file or its sense ends."""

    def __init__(self, data: bytes) -> None:
        self._values = Values(data)
        self.found: dict[str, Any] = {}
        self.unknown: dict[str, int | str] = {}
        self.losses: list[str] = []
        self.damaged = False

    def head(self) -> FormatError | None:
        try:
            self.found["threat_id"] = self._expect("threat id", LONG).number()
            self.found["detection_id"] = self._expect("detection id", GUID).guid()
            name = self._expect("threat name", TEXT).text()
            if name is not None and name.startswith("Magic.Version"):
                self.found["magic"] = name
                name = self._expect("threat name", TEXT).text()
            self.found["threat_name"] = name
        except FormatError as error:
            return error
        return None

    def body(self) -> None:
        try:
            self._fields(_BEGIN)
            self._actions()
            self._resources("tracked")
            self._fields(_MIDDLE)
            self._extra()
            self._fields(_END)
            self._resources("more_resources")
            self._tail()
        except FormatError as error:
            self._damage(str(error))

    def payload(self, file_name: str) -> DetectionHistory:
        tracked = (*self.found.get("tracked", ()), *self.found.get("more_resources", ()))
        listed = tuple(Resource(resource.type, resource.location) for resource in tracked)
        name = file_name.strip("{}").upper()
        found: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in self.found.items()}
        return DetectionHistory(
            file_name=file_name,
            name_matches=name == self.found["detection_id"],
            resources=listed,
            file_path=resource_lists.file_path(listed),
            unknown=self.unknown,
            **_promoted(tracked),
            **found,
        )

    def incomplete(self) -> str | None:
        """The first losses in words, None where there is none."""
        named = "; ".join(self.losses[:_NAMED_LOSSES])
        return f"{named}; and {len(self.losses) - _NAMED_LOSSES} more" if len(self.losses) > _NAMED_LOSSES else named or None

    def _damage(self, loss: str) -> None:
        self.damaged = True
        self.losses.append(loss)

    def _expect(self, what: str, kinds: frozenset[int]) -> Value:
        value = self._values.take(what)
        if value.kind not in kinds:
            raise FormatError(f"{what} is of type 0x{value.kind:02x}", value.offset)
        return value

    def _fields(self, table: tuple[tuple[str, frozenset[int]], ...]) -> None:
        for name, kinds in table:
            value = self._values.take(name)
            if value.kind not in KNOWN:
                self.unknown[name] = value.data.hex()
                self.losses.append(f"{name} is of unknown type 0x{value.kind:02x} at offset {value.offset}")
            elif value.kind not in kinds:
                raise FormatError(f"{name} is of type 0x{value.kind:02x}", value.offset)
            elif name.startswith("unknown_"):
                self.unknown[name] = value.number()
            else:
                self.found[name] = value.text() if kinds is TEXT else value.guid() if kinds is GUID else value.number()

    def _count(self, what: str, smallest: int) -> int:
        """A count, checked against the room there is for that many."""
        value = self._expect(f"count of {what}", INT)
        if value.number() * smallest > self._values.remaining:
            raise FormatError(f"{value.number()} {what} do not fit into the {self._values.remaining} bytes left", value.offset)
        return value.number()

    def _actions(self) -> None:
        actions = self.found.setdefault("action_ids", [])
        for _ in range(self._count("actions", 12)):
            action = self._expect("action", INT)
            actions.append(action.number())

    def _resources(self, name: str) -> None:
        resources = self.found.setdefault(name, [])
        for _ in range(self._count("resources", 48)):
            self._resource(resources)

    def _resource(self, resources: list[TrackedResource]) -> None:
        kind = self._expect("resource type", TEXT).text() or ""
        if kind.startswith("Magic.Version"):
            kind = self._expect("resource type", TEXT).text() or ""
        location = self._expect("resource location", TEXT).text() or ""
        flags = self._expect("resource flags", INT).number()
        self._expect("length of tracking block", INT)
        block = self._values.take_some("tracking block")
        if block.kind not in BLOCK:
            raise FormatError(f"tracking block is of type 0x{block.kind:02x}", block.offset)
        read = tracking(block, flags)
        resources.append(TrackedResource(type=kind, location=location, flags=flags, tracking=read.pairs, tracking_layout=read.layout))
        if block.cut:
            raise FormatError("file ends inside tracking block", block.offset)
        if read.unknown is not None:
            self.losses.append(read.unknown)
        if read.damage is not None:
            self._damage(read.damage)

    def _extra(self) -> None:
        if self.unknown.get("unknown_a") == 4 and self._values.peek() in TEXT:
            self.found["extra"] = [self._values.take("extra section").plain() for _ in range(6)]

    def _tail(self) -> None:
        tail = self.found.setdefault("tail", [])
        while len(tail) < _TAIL or self._values.remaining:
            tail.append(self._values.take(f"number {len(tail) + 1} of the tail").plain())


def _promoted(tracked: tuple[TrackedResource, ...]) -> dict[str, Any]:
    ordered = sorted(tracked, key=lambda resource: resource.type != "file")
    found: dict[str, Any] = {}
    commands: list[int | None] = []
    for resource in ordered:
        for name, key in _PROMOTED.items():
            value = _usable(name, resource.tracking.get(key))
            if value is not None:
                found.setdefault(name, value)
        if resource.type == "internalCmdLine":
            commands.append(internal_command_line(resource.location)[1])
    found.setdefault("sig_seq", next((sequence for sequence in commands if sequence is not None), None))
    return found


def _usable(name: str, value: Tracked | None) -> Tracked | None:
    if name in _HASHES:
        return value.lower() if isinstance(value, str) and _HASHES[name].fullmatch(value.lower()) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None

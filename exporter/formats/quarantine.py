"""Quarantine `Entries` and `Resources` files (formats-quarantine.md 2.4 and 2.5; their wrapper: quarantine_wrapper).

Offset  Size  Section 1 of an entry              Offset  Size  Section 1 of a reference
0x00    16    quarantine id (GUID); its first    0x00    8     size of the container
              8 bytes are the threat id          0x08    20    resource id
0x10    16    scan id (GUID)                     0x1C    4     number of entries
0x20    8     time of quarantine
0x28    8     threat id                          Section 2 of an entry: u32 number of resources, their u32 offsets,
0x30    4     1                                  the resources (quarantine_resource)
0x34          threat name, NUL-ended             Section 2 of a reference: the entries' quarantine ids, 16 bytes each
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Any, ClassVar, cast
from uuid import UUID

import msgspec

from exporter.errors import FormatError
from exporter.formats.quarantine_resource import RawResource, field_value, narrow_text, number, read_resource
from exporter.formats.quarantine_wrapper import HEADER_SIZE, Sections, read_wrapper
from exporter.records import Item, Parsed, Payload, Rejected, Tally

_SMALLEST_RESOURCE = 9
"""Bytes: an offset, two empty strings and a number of fields."""
_MOST_OBJECTS = 1 << 17
"""Resources and unknown fields of one entry that are held at a time; one of Defender's has a handful."""


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


def parse_entry(data: bytes, file_name: str) -> Iterator[Item]:
    """The entry, then its resources in their order, then the tally: one unit for the entry and one for each resource it declares.

    A list of resources that cannot be read is one unit. `Parsed.number` is the ordinal of a resource.
    """
    try:
        sections = read_wrapper(data)
        head, incomplete = _read_head(sections.first)
    except FormatError as error:
        yield Rejected(error.offset, error.reason + _threat_by_name(file_name), data[:16].hex())
        yield Tally(1)
        return
    count, offsets, lost = _read_offsets(sections)
    resources = list(_read_resources(sections, head, offsets))
    found = [item.payload for item in resources if isinstance(item, Parsed) and isinstance(item.payload, QuarantineResource)]
    yield Parsed(
        QuarantineEntry(
            **head,
            file_name=file_name,
            resource_count=count,
            paths=tuple(resource.path for resource in found),
            resource_ids=tuple(resource.resource_id for resource in found if resource.resource_id),
            name_matches=_bare(file_name) == head["quarantine_id"],
        ),
        0,
        _digest(sections),
        sections.integrity,
        incomplete="; ".join(filter(None, (sections.incomplete, incomplete))) or None,
    )
    yield from resources
    if lost:
        yield lost
    yield Tally(1 + (count if offsets or not lost else lost.units))


def _read_head(section: bytes) -> tuple[dict[str, Any], str | None]:
    """Attributes common to the entry and its resources, as far as section 1 reaches, and what is wrong with it."""
    if len(section) < 16:
        raise FormatError(f"section 1 ends before the quarantine id does: {len(section)} of 16 bytes", HEADER_SIZE + len(section))
    name, ended, rest = section[0x34:].partition(b"\0")
    head = {
        "quarantine_id": _guid(section[:16]),
        "scan_id": _guid(section[0x10:0x20]) if len(section) >= 0x20 else None,
        "quarantined_at": number(section[0x20:0x28]) if len(section) >= 0x28 else None,
        "threat_id": number(section[0x28:0x30] if len(section) >= 0x30 else section[:8]),
        "threat_name": narrow_text(name) if len(section) > 0x34 else None,
    }
    if not ended:
        return head, f"section 1 ends at {len(section)} bytes, before the threat name does"
    return head, f"{len(rest)} unknown bytes after the threat name" if rest else None


def _read_offsets(sections: Sections) -> tuple[int, tuple[int, ...], Rejected | None]:
    """How many resources are declared, the offsets of those that can be looked for, and the loss of the others."""
    section, base = sections.second, sections.second_offset
    if len(section) < 4:
        return 0, (), Rejected(base + len(section), "the list of resources is missing")
    count = number(section[:4])
    if 4 + count * _SMALLEST_RESOURCE > sections.second_size:
        return 0, (), Rejected(base, f"{count} resources cannot be in the {sections.second_size} bytes of section 2", section[:16].hex())
    present = min(count, (len(section) - 4) // 4)
    lost = Rejected(base + len(section), "the list of resources is cut", units=count - present) if present < count else None
    return count, struct.unpack_from(f"<{present}I", section, 4), lost


def _read_resources(sections: Sections, head: dict[str, Any], offsets: tuple[int, ...]) -> Iterator[Parsed | Rejected]:
    """Each resource or its loss. Overlapping resources are read as long as this costs no more than reading all bytes twice."""
    work, objects = 2 * len(sections.second), _MOST_OBJECTS
    for ordinal, start in enumerate(offsets):
        if work < 0 or objects < 0:
            yield Rejected(sections.second_offset + start, "too many resources or fields, or they overlap", units=len(offsets) - ordinal)
            return
        objects -= 1
        try:
            if not 4 + 4 * len(offsets) <= start < len(sections.second):
                raise FormatError(f"offset {start} lies outside section 2", 4 + 4 * ordinal)
            raw = read_resource(sections.second, start)
        except FormatError as error:
            at = error.offset or 0
            work -= max(0, at - start)
            excerpt = sections.second[start : start + 16].hex()
            yield Rejected(sections.second_offset + at, f"resource {ordinal}: {error.reason}", excerpt, number=ordinal)
        else:
            work -= raw.end - raw.start
            objects -= len(raw.others)
            yield _resource(sections, head, raw, ordinal)


def _resource(sections: Sections, head: dict[str, Any], raw: RawResource, ordinal: int) -> Parsed:
    payload = QuarantineResource(
        **head,
        ordinal=ordinal,
        resource_type=raw.resource_type,
        path=_plain_path(raw.path),
        raw_path=raw.path,
        other_fields=tuple(Field(field.id, field.type, len(field.data), field_value(field)) for field in raw.others),
        **cast("dict[str, Any]", raw.values),
    )
    incomplete = None
    if raw.fields_read < raw.field_count:
        incomplete = f"field {raw.fields_read} of {raw.field_count} does not fit at offset {sections.second_offset + raw.end}"
    content = sections.second[raw.start : raw.end]
    return Parsed(
        payload,
        sections.second_offset + raw.start,
        hashlib.sha256(content).hexdigest(),
        sections.integrity,
        number=ordinal,
        incomplete=incomplete,
    )


def parse_reference(data: bytes, file_name: str) -> Iterator[Item]:
    """The reference or its loss, and a tally of one."""
    try:
        sections = read_wrapper(data)
        yield _reference(sections, file_name)
    except FormatError as error:
        yield Rejected(error.offset, error.reason, data[:16].hex())
    yield Tally(1)


def _reference(sections: Sections, file_name: str) -> Parsed:
    first, second = sections.first, sections.second
    if len(first) < 0x1C:
        raise FormatError(f"section 1 ends before the resource id does: {len(first)} of 28 bytes", HEADER_SIZE + len(first))
    resource_id = first[8:0x1C].hex().upper()
    count = number(first[0x1C:0x20])
    incomplete = sections.incomplete
    if incomplete is None and (len(first), len(second)) != (0x20, 16 * count):
        incomplete = f"sections of {len(first)} and {len(second)} bytes do not fit {count} entries"
    payload = QuarantineReference(
        resource_id=resource_id,
        container_size=number(first[:8]),
        quarantine_ids=tuple(_guid(second[at : at + 16]) for at in range(0, len(second) - 15, 16)),
        name_matches=file_name.upper() == resource_id,
    )
    return Parsed(payload, 0, _digest(sections), sections.integrity, incomplete=incomplete)


def _digest(sections: Sections) -> str:
    digest = hashlib.sha256(sections.first)
    digest.update(sections.second)
    return digest.hexdigest()


def _guid(raw: bytes) -> str:
    return str(UUID(bytes_le=raw)).upper()


def _bare(file_name: str) -> str:
    return file_name.strip("{}").upper()


def _threat_by_name(file_name: str) -> str:
    """What the file's name says where the content says nothing: a quarantine id begins with the threat id."""
    try:
        raw = UUID(_bare(file_name)).bytes_le
    except ValueError:
        return ""
    return f"; by its name the entry is of threat {number(raw[:8])}"


def _plain_path(path: str) -> str:
    """The path as events and people write it."""
    if path.startswith("\\\\?\\UNC\\"):
        return "\\" + path[7:]
    return path.removeprefix("\\\\?\\")

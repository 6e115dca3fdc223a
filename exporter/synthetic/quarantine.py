"""Quarantine trees from nothing: Entries, Resources and ResourceData files with dummy payloads (formats-quarantine.md section 2).

The layout constants are this module's own: a wrong one in the parser shows as a difference, not as an agreement.
The bytes depend on the arguments alone, so that the same calls give the same tree.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from exporter.formats.rc4 import decrypt

OWNER_SID = "S-1-5-21-1004336348-1177238915-682003330-1001"
_DATA, _SECURITY_DATA, _ALTERNATE_DATA = 1, 3, 4
_CONTAINS_SECURITY = 2
_WIDE, _DWORD, _RESOURCE_ID, _BYTES, _QWORD = 2, 3, 4, 5, 6
_ARCHIVE = 0x20


class QuarantinedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it was when it was quarantined: times in ticks, `alternate_streams` as (name, bytes)."""

    path: str
    payload: bytes
    created_at: int
    accessed_at: int
    modified_at: int
    alternate_streams: Sequence[tuple[str, bytes]] = ()
    owner_sid: str | None = OWNER_SID


class QuarantinedResource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource of an entry as stored: `path` with its prefix, `fields` encoded by `build_field`."""

    path: str
    resource_type: str = "file"
    fields: Sequence[bytes] = ()


def build_wrapper(first: bytes, second: bytes) -> bytes:
    """The encrypted file of two sections: Entries and Resources files are both such."""
    checksums = (~zlib.crc32(section) & 0xFFFFFFFF for section in (first, second))
    head = b"\xdb\xe8\xc5\x01\x01\x00\x01\x00" + bytes(32) + struct.pack("<4I", len(first), len(second), *checksums) + b"\xdb\xe8\xc5\x02"
    return decrypt(head) + decrypt(first) + decrypt(second)


def build_field(field_id: int, field_type: int, data: bytes) -> bytes:
    """One field: length, type and id, data, padded to 4 bytes."""
    return struct.pack("<HH", len(data), field_type << 12 | field_id) + data + bytes(-len(data) % 4)


def build_entry(
    *, quarantine_id: str, scan_id: str, quarantined_at: int, threat_id: int, threat_name: str, resources: Sequence[QuarantinedResource]
) -> bytes:
    """An `Entries/{GUID}` file."""
    first = UUID(quarantine_id).bytes_le + UUID(scan_id).bytes_le + struct.pack("<QQI", quarantined_at, threat_id, 1)
    first += threat_name.encode() + b"\0"
    offsets: list[int] = []
    body = b""
    start = 4 + 4 * len(resources)
    for resource in resources:
        offsets.append(start + len(body))
        body += resource.path.encode("utf-16-le", "surrogatepass") + b"\0\0"
        body += struct.pack("<H", len(resource.fields)) + resource.resource_type.encode() + b"\0"
        body += bytes(-(start + len(body)) % 4) + b"".join(resource.fields)
    return build_wrapper(first, struct.pack(f"<{1 + len(offsets)}I", len(offsets), *offsets) + body)


def build_reference(*, container_size: int, resource_id: str, quarantine_ids: Sequence[str]) -> bytes:
    """A `Resources/XX/<id>` file."""
    first = struct.pack("<Q", container_size) + bytes.fromhex(resource_id) + struct.pack("<I", len(quarantine_ids))
    return build_wrapper(first, b"".join(UUID(quarantine_id).bytes_le for quarantine_id in quarantine_ids))


def build_sid(text: str) -> bytes:
    """The binary form of a SID such as `S-1-5-18`; raises ValueError for anything else."""
    parts = text.split("-")
    if len(parts) < 3 or parts[0] != "S":
        raise ValueError(f"not a SID: `{text}`")
    revision, authority, *subauthorities = (int(part, 0) for part in parts[1:])
    return bytes([revision, len(subauthorities)]) + authority.to_bytes(6, "big") + struct.pack(f"<{len(subauthorities)}I", *subauthorities)


def build_security_descriptor(owner_sid: str) -> bytes:
    """A self-relative descriptor: owner, group, full access for SYSTEM, administrators and the owner."""
    owner, group = build_sid(owner_sid), build_sid("S-1-5-32-545")
    trustees = (build_sid("S-1-5-18"), build_sid("S-1-5-32-544"), owner)
    entries = b"".join(struct.pack("<BBHI", 0, 0, 8 + len(sid), 0x1F01FF) + sid for sid in trustees)
    access = struct.pack("<BBHHH", 2, 0, 8 + len(entries), len(trustees), 0) + entries
    at_group = 20 + len(owner)
    return struct.pack("<BBHIIII", 1, 0, 0x8004, 20, at_group, 0, at_group + len(group)) + owner + group + access


def build_stream(stream_id: int, data: bytes, name: str = "", attributes: int = 0) -> bytes:
    """One BackupRead record."""
    raw_name = name.encode("utf-16-le")
    return struct.pack("<IIQI", stream_id, attributes, len(data), len(raw_name)) + raw_name + data


def build_container(file: QuarantinedFile) -> tuple[str, bytes]:
    """The resource id (SHA-1 of the plain container, upper case) and the encrypted `ResourceData` file."""
    plain = b""
    if file.owner_sid is not None:
        plain = build_stream(_SECURITY_DATA, build_security_descriptor(file.owner_sid), attributes=_CONTAINS_SECURITY)
    plain += build_stream(_DATA, file.payload)
    plain += b"".join(build_stream(_ALTERNATE_DATA, data, f":{name}:$DATA") for name, data in file.alternate_streams)
    return seal(plain)


def seal(plain: bytes) -> tuple[str, bytes]:
    """Name and encrypted bytes of a container made of these BackupRead records."""
    return hashlib.sha1(plain).hexdigest().upper(), decrypt(plain)


def write_quarantine(
    folder: Path,
    *,
    quarantine_id: str | None,
    threat_id: int,
    threat_name: str,
    scan_id: str,
    quarantined_at: int,
    sig_seq: int,
    files: Sequence[QuarantinedFile],
    other_resources: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Write one entry with its references and containers under `folder` (the `Quarantine` folder itself); what was written.

    Without a `quarantine_id` one is made of the other arguments. `other_resources` are (type, path), such as `regkey`.
    """
    quarantine_id = quarantine_id.strip("{}").upper() if quarantine_id else derive_quarantine_id(threat_id, quarantined_at, files)
    truths = [_write_file(folder, quarantine_id, file) for file in files]
    resources = [_file_resource(file, truth["resource_id"], sig_seq) for file, truth in zip(files, truths, strict=True)]
    resources += [QuarantinedResource(path=path, resource_type=kind, fields=_common(path, sig_seq)) for kind, path in other_resources]
    entry = build_entry(
        quarantine_id=quarantine_id,
        scan_id=scan_id,
        quarantined_at=quarantined_at,
        threat_id=threat_id,
        threat_name=threat_name,
        resources=resources,
    )
    name = f"Entries/{{{quarantine_id}}}"
    _write(folder / name, entry)
    return {
        "entry": name,
        "quarantine_id": quarantine_id,
        "scan_id": scan_id.strip("{}").upper(),
        "threat_id": threat_id,
        "threat_name": threat_name,
        "quarantined_at": quarantined_at,
        "sig_seq": sig_seq,
        "files": truths,
        "other_resources": [{"type": kind, "path": path} for kind, path in other_resources],
    }


def derive_quarantine_id(threat_id: int, quarantined_at: int, files: Sequence[QuarantinedFile]) -> str:
    """A quarantine id as Defender shapes it: the threat id in its first 8 bytes."""
    seed = "\0".join((str(quarantined_at), *(file.path for file in files)))
    rest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()[:8]
    return str(UUID(bytes_le=struct.pack("<Q", threat_id) + rest)).upper()


def _file_resource(file: QuarantinedFile, resource_id: str, sig_seq: int) -> QuarantinedResource:
    numbers = ((0x12, len(file.payload)), (0x11, file.modified_at), (0x10, file.accessed_at), (0x0F, file.created_at))
    fields = [build_field(0x02, _RESOURCE_ID, bytes.fromhex(resource_id))]
    fields += [build_field(field_id, _QWORD, struct.pack("<Q", number)) for field_id, number in numbers]
    return QuarantinedResource(path="\\\\?\\" + file.path, fields=[*fields, *_common(file.path, sig_seq)])


def _common(path: str, sig_seq: int) -> list[bytes]:
    return [
        build_field(0x0A, _DWORD, struct.pack("<I", _ARCHIVE)),
        build_field(0x0C, _WIDE, path.encode("utf-16-le", "surrogatepass") + b"\0\0"),
        build_field(0x0D, _BYTES, struct.pack("<Q", sig_seq)),
    ]


def _write_file(folder: Path, quarantine_id: str, file: QuarantinedFile) -> dict[str, Any]:
    resource_id, container = build_container(file)
    place = f"{resource_id[:2]}/{resource_id}"
    quarantine_ids = list(dict.fromkeys((*_named_in(folder / "Resources" / place), quarantine_id)))
    reference = build_reference(container_size=len(container), resource_id=resource_id, quarantine_ids=quarantine_ids)
    _write(folder / "ResourceData" / place, container)
    _write(folder / "Resources" / place, reference)
    return {
        "path": file.path,
        "resource_id": resource_id,
        "container": f"ResourceData/{place}",
        "reference": f"Resources/{place}",
        "container_size": len(container),
        "size": len(file.payload),
        "md5": hashlib.md5(file.payload).hexdigest(),
        "sha1": hashlib.sha1(file.payload).hexdigest(),
        "sha256": hashlib.sha256(file.payload).hexdigest(),
        "created_at": file.created_at,
        "accessed_at": file.accessed_at,
        "modified_at": file.modified_at,
        "owner_sid": file.owner_sid,
        "streams": [name for name, _ in file.alternate_streams],
    }


def _named_in(reference: Path) -> list[str]:
    """The entries that a reference names already: equal files have one container."""
    if not reference.exists():
        return []
    second = decrypt(reference.read_bytes()[0x3C + 0x20 :])
    return [str(UUID(bytes_le=second[at : at + 16])).upper() for at in range(0, len(second), 16)]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

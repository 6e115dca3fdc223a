"""The quarantine collectors: Entries and Resources files whole, ResourceData containers as streams."""

from collections.abc import Iterator
from typing import BinaryIO

from exporter.collectors import Settings
from exporter.evidence import EvidenceFile
from exporter.formats.quarantine import QuarantineEntry, QuarantineReference, QuarantineResource, parse_entry, parse_reference
from exporter.formats.quarantine_wrapper import looks_like_wrapper
from exporter.formats.resource_data import QuarantineContainer, parse_container
from exporter.records import Item, Parsed, Rejected, Tally

LARGEST_BYTES = 16 << 20
"""Real Entries and Resources files have some hundred bytes, and about 400 more for each resource; one beyond this is not read."""
_HEAD_BYTES = 1 << 16
_GUID = "????????-????-????-????-????????????"
_RESOURCE_ID = "?" * 40


class QuarantineCollector:
    """Entries and Resources files of a Quarantine folder, and of such folders given by themselves."""

    name = "quarantine"
    tails: tuple[str, ...] = ("quarantine/entries/*", "quarantine/resources/*/*", f"entries/{{{_GUID}}}", f"resources/??/{_RESOURCE_ID}")

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        """One file; nothing but an empty tally for a file of another kind in some other program's `resources` folder."""
        *folders, file_name = file.path.split("/")
        above = [folder.lower() for folder in folders[-3:]]
        with file.open() as stream:
            data = _read(stream, LARGEST_BYTES + 1)
        if _foreign(above) and not looks_like_wrapper(data):
            yield Tally(0)
        elif len(data) > LARGEST_BYTES:
            yield Rejected(0, f"larger than {LARGEST_BYTES} bytes: not a quarantine file", data[:16].hex())
            yield Tally(1)
        elif _is_reference(above, file_name):
            yield from parse_reference(data, file_name)
        else:
            yield from parse_entry(data, file_name)

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """An entry: `qentry`, quarantine id, threat id, ticks; a resource: that and its ordinal; a reference: its id and hash."""
        payload = parsed.payload
        if isinstance(payload, QuarantineReference):
            return ("qreference", payload.resource_id, parsed.raw_hash)
        assert isinstance(payload, QuarantineEntry | QuarantineResource)
        at = "" if payload.quarantined_at is None else str(payload.quarantined_at)
        entry = ("qentry", payload.quarantine_id, str(payload.threat_id), at)
        return (*entry, str(payload.ordinal)) if isinstance(payload, QuarantineResource) else entry


def _foreign(above: list[str]) -> bool:
    """True below a `resources` folder that is known not to lie in a Quarantine folder."""
    return len(above) == 3 and above[1] == "resources" and above[0] != "quarantine"


def _is_reference(above: list[str], file_name: str) -> bool:
    """By the folders, as far as the evidence begins above them; else by the length of the name."""
    if above[-1:] == ["entries"]:
        return False
    return above[-2:-1] == ["resources"] or len(file_name) == len(_RESOURCE_ID)


def _read(stream: BinaryIO, size: int) -> bytes:
    """At most `size` bytes. Asked for at once, every file would cost a buffer of that size."""
    data = stream.read(_HEAD_BYTES)
    while 0 < len(data) < size and (piece := stream.read(min(size - len(data), 1 << 20))):
        data += piece
    return data


class ResourceDataCollector:
    """ResourceData containers."""

    name = "resource_data"
    tails: tuple[str, ...] = ("quarantine/resourcedata/*/*", f"resourcedata/??/{_RESOURCE_ID}")

    def read(self, file: EvidenceFile, settings: Settings) -> Iterator[Item]:
        """One container, never held in memory."""
        with file.open() as stream:
            yield from parse_container(stream, file.path.rpartition("/")[2])

    def key(self, parsed: Parsed, file: EvidenceFile) -> tuple[str, ...]:
        """`qcontainer`, resource id, SHA-1 of the container."""
        payload = parsed.payload
        assert isinstance(payload, QuarantineContainer)
        return ("qcontainer", payload.resource_id, payload.container_sha1)

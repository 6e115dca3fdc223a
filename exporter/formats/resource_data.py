"""Quarantine `ResourceData` containers, read as a stream: what is in them, never the payload itself.

A container is one encrypted piece of BackupRead records (backup_stream). Its name is the SHA-1 of its decrypted bytes, in upper case
(formats-quarantine.md 1.2). Memory is bounded by a block, the kept key stream and the list of streams, whatever the size of the file.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

import msgspec

from exporter.errors import FormatError
from exporter.formats.backup_stream import DATA, SECURITY_DATA, SPARSE_BLOCK, Digests, PlainContainer, StreamHeader, next_header
from exporter.formats.security_descriptor import owner_sid
from exporter.records import Integrity, Item, Parsed, Payload, Rejected, Tally, Verdict

_CHECK = "container-sha1"
_MOST_STREAMS = 1 << 14
_LARGEST_DESCRIPTOR = 1 << 16
_MOST_ZEROS = 1 << 28
"""Bytes of holes in a sparse file that are hashed: a lying offset must not cost hours."""
_RESOURCE_ID = re.compile(r"[0-9A-Fa-f]{40}")


class Stream(msgspec.Struct, frozen=True):
    """One BackupRead stream: `kind` is the WIN32_STREAM_ID name, or `UNKNOWN_<id>`; hashes are lower-case hex.

    Of a cut stream `missing` bytes are not there: its hashes are of the others.
    """

    id: int
    kind: str
    attributes: int
    name: str
    size: int
    md5: str
    sha1: str
    sha256: str
    missing: int = 0


class QuarantineContainer(Payload, frozen=True, kw_only=True):
    """One `ResourceData/XX/<id>` file; `data_size` and hashes are of the quarantined file.

    `data_basis` says where they come from: `data_stream`, or `sparse_blocks` for a sparse file, with zeros for its holes and up to the
    end of its last block (a hole after that does not show). A cut file has its declared size and no hashes.
    """

    kind: ClassVar[str] = "quarantine_container"
    resource_id: str
    container_size: int
    container_sha1: str
    name_matches: bool
    data_size: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    data_basis: str | None = None
    owner_sid: str | None = None
    stream_names: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()


def parse_container(stream: BinaryIO, file_name: str) -> Iterator[Item]:
    """The container or its loss, and a tally of one. What the stream's own reading raises passes through."""
    container = PlainContainer(stream)
    contents = _Contents()
    try:
        incomplete = contents.read(container)
    except FormatError as error:
        yield Rejected(error.offset, error.reason)
    else:
        container.drain()
        yield _parsed(container, contents, file_name, incomplete)
    yield Tally(1)


class _SparseFile:
    """The file that SPARSE_BLOCK streams make: each begins with the offset of its bytes in that file, u64."""

    def __init__(self) -> None:
        self.size = 0
        self.problem: str | None = None
        self.digests = Digests()
        self._offset = b""
        self._zeros = _MOST_ZEROS

    def begin(self) -> None:
        """A new block begins."""
        self._offset = b""

    def update(self, piece: memoryview) -> None:
        """The next bytes of the block, its offset included."""
        if missing := 8 - len(self._offset):
            self._offset += piece[:missing]
            piece = piece[missing:]
            if len(self._offset) == 8:
                self._seek(int.from_bytes(self._offset, "little"))
        if not self.problem:
            self.digests.update(piece)
            self.size += len(piece)

    def _seek(self, offset: int) -> None:
        hole = offset - self.size
        self._zeros -= hole
        if hole < 0:
            self.problem = "sparse blocks overlap or are out of order: the file is not hashed"
        elif self._zeros < 0:
            self.problem = f"sparse blocks leave more than {_MOST_ZEROS} bytes empty: the file is not hashed"
        else:
            for start in range(0, hole, 1 << 20):
                self.digests.update(bytes(min(1 << 20, hole - start)))
            self.size = offset


class _Contents:
    """What passes by: every stream with its digests, the descriptor, and the sparse file if it is one."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.descriptor = b""
        self.sparse: _SparseFile | None = None

    def read(self, container: PlainContainer) -> str | None:
        """Read all streams; what stopped this before the end, if anything. Raises FormatError when not one could be read."""
        try:
            while header := next_header(container):
                if len(self.streams) == _MOST_STREAMS:
                    return f"more than {_MOST_STREAMS} streams: not read from offset {header.offset}"
                stream = self._read_stream(container, header)
                self.streams.append(stream)
                if stream.missing:
                    return f"cut in stream {len(self.streams) - 1} at offset {container.position}: {stream.missing} bytes are missing"
        except FormatError as error:
            if self.streams:
                return f"{error.reason} at offset {error.offset}"
            raise
        if not self.streams:
            raise FormatError("empty file", 0)
        return self.sparse.problem if self.sparse else None

    def _read_stream(self, container: PlainContainer, header: StreamHeader) -> Stream:
        digests = Digests()
        if header.id == SPARSE_BLOCK:
            self.sparse = self.sparse or _SparseFile()
            self.sparse.begin()
        for piece in container.pieces(header.size):
            digests.update(piece)
            if header.id == SPARSE_BLOCK and self.sparse:
                self.sparse.update(piece)
            elif header.id == SECURITY_DATA:
                self.descriptor += piece[: _LARGEST_DESCRIPTOR - len(self.descriptor)]
        missing = header.offset + header.size - container.position
        return Stream(header.id, header.kind, header.attributes, header.name, header.size, *digests.texts(), missing)

    def data(self) -> tuple[str, int | None, tuple[str, str, str] | None] | None:
        """Basis, size and digests of the quarantined file."""
        data = next((stream for stream in self.streams if stream.id == DATA), None)
        if self.sparse and not (data and data.size):
            whole = not self.sparse.problem and not self.streams[-1].missing
            return "sparse_blocks", self.sparse.size if whole else None, self.sparse.digests.texts() if whole else None
        if data is None:
            return None
        return "data_stream", data.size, None if data.missing else (data.md5, data.sha1, data.sha256)


def _parsed(container: PlainContainer, contents: _Contents, file_name: str, incomplete: str | None) -> Parsed:
    sha1 = container.sha1.hexdigest()
    named = _RESOURCE_ID.fullmatch(file_name) is not None
    matches = file_name.lower() == sha1
    basis, size, digests = contents.data() or (None, None, None)
    md5, data_sha1, sha256 = digests or (None, None, None)
    payload = QuarantineContainer(
        resource_id=(file_name if named else sha1).upper(),
        container_size=container.position,
        container_sha1=sha1,
        name_matches=matches,
        data_size=size,
        md5=md5,
        sha1=data_sha1,
        sha256=sha256,
        data_basis=basis,
        owner_sid=owner_sid(contents.descriptor),
        stream_names=tuple(stream.name for stream in contents.streams if stream.name),
        streams=tuple(contents.streams),
    )
    # A file that was renamed has nothing to be compared with.
    verdict = Verdict.VERIFIED if matches else Verdict.FAILED if named or incomplete else Verdict.UNVERIFIABLE
    return Parsed(payload, 0, container.sha256.hexdigest(), Integrity(verdict, _CHECK), incomplete=incomplete)

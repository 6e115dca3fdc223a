"""Containers: the real samples value by value, and what is built and damaged on purpose."""

import hashlib
import io
import json
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.rc4 import Decryptor, decrypt
from exporter.formats.resource_data import parse_container
from exporter.records import Integrity, Parsed, Rejected, Tally, Verdict
from exporter.synthetic.quarantine import QuarantinedFile, build_container, build_stream, seal
from tests.quarantine_trees import adds_up, files

CHECK = "container-sha1"
FILE = QuarantinedFile(
    path="C:\\x.exe",
    payload=b"dummy payload" * 20,
    created_at=1,
    accessed_at=2,
    modified_at=3,
    alternate_streams=[("Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")],
)


def read(container, name):
    return list(parse_container(io.BytesIO(container), name))


def digests(data):
    return tuple(hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256"))


def hashes(payload):
    return payload.md5, payload.sha1, payload.sha256


def sparse(offset, data):
    return build_stream(9, struct.pack("<Q", offset) + data, attributes=8)


@pytest.mark.real_data
def test_real_containers_give_every_expected_value(shared_data):
    expected = json.loads((shared_data / "quarantine/expected.json").read_text())
    names = [name for name in expected if "/ResourceData/" in name]
    assert len(names) == 2
    for name in names:
        path, truth = shared_data / "quarantine" / name, expected[name]
        with path.open("rb") as stream:
            parsed, tally = parse_container(stream, path.name)
        payload = parsed.payload
        assert [
            {key: getattr(stream, key) for key in ("id", "kind", "attributes", "name", "size", "md5", "sha1", "sha256")}
            for stream in payload.streams
        ] == truth["streams"]
        assert payload.container_size == truth["container_size"]
        assert payload.container_sha1.upper() == truth["sha1_of_plain_container"]
        assert payload.name_matches == truth["name_matches"]
        assert payload.resource_id == path.name
        assert parsed.integrity == Integrity(Verdict.VERIFIED if truth["name_matches"] else Verdict.FAILED, CHECK)
        (data,) = [stream for stream in truth["streams"] if stream["kind"] == "DATA"]
        assert (payload.data_size, *hashes(payload)) == (data["size"], data["md5"], data["sha1"], data["sha256"])
        assert (parsed.incomplete, payload.data_basis, tally) == (None, "data_stream", Tally(1))
        assert payload.owner_sid.startswith("S-1-5-21-")


@pytest.mark.real_data
def test_the_owner_of_the_published_sample_is_the_documented_one(shared_data):
    (path,) = (shared_data / "quarantine/dissect/ResourceData").glob("*/*")
    with path.open("rb") as stream:
        assert next(parse_container(stream, path.name)).payload.owner_sid == "S-1-5-21-2614236324-1336345114-3023566343-1000"


@given(files)
def test_what_is_built_comes_back(file):
    name, container = build_container(file)
    parsed, tally = read(container, name)
    payload = parsed.payload
    assert (parsed.integrity, parsed.incomplete, tally) == (Integrity(Verdict.VERIFIED, CHECK), None, Tally(1))
    assert (payload.resource_id, payload.container_sha1, payload.name_matches) == (name, name.lower(), True)
    assert payload.container_size == len(container)
    assert parsed.raw_hash == hashlib.sha256(decrypt(container)).hexdigest()
    assert (payload.data_size, hashes(payload)) == (len(file.payload), digests(file.payload))
    assert payload.owner_sid == file.owner_sid
    assert payload.stream_names == tuple(f":{stream}:$DATA" for stream, _ in file.alternate_streams)
    alternate = [stream for stream in payload.streams if stream.kind == "ALTERNATE_DATA"]
    assert [(stream.size, stream.md5, stream.sha1, stream.sha256) for stream in alternate] == [
        (len(data), *digests(data)) for _, data in file.alternate_streams
    ]


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_rejected(data, encrypted):
    items = read(decrypt(data) if encrypted else data, "name")
    assert adds_up(items)
    assert not [item for item in items if isinstance(item, Parsed) and item.integrity.verdict is Verdict.VERIFIED]


@given(files, st.data())
def test_a_flipped_bit_or_a_cut_is_never_verified(file, data):
    name, container = build_container(file)
    bit = data.draw(st.integers(0, 8 * len(container) - 1))
    flipped = bytearray(container)
    flipped[bit // 8] ^= 1 << bit % 8
    for damaged in (bytes(flipped), container[: bit // 8]):
        items = read(damaged, name)
        assert adds_up(items)
        assert isinstance(items[0], Rejected) or items[0].integrity == Integrity(Verdict.FAILED, CHECK)


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time, as archives and sockets may."""

    def __init__(self, data, step):
        self.data, self.step = data, step

    def read(self, size=-1):
        piece, self.data = self.data[: self.step], self.data[self.step :]
        return piece


@given(files, st.integers(1, 60))
def test_a_stream_that_gives_less_than_asked_reads_the_same(file, step):
    name, container = build_container(file)
    assert list(parse_container(Trickle(container, step), name)) == read(container, name)


@pytest.mark.parametrize(
    ("data", "reason", "offset"),
    [
        (b"", "empty file", 0),
        (b"MZ" + bytes(5000), "not a stream header", 0),
        (build_container(FILE)[1][:19], "cut in a stream header: 19 of 20 bytes", 0),
        (decrypt(build_stream(4, b"", ":name:$DATA")[:30]), "cut in a stream name: 10 of 22 bytes", 0),
        (decrypt(struct.pack("<IIQI", 99, 0x20, 1, 0) + b"x"), "not a stream header", 0),
        (decrypt(struct.pack("<IIQI", 1, 0, 1, 4097) + b"x"), "not a stream header", 0),
    ],
)
def test_a_file_without_a_first_stream_is_a_loss_with_offset_and_reason(data, reason, offset):
    assert read(data, "A" * 40) == [Rejected(offset, reason), Tally(1)]


def test_a_cut_in_the_data_keeps_the_declared_size_and_claims_no_hash():
    name, container = build_container(FILE)
    start = decrypt(container).index(FILE.payload)
    parsed, _ = read(container[: start + 10], name)
    payload = parsed.payload
    missing = len(FILE.payload) - 10
    assert parsed.incomplete == f"cut in stream 1 at offset {start + 10}: {missing} bytes are missing"
    assert parsed.integrity == Integrity(Verdict.FAILED, CHECK)
    assert (payload.data_size, hashes(payload)) == (len(FILE.payload), (None, None, None))
    assert (payload.streams[1].missing, payload.streams[1].sha1) == (missing, hashlib.sha1(FILE.payload[:10]).hexdigest())
    assert payload.owner_sid == FILE.owner_sid


def test_a_cut_behind_the_data_keeps_its_hashes():
    name, container = build_container(FILE)
    end = decrypt(container).index(FILE.payload) + len(FILE.payload)
    for size, reason in (
        (end + 5, "cut in a stream header: 5 of 20 bytes"),
        (end + 25, "cut in a stream name"),
        (len(container) - 1, "cut in stream 2"),
    ):
        parsed, _ = read(container[:size], name)
        assert parsed.incomplete.startswith(reason)
        assert hashes(parsed.payload) == digests(FILE.payload)
        assert parsed.payload.container_size == size


def test_bytes_behind_the_streams_are_named_and_belong_to_the_checked_name():
    plain = build_stream(1, b"x") + b"\xff" * 3_000_000
    name, container = seal(plain)
    parsed, _ = read(container, name)
    assert parsed.incomplete == "not a stream header at offset 21"
    assert (parsed.integrity.verdict, parsed.payload.container_size) == (Verdict.VERIFIED, len(plain))


def test_a_renamed_container_has_nothing_to_be_compared_with():
    name, container = build_container(FILE)
    parsed, _ = read(container, "upload.bin")
    assert (parsed.integrity, parsed.payload.resource_id) == (Integrity(Verdict.UNVERIFIABLE, CHECK), name)
    assert not parsed.payload.name_matches
    cut, _ = read(container[:-1], "upload.bin")
    assert cut.integrity == Integrity(Verdict.FAILED, CHECK)
    lower, _ = read(container, name.lower())
    assert (lower.integrity.verdict, lower.payload.resource_id) == (Verdict.VERIFIED, name)


def test_streams_of_other_and_unknown_kinds_are_kept_and_do_not_hide_the_data():
    plain = (
        build_stream(2, b"attributes")
        + build_stream(12, b"new")
        + build_stream(0, b"")
        + build_stream(1, b"data")
        + build_stream(7, bytes(64))
    )
    payload = read(*reversed(seal(plain)))[0].payload
    assert [(stream.id, stream.kind, stream.size) for stream in payload.streams] == [
        (2, "EA_DATA", 10),
        (12, "UNKNOWN_12", 3),
        (0, "UNKNOWN_0", 0),
        (1, "DATA", 4),
        (7, "OBJECT_ID", 64),
    ]
    assert hashes(payload) == digests(b"data")
    assert payload.owner_sid is None


def test_a_container_without_data_claims_none():
    payload = read(*reversed(seal(build_stream(2, b"attributes"))))[0].payload
    assert (payload.data_size, payload.data_basis, hashes(payload)) == (None, None, (None, None, None))


def test_the_blocks_of_a_sparse_file_are_hashed_with_zeros_for_the_holes():
    plain = build_stream(1, b"", attributes=8) + sparse(0, b"begin") + sparse(2_000_000, b"end") + sparse(2_000_010, b"")
    parsed, _ = read(*reversed(seal(plain)))
    content = b"begin".ljust(2_000_000, b"\0") + b"end" + bytes(7)
    assert (parsed.payload.data_size, hashes(parsed.payload)) == (len(content), digests(content))
    assert (parsed.payload.data_basis, parsed.incomplete) == ("sparse_blocks", None)


@pytest.mark.parametrize("second", [sparse(3, b"back"), sparse(1 << 60, b"far"), sparse(0, b"again")])
def test_a_sparse_file_that_cannot_be_hashed_says_so(second):
    parsed, _ = read(*reversed(seal(build_stream(1, b"", attributes=8) + sparse(0, b"begin") + second)))
    assert "the file is not hashed" in parsed.incomplete
    assert (parsed.payload.data_basis, parsed.payload.data_size, parsed.payload.sha1) == ("sparse_blocks", None, None)
    assert len(parsed.payload.streams) == 3


def test_a_cut_sparse_file_claims_no_hash():
    name, container = seal(build_stream(1, b"", attributes=8) + sparse(0, b"begin"))
    parsed, _ = read(container[:-1], name)
    assert (parsed.payload.data_size, parsed.payload.sha1, parsed.payload.streams[1].missing) == (None, None, 1)


def test_no_more_streams_are_listed_than_memory_is_meant_for():
    parsed, _ = read(*reversed(seal(build_stream(2, b"") * 20_000)))
    assert len(parsed.payload.streams) == 1 << 14
    assert parsed.incomplete.startswith("more than 16384 streams")


class LongContainer(io.RawIOBase):
    """An encrypted container of one DATA stream of zeros, made while it is read."""

    def __init__(self, size):
        self.encryptor, self.head, self.left = Decryptor(), struct.pack("<IIQI", 1, 0, size, 0), size

    def read(self, size=-1):
        piece = self.head + bytes(min(size - len(self.head), self.left))
        self.left -= len(piece) - len(self.head)
        self.head = b""
        return self.encryptor.update(piece)


def test_a_long_container_needs_no_more_memory_than_a_short_one():
    peaks = []
    for size in (8 << 20, 64 << 20):
        tracemalloc.start()
        parsed, _ = parse_container(LongContainer(size), "A" * 40)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (parsed.payload.data_size, parsed.incomplete) == (size, None)
    assert parsed.payload.md5 == "7f614da9329cd3aebf59b91aadc30bf0"
    assert max(peaks) < 12 << 20

"""Entries and references: the real samples value by value, and what is built and damaged on purpose."""

import hashlib
import json
import struct

import pytest

from exporter.formats.quarantine import Field, QuarantineEntry, QuarantineResource, parse_entry, parse_reference
from exporter.formats.rc4 import decrypt
from exporter.records import Integrity, Rejected, Tally, Verdict
from exporter.synthetic.quarantine import QuarantinedResource, build_entry, build_field, build_reference, build_wrapper
from tests.quarantine_trees import adds_up, losses, payloads

VERIFIED = Integrity(Verdict.VERIFIED, "section-crc32")
FAILED = Integrity(Verdict.FAILED, "section-crc32")
ID = "80008A1B-0000-0000-7065-3EA2B161B275"
SCAN_ID = "7818F9B7-297D-4CED-9323-04960A94577A"
THREAT_ID = 2147519003
RESOURCE_ID = "F7054EAE579A87B7DE9B39B7E0C7ACBDF0C8FBC8"
ATTRIBUTES = {2: "resource_id", 10: "flags", 12: "physical_path", 15: "created_at", 16: "accessed_at", 17: "modified_at", 18: "file_size"}


def entry(*resources, threat_name="Virus:DOS/EICAR_Test_File"):
    return build_entry(
        quarantine_id=ID,
        scan_id=SCAN_ID,
        quarantined_at=132869870405125594,
        threat_id=THREAT_ID,
        threat_name=threat_name,
        resources=resources,
    )


def plain_sections(data):
    first_size, second_size = struct.unpack_from("<2I", decrypt(data[:60]), 0x28)
    return decrypt(data[60 : 60 + first_size]), decrypt(data[60 + first_size : 60 + first_size + second_size])


@pytest.mark.real_data
def test_real_entries_give_every_expected_value(shared_data):
    expected = json.loads((shared_data / "quarantine/expected.json").read_text())
    names = [name for name in expected if "/Entries/" in name]
    assert len(names) == 2
    for name in names:
        path, truth = shared_data / "quarantine" / name, expected[name]
        head, *resources, tally = parse_entry(path.read_bytes(), path.name)
        for key in ("quarantine_id", "scan_id", "threat_id", "threat_name"):
            assert getattr(head.payload, key) == truth[key]
            assert all(getattr(resource.payload, key) == truth[key] for resource in resources)
        assert head.payload.quarantined_at == truth["timestamp_filetime"]
        assert head.payload.name_matches
        assert (head.payload.resource_count, len(resources), tally) == (
            len(truth["resources"]),
            len(truth["resources"]),
            Tally(1 + len(resources)),
        )
        assert head.integrity == VERIFIED
        assert truth["crc_ok"] == [True, True]
        for resource, resource_truth in zip(resources, truth["resources"], strict=True):
            assert resource.payload.raw_path == resource_truth["path"]
            assert resource.payload.path == resource_truth["path"][4:]
            assert resource.payload.resource_type == resource_truth["type"]
            fields = {field["id"]: field for field in resource_truth["fields"]}
            assert resource.payload.sig_seq == fields.pop(13)["as_sig_seq"]
            assert fields.keys() == ATTRIBUTES.keys()
            for field_id, attribute in ATTRIBUTES.items():
                assert getattr(resource.payload, attribute) == fields[field_id]["value"]
            assert resource.payload.other_fields == ()
            assert head.payload.paths == (resource.payload.path,)
            assert head.payload.resource_ids == (resource.payload.resource_id,)


@pytest.mark.real_data
def test_a_real_reference_gives_every_expected_value(shared_data):
    expected = json.loads((shared_data / "quarantine/expected.json").read_text())
    (name,) = [name for name in expected if "/Resources/" in name]
    path, truth = shared_data / "quarantine" / name, expected[name]
    parsed, tally = parse_reference(path.read_bytes(), path.name)
    assert parsed.payload.resource_id == truth["resource_id"]
    assert parsed.payload.container_size == truth["container_size"]
    assert list(parsed.payload.quarantine_ids) == truth["entries"]
    assert (parsed.payload.name_matches, parsed.integrity, parsed.incomplete, tally) == (True, VERIFIED, None, Tally(1))


def test_hashes_and_offsets_are_those_of_the_decrypted_bytes():
    data = entry(QuarantinedResource(path="C:\\a"), QuarantinedResource(path="C:\\bb"))
    first, second = plain_sections(data)
    head, one, two, _ = parse_entry(data, ID)
    assert head.raw_hash == hashlib.sha256(first + second).hexdigest()
    starts = struct.unpack_from("<2I", second, 4)
    assert [one.offset, two.offset] == [60 + len(first) + start for start in starts]
    assert one.raw_hash == hashlib.sha256(second[starts[0] : starts[1]]).hexdigest()
    assert [one.number, two.number] == [0, 1]


def test_every_resource_type_keeps_its_path_and_its_place():
    resources = [QuarantinedResource(path=f"HKLM\\{kind}", resource_type=kind) for kind in ("regkey", "no such type", "file")]
    head, *found, _ = parse_entry(entry(*resources), ID)
    assert [(item.payload.ordinal, item.payload.resource_type, item.payload.path) for item in found] == [
        (number, resource.resource_type, resource.path) for number, resource in enumerate(resources)
    ]
    assert head.payload.paths == tuple(resource.path for resource in resources)
    assert head.payload.resource_ids == ()


def test_fields_that_are_unknown_repeated_or_of_an_unexpected_type_or_size_are_kept():
    fields = [
        build_field(0x1F, 5, b"\x01\xff"),
        build_field(0x20, 3, b"\x05\0\0\0"),
        build_field(0x21, 6, b"\x06" + bytes(7)),
        build_field(0x22, 2, "ß".encode("utf-16-le") + b"\0\0"),
        build_field(0x23, 1, b"text\0"),
        build_field(0x03, 4, bytes.fromhex(RESOURCE_ID)),
        build_field(0x0D, 5, b"\x09" + bytes(7)),
        build_field(0x0D, 5, b"\x0a" + bytes(7)),
        build_field(0x0A, 6, b"\x20" + bytes(7)),
        build_field(0x12, 6, b"\x01"),
        build_field(0x0C, 2, b"odd"),
    ]
    (_, resource) = payloads(list(parse_entry(entry(QuarantinedResource(path="x", fields=fields)), ID)))
    assert resource.other_fields == (
        Field(0x1F, 5, 2, "01ff"),
        Field(0x20, 3, 4, 5),
        Field(0x21, 6, 8, 6),
        Field(0x22, 2, 4, "ß"),
        Field(0x23, 1, 5, "text"),
        Field(0x03, 4, 20, RESOURCE_ID),
        Field(0x0D, 5, 8, "0a00000000000000"),
        Field(0x0A, 6, 8, 0x20),
        Field(0x12, 6, 1, "01"),
        Field(0x0C, 2, 3, "6f6464"),
    )
    assert (resource.sig_seq, resource.flags, resource.file_size, resource.physical_path, resource.resource_id) == (
        9,
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("\\\\?\\C:\\x", "C:\\x"),
        ("\\\\?\\UNC\\server\\share\\x", "\\\\server\\share\\x"),
        ("C:\\x", "C:\\x"),
        ("\\\\?\\C:\\a.zip->b/c.exe", "C:\\a.zip->b/c.exe"),
        ("", ""),
        ("\ud800x", "\ud800x"),
        ("Ā\u0001ĀĀ", "Ā\u0001ĀĀ"),
    ],
)
def test_paths_lose_only_their_prefix(stored, shown):
    (_, resource) = payloads(list(parse_entry(entry(QuarantinedResource(path=stored)), ID)))
    assert (resource.path, resource.raw_path) == (shown, stored)


def test_a_renamed_entry_keeps_both_names_and_says_so():
    (head,) = payloads(list(parse_entry(entry(), "{00000000-0000-0000-0000-000000000000}")))
    assert (head.quarantine_id, head.file_name, head.name_matches) == (ID, "{00000000-0000-0000-0000-000000000000}", False)
    for name in (ID, f"{{{ID.lower()}}}"):
        assert payloads(list(parse_entry(entry(), name)))[0].name_matches


def test_zero_times_stay_as_they_are():
    data = build_entry(quarantine_id=ID, scan_id=SCAN_ID, quarantined_at=0, threat_id=1, threat_name="x", resources=[])
    assert payloads(list(parse_entry(data, ID)))[0].quarantined_at == 0


@pytest.mark.parametrize("parse", [parse_entry, parse_reference])
@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        (b"", 0, "empty file"),
        (b"MZ" + bytes(1000), 0, "not a quarantine file"),
        (bytes(60), 0, "not a quarantine file"),
        (entry()[:2], 2, "cut in the header: 2 of 60 bytes"),
        (entry()[:59], 59, "cut in the header: 59 of 60 bytes"),
        (entry()[:60], 60, "section 1 ends before"),
        (entry()[:75], 75, "section 1 ends before"),
    ],
)
def test_a_file_without_anything_readable_is_one_loss_with_offset_and_reason(parse, data, offset, reason):
    loss, tally = parse(data, "foreign")
    assert isinstance(loss, Rejected)
    assert (loss.offset, loss.excerpt, tally) == (offset, data[:16].hex(), Tally(1))
    assert loss.reason.startswith(reason)


def test_the_name_of_an_unreadable_entry_still_tells_the_threat():
    (loss,) = losses(list(parse_entry(b"", f"{{{ID}}}")))
    assert loss.reason == "empty file; by its name the entry is of threat 2147519003"
    assert losses(list(parse_entry(b"", "{not a guid}")))[0].reason == "empty file"


@pytest.mark.parametrize(
    ("size", "scan_id", "at", "threat_name"),
    [
        (16, None, None, None),
        (32, SCAN_ID, None, None),
        (40, SCAN_ID, 132869870405125594, None),
        (52, SCAN_ID, 132869870405125594, None),
        (57, SCAN_ID, 132869870405125594, "Virus"),
    ],
)
def test_an_entry_cut_in_its_first_section_gives_what_is_there(size, scan_id, at, threat_name):
    items = list(parse_entry(entry(QuarantinedResource(path="x"))[: 60 + size], ID))
    head, loss, tally = items
    assert head.payload == QuarantineEntry(
        quarantine_id=ID, file_name=ID, threat_id=THREAT_ID, threat_name=threat_name, scan_id=scan_id, quarantined_at=at
    )
    assert head.integrity == FAILED
    assert "cut in section 1" in head.incomplete
    assert (loss.reason, loss.offset, tally) == ("the list of resources is missing", 60 + 78, Tally(2))


def test_an_entry_cut_in_its_second_section_gives_the_resources_before_the_cut():
    data = entry(*(QuarantinedResource(path=f"C:\\{number}", fields=[build_field(0x0A, 3, bytes(4))] * 2) for number in range(3)))
    offsets = struct.unpack_from("<3I", plain_sections(data)[1], 4)
    head, whole, partial, loss, tally = parse_entry(data[: 60 + 78 + offsets[2] + 3], ID)
    assert "cut in section 2 at offset" in head.incomplete
    assert head.payload.paths == ("C:\\0", "C:\\1")
    assert (whole.incomplete, partial.incomplete) == (None, None)
    assert (loss.reason, loss.number, loss.offset) == ("resource 2: a resource path has no end", 2, 60 + 78 + offsets[2] + 3)
    assert tally == Tally(4)
    *_, resource, _, _ = parse_entry(data[: 60 + 78 + offsets[1] + 20], ID)
    assert resource.incomplete == f"field 0 of 2 does not fit at offset {60 + 78 + offsets[1] + 20}"
    assert resource.integrity == FAILED


def test_a_cut_list_of_offsets_counts_every_lost_resource():
    data = entry(*(QuarantinedResource(path=f"C:\\{number}") for number in range(5)))
    items = list(parse_entry(data[: 60 + 78 + 4 + 9], ID))
    assert adds_up(items)
    assert items[-1] == Tally(6)
    assert losses(items)[-1] == Rejected(60 + 78 + 4 + 9, "the list of resources is cut", units=3)


def test_a_wrong_checksum_fails_all_of_the_entry_and_loses_nothing():
    data = bytearray(entry(QuarantinedResource(path="C:\\x")))
    data[0x34] ^= 1
    head, resource, _ = parse_entry(bytes(data), ID)
    assert (head.integrity, resource.integrity) == (FAILED, FAILED)
    assert (head.incomplete, resource.payload.path) == (None, "C:\\x")


def test_a_header_that_differs_where_no_checksum_covers_it_is_unverifiable():
    data = bytearray(entry())
    data[4] ^= 1
    head, _ = parse_entry(bytes(data), ID)
    assert head.integrity == Integrity(Verdict.UNVERIFIABLE, "wrapper-header")
    data[0] ^= 1
    assert payloads(list(parse_entry(bytes(data), ID)))[0].quarantine_id == ID


def test_bytes_that_nobody_knows_are_named():
    head, _ = parse_entry(entry() + b"tail", ID)
    assert head.incomplete == f"4 unknown bytes after the sections, from offset {len(entry())}"
    first, second = plain_sections(entry())
    assert next(parse_entry(build_wrapper(first + b"more", second), ID)).incomplete == "4 unknown bytes after the threat name"


@pytest.mark.parametrize("count", [1, 2, 0xFFFFFFFF])
def test_a_count_that_cannot_be_is_one_loss(count):
    first, _ = plain_sections(entry())
    items = list(parse_entry(build_wrapper(first, struct.pack("<I", count) + bytes(8)), ID))
    assert adds_up(items)
    assert losses(items)[0].reason == f"{count} resources cannot be in the 12 bytes of section 2"
    assert (losses(items)[0].offset, items[-1]) == (60 + len(first), Tally(2))


def test_a_wrong_offset_costs_one_resource():
    first, second = plain_sections(entry(*(QuarantinedResource(path=f"C:\\{number}") for number in range(3))))
    for wrong in (0, 15, len(second), 0xFFFFFFFF):
        damaged = second[:8] + struct.pack("<I", wrong) + second[12:]
        items = list(parse_entry(build_wrapper(first, damaged), ID))
        assert [payload.path for payload in payloads(items) if isinstance(payload, QuarantineResource)] == ["C:\\0", "C:\\2"]
        assert losses(items)[0].reason == f"resource 1: offset {wrong} lies outside section 2"
        assert losses(items)[0].offset == 60 + len(first) + 8
        assert adds_up(items)


def test_a_type_without_end_is_a_loss():
    first, _ = plain_sections(entry())
    second = struct.pack("<2I", 1, 8) + "x\0".encode("utf-16-le") + b"\0\0type"
    (loss,) = losses(list(parse_entry(build_wrapper(first, second), ID)))
    assert loss.reason == "resource 0: a resource type has no end"
    (loss,) = losses(list(parse_entry(build_wrapper(first, second[:13]), ID)))
    assert loss.reason == "resource 0: the section ends within a resource"


def test_resources_that_overlap_do_not_multiply_the_work():
    first, _ = plain_sections(entry())
    body = "path\0".encode("utf-16-le") + struct.pack("<H", 5000) + b"file\0" + bytes(3) + bytes(4) * 5000
    count = 2000
    start = 4 + 4 * count
    items = list(parse_entry(build_wrapper(first, struct.pack(f"<{count + 1}I", count, *[start] * count) + body), ID))
    assert len(payloads(items)) < 6
    assert losses(items)[-1].reason == "too many resources or fields, or they overlap"
    assert adds_up(items)


def test_paths_without_end_do_not_multiply_the_work():
    first, _ = plain_sections(entry())
    count = 2000
    offsets = range(4 + 4 * count, 4 + 5 * count)
    items = list(parse_entry(build_wrapper(first, struct.pack(f"<{count + 1}I", count, *offsets[:count]) + b"x" * 100_000), ID))
    assert len(losses(items)) < 6
    assert adds_up(items)


def test_more_unknown_fields_than_memory_is_meant_for_end_the_list():
    fields = [build_field(0x1F, 5, b"")] * 65535
    items = list(parse_entry(entry(*[QuarantinedResource(path="x", fields=fields)] * 4), ID))
    assert len(payloads(items)) == 1 + 3
    assert losses(items)[-1].reason == "too many resources or fields, or they overlap"
    assert adds_up(items)


def test_more_losses_than_memory_is_meant_for_are_told_as_one():
    first, _ = plain_sections(entry())
    count = 150_000
    items = list(parse_entry(build_wrapper(first, struct.pack("<I", count) + bytes(9 * count)), ID))
    assert len(losses(items)) < count
    assert items[-1] == Tally(1 + count)
    assert adds_up(items)


def test_a_reference_names_every_entry_and_flags_a_foreign_name():
    other = ID[:-1] + "6"
    data = build_reference(container_size=5, resource_id=RESOURCE_ID, quarantine_ids=[ID, other])
    parsed, _ = parse_reference(data, RESOURCE_ID.lower())
    assert parsed.payload.quarantine_ids == (ID, other)
    assert (parsed.payload.container_size, parsed.payload.name_matches, parsed.incomplete) == (5, True, None)
    assert not payloads(list(parse_reference(data, "A6")))[0].name_matches
    first, second = plain_sections(data)
    assert parsed.raw_hash == hashlib.sha256(first + second).hexdigest()


def test_a_reference_whose_count_does_not_fit_is_incomplete():
    first, second = plain_sections(build_reference(container_size=5, resource_id=RESOURCE_ID, quarantine_ids=[ID]))
    parsed, _ = parse_reference(build_wrapper(first, second + b"x"), RESOURCE_ID)
    assert parsed.incomplete == "sections of 32 and 17 bytes do not fit 1 entries"
    assert parsed.payload.quarantine_ids == (ID,)
    cut, _ = parse_reference(build_wrapper(first, second)[:-1], RESOURCE_ID)
    assert cut.incomplete.startswith("cut in section 2 at offset 107")
    assert (cut.payload.quarantine_ids, cut.integrity) == ((), FAILED)

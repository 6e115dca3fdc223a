"""What holds for any bytes and any entry."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.quarantine import QuarantineEntry, QuarantineResource, parse_entry, parse_reference
from exporter.records import Parsed, Tally, Verdict
from exporter.synthetic.quarantine import QuarantinedResource, build_entry, build_field, build_reference, build_wrapper
from tests.quarantine_trees import adds_up, guids, names, payloads, texts, ticks, unknown_fields

resources = st.lists(
    st.builds(QuarantinedResource, path=texts, resource_type=names, fields=st.lists(unknown_fields, max_size=4)), max_size=4
)
facts = st.fixed_dictionaries(
    {"quarantine_id": guids, "scan_id": guids, "quarantined_at": ticks, "threat_id": ticks, "threat_name": names, "resources": resources}
)


def verified(items):
    return [item for item in items if isinstance(item, Parsed) and item.integrity.verdict is Verdict.VERIFIED]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_rejected(data):
    for parse in (parse_entry, parse_reference):
        items = list(parse(data, "name"))
        assert adds_up(items)
        assert not verified(items)


@given(st.binary(max_size=120), st.binary(max_size=400))
def test_any_bytes_in_valid_sections_are_read_or_rejected(first, second):
    for parse in (parse_entry, parse_reference):
        assert adds_up(list(parse(build_wrapper(first, second), "name")))


@given(st.lists(st.integers(0, 200), max_size=6), st.binary(max_size=200))
def test_any_bytes_behind_a_list_of_offsets_are_read_or_rejected(offsets, body):
    second = b"".join(number.to_bytes(4, "little") for number in (len(offsets), *offsets)) + body
    items = list(parse_entry(build_wrapper(bytes(60), second), "name"))
    assert adds_up(items)


@given(facts)
def test_what_is_built_comes_back(facts):
    head, *found, tally = parse_entry(build_entry(**facts), f"{{{facts['quarantine_id']}}}")
    assert len(verified([head, *found])) == 1 + len(facts["resources"]) == tally.seen
    assert all(item.incomplete is None for item in (head, *found))
    for key in ("quarantine_id", "scan_id", "quarantined_at", "threat_id", "threat_name"):
        assert {getattr(item.payload, key) for item in (head, *found)} == {facts[key]}
    assert head.payload.name_matches
    for item, resource in zip(found, facts["resources"], strict=True):
        assert (item.payload.raw_path, item.payload.resource_type) == (resource.path, resource.resource_type)
        assert len(item.payload.other_fields) == len(resource.fields)
        assert [len(build_field(field.id, field.type, bytes(field.size))) for field in item.payload.other_fields] == list(
            map(len, resource.fields)
        )


@given(facts, st.data())
def test_a_flipped_bit_is_never_verified(facts, data):
    whole = build_entry(**facts)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    items = list(parse_entry(bytes(flipped), "name"))
    assert not verified(items)
    assert adds_up(items)


@given(facts, st.data())
def test_a_cut_is_never_verified_and_never_silent(facts, data):
    whole = build_entry(**facts)
    items = list(parse_entry(whole[: data.draw(st.integers(0, len(whole) - 1))], "name"))
    assert not verified(items)
    assert adds_up(items)
    assert not isinstance(items[0], Parsed) or items[0].incomplete
    complete = [payload.path for payload in payloads(list(parse_entry(whole, "name"))) if isinstance(payload, QuarantineResource)]
    partial = [payload.path for payload in payloads(items) if isinstance(payload, QuarantineResource)]
    assert complete[: len(partial)] == partial


@given(ticks, st.binary(min_size=20, max_size=20), st.lists(guids, max_size=4), st.data())
def test_references_come_back_and_no_damage_is_verified(size, raw_id, ids, data):
    resource_id = raw_id.hex().upper()
    whole = build_reference(container_size=size, resource_id=resource_id, quarantine_ids=ids)
    parsed, tally = parse_reference(whole, resource_id)
    assert (parsed.payload.container_size, parsed.payload.resource_id, parsed.payload.quarantine_ids) == (size, resource_id, tuple(ids))
    assert (len(verified([parsed])), parsed.incomplete, tally) == (1, None, Tally(1))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    for damaged in (bytes(flipped), whole[: bit // 8]):
        items = list(parse_reference(damaged, resource_id))
        assert not verified(items)
        assert adds_up(items)


def test_an_entry_without_resources_is_whole():
    nothing = {"quarantine_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "quarantined_at": 0, "threat_id": 0, "threat_name": ""}
    head, tally = parse_entry(build_entry(**nothing, scan_id=nothing["quarantine_id"], resources=[]), "x")
    assert isinstance(head.payload, QuarantineEntry)
    assert (head.payload.paths, head.incomplete, tally) == ((), None, Tally(1))

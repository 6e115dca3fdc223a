"""What our writer writes is what Defender's readers read: ours, and one that we did not write."""

import hashlib
import json
import subprocess
import uuid

import pytest

from exporter.formats.quarantine import parse_entry, parse_reference
from exporter.formats.resource_data import parse_container
from exporter.records import Verdict
from exporter.synthetic.quarantine import QuarantinedFile, build_sid, derive_quarantine_id, write_quarantine
from exporter.times import from_iso

SCAN_ID = "7818F9B7-297D-4CED-9323-04960A94577A"
START, _ = from_iso("2024-03-01T12:00:00.1234567Z")
FILES = [
    QuarantinedFile(
        path=f"C:\\Users\\analyst\\Downloads\\検体 {number}.exe",
        payload=b"harmless dummy payload %d" % number,
        created_at=START + 1,
        accessed_at=START + 2,
        modified_at=START + 3,
        alternate_streams=[("Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")],
    )
    for number in range(2)
]
FACTS = {
    "quarantine_id": None,
    "threat_id": 2147519003,
    "threat_name": "Virus:DOS/EICAR_Test_File",
    "scan_id": SCAN_ID,
    "quarantined_at": START,
    "sig_seq": 0x0555DC2DDDB0,
}
READER = """
import io, json, pathlib, sys
from dissect.target.plugins.os.windows.defender.quarantine import QuarantineEntry, recover_quarantined_file_streams
folder = pathlib.Path(sys.argv[1])
found = []
for path in sorted((folder / "Entries").iterdir()):
    entry = QuarantineEntry(io.BytesIO(path.read_bytes()))
    resources = []
    for resource in entry.resources:
        container = folder / "ResourceData" / resource.resource_id[:2] / resource.resource_id
        streams = [(name, data.hex()) for name, data in recover_quarantined_file_streams(container.open("rb"), resource.resource_id)]
        times = [resource.creation_time, resource.last_access_time, resource.last_write_time]
        kind = resource.detection_type
        resources.append([resource.detection_path, kind.decode(), resource.resource_id, [time.isoformat() for time in times], streams])
    identity = [bytes(entry.quarantine_id).hex(), bytes(entry.scan_id).hex(), entry.threat_id, entry.detection_name.decode()]
    found.append([path.name, identity, entry.timestamp.isoformat(), resources])
print(json.dumps(found))
"""


def test_a_written_tree_reads_back_verified_and_equal_to_its_truth(tmp_path):
    truth = write_quarantine(tmp_path, **FACTS, files=FILES, other_resources=[("regkey", "HKLM\\SOFTWARE\\X")])
    place = tmp_path / truth["entry"]
    head, *resources, _ = parse_entry(place.read_bytes(), place.name)
    assert head.integrity.verdict is Verdict.VERIFIED
    assert head.payload.name_matches
    for key in ("quarantine_id", "scan_id", "threat_id", "threat_name", "quarantined_at"):
        assert getattr(head.payload, key) == truth[key] == (FACTS[key] or truth[key])
    *files, regkey = [item.payload for item in resources]
    assert (regkey.resource_type, regkey.path, regkey.sig_seq) == ("regkey", "HKLM\\SOFTWARE\\X", FACTS["sig_seq"])
    assert truth["other_resources"] == [{"type": "regkey", "path": "HKLM\\SOFTWARE\\X"}]
    for payload, file, file_truth in zip(files, FILES, truth["files"], strict=True):
        for key in ("path", "created_at", "accessed_at", "modified_at"):
            assert getattr(payload, key) == file_truth[key] == getattr(file, key)
        assert (payload.file_size, payload.sig_seq, payload.resource_type) == (file_truth["size"], truth["sig_seq"], "file")
        assert payload.physical_path == file.path
        check_container(tmp_path, file, file_truth, payload.resource_id)
        check_reference(tmp_path, file_truth, truth["quarantine_id"])


def check_container(root, file, truth, resource_id):
    place = root / truth["container"]
    with place.open("rb") as stream:
        parsed, _ = parse_container(stream, place.name)
    assert parsed.integrity.verdict is Verdict.VERIFIED
    payload = parsed.payload
    assert payload.resource_id == resource_id == truth["resource_id"]
    assert (payload.container_size, payload.data_size) == (truth["container_size"], truth["size"])
    assert (payload.md5, payload.sha1, payload.sha256) == (truth["md5"], truth["sha1"], truth["sha256"])
    assert payload.sha256 == hashlib.sha256(file.payload).hexdigest()
    assert payload.owner_sid == truth["owner_sid"] == file.owner_sid
    assert payload.stream_names == tuple(f":{name}:$DATA" for name in truth["streams"])


def check_reference(root, truth, quarantine_id):
    place = root / truth["reference"]
    parsed, _ = parse_reference(place.read_bytes(), place.name)
    assert parsed.integrity.verdict is Verdict.VERIFIED
    assert (parsed.payload.quarantine_ids, parsed.payload.container_size) == ((quarantine_id,), truth["container_size"])


def test_the_same_call_writes_the_same_bytes(tmp_path):
    trees = []
    for name in ("one", "two"):
        write_quarantine(tmp_path / name, **FACTS, files=FILES)
        trees.append({path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()})
    assert trees[0] == trees[1]
    assert len(trees[0]) == 5


def test_a_derived_quarantine_id_begins_with_the_threat_id_and_depends_on_time_and_files():
    ids = {derive_quarantine_id(2147519003, at, files) for at in (1, 2) for files in (FILES, FILES[:1])}
    assert len(ids) == 4
    assert {uuid.UUID(value).bytes_le[:8] for value in ids} == {(2147519003).to_bytes(8, "little")}


def test_a_given_quarantine_id_is_kept_in_any_spelling(tmp_path):
    truth = write_quarantine(tmp_path, **{**FACTS, "quarantine_id": "{80008a1b-0000-0000-7065-3ea2b161b275}"}, files=[])
    assert truth["entry"] == "Entries/{80008A1B-0000-0000-7065-3EA2B161B275}"


def test_two_entries_that_hold_the_same_container_share_its_reference(tmp_path):
    first = write_quarantine(tmp_path, **FACTS, files=FILES[:1])
    second = write_quarantine(tmp_path, **{**FACTS, "quarantined_at": START + 5}, files=FILES[:1])
    write_quarantine(tmp_path, **FACTS, files=FILES[:1])
    place = tmp_path / first["files"][0]["reference"]
    payload = next(parse_reference(place.read_bytes(), place.name)).payload
    assert payload.quarantine_ids == (first["quarantine_id"], second["quarantine_id"])


@pytest.mark.parametrize("text", ["", "S-1", "X-1-5-18", "S-1-5-x"])
def test_a_text_that_is_not_a_sid_is_refused(text):
    with pytest.raises(ValueError):
        build_sid(text)


@pytest.mark.peers
def test_dissect_reads_entries_and_recovers_payloads_as_written(tmp_path, peer):
    truths = [write_quarantine(tmp_path, **{**FACTS, "quarantined_at": START + step * 10**7}, files=FILES) for step in range(3)]
    done = subprocess.run([peer("dissect"), "-W", "ignore", "-c", READER, tmp_path], capture_output=True, check=True)
    found = {name: rest for name, *rest in json.loads(done.stdout)}
    assert len(found) == 3
    for truth in truths:
        identity, at, resources = found[truth["entry"].removeprefix("Entries/")]
        guids = [uuid.UUID(truth[key]).bytes_le.hex() for key in ("quarantine_id", "scan_id")]
        assert identity == [*guids, truth["threat_id"], truth["threat_name"]]
        assert close(at, truth["quarantined_at"])
        assert len(resources) == 2
        for (path, kind, resource_id, times, streams), file, expected in zip(resources, FILES, truth["files"], strict=True):
            assert (path, kind, resource_id) == (file.path, "file", expected["resource_id"])
            assert all(map(close, times, (file.created_at, file.accessed_at, file.modified_at)))
            contents = {name.removeprefix(resource_id): bytes.fromhex(data) for name, data in streams}
            assert contents[""] == file.payload
            assert file.alternate_streams[0][1] in contents.values()
            assert len(contents) == 3


def close(text, ticks):
    """Within the 2 microseconds that dissect's floating-point time loses."""
    return abs(from_iso(text)[0] - ticks) <= 20

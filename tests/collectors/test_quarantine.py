"""The collectors on whole trees: the independent generator's, with every defect that it knows, and our own."""

import io
import uuid
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from exporter.collectors import Settings
from exporter.collectors.quarantine import LARGEST_BYTES, QuarantineCollector, ResourceDataCollector
from exporter.formats.quarantine import QuarantineEntry, QuarantineReference, QuarantineResource
from exporter.records import Parsed, Tally, Verdict
from exporter.synthetic.quarantine import QuarantinedFile, write_quarantine
from tests.quarantine_trees import QUARANTINE, adds_up, generate, losses, payloads

PATHS = ["cjk", "emoji", "longpath", "unc", "container"]
ENTRIES = ["zerotime", "unknownfield", "nosize", "missingdata", "noid", "badcrc", "truncated", "header", "empty"]
STREAMS = ["datacut", "eafirst", "sparse", "nosd", "oddads", "objectid"]
DEFECTS = [*PATHS, *ENTRIES, *STREAMS]
UNREADABLE = {"header", "empty"}


class File:
    """An evidence file: bytes, or a file of this machine."""

    evidence, size, modified_at, volume, snapshot = "case", None, None, None, None

    def __init__(self, path, content):
        self.path, self.content = path, content

    def open(self):
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")


def collector_of(path):
    """The collector that has a pattern for this path, matched part by part from its end."""
    for collector in (QuarantineCollector(), ResourceDataCollector()):
        for tail in collector.tails:
            parts = tail.split("/")
            found = path.lower().split("/")[-len(parts) :]
            if len(found) == len(parts) and all(map(fnmatchcase, found, parts)):
                return collector
    return None


def read_tree(root):
    """Every file below `root` as its collector reads it: {path relative to the Quarantine folder: items}."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        relative = path.relative_to(root).as_posix()
        items = list(collector_of(relative).read(File(relative, path), Settings()))
        assert adds_up(items)
        found[relative.removeprefix(f"{QUARANTINE.as_posix()}/")] = items
    return found


@pytest.fixture(scope="module")
def damaged(shared_tools, tmp_path_factory):
    root = tmp_path_factory.mktemp("damaged")
    options = ["--entries", "42", "--resources", "4", "--types", "file,regkey,process,file", "--ads", "2", "--payload", "40", "400"]
    truth = generate(shared_tools, root, *options, "--edge", ",".join(["", *DEFECTS]))
    return read_tree(root), truth


def readable(truth):
    return [entry for entry in truth if not UNREADABLE & set(entry["edges"])]


def shown(path):
    return "\\\\" + path[4:] if path.startswith("UNC\\") else path


@pytest.mark.real_data
def test_a_generated_tree_has_every_defect_in_it(damaged):
    _, truth = damaged
    assert {edge for entry in truth for edge in entry["edges"]} == set(DEFECTS)
    assert any(not entry["edges"] for entry in truth)


@pytest.mark.real_data
def test_every_readable_entry_says_what_the_generator_wrote(damaged):
    found, truth = damaged
    for entry in readable(truth):
        head = found[f"Entries/{entry['entry_guid']}"][0]
        payload = head.payload
        assert payload.quarantine_id == str(uuid.UUID(bytes_le=bytes.fromhex(entry["quarantine_id_hex"]))).upper()
        assert payload.file_name == entry["entry_guid"]
        assert payload.scan_id == entry["scan_id"].strip("{}")
        assert (payload.threat_id, payload.threat_name) == (entry["threat_id"], entry["threat_name"])
        assert (payload.quarantined_at, payload.name_matches) == (entry["timestamp_filetime"], True)
        bad = {"badcrc", "truncated"} & set(entry["edges"])
        assert (head.integrity.verdict, head.integrity.check) == (Verdict.FAILED if bad else Verdict.VERIFIED, "section-crc32")
        assert (head.incomplete is not None) == ("truncated" in entry["edges"])


@pytest.mark.real_data
def test_every_resource_says_what_the_generator_wrote(damaged):
    found, truth = damaged
    for entry in readable(truth):
        items = found[f"Entries/{entry['entry_guid']}"]
        resources = [item for item in items if isinstance(item, Parsed) and isinstance(item.payload, QuarantineResource)]
        assert items[0].payload.resource_count == 4
        if "truncated" in entry["edges"]:
            assert 0 < len(resources) < 4
            assert sum(loss.units for loss in losses(items)) == 4 - len(resources)
            resources = [item for item in resources if not item.incomplete]
        else:
            assert len(resources) == 4
            assert not losses(items)
        for item, expected in zip(resources, entry["resources"], strict=False):
            check_resource(item.payload, expected, entry)


def check_resource(payload, expected, entry):
    assert (payload.resource_type, payload.path, payload.sig_seq) == (expected["type"], shown(expected["path"]), entry["sig_seq"])
    assert (payload.flags, payload.physical_path, payload.resource_id) == (0x20, expected["path"], expected.get("resource_id"))
    times = [payload.created_at, payload.accessed_at, payload.modified_at]
    assert times == expected.get("filetimes", [None] * 3)
    assert payload.file_size == (None if "nosize" in entry["edges"] else expected.get("file_size"))
    known = {0x03} if expected["type"] == "regkey" else set()
    assert {field.id for field in payload.other_fields} == known | ({0x1F} if "unknownfield" in entry["edges"] else set())


@pytest.mark.real_data
def test_an_unreadable_entry_is_one_loss_that_names_its_threat(damaged):
    found, truth = damaged
    for entry in truth:
        if UNREADABLE & set(entry["edges"]):
            loss, tally = found[f"Entries/{entry['entry_guid']}"]
            offset, reason = (0, "empty file") if "empty" in entry["edges"] else (40, "cut in the header: 40 of 60 bytes")
            assert (loss.offset, tally) == (offset, Tally(1))
            assert loss.reason == f"{reason}; by its name the entry is of threat {entry['threat_id']}"


@pytest.mark.real_data
def test_every_container_holds_what_the_generator_put_in(damaged):
    found, truth = damaged
    checked = 0
    for entry in truth:
        for resource in entry["resources"]:
            name = resource.get("resource_id")
            items = found.get(f"ResourceData/{name[:2]}/{name}") if name else None
            if items is None:
                assert resource["type"] != "file" or {"missingdata", "noid"} & set(entry["edges"])
                continue
            check_container(items[0], resource, entry)
            checked += 1
    assert checked == 42 * 2 - 2 * 2 * 2


def check_container(parsed, resource, entry):
    payload = parsed.payload
    cut = "datacut" in entry["edges"]
    assert parsed.integrity.verdict is (Verdict.FAILED if cut else Verdict.VERIFIED)
    assert (parsed.incomplete is not None, payload.name_matches) == (cut, not cut)
    assert payload.data_size == resource["file_size"]
    if cut:
        assert (payload.md5, payload.sha1, payload.sha256) == (None, None, None)
        return
    assert payload.container_size == resource["container_size"]
    assert (payload.md5, payload.sha1, payload.sha256) == (resource["md5"], resource["sha1"], resource["payload_sha256"])
    assert payload.data_basis == ("sparse_blocks" if "sparse" in entry["edges"] else "data_stream")
    alternate = [(stream.name, stream.size, stream.sha256) for stream in payload.streams if stream.kind == "ALTERNATE_DATA"]
    assert alternate == [(f":{stream['name']}:$DATA", stream["size"], stream["sha256"]) for stream in resource["streams"]]
    assert (payload.owner_sid is None) == ("nosd" in entry["edges"])
    kinds = {stream.kind for stream in payload.streams}
    assert ("EA_DATA" in kinds, "OBJECT_ID" in kinds) == ("eafirst" in entry["edges"], "objectid" in entry["edges"])


@pytest.mark.real_data
def test_every_reference_names_its_entry_and_container(damaged):
    found, truth = damaged
    for entry in truth:
        for resource in entry["resources"]:
            name = resource.get("resource_id")
            items = found.get(f"Resources/{name[:2]}/{name}") if name else None
            if items:
                payload = items[0].payload
                assert (payload.resource_id, payload.container_size) == (name, resource["container_size"])
                assert (payload.quarantine_ids, payload.name_matches) == ((entry["entry_guid"].strip("{}"),), True)
                assert items[0].integrity.verdict is Verdict.VERIFIED


@pytest.fixture
def written(tmp_path):
    file = QuarantinedFile(path="C:\\x.exe", payload=b"dummy", created_at=1, accessed_at=2, modified_at=3)
    truth = write_quarantine(
        tmp_path / QUARANTINE,
        quarantine_id=None,
        threat_id=2147519003,
        threat_name="Virus:DOS/EICAR_Test_File",
        scan_id=str(uuid.UUID(int=1)),
        quarantined_at=133144416260770946,
        sig_seq=7,
        files=[file],
        other_resources=[("regkey", "HKLM\\SOFTWARE\\X")],
    )
    return tmp_path, truth


def test_keys_are_those_of_the_sink_contract(written):
    root, truth = written
    keys = {}
    for relative, content in ((path.relative_to(root).as_posix(), path) for path in root.rglob("*") if path.is_file()):
        file = File(relative, content)
        collector = collector_of(relative)
        for item in collector.read(file, Settings()):
            if isinstance(item, Parsed):
                keys.setdefault(type(item.payload).__name__, []).append((collector.key(item, file), item.raw_hash))
    entry = ("qentry", truth["quarantine_id"], "2147519003", "133144416260770946")
    resource_id = truth["files"][0]["resource_id"]
    assert [key for key, _ in keys["QuarantineEntry"]] == [entry]
    assert [key for key, _ in keys["QuarantineResource"]] == [(*entry, "0"), (*entry, "1")]
    assert [key for key, _ in keys["QuarantineContainer"]] == [("qcontainer", resource_id, resource_id.lower())]
    ((key, raw_hash),) = keys["QuarantineReference"]
    assert key == ("qreference", resource_id, raw_hash)


def test_an_entry_without_a_time_still_has_a_key(written):
    root, truth = written
    data = (root / QUARANTINE / truth["entry"]).read_bytes()[: 60 + 20]
    file = File(truth["entry"], data)
    head = next(QuarantineCollector().read(file, Settings()))
    assert QuarantineCollector().key(head, file) == ("qentry", truth["quarantine_id"], "2147519003", "")


@pytest.mark.parametrize(
    "path",
    [
        "C/ProgramData/Microsoft/Windows Defender/Quarantine/Entries/{80008A1B-0000-0000-7065-3EA2B161B275}",
        "Microsoft Antimalware/QUARANTINE/entries/renamed.bin",
        "Entries/{80008A1B-0000-0000-7065-3EA2B161B275}",
        "Quarantine/Resources/A6/A6C8322B8A19AEED96EFBD045206966DA4C9619D",
        "x/Resources/A6/A6C8322B8A19AEED96EFBD045206966DA4C9619D",
    ],
)
def test_entries_and_references_are_found_by_the_end_of_their_path(path):
    assert isinstance(collector_of(path), QuarantineCollector)


def test_containers_are_found_by_the_end_of_their_path():
    name = "A6C8322B8A19AEED96EFBD045206966DA4C9619D"
    for path in (f"Quarantine/ResourceData/A6/{name}", f"ResourceData/A6/{name}", "q/quarantine/resourcedata/xx/upload"):
        assert isinstance(collector_of(path), ResourceDataCollector)
    for path in (f"A6/{name}", "Resources/icons/logo.png", "Entries/readme.txt", name):
        assert collector_of(path) is None


def test_files_of_other_programs_in_a_folder_called_resources_are_left_alone():
    path = "app/resources/ab/" + "ab" * 20
    assert list(QuarantineCollector().read(File(path, b"PNG"), Settings())) == [Tally(0)]
    assert losses(list(QuarantineCollector().read(File(f"Quarantine{path[3:]}", b"PNG"), Settings())))


def test_a_lone_resources_folder_is_read(written):
    root, truth = written
    (place,) = (root / QUARANTINE / "Resources").glob("*/*")
    assert payloads(list(QuarantineCollector().read(File(truth["files"][0]["reference"], place), Settings())))


@pytest.mark.parametrize("begin", range(4))
def test_evidence_may_begin_inside_the_quarantine_folder(written, begin):
    root, truth = written
    for name, kind in ((truth["entry"], QuarantineEntry), (truth["files"][0]["reference"], QuarantineReference)):
        path = "/".join(f"Quarantine/{name}".split("/")[begin:] or [name.rpartition("/")[2]])
        (found, *_) = QuarantineCollector().read(File(path, root / QUARANTINE / name), Settings())
        assert isinstance(found.payload, kind)
        empty, _ = QuarantineCollector().read(File(path, b""), Settings())
        assert empty.reason.startswith("empty file")


def test_a_file_far_too_large_for_an_entry_is_refused_unread():
    for folder, threat in (("Entries/x", ""), ("Resources/x/y", "")):
        loss, tally = QuarantineCollector().read(File(f"quarantine/{folder}", bytes(LARGEST_BYTES + 1)), Settings())
        assert loss.reason.startswith(f"larger than {LARGEST_BYTES} bytes{threat}")
        assert tally == Tally(1)


@pytest.mark.real_data
def test_the_real_samples_are_read_whole(shared_data):
    root = shared_data / "quarantine"
    found = [item for path in root.rglob("*") if path.is_file() and path.parent != root for item in read_sample(root, path)]
    kinds = [type(payload) for payload in payloads(found)]
    assert (kinds.count(QuarantineEntry), kinds.count(QuarantineResource), kinds.count(QuarantineReference), len(kinds)) == (2, 2, 1, 7)
    assert not losses(found)


def read_sample(root: Path, path: Path):
    relative = path.relative_to(root).as_posix()
    return collector_of(relative).read(File(relative, path), Settings())

"""Files of a Velociraptor collection have the times that they had on their host."""

import json
from pathlib import Path

import pytest

from exporter.errors import EvidenceError
from exporter.evidence.files import File
from exporter.evidence.uploads import set_times
from exporter.times import from_iso
from tests.evidence import trees
from tests.evidence.test_hosts import discovered
from tests.evidence.trees import ENTRY, MPLOG

LISTING = "results/Windows.KapeFiles.Targets%2FUploads.json"
MODIFIED = "2023-05-06T07:08:09.1234567Z"


def rows(*pairs: tuple[str, str]) -> bytes:
    return b"".join(json.dumps({"SourceFile": path, "Modified": at}).encode() + b"\n" for path, at in pairs)


def windows(path: str) -> str:
    return path.replace("/", "\\")


@pytest.mark.parametrize("packed", ["folder", "zip"])
@pytest.mark.parametrize("prefix", ["", "WS01-C.0123456789abcdef/"])
def test_files_have_the_time_that_the_listing_states(tmp_path: Path, packed: str, prefix: str) -> None:
    listing = b"no JSON\n[]\n{}\n" + rows(
        (f"C:\\{windows(ENTRY).upper()}", MODIFIED), (f"\\\\.\\C:\\{windows(MPLOG)}", "1601-01-01T00:00:00Z"), ("D:\\x", "never")
    )
    files = {LISTING: listing, f"uploads/auto/C%3A/{ENTRY}": b"entry", f"uploads/ntfs/%5C%5C.%5CC%3A/{MPLOG}": b"mplog"}
    files = {prefix + path: data for path, data in files.items()}
    evidence = trees.folder(tmp_path / "c", files) if packed == "folder" else trees.write(tmp_path / "c.zip", trees.zipped(files))
    found = {file.path.rpartition("/")[2]: file.modified_at for host in discovered(evidence).hosts for _, file in host.files}
    assert found.pop(ENTRY.rpartition("/")[2]) == from_iso(MODIFIED)[0]
    assert found.popitem()[1] != from_iso(MODIFIED)[0]


def test_a_listing_speaks_only_of_its_own_collection(tmp_path: Path) -> None:
    files = {f"{host}/uploads/auto/C%3A/{ENTRY}": b"entry" for host in ("WS01", "WS02")}
    evidence = trees.folder(tmp_path / "c", {**files, f"WS01/{LISTING}": rows((f"C:\\{windows(ENTRY)}", MODIFIED))})
    times = {host.name: host.files[0][1].modified_at == from_iso(MODIFIED)[0] for host in discovered(evidence).hosts}
    assert times == {"WS01": True, "WS02": False}


def test_a_listing_that_cannot_be_read_is_named() -> None:
    def broken() -> None:
        raise EvidenceError("encrypted")

    listing = File(path=LISTING, evidence="c", root="", tails=(), opener=broken)  # type: ignore[arg-type]
    assert list(set_times([listing], [])) == [(listing, "encrypted")]

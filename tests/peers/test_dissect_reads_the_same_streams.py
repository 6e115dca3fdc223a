"""The bytes that we read out of an image are those that dissect.target reads out of it."""

import hashlib
import json
import subprocess

import pytest

from tests.evidence.images.build import read

pytestmark = [pytest.mark.peers, pytest.mark.images, pytest.mark.real_data]

THEIRS = """
import hashlib, json, sys
from dissect.target.container import open as open_container
from dissect.target.filesystems.ntfs import NtfsFilesystem
from dissect.volume.disk import Disk
found = {}
for number, part in enumerate(Disk(open_container(sys.argv[1])).partitions, 1):
    system = NtfsFilesystem(part.open())
    for path in system.path("/").rglob("*"):
        if path.is_file() and "$" not in str(path):
            found[f"p{number}{path}"] = hashlib.sha256(path.read_bytes()).hexdigest()
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("kind", "table"), [("raw", "mbr"), ("E01", "gpt"), ("vmdk", "gpt"), ("vhd", "mbr"), ("vhdx", "gpt"), ("qcow2", "mbr")]
)
def test_every_file_of_an_image_is_the_same(kind, table, case_folder, image_tool, peer, tmp_path):
    image = tmp_path / f"case.{kind}"
    image_tool("make_image", case_folder, image, "--table", table)
    done = subprocess.run([peer("dissect"), "-W", "ignore", "-c", THEIRS, image], capture_output=True, text=True, check=True)
    theirs = {path.replace("%3A", ":").replace("%25", "%"): value for path, value in json.loads(done.stdout).items()}
    found, losses, _ = read(image)
    assert not losses
    assert {path: hashlib.sha256(content).hexdigest() for path, content in found.items()} == theirs

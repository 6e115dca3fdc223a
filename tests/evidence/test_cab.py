"""Cabinets are read in place, damage costs what lies behind it, and a hostile one costs little."""

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.cli import exit_codes
from exporter.errors import EvidenceError
from exporter.evidence.cab_members import Cabinet, CabMember, FolderData
from exporter.evidence.files import File
from exporter.evidence.hosts import open_tree
from exporter.evidence.streams import Limits
from exporter.records import Rejected
from exporter.synthetic.mpcmdrun import CommandRun, write_mpcmdrun
from tests.cli.run import invoke
from tests.evidence.cabinets import BLOCK, cabinet
from tests.line import export

TAILS = ("mplog-*.log", "*.evtx")
TEXT = b"".join(f"line {number} of a log that repeats itself\r\n".encode() for number in range(8000))
FILES = {"MPLog-1.log": TEXT, "other.txt": b"x" * 5000, "MPLog-2.log": TEXT[::-1][:70_001], "Logs\\Süd.evtx": b"", "MPLog-3.log": b"end"}
WANTED = {"MPLog-1.log": TEXT, "MPLog-2.log": FILES["MPLog-2.log"], "Logs/Süd.evtx": b"", "MPLog-3.log": b"end"}


def read(path: Path, data: bytes, limits: Limits | None = None) -> tuple[dict[str, bytes], list[Rejected]]:
    """The found files' contents by path, and the losses."""
    path.write_bytes(data)
    tree = open_tree(path, limits)
    found: dict[str, bytes] = {}
    losses = []
    for item in tree.walk(TAILS):
        if isinstance(item, File):
            with item.open() as stream:
                found[item.path] = stream.read()
            assert item.size == len(found[item.path])
        else:
            losses.append(item)
    tree.close()
    return found, losses


@pytest.mark.parametrize("method", [0, 1], ids=["plain", "MSZIP"])
def test_files_come_out_as_they_went_in(method, tmp_path):
    assert read(tmp_path / "a.cab", cabinet(FILES, method=method)) == (WANTED, [])


def test_several_folders_and_reserved_areas_and_a_set_are_no_hindrance(tmp_path):
    data = cabinet(
        {"MPLog-2.log": FILES["MPLog-2.log"]}, {"x": b"1", "MPLog-3.log": b"end"}, reserved=(20, 5, 3), names=("a", "b", "c", "d"), flags=3
    )
    assert read(tmp_path / "a.bin", data) == ({"MPLog-2.log": FILES["MPLog-2.log"], "MPLog-3.log": b"end"}, [])


def test_a_wrong_bit_is_found_and_costs_the_files_behind_it(tmp_path):
    data = bytearray(cabinet(FILES, method=0))
    at = data.index(TEXT[BLOCK : BLOCK + 100]) + 7
    data[at] ^= 1
    found, losses = read(tmp_path / "a.cab", bytes(data))
    assert found == {}
    assert {loss.excerpt for loss in losses} == set(WANTED)
    assert {loss.reason for loss in losses} == {f"damaged cabinet: the block at offset {at - 7 - 8} has another checksum"}


def test_files_before_the_damage_are_read(tmp_path):
    data = bytearray(cabinet({"MPLog-1.log": b"good" * 100}, FILES))
    data[-1] ^= 0xFF
    found, losses = read(tmp_path / "a.cab", bytes(data))
    assert found.keys() >= {"MPLog-1.log"}
    assert losses


def test_a_cabinet_that_is_cut_off_says_so_for_each_file(tmp_path):
    data = cabinet(FILES)
    for length in (20, 40, 60, 200, len(data) // 2, len(data) - 1):
        found, losses = read(tmp_path / "a.cab", data[:length])
        assert losses
        assert all(WANTED[name] == content for name, content in found.items())


def test_other_compressions_and_parts_of_a_set_are_named(tmp_path):
    data = cabinet(FILES, method=1)
    lzx = bytearray(data)
    struct.pack_into("<H", lzx, 36 + 6, 0x1503)
    found, losses = read(tmp_path / "a.cab", bytes(lzx))
    assert (found, {loss.reason for loss in losses}) == ({}, {"compression method 3 is not supported: unpack the cabinet"})
    shared = bytearray(data)
    struct.pack_into("<H", shared, 44 + 8, 0xFFFD)
    found, losses = read(tmp_path / "a.cab", bytes(shared))
    assert [(loss.excerpt, loss.reason) for loss in losses] == [("MPLog-1.log", "continued in another cabinet: unpack the set")]
    struct.pack_into("<H", shared, 44 + 8, 7)
    assert "no folder 7" in read(tmp_path / "a.cab", bytes(shared))[1][0].reason


def test_names_never_climb(tmp_path):
    found, _ = read(tmp_path / "a.cab", cabinet({"..\\..\\MPLog-1.log": b"1", "C:\\MPLog-2.log": b"2"}))
    assert sorted(found) == ["%2E%2E/%2E%2E/MPLog-1.log", "C:/MPLog-2.log"]


def test_files_that_share_their_bytes_are_read_once(tmp_path):
    data = bytearray(cabinet({"MPLog-1.log": b"a" * 100, "MPLog-2.log": b"b" * 100}))
    second = data.index(b"MPLog-2.log") - 12
    struct.pack_into("<I", data, second, 50)
    found, losses = read(tmp_path / "a.cab", bytes(data))
    assert list(found) == ["MPLog-1.log"]
    assert [loss.reason for loss in losses] == ["its bytes are those of another member too: not read"]


def test_folders_that_share_their_bytes_are_a_bomb(tmp_path):
    noise = random.Random(1).randbytes(3 * BLOCK)
    data = bytearray(cabinet(*({f"MPLog-{number}.log": noise if number == 0 else b"x"} for number in range(9)), method=0))
    for number in range(9):
        struct.pack_into("<IH", data, 36 + 8 * number, struct.unpack_from("<I", data, 36)[0], 3)
        name = data.index(f"MPLog-{number}.log".encode())
        struct.pack_into("<I", data, name - 16, len(noise))
    found, losses = read(tmp_path / "a.cab", bytes(data))
    assert len(found) == 2
    assert {loss.reason for loss in losses} == {"its bytes are those of other members too: a bomb, not read"}


def test_what_shrinks_too_much_is_not_read_further(tmp_path):
    data = cabinet({"MPLog-1.log": bytes(40 * BLOCK)})
    _, (loss,) = read(tmp_path / "a.cab", data, Limits(ratio_floor_bytes=10 * BLOCK))
    assert loss.reason == f"decompresses to more than 200 times its size: not read further than {11 * BLOCK} bytes"
    _, (loss,) = read(tmp_path / "a.cab", data, Limits(total_bytes=100))
    assert "more than 100 bytes" in loss.reason


def test_an_archive_in_a_cabinet_is_named(tmp_path):
    _, (loss,) = read(tmp_path / "a.cab", cabinet({"more.zip": b"PK"}))
    assert loss.reason == "an archive or disk image in a cabinet is not opened: unpack it"


def test_the_cabinet_of_the_support_files_is_read_by_itself_in_a_folder_and_in_a_zip_and_no_other_is_looked_for(tmp_path):
    write_mpcmdrun(tmp_path / "x", [CommandRun(arguments="-GetFiles")])
    data = cabinet({"MpCmdRun.log": (tmp_path / "x").read_bytes(), "MPRegistry.txt": b"x"})
    places = [tmp_path / "alone" / "any.cab", tmp_path / "folder" / "WS-1-MpSupportFiles.cab", tmp_path / "zip" / "case.zip"]
    for place in places:
        place.parent.mkdir()
        place.write_bytes(data)
    (tmp_path / "folder" / "driver.cab").write_bytes(data)
    with zipfile.ZipFile(places[2], "w") as target:
        target.writestr("WdSupportLogs/MPSupportFiles.cab", data)
    for evidence in (places[0], places[1].parent, places[2]):
        run = export(evidence, tmp_path / "out" / evidence.name, sinks=("ecs",))
        (document,) = run.documents
        assert document["defender"]["mpcmdrun"]["command"] == "-GetFiles"
        assert [file.path.rpartition("/")[2] for host in run.report.hosts for file in host.unread] == ["MPRegistry.txt"]


def test_the_cabinet_on_a_hosts_own_drive_is_named_and_not_opened(tmp_path, capsys):
    support = tmp_path / "WS-1" / "C" / "ProgramData" / "Microsoft" / "Windows Defender" / "Support"
    support.mkdir(parents=True)
    (support / "MpSupportFiles.cab").write_bytes(cabinet({"MPLog-1.log": b"x"}))
    (support / "MPLog-1.log").write_bytes(b"2024-03-05T10:15:01.000Z [Cloud] Queued cloud request.\r\n")
    run = export(tmp_path / "WS-1", tmp_path / "out", sinks=("ecs",))
    (host,) = run.report.hosts
    ((path, content, size),) = [(file.path, file.content, file.size) for file in host.unread]
    assert path.endswith("Support/MpSupportFiles.cab")
    assert "give it as evidence by itself" in content
    assert size == (support / "MpSupportFiles.cab").stat().st_size
    assert [file.path.rpartition("/")[2] for file in run.report.files] == ["MPLog-1.log"]
    said = invoke(capsys, "scan", tmp_path / "WS-1")
    assert said.code == exit_codes.COMPLETE
    assert f"seen and not read: {path} (" in said.out


def every(data: bytes) -> None:
    """Read all of it, if that is possible."""
    try:
        cabinet_ = Cabinet(io.BytesIO(data), Limits())
        for member in cabinet_.members():
            if isinstance(member, CabMember) and member.refusal is None:
                FolderData(cabinet_, member.folder).read()
    except EvidenceError:
        pass


@given(st.binary(max_size=300))
def test_any_bytes_are_a_cabinet_or_an_evidence_error(tail):
    every(b"MSCF" + tail)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_cabinet_raises_nothing_else(draw):
    data = bytearray(cabinet({"MPLog-1.log": b"abc" * 400, "b": b"d"}, {"c": b"e" * 40_000}))
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    every(bytes(data))

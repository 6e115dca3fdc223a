"""The whole line over disk images: the same documents, ids and timelines as from the folder that the image was made of."""

import shutil
from pathlib import Path

import pytest

from tests.line import FILES, Exported, export

pytestmark = [pytest.mark.images, pytest.mark.real_data]

FORMATS = ("raw", "E01", "vmdk", "vhd", "vhdx", "qcow2")
TABLES = ("mbr", "gpt")
DEFENDER = "ProgramData/Microsoft/Windows Defender"
EVENT_LOG = "Microsoft-Windows-Windows Defender%4Operational.evtx"
REAL = {
    f"evtx/server2022-aptsimulator/{EVENT_LOG}": f"Windows/System32/winevt/Logs/{EVENT_LOG}",
    f"evtx/win10-rathbun/{EVENT_LOG}": f"Windows.old/Windows/System32/winevt/Logs/{EVENT_LOG}",
    "etl/AMSITrace.etl": "Windows/System32/LogFiles/WMI/AMSITrace.etl",
    "etl/MpWppTracing-20220310-113238-00000003-ffffffff.bin": f"{DEFENDER}/Support/MpWppTracing-20220310-113238-00000003-ffffffff.bin",
    "mplog/server2022-aptsimulator/MPLog-20231017-224350.log": f"{DEFENDER}/Support/MPLog-20231017-224350.log",
    "mplog/win10-belkasoft/MPLog-20200801-144809.log": f"{DEFENDER}/Support/MPLog-20200801-144809.log",
    "quarantine/dissect": f"{DEFENDER}/Quarantine",
    "quarantine/maldump": f"{DEFENDER}/Quarantine",
    "detection_history/plaso": f"{DEFENDER}/Scans/History/Service/DetectionHistory/02",
    "detection_history/dhparser": f"{DEFENDER}/Scans/History/Service/DetectionHistory/03",
    "detection_history/wddh-original": f"{DEFENDER}/Scans/History/Service/DetectionHistory/04",
    "detection_history/wddh-action_id": f"{DEFENDER}/Scans/History/Service/DetectionHistory/05",
    "detection_history/wddh-ts_modified": f"{DEFENDER}/Scans/History/Service/DetectionHistory/06",
}
"""Where Windows keeps what the real samples are; those of a second machine stand for an earlier Windows on the same drive."""


@pytest.fixture(scope="module")
def volume(case_folder, image_tool, tmp_path_factory) -> Path:
    """The synthetic case as a bare NTFS volume."""
    made = tmp_path_factory.mktemp("volume") / "case.ntfs"
    image_tool("make_image", case_folder, made, "--table", "none")
    return made


@pytest.fixture(scope="module")
def from_folder(case_folder, tmp_path_factory) -> Exported:
    return export(case_folder, tmp_path_factory.mktemp("from-folder"), reproducible=True)


def same_but_for_origin(run: Exported, other: Exported, volume: str, image: str, folder: str) -> None:
    """Fails unless `run`, from an image, wrote what `other` did, but for the volume before each path and the image's name."""
    for name in ("timesketch", "l2tcsv"):
        text = (run.folder / FILES[name]).read_text(encoding="utf-8")
        before = '"display_name":"' if name == "timesketch" else ",2,"
        assert f"{before}{volume}/" in text
        assert text.replace(f"{before}{volume}/", before) == (other.folder / FILES[name]).read_text(encoding="utf-8")
    expected = []
    for document in other.documents:
        for origin in (document["defender"]["source"], document.get("log", {}).get("file", {})):
            if "path" in origin:
                origin["path"] = f"{volume}/{origin['path']}"
        if "image" in document["defender"]["source"]:
            assert document["defender"]["source"]["image"] == folder
            document["defender"]["source"] |= {"image": image, "volume": volume}
        expected.append(document)
    assert run.documents == expected


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_gives_what_its_folder_gives(kind, table, volume, image_tool, case_folder, from_folder, tmp_path):
    image = tmp_path / f"case.{kind}"
    image_tool("make_image", volume, image, "--table", table)
    run = export(image, tmp_path / "out", reproducible=True)
    assert not run.report.damaged
    same_but_for_origin(run, from_folder, "p1", image.name, case_folder.name)


def test_a_volume_without_a_table_gives_what_its_folder_gives(volume, case_folder, from_folder, tmp_path):
    run = export(volume, tmp_path / "out", reproducible=True)
    same_but_for_origin(run, from_folder, "volume", volume.name, case_folder.name)


def test_a_volume_with_large_clusters_gives_what_its_folder_gives(image_tool, case_folder, from_folder, tmp_path):
    image_tool("make_image", case_folder, tmp_path / "case.raw", "--cluster", 65_536, "--size", "96M")
    run = export(tmp_path / "case.raw", tmp_path / "out", reproducible=True)
    assert not run.report.damaged
    same_but_for_origin(run, from_folder, "p1", "case.raw", case_folder.name)


@pytest.fixture(scope="module")
def drive(shared_data, tmp_path_factory) -> Path:
    """The real samples, each where Windows keeps it."""
    root = tmp_path_factory.mktemp("real") / "drive"
    for sample, place in REAL.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        if (shared_data / sample).is_dir():
            shutil.copytree(shared_data / sample, root / place, dirs_exist_ok=True)
        else:
            shutil.copy2(shared_data / sample, root / place)
    return root


@pytest.fixture(scope="module")
def from_drive(drive, tmp_path_factory) -> Exported:
    return export(drive, tmp_path_factory.mktemp("from-drive"), reproducible=True)


@pytest.mark.parametrize(("kind", "table"), [("raw", "mbr"), ("E01", "gpt")])
def test_real_files_on_a_windows_drive_give_what_they_give_in_a_folder(kind, table, drive, from_drive, image_tool, tmp_path):
    image = tmp_path / f"drive.{kind}"
    image_tool("make_image", drive, image, "--table", table)
    run = export(image, tmp_path / "out", reproducible=True)
    stored = {f"p1/{path.relative_to(drive).as_posix()}": path.stat().st_size for path in drive.rglob("*") if path.is_file()}
    assert {file.path: file.size for file in run.report.files} == stored
    assert run.report.images[0].volumes[0].searched == "windows"
    same_but_for_origin(run, from_drive, "p1", image.name, drive.name)

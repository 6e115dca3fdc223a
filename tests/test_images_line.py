"""The whole line over disk images: the same documents, ids and timelines as from the folder that the image was made of."""

from pathlib import Path

import pytest

from tests.line import FILES, Exported, export

pytestmark = [pytest.mark.images, pytest.mark.real_data]

FORMATS = ("raw", "E01", "vmdk", "vhd", "vhdx", "qcow2")
TABLES = ("mbr", "gpt")


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

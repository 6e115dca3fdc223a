"""Where evidence is looked for in a volume: Windows' own places, earlier Windows, and volumes that are none of Windows'."""

import fnmatch
from pathlib import Path

import pytest

from exporter.collectors import COLLECTORS
from exporter.collectors.guard import load
from exporter.evidence.images import search
from exporter.evidence.images.windows import PLACES
from tests.evidence.images.build import LOG, read, write_tree
from tests.line import export

WINDOWS = {"Windows/System32/x.dll": b"", "Users/a/NTUSER.DAT": b""}
TAILS = [tail for name in COLLECTORS for tail in load(name).tails]


def reachable(tail: str) -> bool:
    """Whether some place leads to a file of this tail: its folders are the end of the place, or lie below it."""
    *folders, _ = tail.split("/")
    for place in PLACES:
        for inside in range(min(place.below, len(folders)) + 1):
            there = [name.casefold() for name in place.path]
            head = folders[: len(folders) - inside]
            ends = there[len(there) - len(head) :] if head else []
            if len(ends) == len(head) and all(fnmatch.fnmatch(name, want) for name, want in zip(ends, head, strict=True)):
                return True
    return False


@pytest.mark.parametrize("tail", TAILS)
def test_every_tail_of_a_collector_has_a_place_on_a_windows_drive(tail):
    assert reachable(tail)


@pytest.mark.images
@pytest.mark.real_data
class TestVolumes:
    def image(self, image_tool, folder: Path, files: dict[str, bytes], *options: object) -> Path:
        image_tool("make_image", write_tree(folder / "tree", files), folder / "disk.raw", *options)
        return folder / "disk.raw"

    def test_a_windows_drive_is_looked_up_and_not_walked(self, image_tool, tmp_path):
        elsewhere = {"Tools/deep/MPLog-2.log": b"", "ProgramData/Other/MPLog-3.log": b""}
        found, losses, image = read(self.image(image_tool, tmp_path, {LOG: b"here", **WINDOWS, **elsewhere}), TAILS)
        assert found == {f"p1/{LOG}": b"here"}
        assert not losses
        assert image.volumes[0].searched == "windows"

    @pytest.mark.parametrize(
        "place",
        [
            "Windows.old/" + LOG,
            "Windows.old.000/" + LOG,
            "ProgramData/Microsoft/Microsoft Antimalware/Support/MPLog-1.log",
            "Documents and Settings/All Users/Application Data/Microsoft/Microsoft Antimalware/Support/MPLog-1.log",
            "ProgramData/Microsoft/Windows Defender/Scans/History/Service/DetectionHistory/02/0A1B2C3D-0000-0000-0000-000000000000",
            "Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx",
            "Windows.old/WINDOWS/System32/WinEvt/Logs/System.evtx",
            "Windows.old/Windows/Temp/MpCmdRun.log",
            "Windows/Microsoft Antimalware/Tmp/MpCmdRun.log.bak",
            "Windows/ServiceProfiles/NetworkService/AppData/Local/Temp/MpCmdRun.log",
            "Users/a/AppData/Local/Temp/2/MpCmdRun.log",
            "Users/b/Desktop/MPLog-1.log",
            "Users/Public/trace.etl",
            "Quarantine/ResourceData/05/058DB90213A9168BA4F9BFAD87C603C170A68305",
            "MPLog-1.log",
        ],
    )
    def test_the_places_of_windows(self, place, image_tool, tmp_path):
        found, losses, image = read(self.image(image_tool, tmp_path, {place: b"x", **WINDOWS}), TAILS)
        assert list(found.values()) == [b"x"]
        assert [name.casefold() for name in found] == [f"p1/{place}".casefold()]
        assert not losses
        assert image.volumes[0].searched == "windows"

    def test_a_volume_without_windows_is_searched(self, image_tool, tmp_path):
        files = {"Case 7/HOST1/C/" + LOG: b"a", "Case 7/HOST2/Quarantine/Entries/x": b"b", "Case 7/readme.txt": b""}
        found, losses, image = read(self.image(image_tool, tmp_path, files), TAILS)
        assert found == {"p1/Case 7/HOST1/C/" + LOG: b"a", "p1/Case 7/HOST2/Quarantine/Entries/x": b"b"}
        assert not losses
        assert (image.volumes[0].searched, image.volumes[0].cut) == ("folders", False)

    def test_the_search_of_a_volume_without_evidence_ends_and_is_no_loss(self, image_tool, tmp_path, monkeypatch):
        monkeypatch.setattr(search, "MOST_BARREN_FOLDERS", 5)
        _, losses, image = read(self.image(image_tool, tmp_path, {f"data/{number}/x": b"" for number in range(20)}), TAILS)
        assert not losses
        assert image.volumes[0].cut

    def test_one_that_ends_after_evidence_was_found_is_a_loss(self, image_tool, tmp_path, monkeypatch):
        monkeypatch.setattr(search, "MOST_BARREN_FOLDERS", 5)
        files = {"MPLog-1.log": b"x", **{f"data/{number}/x": b"" for number in range(20)}}
        found, losses, _ = read(self.image(image_tool, tmp_path, files), TAILS)
        assert found == {"p1/MPLog-1.log": b"x"}
        assert [loss.reason for loss in losses] == ["searched in 5 folders without evidence; the others were not visited"]

    def test_the_volumes_of_an_image_are_one_host(self, case_folder, image_tool, tmp_path):
        run = export(self.image(image_tool, tmp_path, {LOG: b"x", **WINDOWS}), tmp_path / "out", sinks=["ecs"])
        assert [(host.name, host.name_basis) for host in run.report.hosts] == [("disk", "collection")]

    def test_a_host_given_as_its_drive_gives_what_its_folder_gives(self, case_folder, image_tool, tmp_path):
        for host in (case_folder / "WS-0142" / "C", case_folder / "SRV-FILES02" / "uploads" / "auto" / "C%3A"):
            image = tmp_path / f"{host.parts[-2]}.raw"
            image_tool("make_image", host, image)
            run, folder = (export(one, tmp_path / f"{one.name}-out", sinks=["ecs"], reproducible=True) for one in (image, host))
            assert [one["event"]["id"] for one in run.documents] == [one["event"]["id"] for one in folder.documents]
            assert run.report.images[0].volumes[0].searched == "windows"


@pytest.mark.images
@pytest.mark.real_data
class TestFolderOfImages:
    def test_each_image_of_a_folder_is_a_host_of_its_own(self, image_tool, tmp_path):
        (tmp_path / "case").mkdir()
        for name in ("alpha.vmdk", "beta.E01"):
            image_tool("make_image", write_tree(tmp_path / name, {LOG: name.encode(), **WINDOWS}), tmp_path / "case" / name)
        run = export(tmp_path / "case", tmp_path / "out", sinks=["ecs"])
        assert [host.name for host in run.report.hosts] == ["alpha", "beta"]
        assert [file.path for file in run.report.files] == [f"alpha.vmdk/p1/{LOG}", f"beta.E01/p1/{LOG}"]
        assert [image.name for image in run.report.images] == ["alpha.vmdk", "beta.E01"]

    def test_an_image_on_a_hosts_own_drive_is_not_opened(self, image_tool, tmp_path):
        drive = write_tree(tmp_path / "drive", {LOG: b"x", **WINDOWS})
        image_tool("make_image", write_tree(tmp_path / "tree", {LOG: b"other", **WINDOWS}), drive / "Users/a/vm.vhdx")
        run = export(drive, tmp_path / "out", sinks=["ecs"])
        assert [file.path for file in run.report.files] == [LOG]

    def test_a_broken_image_of_a_folder_costs_only_itself(self, image_tool, tmp_path):
        folder = tmp_path / "case"
        folder.mkdir()
        image_tool("make_image", write_tree(tmp_path / "tree", {LOG: b"x", **WINDOWS}), folder / "good.raw")
        (folder / "bad.E01").write_bytes(b"EVF\x09\x0d\x0a\xff\x00\x01\x01\x00\x00\x00")
        run = export(folder, tmp_path / "out", sinks=["ecs"])
        assert [file.path for file in run.report.files] == [f"good.raw/p1/{LOG}"]
        assert run.report.damaged
        assert "case/bad.E01" in [letter["source"] for letter in run.letters]

"""Whatever collected and packed the files: each host is found once, with its name and all of its files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.detection_history import DetectionHistoryCollector
from exporter.errors import EvidenceError
from exporter.evidence import EvidenceFile
from exporter.evidence.hosts import Discovery, discover, open_tree
from exporter.evidence.layouts import collection, drive
from tests.evidence import trees
from tests.evidence.trees import DRIVE, ENTRY, LOG, MPLOG, below

ESCAPED_LOG = LOG.replace("%4", "%254")
ESCAPED = {ENTRY: b"entry", MPLOG: b"mplog", ESCAPED_LOG: b"log"}


def nobody(_: EvidenceFile) -> str | None:
    return None


def by_content(file: EvidenceFile) -> str | None:
    """A stand-in for the EVTX collector: the log's bytes are its Computer."""
    with file.open() as stream:
        return stream.read().decode() or None


def discovered(
    *paths: Path,
    host: str | None = None,
    computer: Callable[[EvidenceFile], str | None] = nobody,
    collectors: Mapping[str, tuple[str, ...]] = trees.COLLECTORS,
) -> Discovery:
    opened = [open_tree(path) for path in paths]
    try:
        return discover(opened, collectors, host, computer)
    finally:
        for tree in opened:
            tree.close()


def summary(discovery: Discovery) -> dict[str, list[tuple[str, str]]]:
    assert discovery.rejected == ()
    return {host.name: [(name, file.path) for name, file in host.files] for host in discovery.hosts}


def whole(prefix: str = "") -> list[tuple[str, str]]:
    return sorted((("quarantine", prefix + ENTRY), ("mplog", prefix + MPLOG), ("evtx", prefix + LOG)), key=lambda pair: pair[1].casefold())


SINGLE = {
    # name: (files of the folder or archive, prefix of the files as shown)
    "mounted root": ({**DRIVE, "pagefile.sys": b""}, ""),
    "drive letter (KAPE)": ({**below("C"), "2024_CopyLog.csv": b""}, "C/"),
    "drive with a colon": (below("C%3A"), "C:/"),
    "Velociraptor auto": ({**below("uploads/auto/C%3A", ESCAPED), "uploads.json": b""}, "uploads/auto/C:/"),
    "Velociraptor ntfs": (below("uploads/ntfs/%5C%5C.%5CC%3A", ESCAPED), "uploads/ntfs/\\\\.\\C:/"),
    "UAC": (below("[root]"), "[root]/"),
    "acquire": (below("sysvol"), "sysvol/"),
    "Velociraptor shadow copy": (
        below("uploads/ntfs/%5C%5C%3F%5CGLOBALROOT%5CDevice%5CHarddiskVolumeShadowCopy1", ESCAPED),
        "uploads/ntfs/\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1/",
    ),
}


@pytest.mark.parametrize("layout", SINGLE)
@pytest.mark.parametrize("packed", ["folder", "zip", "tar", "tar.gz"])
def test_one_host_in_every_layout(tmp_path: Path, layout: str, packed: str) -> None:
    files, prefix = SINGLE[layout]
    if packed == "folder":
        evidence = trees.folder(tmp_path / "WS01", files)
    else:
        data = trees.zipped(files) if packed == "zip" else trees.tarred(files, "w" if packed == "tar" else "w:gz")
        evidence = trees.write(tmp_path / f"WS01.{packed}", data)
    assert summary(discovered(evidence)) == {"WS01": whole(prefix)}


def test_cylr_writes_backslashes_and_no_colon(tmp_path: Path) -> None:
    files = {path.replace("/", "\\"): data for path, data in below("C").items()}
    assert summary(discovered(trees.write(tmp_path / "WS01.zip", trees.zipped(files)))) == {"WS01": whole("C/")}


def test_case_does_not_matter(tmp_path: Path) -> None:
    files = {path.upper(): data for path, data in DRIVE.items()} | {path.lower(): data for path, data in below("other").items()}
    discovery = discovered(trees.folder(tmp_path / "WS01", files))
    assert [(host.name, len(host.files)) for host in discovery.hosts] == [("other", 3), ("WS01", 3)]


def test_windows_old_and_further_drives_belong_to_the_same_host(tmp_path: Path) -> None:
    files = {**below("C"), **below("C/Windows.old"), **below("C/Windows.old.000"), **below("D%3A", {MPLOG: b"other drive"})}
    (host,) = discovered(trees.folder(tmp_path / "WS01", files)).hosts
    assert len(host.files) == 10
    assert host.roots == ("WS01",)


@pytest.mark.parametrize("prefix", ["", "C/", "uploads/auto/C%3A/"])
def test_files_elsewhere_on_a_drive_belong_to_its_host(tmp_path: Path, prefix: str) -> None:
    strays = {f"{prefix}Users/bob/Desktop/y.evtx": b"", f"{prefix}Tools/z.evtx": b"", f"{prefix}Program Files/App/Entries/12": b""}
    (host,) = discovered(trees.folder(tmp_path / "WS01", {**{prefix + path: data for path, data in DRIVE.items()}, **strays})).hosts
    assert (host.name, len(host.files)) == ("WS01", 5)


@pytest.mark.parametrize("prefix", ["", "C/", "uploads/auto/C%3A/"])
def test_several_hosts_in_one_folder(tmp_path: Path, prefix: str) -> None:
    files = {f"{host}/{prefix}{path}": data for host in ("support", "WS1") for path, data in DRIVE.items()}
    discovery = discovered(trees.folder(tmp_path / "share", files))
    assert [(host.name, host.name_basis, len(host.files)) for host in discovery.hosts] == [
        ("support", "collection", 3),
        ("WS1", "collection", 3),
    ]


def test_several_archives_in_one_folder(tmp_path: Path) -> None:
    trees.folder(tmp_path / "share", {"ws1.zip": trees.zipped(below("C")), "b/ws2.tar.gz": trees.tarred(below("[root]"), "w:gz")})
    discovery = discovered(tmp_path / "share")
    assert [(host.name, len(host.files), host.roots) for host in discovery.hosts] == [
        ("ws1", 3, ("share/ws1.zip",)),
        ("ws2", 3, ("share/b/ws2.tar.gz",)),
    ]


def test_several_evidence_paths_with_one_name_are_one_host(tmp_path: Path) -> None:
    one = trees.folder(tmp_path / "WS01", below("C", {MPLOG: b""}))
    two = trees.write(tmp_path / "ws01.zip", trees.zipped(below("D", {ENTRY: b""})))
    (host,) = discovered(one, two).hosts
    assert (host.name, host.roots) == ("WS01", ("WS01", "ws01.zip"))
    assert [(file.evidence, name) for name, file in host.files] == [("WS01", "mplog"), ("ws01.zip", "quarantine")]


def test_a_copied_detection_history_is_of_one_host_whatever_the_copy_is_called(tmp_path: Path) -> None:
    detections = {f"{number:02}/0000000{number}-1111-4222-8333-444444444444": b"x" for number in range(3)}
    tails = {**trees.COLLECTORS, "detection_history": DetectionHistoryCollector.tails}
    alone = discovered(trees.folder(tmp_path / "WS01" / "copied history", detections), collectors=tails)
    assert {host.name: len(host.files) for host in alone.hosts} == {"copied history": 3}
    trees.folder(tmp_path / "case", {**below("WS02"), **below("WS02/copied history", detections)})
    both = discovered(tmp_path / "case", collectors=tails, computer=by_content)
    assert {host.name: len(host.files) for host in both.hosts} == {"log": 6}


def test_the_name_is_the_computer_of_the_live_defender_log_first(tmp_path: Path) -> None:
    files = {
        **below("C/Windows.old", {LOG: b"OLDNAME"}),
        **below("C", {LOG: b"WS01.corp", MPLOG: b""}),
        "C/Windows/System32/winevt/Logs/A.evtx": b"OTHER",
        "client_info.json": b'{"hostname": "client"}',
    }
    (host,) = discovered(trees.folder(tmp_path / "case", files), computer=by_content).hosts
    assert (host.name, host.name_basis, len(host.files)) == ("WS01.corp", "evtx", 4)


def test_the_option_beats_everything_and_joins_everything(tmp_path: Path) -> None:
    files = {**below("ws1/C", {LOG: b"ONE"}), **below("ws2/C", {LOG: b"TWO"})}
    (host,) = discovered(trees.folder(tmp_path / "case", files), host="GIVEN", computer=by_content).hosts
    assert (host.name, host.name_basis, len(host.files)) == ("GIVEN", "option", 2)


@pytest.mark.parametrize(
    ("content", "name", "basis"),
    [
        ({"hostname": "WS-7", "fqdn": "ws-7.x"}, "WS-7", "client_info"),
        ({"Hostname": " WS-7 "}, "WS-7", "client_info"),
        ({"client_id": "C.1", "os_info": {"hostname": "WS-7"}}, "WS-7", "client_info"),
        ({"hostname": "../../etc"}, "../../etc", "client_info"),
        ({"hostname": "WS\ud800\0"}, "WS\ufffd\u2400", "client_info"),
        ({"hostname": ""}, "share", "collection"),
        ({"hostname": 7}, "share", "collection"),
        ([], "share", "collection"),
        ("hostname", "share", "collection"),
    ],
)
def test_client_info_gives_a_name_that_is_only_a_label(tmp_path: Path, content: object, name: str, basis: str) -> None:
    files = {**below("uploads/auto/C%3A", {MPLOG: b""}), "client_info.json": json.dumps(content).encode()}
    (host,) = discovered(trees.folder(tmp_path / "share", files)).hosts
    assert (host.name, host.name_basis) == (name, basis)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_client_info_that_is_none_does_no_harm(tmp_path: Path, content: bytes) -> None:
    files = {**below("C", {MPLOG: b""}), "client_info.json": content}
    (host,) = discovered(trees.folder(tmp_path / "share", files)).hosts
    assert host.name == "share"


def test_each_host_of_a_hunt_takes_its_own_client_info(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    for number in (1, 2):
        folder = f"ws{number}-C.000000000000000{number}"
        files |= below(f"{folder}/uploads/auto/C%3A", ESCAPED)
        files[f"{folder}/client_info.json"] = b'{"hostname": "HOST%d"}' % number
    assert summary(discovered(trees.write(tmp_path / "hunt.zip", trees.zipped(files)))) == {
        f"HOST{number}": whole(f"ws{number}-C.000000000000000{number}/uploads/auto/C:/") for number in (1, 2)
    }


def test_a_client_info_above_several_hosts_names_none_of_them(tmp_path: Path) -> None:
    files = {**below("ws1/C"), **below("ws2/C"), "client_info.json": b'{"hostname": "X"}'}
    assert [host.name for host in discovered(trees.folder(tmp_path / "share", files)).hosts] == ["ws1", "ws2"]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("Collection-WIN-E5K9RC5GU23-2021-11-21T18_05_56-08_00.zip", "WIN-E5K9RC5GU23"),
        ("uac-web01-linux-20240305120000.tar.gz", "web01"),
        ("devlp-C.a99faf363b5601fe", "devlp"),
        ("WS01.zip", "WS01"),
        ("WS01.corp.local", "WS01.corp.local"),
        (".zip", ".zip"),
    ],
)
def test_the_collections_name_is_the_last_resort(tmp_path: Path, name: str, host: str) -> None:
    pack = trees.tarred(below("C")) if "tar" in name else trees.zipped(below("C"))
    evidence = trees.write(tmp_path / name, pack) if name.endswith(("zip", "gz")) else trees.folder(tmp_path / name, below("C"))
    (found,) = discovered(evidence).hosts
    assert (found.name, found.name_basis) == (host, "collection")


@pytest.mark.parametrize(
    "given_path", ["C", "C/ProgramData", f"C/{ENTRY}", "C/ProgramData/Microsoft/Windows Defender/Quarantine", f"C/{LOG}"]
)
def test_a_part_of_a_collection_is_named_after_the_collection(tmp_path: Path, given_path: str) -> None:
    trees.folder(tmp_path / "WS01", below("C"))
    (host,) = discovered(tmp_path / "WS01" / given_path).hosts
    assert host.name == "WS01"


@pytest.mark.parametrize(
    "files",
    [
        {"Entries/{A}": b""},
        {"Quarantine/Entries/{A}": b"", "logs/x.evtx": b""},
        {"Windows Defender/Quarantine/Entries/{A}": b"", "Windows Defender/Support/MPLog-1.log": b""},
        {"x.evtx": b""},
    ],
)
def test_a_bare_folder_is_one_host(tmp_path: Path, files: dict[str, bytes]) -> None:
    (host,) = discovered(trees.folder(tmp_path / "WS01", files)).hosts
    assert (host.name, len(host.files)) == ("WS01", len(files))


def test_a_bare_folder_takes_the_name_of_the_log_beside_or_below(tmp_path: Path) -> None:
    files = {"Quarantine/Entries/{A}": b"", "export/x.evtx": b"REALNAME"}
    (host,) = discovered(trees.folder(tmp_path / "case", files), computer=by_content).hosts
    assert (host.name, host.name_basis, len(host.files)) == ("REALNAME", "evtx", 2)
    files = {"q/Quarantine/Entries/{A}": b"", "x.evtx": b"REALNAME"}
    (host,) = discovered(trees.folder(tmp_path / "case2", files), computer=by_content).hosts
    assert (host.name, len(host.files)) == ("REALNAME", 2)


def test_a_neighbor_does_not_give_its_name_away(tmp_path: Path) -> None:
    files = {"hostA/x.evtx": b"AAA", "hostB/Quarantine/Entries/{A}": b""}
    discovery = discovered(trees.folder(tmp_path / "share", files), computer=by_content)
    assert [(host.name, host.name_basis) for host in discovery.hosts] == [("AAA", "evtx"), ("hostB", "collection")]


def test_exported_logs_of_several_computers_in_one_folder_are_several_hosts(tmp_path: Path) -> None:
    files = {"a.evtx": b"ONE", "b.evtx": b"TWO", "c.evtx": b"one", "d.evtx": b"", "MPLog-1.log": b""}
    collectors = {"evtx": ("*.evtx",), "mplog": ("mplog-*.log",)}
    discovery = discovered(trees.folder(tmp_path / "logs of a case", files), computer=by_content, collectors=collectors)
    assert summary(discovery) == {
        "ONE": [("evtx", "a.evtx"), ("evtx", "c.evtx")],
        "TWO": [("evtx", "b.evtx")],
        "logs of a case": [("evtx", "d.evtx"), ("mplog", "MPLog-1.log")],
    }


def test_a_log_that_cannot_be_read_does_not_name(tmp_path: Path) -> None:
    def failing(file: EvidenceFile) -> str | None:
        raise EvidenceError("cannot be read", file.path)

    (host,) = discovered(trees.folder(tmp_path / "WS01", below("C")), computer=failing).hosts
    assert (host.name, len(host.files)) == ("WS01", 3)


def test_what_is_usual_and_missing_is_named_by_collector(tmp_path: Path) -> None:
    (host,) = discovered(trees.folder(tmp_path / "WS01", {f"C/{LOG}": b""})).hosts
    assert host.missing == ("quarantine", "mplog")


def test_a_file_of_two_collectors_is_listed_for_both(tmp_path: Path) -> None:
    collectors = {"one": ("*.evtx",), "two": ("winevt/logs/*", "*.evtx"), "three": ("x",)}
    (host,) = discovered(trees.folder(tmp_path / "WS01", {LOG: b""}), collectors=collectors).hosts
    assert [name for name, _ in host.files] == ["one", "two"]
    assert host.missing == ("three",)


def test_losses_name_evidence_and_path(tmp_path: Path) -> None:
    trees.folder(tmp_path / "share", {**below("C"), "a/broken.zip": b"PK\3\4"})
    discovery = discovered(tmp_path / "share", trees.write(tmp_path / "x.tar", b""))
    assert [(loss.excerpt, len(loss.reason) > 0) for loss in discovery.rejected] == [("share/a/broken.zip", True), ("x.tar", True)]
    assert len(discovery.hosts) == 1


def test_nothing_found_is_no_host(tmp_path: Path) -> None:
    assert discovered(trees.folder(tmp_path / "WS01", {"x": b"", "client_info.json": b'{"hostname": "X"}'})) == Discovery(
        hosts=(), rejected=()
    )


def test_the_result_does_not_depend_on_the_order_of_the_evidence(tmp_path: Path) -> None:
    one = trees.folder(tmp_path / "one", {**below("ws1/C"), **below("ws2/C")})
    two = trees.write(tmp_path / "two.zip", trees.zipped({**below("ws1/D"), **below("ws3/C")}))

    def names(discovery: Discovery) -> list[tuple[object, ...]]:
        return [(host.name, host.roots, [(name, file.evidence, file.path) for name, file in host.files]) for host in discovery.hosts]

    assert names(discovered(one, two)) == names(discovered(two, one)) == names(discovered(one, two))


@pytest.mark.real_data
def test_real_collections_hold_no_defender_files_and_one_is_encrypted(shared_data: Path) -> None:
    discovery = discovered(*sorted((shared_data / "velociraptor").glob("*.zip")))
    assert discovery.hosts == ()
    assert [loss.excerpt for loss in discovery.rejected] == ["encrypted_collector_pki.zip/data.zip"]


@pytest.mark.real_data
def test_real_collections_are_named_by_their_client_info_or_file_name(shared_data: Path) -> None:
    collectors = {"any": ("ntuser.dat", "windows.search.filefinder.json", "file.txt")}
    discovery = discovered(*sorted((shared_data / "velociraptor").glob("*.zip")), collectors=collectors)
    found = {host.name: (host.name_basis, [file.path for _, file in host.files]) for host in discovery.hosts}
    assert found == {
        "WIN-E5K9RC5GU23": ("collection", ["uploads/auto/C:/Users/Administrator/ntuser.dat"]),
        "devlp": ("client_info", ["devlp-C.a99faf363b5601fe/results/Windows.Search.FileFinder.json"]),
        "flow-export-sparse": ("collection", ["uploads/data/file.txt"]),
    }


names = st.sampled_from(
    [
        "C",
        "C:",
        "uploads",
        "auto",
        "ntfs",
        "Windows",
        "System32",
        "ProgramData",
        "Microsoft",
        "host",
        "Windows.old",
        "Users",
        "x",
        "AppData",
    ]
)


@given(st.lists(names, max_size=8))
def test_a_collection_is_always_a_beginning_of_the_path(folder: list[str]) -> None:
    prefix = collection(folder)
    assert tuple(folder[: len(prefix)]) == prefix == collection(prefix)
    end = drive(folder)
    assert end is None or 0 <= end <= len(folder)

"""The same evidence gives the same bytes (C10) and the same ids (C5): run again, found elsewhere, found in another order, packed."""

import shutil
from pathlib import Path

import pytest

from tests.line import FILES, Exported, export


@pytest.fixture(scope="module")
def first(case_folder, tmp_path_factory) -> Exported:
    return export(case_folder, tmp_path_factory.mktemp("first"), reproducible=True)


def bytes_of(run: Exported) -> dict[str, bytes]:
    return {name: (run.folder / name).read_bytes() for name in FILES.values()}


def ids_of(run: Exported) -> set[str]:
    return {document["event"]["id"] for document in run.documents}


def copied(source: Path, target: Path) -> Path:
    """The same tree with every folder's entries made in the opposite order: most file systems list them so."""
    target.mkdir(parents=True)
    for path in sorted(source.iterdir(), reverse=True):
        if path.is_dir():
            copied(path, target / path.name)
        else:
            shutil.copy2(path, target / path.name)
    shutil.copystat(source, target)
    return target


def test_two_runs_write_the_same_bytes(first, case_folder, tmp_path):
    assert bytes_of(export(case_folder, tmp_path, reproducible=True)) == bytes_of(first)


def test_without_reproducible_only_the_time_of_ingestion_differs(first, demo):
    for name in ("timesketch", "l2tcsv"):
        assert (demo.folder / FILES[name]).read_bytes() == (first.folder / FILES[name]).read_bytes()
    documents = demo.documents
    assert all(document["event"].pop("ingested") for document in documents)
    assert documents == first.documents


def test_another_place_and_another_order_on_the_disk_write_the_same_bytes(first, case_folder, tmp_path):
    elsewhere = copied(case_folder, tmp_path / "some where else" / case_folder.name)
    assert bytes_of(export(elsewhere, tmp_path / "out", reproducible=True)) == bytes_of(first)


def test_evidence_in_another_order_writes_the_same_bytes(case_folder, tmp_path):
    hosts = sorted(path for path in case_folder.iterdir() if path.is_dir())
    forth = export(hosts, tmp_path / "forth", reproducible=True)
    back = export(reversed(hosts), tmp_path / "back", reproducible=True)
    assert len(hosts) == 2
    assert bytes_of(forth) == bytes_of(back)


def test_ids_do_not_depend_on_where_the_evidence_begins_or_how_it_is_packed(first, case_folder, tmp_path):
    hosts = [path for path in case_folder.iterdir() if path.is_dir()]
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", case_folder)
    assert ids_of(export(hosts, tmp_path / "apart", sinks=["ecs"])) == ids_of(first)
    assert ids_of(export(Path(packed), tmp_path / "zip", sinks=["ecs"])) == ids_of(first)


def test_another_case_gives_other_ids(first, case_folder, tmp_path):
    assert not ids_of(export(case_folder, tmp_path, sinks=["ecs"], case="T2")) & ids_of(first)


def test_both_event_log_engines_give_the_same_ids_and_timelines(first, case_folder, tmp_path):
    other = export(case_folder, tmp_path, reproducible=True, evtx_engine="python-evtx")
    assert ids_of(other) == ids_of(first)
    assert bytes_of(other) == bytes_of(first)

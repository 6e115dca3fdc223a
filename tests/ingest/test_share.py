"""What `ingest` takes from a share, when, and what it says about it."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from exporter.errors import ConfigurationError, EvidenceError, SinkUnavailable
from exporter.evidence import folder as folder_module
from tests.collectors.test_host_settings import trace
from tests.evidence.trees import appearance
from tests.formats.mplog_texts import EVENT, HEADER, SCAN, encoded
from tests.ingest.share import LINE_END, Share, Told, delivered, evidence_ids, ids, ingester, night
from tests.line import export


def log_of(share: Share, host: str) -> Path:
    return min((share.folder / host).rglob("MPLog-*.log"))


def test_folders_zips_and_single_logs_are_collections_and_the_share_is_left_alone(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    (share.folder / "site").mkdir()
    share.zip(share.hosts[1], "site/second.zip")
    shutil.copy(min(share.whole.rglob("*.evtx")), share.folder / "third.evtx")
    before = appearance(share.folder)
    run = night(share.folder)
    assert appearance(share.folder) == before
    assert (run.collections, run.delivered, run.problems) == (3, 3, {})
    assert ids(delivered(tmp_path / "out")).keys() == ids(export(share.whole, tmp_path / "once", sinks=("ecs",)).documents).keys()


def test_overlapping_collections_of_one_host_write_no_event_twice(share: Share, tmp_path: Path) -> None:
    host = share.hosts[0]
    share.show(host)
    for number in range(3):
        share.zip(host, f"{host}-{number}.zip", 0.6 + number / 5)
    run = night(share.folder)
    assert run.known > run.events
    assert max(ids(delivered(tmp_path / "out")).values()) == 1


@pytest.mark.parametrize(
    ("case_from", "cases"), [("host", {"SRV-FILES02", "WS-0142"}), ("folder", {"site", "WS-0142"}), ("night watch", {"night watch"})]
)
def test_a_case_is_the_host_the_folder_or_what_was_said(share: Share, tmp_path: Path, case_from: str, cases: set[str]) -> None:
    share.show("WS-0142")
    (share.folder / "site").mkdir()
    share.zip("SRV-FILES02", "site/one.zip")
    night(share.folder, case_from=case_from)
    assert {one["labels"]["case_id"] for one in delivered(tmp_path / "out")} == cases
    names = {path.name.rpartition("-20")[0] for path in (tmp_path / "out").glob("*.ndjson")}
    assert names == {case.replace(" ", "_") for case in cases}


def test_what_has_not_rested_waits_and_is_read_when_it_has(share: Share) -> None:
    share.show(share.hosts[0])
    with ingester(share.folder, settle=100.0) as made:
        waiting = made.run(wait=False)
        assert (waiting.delivered, set(waiting.unsettled)) == (0, {share.hosts[0]})
        made.state.execute("UPDATE collections SET since = since - 99")
        assert made.run(wait=False).delivered == 0
        made.state.execute("UPDATE collections SET since = since - 2")
        assert made.run(wait=False).delivered == 1


def test_one_wait_is_enough_on_the_first_night(share: Share) -> None:
    share.show(share.hosts[0])
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    with ingester(share.folder, settle=0.3) as made:
        assert made.run(sleep).delivered == 1
    assert len(slept) == 1


@pytest.mark.parametrize("mark", ["beside", "inside"])
def test_a_mark_says_that_a_collection_is_complete(share: Share, mark: str) -> None:
    host = share.hosts[0]
    share.show(host)
    (share.folder / f"{host}.done" if mark == "beside" else share.folder / host / ".done").touch()
    assert night(share.folder, settle=1000.0).delivered == 1


def test_a_zip_waits_for_its_mark_or_its_rest(share: Share, tmp_path: Path) -> None:
    share.zip(share.hosts[0], "one.zip")
    with ingester(share.folder, settle=1000.0) as made:
        assert made.run(wait=False).delivered == 0
        (share.folder / "one.zip.done").touch()
        assert made.run(wait=False).delivered == 1


def test_a_delivered_log_that_never_rests_is_read_at_last(share: Share) -> None:
    host = share.hosts[0]
    share.show(host, 0.5)
    night(share.folder)
    with ingester(share.folder, settle=50.0) as made:
        share.show(host, 0.7)
        assert made.run(wait=False).delivered == 0
        share.show(host, 0.8)
        made.state.execute("UPDATE collections SET changed = changed - 499")
        assert made.run(wait=False).delivered == 0
        share.show(host, 0.9)
        made.state.execute("UPDATE collections SET changed = changed - 2")
        assert made.run(wait=False).delivered == 1


def test_truncation_replacement_and_removal_are_noticed_and_cost_nothing(share: Share, tmp_path: Path) -> None:
    host = share.hosts[0]
    share.show(host)
    night(share.folder)
    log, event_log = log_of(share, host), min((share.folder / host).rglob("*.evtx"))
    whole = evidence_ids(delivered(tmp_path / "out"))
    log.write_bytes(log.read_bytes()[:2000])
    told = Told()
    night(share.folder, told)
    assert len(told.of("file-truncated")) == 1
    other = log_of(share, share.hosts[0]).read_bytes()[:2] + "other beginning\r\n".encode("utf-16-le")
    log.write_bytes(other + (share.whole / log.relative_to(share.folder)).read_bytes()[2:])
    event_log.unlink()
    told = Told()
    night(share.folder, told)
    assert [len(told.of(action)) for action in ("file-replaced", "file-truncated", "file-gone")] == [1, 0, 1]
    assert whole.keys() <= evidence_ids(delivered(tmp_path / "out")).keys()
    assert max(ids(delivered(tmp_path / "out")).values()) == 1


def test_a_block_cut_off_by_the_end_of_a_log_is_written_once_and_whole(share: Share, tmp_path: Path) -> None:
    host = share.hosts[0]
    share.show(host)
    log = log_of(share, host)
    data = log.read_bytes()
    end = data.rfind("End Scan".encode("utf-16-le"))
    log.write_bytes(data[: data.rfind(LINE_END, 0, end) + len(LINE_END)])
    night(share.folder)
    log.write_bytes(data)
    night(share.folder)
    assert evidence_ids(delivered(tmp_path / "out")) == evidence_ids(export(share.folder, tmp_path / "once", sinks=("ecs",)).documents)


def test_a_log_that_stays_cut_off_is_taken_as_it_is_after_a_day(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    log = log_of(share, share.hosts[0])
    data = log.read_bytes()
    end = data.rfind("End Scan".encode("utf-16-le"))
    log.write_bytes(data[: data.rfind(LINE_END, 0, end) + len(LINE_END)])
    with ingester(share.folder) as made:
        made.run()
        assert made.run().delivered == 0
        made.state.execute("UPDATE collections SET cut_at = cut_at - 86401")
        assert made.run().events > 0
        assert made.run().delivered == 0
    assert evidence_ids(delivered(tmp_path / "out")) == evidence_ids(export(share.folder, tmp_path / "once", sinks=("ecs",)).documents)


def test_damage_is_told_once(share: Share, tmp_path: Path) -> None:
    host = share.hosts[0]
    share.show(host, 0.5)
    entry = min(path for path in (share.folder / host).rglob("*") if path.parent.name == "Entries")
    entry.write_bytes(entry.read_bytes()[:20])
    assert night(share.folder).rejected == 1
    share.show(host, 1.0)
    entry.write_bytes(entry.read_bytes()[:20])
    assert night(share.folder).rejected == 0
    letters = list((tmp_path / "state").glob("dead-letters-*.ndjson"))
    assert len(letters) == 1


class _Hang:
    """Stands in for the opening of files: hangs for one collection, for good."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.never = threading.Event()
        self.real = folder_module.open_file

    def __call__(self, root: Path, below: tuple[str, ...]):
        if self.word in str(root):
            self.never.wait()
        return self.real(root, below)


def test_a_collection_that_hangs_costs_itself_and_this_night_only(share: Share, tmp_path: Path, monkeypatch) -> None:
    for host in share.hosts:
        share.show(host)
    hang = _Hang(share.hosts[0])
    told = Told()
    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "open_file", hang)
        run = night(share.folder, told, deadline=0.2)
    assert set(run.problems) == {share.hosts[0]}
    assert run.delivered == 1
    assert {one["host"]["name"] for one in delivered(tmp_path / "out")} == {share.hosts[1]}
    assert night(share.folder).delivered == 1
    hang.never.set()
    assert evidence_ids(delivered(tmp_path / "out")) == evidence_ids(export(share.folder, tmp_path / "once", sinks=("ecs",)).documents)


@pytest.mark.parametrize("suffix", [".evtx", ".log"])
def test_a_share_that_goes_away_in_the_middle_of_a_host_loses_and_repeats_nothing(
    share: Share, tmp_path: Path, monkeypatch, suffix: str
) -> None:
    host = share.hosts[0]
    share.show(host)
    real = folder_module.open_file
    opened: list[str] = []

    def gone(root: Path, below: tuple[str, ...]):
        opened.append(below[-1])
        if below[-1].endswith(suffix) and opened.count(below[-1]) == (2 if suffix == ".evtx" else 1):
            raise EvidenceError("cannot be opened: away") from OSError(5, "Input/output error")
        return real(root, below)

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "open_file", gone)
        run = night(share.folder)
    assert "not there any more" in run.problems[host]
    assert run.rejected == 0
    assert night(share.folder).problems == {}
    documents = delivered(tmp_path / "out")
    assert max(ids(documents).values()) == 1
    assert ids(documents).keys() == ids(export(share.folder, tmp_path / "once", sinks=("ecs",)).documents).keys()


def test_a_share_that_is_not_there_is_an_error_and_changes_nothing(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    night(share.folder)
    moved = share.folder.rename(tmp_path / "unmounted")
    with pytest.raises(EvidenceError):
        night(share.folder)
    moved.rename(share.folder)
    assert night(share.folder).delivered == 0


def test_a_sink_that_gives_up_leaves_no_file_and_the_next_night_does_it_again(share: Share, tmp_path: Path, monkeypatch) -> None:
    from exporter.sinks.l2tcsv import L2tcsvSink

    share.show(share.hosts[0])

    def fail(_: L2tcsvSink) -> list[str]:
        raise SinkUnavailable("full")

    with monkeypatch.context() as patch:
        patch.setattr(L2tcsvSink, "close", fail)
        with pytest.raises(SinkUnavailable):
            night(share.folder)
    night(share.folder)
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert max(ids(delivered(tmp_path / "out")).values()) == 1


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        (("ecs:-",), "standard output"),
        (("ecs:out/{case}.ndjson",), "needs `{run}`"),
        (("ecs:out/{run}.x", "timesketch:out/{run}.x"), "same target"),
        (("timesketch:https://example.invalid?timeline=x",), "needs `timeline="),
    ],
)
def test_targets_that_would_lose_or_mix_runs_are_refused(share: Share, to: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        night(share.folder, to=to)


def test_nothing_is_written_on_the_share(share: Share, tmp_path: Path) -> None:
    before = appearance(share.folder)
    given = [
        {"to": (f"ecs:{share.folder / '{run}.ndjson'}",)},
        {"state": share.folder / "state"},
        {"temporary": share.folder},
        {"metrics": share.folder / "x.prom"},
    ]
    for options in given:
        with pytest.raises(ConfigurationError, match="never written to"):
            night(share.folder, **options)
    with pytest.raises(ConfigurationError, match="never written to"):
        export(share.folder, tmp_path / "out", state=share.folder / "state")
    assert appearance(share.folder) == before


def test_a_state_that_somebody_wrote_to_removes_no_other_file(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    with ingester(share.folder) as made:
        number, _ = made.state.announce("T1")
        made.state.expect(number, [str(tmp_path / "thesis.txt")])
        made.run()
    assert (tmp_path / "thesis.txt").exists()


def test_a_run_leaves_no_thread_behind(share: Share) -> None:
    for number in range(5):
        share.zip(share.hosts[0], f"{number}.zip", 0.2)
    before = threading.active_count()
    with ingester(share.folder) as made:
        made.run()
        assert threading.active_count() <= before + 1
    time.sleep(0.2)
    assert threading.active_count() <= before


def test_a_state_serves_one_set_of_targets(share: Share, tmp_path: Path) -> None:
    share.show(share.hosts[0])
    night(share.folder)
    with pytest.raises(ConfigurationError, match="another state folder"):
        night(share.folder, to=(f"ecs:{tmp_path / 'out' / '{run}-x.ndjson'}",))


def test_a_log_that_grew_is_read_with_what_the_traces_read_before_say_of_its_clock(share: Share, tmp_path: Path) -> None:
    support = share.folder / "WS-9" / "ProgramData" / "Microsoft" / "Windows Defender" / "Support"
    support.mkdir(parents=True)
    log = support / "MPLog-20240305-051500.log"
    (support / "MpWppTracing-20240305-050000-00000003-ffffffff.bin").write_bytes(trace(300))
    log.write_bytes(encoded(EVENT))
    night(share.folder)
    log.write_bytes(encoded(EVENT, *SCAN))
    night(share.folder)
    clocks = [one["defender"]["mplog"].get("utc_offset_basis") for one in delivered(tmp_path / "out") if "mplog" in one["defender"]]
    assert sorted(filter(None, clocks)) == ["trace"]


def test_a_log_that_grew_is_read_with_what_an_older_log_that_did_not_says_of_its_clock(share: Share, tmp_path: Path) -> None:
    support = share.folder / "WS-9" / "ProgramData" / "Microsoft" / "Windows Defender" / "Support"
    support.mkdir(parents=True)
    (support / "MPLog-20240305-051500.log").write_bytes(encoded(*HEADER))
    log = share.folder / "WS-9" / "Windows" / "Temp" / "MpCmdRun.log"
    log.parent.mkdir(parents=True)
    row, run = "-" * 85, "MpCmdRun: Command Line: MpCmdRun.exe -h"
    log.write_bytes(encoded(row, run, row))
    night(share.folder)
    log.write_bytes(encoded(row, run, row, run, " Start Time: Tue Mar 05 2024 05:16:00", row))
    night(share.folder)
    found = [one["defender"]["mpcmdrun"].get("utc_offset_basis") for one in delivered(tmp_path / "out") if "mpcmdrun" in one["defender"]]
    assert sorted(found, key=str) == [None, "session"]

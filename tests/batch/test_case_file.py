"""CASE.yaml says what belongs to a case, and an error in it names file and line."""

from pathlib import Path
from typing import Any

import pytest

from exporter.batch.options import Batch, batch
from exporter.errors import ConfigurationError

GIVEN: dict[str, Any] = {
    **dict.fromkeys(("case", "state", "work", "jobs", "runner")),
    **dict.fromkeys(("evidence", "to", "sources", "only"), ()),
}
WHOLE = """\
case: C1
hosts:
  - evidence: [a.zip]
  - name: WS-2
    evidence: [b, "c*.zip"]
    utc_offset: "-05:30"
evidence: ["share/*/"]
sinks:
  - timesketch:out/c1.jsonl?part_lines=9
  - elasticsearch:https://siem:9200
sources: [mplog, evtx]
vss: latest
jobs: 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b", "share/H1", "share/H2"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a.zip", "c1.zip", "c2.zip", "share/notes.txt"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def read(folder: Path, text: str, **given: Any) -> Batch:
    (folder / "CASE.yaml").write_text(text, "utf-8")
    return batch(folder / "CASE.yaml", {**GIVEN, **given})


def test_hosts_are_entries_and_every_match_of_evidence_with_paths_relative_to_the_file(folder: Path) -> None:
    found = read(folder, WHOLE)
    expected = [("a.zip",), ("b", "c1.zip", "c2.zip"), ("share/H1",), ("share/H2",)]
    assert [item.evidence for item in found.items] == [tuple(str(folder / path) for path in paths) for paths in expected]
    assert [(item.label, item.name, item.utc_offset) for item in found.items] == [
        ("a.zip", None, None),
        ("WS-2", "WS-2", -330),
        ("H1", None, None),
        ("H2", None, None),
    ]
    assert found.to == (f"timesketch:{folder / 'out/c1.jsonl'}?part_lines=9", "elasticsearch:https://siem:9200")
    assert (found.case, found.jobs, found.sources, found.runner, found.vss) == ("C1", 3, ("evtx", "mplog"), "local", "latest")
    assert (found.state, found.work) == (folder / "C1.batch", folder / "C1.batch" / "work")


def test_the_command_line_wins_and_its_evidence_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "share")
    given = {"case": "C2", "to": ("ecs:x.ndjson",), "jobs": 5, "evidence": ("H*/",), "state": folder / "s", "sources": ("quarantine",)}
    found = read(folder, "case: C1\nhosts: [{evidence: [../a.zip]}]\njobs: 2\nsinks: [ecs:y.ndjson]\n", **given)
    assert (found.case, found.to, found.jobs, found.state, found.sources) == ("C2", ("ecs:x.ndjson",), 5, folder / "s", ("quarantine",))
    assert [item.label for item in found.items] == ["H1", "H2", "a.zip"]


@pytest.mark.parametrize(("written", "meant"), [("k.csv", "{}/k.csv"), ("command:bin/k", "command:{}/bin/k"), ("/etc/k.csv", "/etc/k.csv")])
def test_keys_are_a_reference_relative_to_the_file(folder: Path, written: str, meant: str) -> None:
    text = f"case: C1\nsinks: [ecs:-]\nevidence: [b]\nkeys: {written}\n"
    assert read(folder, text).keys == meant.format(folder)
    assert read(folder, text, keys="mine.csv").keys == "mine.csv"


def test_state_and_work_are_relative_to_the_file_and_the_command_line_wins(folder: Path) -> None:
    text = "case: C1\nsinks: [ecs:-]\nevidence: [b]\nstate: s\nwork: w\n"
    assert (read(folder, text).state, read(folder, text).work) == (folder / "s", folder / "w")
    given = read(folder, text, state=Path("mine"), work=Path("ours"))
    assert (given.state, given.work) == (Path("mine"), Path("ours"))


def test_hosts_of_one_name_are_told_apart_and_the_same_evidence_is_one(folder: Path) -> None:
    found = read(folder, "case: C1\nsinks: [ecs:-]\nhosts: [{evidence: [share/H1]}, {evidence: [./share/H1]}, {evidence: [b, share/H1]}]\n")
    assert [item.label for item in found.items] == [f"H1 ({folder / 'share/H1'})", "b"]
    assert len({item.id for item in found.items}) == 2


def test_links_to_one_place_are_hosts_of_their_own(folder: Path) -> None:
    for name in ("x.zip", "y.zip"):
        (folder / "share" / name).symlink_to(folder / "gone.zip")
    found = read(folder, "case: C1\nsinks: [ecs:-]\nevidence: [share/*.zip]\n")
    assert [item.label for item in found.items] == ["x.zip", "y.zip"]


def test_a_path_where_nothing_is_stays_in_the_plan(folder: Path) -> None:
    found = read(folder, "case: C1\nsinks: [ecs:-]\nhosts: [{evidence: [gone.zip]}]\n")
    assert found.items[0].evidence == (str(folder / "gone.zip"),)


def test_a_host_is_chosen_by_name_or_number(folder: Path) -> None:
    assert read(folder, WHOLE, only=("WS-2", "H2", "1")).only == (1, 3, 0)
    with pytest.raises(ConfigurationError, match="no host of the plan is called `5`, and it is no number from 1 to 4"):
        read(folder, WHOLE, only=("5",))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("case: C1\nhosts:\n  - evidence: a.zip\n", 3, "Expected `array`, got `str`"),
        ("case: C1\nhosts:\n  - evidence: [a.zip]\n    nmae: x\n", 4, "`nmae` is not known here"),
        ("case: 7\n", 1, "`case`: Expected `str | null`, got `int`"),
        ("case: C1\n\nhots: []\n", 3, "`hots` is not known here"),
        ("case: C1\nhosts:\n  - evidence: []\n", 3, "at least one path"),
        ("case: C1\nhosts:\n  - evidence: [b]\n    utc_offset: +1h\n", 4, "`+1h` is no offset from UTC"),
        ("case: C1\nevidence:\n  - share/*/\n  - nothing*\n", 4, "`nothing*` matches nothing"),
        ("case: C1\nevidence: [b]\nsinks: [ecs:-]\nsources: [evtx, registry]\n", 4, "there is no source `registry`"),
        ("case: C1\nevidence: [b]\nsinks:\n  - ecs:-\n  - kibana:x\n", 5, "unknown sink"),
        ("case: C1\ncase: C2\n", 2, "`case` is there twice"),
        ("case: C1\nhosts: [\n", 3, "not YAML"),
        ("case: C1\nhosts: &a [*a]\n", 2, "an alias that holds itself"),
        ("- C1\n", 1, "Expected `object`, got `array`"),
        ("case: \x00\n", 1, "not YAML"),
    ],
)
def test_an_error_names_file_and_line(folder: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(folder, text)
    assert str(raised.value).startswith(f"{folder / 'CASE.yaml'}:{line}: ")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("written", "minutes"), [("+01:00", 60), ("+10:00", 600), ("-05:30", -330), ("-11:00", -660), ('"+0545"', 345), ("60", 60)]
)
def test_an_offset_is_understood_however_yaml_reads_it(folder: Path, written: str, minutes: int) -> None:
    found = read(folder, f"case: C1\nsinks: [ecs:-]\nhosts: [{{evidence: [b], utc_offset: {written}}}]\n")
    assert found.items[0].utc_offset == minutes


@pytest.mark.parametrize(
    ("text", "words"), [("", "a case id is needed"), ("case: C1\n", "a sink is needed"), ("case: C1\nsinks: [ecs:-]\n", "a host is needed")]
)
def test_what_is_missing_is_named(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read(folder, text)


def test_a_case_file_that_is_not_there_or_no_text_is_named(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        batch(folder / "gone.yaml", {**GIVEN})
    (folder / "CASE.yaml").write_bytes(b"case: \xff")
    with pytest.raises(ConfigurationError, match="not UTF-8 text at byte 6"):
        batch(folder / "CASE.yaml", {**GIVEN})

"""The account of everything that was lost."""

import json
import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import SinkRefused
from exporter.records import DeadLetter
from exporter.state.dead_letters import EXCERPT_CHARACTERS, DeadLetters

TICKS = 133_144_416_260_770_946
LETTER = DeadLetter(stage="collect", reason="cut short", source="C/a.evtx")


def write(path: Path, *letters: DeadLetter) -> list[dict[str, object]]:
    dead_letters = DeadLetters(path, force=True, reproducible=True)
    for letter in letters:
        dead_letters.write(letter)
    assert dead_letters.close() == str(path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_without_a_loss_there_is_no_file(tmp_path: Path):
    assert DeadLetters(tmp_path / "dead").close() is None
    assert list(tmp_path.iterdir()) == []


def test_a_letter_says_where_what_and_why(tmp_path: Path):
    letter = DeadLetter(
        stage="collect",
        reason="cut short",
        source="C/a.evtx",
        host="ws1",
        collector="evtx",
        offset=4096,
        number=7,
        units=3,
        excerpt="ElfChnk",
    )
    dead_letters = DeadLetters(tmp_path / "dead", clock=lambda: TICKS)
    dead_letters.write(letter)
    dead_letters.close()
    assert json.loads((tmp_path / "dead").read_bytes()) == {
        "ts": "2022-12-02T08:00:26.0770946Z",
        "stage": "collect",
        "error_reason": "cut short",
        "source": "C/a.evtx",
        "host": "ws1",
        "collector": "evtx",
        "offset": 4096,
        "number": 7,
        "units": 3,
        "excerpt": "ElfChnk",
    }


def test_a_sinks_refusal_has_the_fields_that_replay_reads(tmp_path: Path):
    document = '{"message":"\\u0000 \u202e","n":18446744073709551616,"event":{"id":"x"}}'
    letter = DeadLetter(stage="sink", reason="failed to parse", source="C/a.evtx", document=msgspec.Raw(document.encode()))
    dead_letters = DeadLetters(tmp_path / "dead", reproducible=True)
    dead_letters.write(letter, sink="elasticsearch", index="dfir", document_id="ab", status=400, error_type="mapper_parsing_exception")
    dead_letters.close()
    [line] = (tmp_path / "dead").read_text(encoding="utf-8").splitlines()
    assert list(json.loads(line)) == ["stage", "sink", "index", "id", "status", "error_type", "error_reason", "source", "document"]
    assert json.loads(line)["document"] == json.loads(document)
    assert "18446744073709551616" in line
    assert "\u202e" not in line


def test_each_letter_is_in_the_file_at_once(tmp_path: Path):
    dead_letters = DeadLetters(tmp_path / "dead")
    for count in (1, 2, 3):
        dead_letters.write(LETTER)
        assert (tmp_path / "dead").read_bytes().count(b"\n") == count == dead_letters.count
    dead_letters.close()


def test_an_earlier_runs_file_is_refused_and_kept(tmp_path: Path):
    (tmp_path / "dead").write_text("precious")
    with pytest.raises(SinkRefused, match="exists"):
        DeadLetters(tmp_path / "dead")
    assert (tmp_path / "dead").read_text() == "precious"


def test_by_force_an_earlier_runs_file_is_gone_even_when_nothing_is_lost_now(tmp_path: Path):
    (tmp_path / "dead").write_text("old")
    DeadLetters(tmp_path / "dead", force=True).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("before", "lines"), [(b"", 1), (b'{"a":1}\n', 2), (b'{"a":1}\n{"b', 3)])
def test_appending_starts_a_line_of_its_own(before: bytes, lines: int, tmp_path: Path):
    (tmp_path / "dead").write_bytes(before)
    dead_letters = DeadLetters(tmp_path / "dead", append=True, reproducible=True)
    dead_letters.write(LETTER)
    dead_letters.close()
    content = (tmp_path / "dead").read_bytes()
    assert content.startswith(before)
    assert len(content.splitlines()) == lines
    assert json.loads(content.splitlines()[-1])["error_reason"] == "cut short"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_may_read_it(tmp_path: Path):
    write(tmp_path / "dead", LETTER)
    assert stat.S_IMODE((tmp_path / "dead").stat().st_mode) == 0o600


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(SinkRefused, match="nowhere"):
        DeadLetters(tmp_path / "nowhere" / "dead").write(LETTER)


def test_an_excerpt_is_short_and_visible(tmp_path: Path):
    [long, hostile] = write(
        tmp_path / "dead",
        DeadLetter(stage="s", reason="r", source="f", excerpt="x" * 5000),
        DeadLetter(stage="s", reason="r", source="f", excerpt="\x1b]0;x\x07\u202e\0"),
    )
    assert long["excerpt"] == "x" * EXCERPT_CHARACTERS + "…"
    assert hostile["excerpt"] == "\\x1b]0;x\\x07\\u202e\\x00"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(exclude_categories=()), min_size=1, max_size=20))
def test_any_texts_are_one_line_that_moves_no_cursor(text: str, tmp_path: Path):
    [entry] = write(tmp_path / "dead", DeadLetter(stage="s", reason=text, source=text, excerpt=text, host=text))
    line = (tmp_path / "dead").read_text(encoding="utf-8").removesuffix("\n")
    assert line.isprintable() or not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in line)
    assert not set(line) & set("\u202a\u202e\u200b\u2066\ufeff")
    assert entry["stage"] == "s"

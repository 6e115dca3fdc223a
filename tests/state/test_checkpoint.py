"""The checkpoint: private, refused where it cannot work or is not ours, all or nothing."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from exporter.errors import ConfigurationError, SinkUnavailable
from exporter.state import checkpoint
from exporter.state.checkpoint import FILE_NAME, SCHEMA, State


@pytest.fixture
def state(tmp_path: Path):
    made = State(tmp_path / "state")
    yield made
    made.close()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_only_the_owner_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        state = State(tmp_path / "deep" / "state")
        state.set_note("x", "y")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.folder.iterdir()}
        state.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert f"{FILE_NAME}-wal" in modes


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="owner's alone"):
        State(tmp_path)


def test_a_newer_schema_is_refused_and_left_alone(state: State) -> None:
    state.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    state.close()
    before = (state.folder / FILE_NAME).read_bytes()
    with pytest.raises(ConfigurationError, match="newer version"):
        State(state.folder)
    assert (state.folder / FILE_NAME).read_bytes() == before


def test_another_database_is_not_taken_for_a_state(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigurationError, match="not a state"):
        State(tmp_path)


@pytest.mark.parametrize("keep", [0, 16, 100])
def test_damage_is_a_sentence_and_no_traceback(state: State, keep: int) -> None:
    state.close()
    path = state.folder / FILE_NAME
    data = path.read_bytes()
    path.write_bytes(data[:keep] + b"\xa5" * (len(data) - keep))
    with pytest.raises((ConfigurationError, SinkUnavailable), match="state"):
        State(state.folder).bind({})


def test_a_transaction_is_all_or_nothing(state: State) -> None:
    def fail() -> None:
        with state.transaction():
            state.ids.add("ab" * 20)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(state.ids) == 0
    with state.transaction():
        state.ids.add("ab" * 20)
    assert len(state.ids) == 1


def test_an_id_is_new_once(state: State) -> None:
    assert [state.ids.add(identity) for identity in ("ab" * 20, "ab" * 20, "cd" * 20)] == [True, False, True]
    assert "ab" * 20 in state.ids
    state.ids.remove("ab" * 20)
    assert "ab" * 20 not in state.ids


def test_an_unfinished_delivery_keeps_its_number_and_its_name_for_the_same_case(state: State) -> None:
    number, stamp = state.announce("C1")
    state.expect(number, ["a", "b"])
    assert state.unfinished() == (stamp, ["a", "b"], "C1")
    assert state.announce("C1") == (number, stamp)
    assert state.announce("C2")[0] == number
    state.execute("UPDATE deliveries SET finished = 1.0")
    assert state.unfinished() is None
    assert state.announce("C1")[0] == number + 1


def test_a_state_is_bound_to_what_it_serves(state: State) -> None:
    state.bind({"targets": ["a"]})
    state.bind({"targets": ["a"]})
    with pytest.raises(ConfigurationError, match="another state folder"):
        state.bind({"targets": ["b"]})


def test_another_version_reads_files_again_and_keeps_ids(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    state.bind({})
    state.ids.add("ab" * 20)
    state.execute("INSERT INTO collections (name, signature, size, since, changed, delivered) VALUES ('x', x'01', 1, 1, 1, x'01')")
    state.execute("INSERT INTO held VALUES ('c', 'h', x'00', NULL, x'00')")
    state.bind({})
    assert state.execute("SELECT delivered FROM collections").fetchone() == (b"\1",)
    monkeypatch.setattr(checkpoint, "__version__", "99.0")
    state.bind({})
    assert state.execute("SELECT delivered FROM collections").fetchone() == (None,)
    assert state.execute("SELECT count(*) FROM held").fetchone() == (0,)
    assert len(state.ids) == 1


def test_ten_thousand_ids_take_at_most_24_bytes_each(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    with state.transaction():
        for _ in range(10_000):
            state.ids.add(os.urandom(20).hex())
    state.close()
    empty = State(tmp_path / "empty")
    empty.close()
    size = (tmp_path / "state" / FILE_NAME).stat().st_size - (tmp_path / "empty" / FILE_NAME).stat().st_size
    assert size <= 24 * 10_000

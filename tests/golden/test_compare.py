"""The failure of a golden test says what differs, how to refresh, and when not to."""

import json

import pytest

from tests.golden.compare import check


def failure(path, before: bytes, after: bytes) -> str:
    path.write_bytes(before)
    with pytest.raises(AssertionError) as failed:
        check(path, after, refresh=False)
    assert path.read_bytes() == before
    return str(failed.value)


def test_a_changed_field_is_named_with_both_values(tmp_path):
    before, after = ({"a": {"b": value}, "unchanged": "x" * 1000} for value in (1, 2))
    text = failure(tmp_path / "case.ndjson", json.dumps(before).encode() + b"\n", json.dumps(after).encode() + b"\n")
    assert "row 1, a.b:" in text
    assert "- 1\n" in text
    assert "+ 2\n" in text
    assert "unchanged" not in text
    assert "make golden" in text
    assert "Do NOT refresh" in text


def test_a_changed_cell_is_named_by_its_column(tmp_path):
    text = failure(tmp_path / "case.csv", b'date,extra\n1,"x\n', b'date,extra\n1,"y\n')
    assert "row 1, extra:" in text
    assert '- "x\n' in text


def test_missing_rows_other_spellings_and_long_lists_are_told_shortly(tmp_path):
    assert "2 rows before, 1 now" in failure(tmp_path / "a.jsonl", b'{"a":1}\n{"a":1}\n', b'{"a":1}\n')
    assert "written in another way" in failure(tmp_path / "b.jsonl", b'{"a":1}\n', b'{"a": 1}\n')
    many = [json.dumps({f"field{number}": value for number in range(100)}).encode() for value in (1, 2)]
    assert len(failure(tmp_path / "c.json", *many).splitlines()) < 30


def test_a_missing_golden_file_is_named(tmp_path):
    with pytest.raises(AssertionError, match=r"case\.ndjson is missing"):
        check(tmp_path / "case.ndjson", b"", refresh=False)


def test_refreshing_writes_the_file(tmp_path):
    check(tmp_path / "new" / "case.ndjson", b"{}\n", refresh=True)
    assert (tmp_path / "new" / "case.ndjson").read_bytes() == b"{}\n"

"""Texts made fit for serializers, lines and terminals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.text import clean, json_visible, one_line, printable

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_cleaned_text_is_valid_utf_8_without_nul(text: str):
    assert b"\0" not in clean(text).encode("utf-8")


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")))
def test_text_without_surrogates_and_nul_is_not_changed_by_cleaning(text: str):
    assert clean(text) == text


@pytest.mark.parametrize(
    ("found", "cleaned"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("a\udc00", "a\ufffd"),
        ("\ud800", "\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("C:\\a\0b", "C:\\a\u2400b"),
        ("\0\ud800", "\u2400\ufffd"),
    ],
)
def test_surrogates_and_nul_are_replaced_by_visible_characters(found: str, cleaned: str):
    assert clean(found) == cleaned


@given(ANY_TEXT)
def test_one_line_is_one_line_of_the_same_length(text: str):
    assert len(one_line(text)) == len(text)
    assert len(one_line(text).splitlines()) <= 1


def test_one_line_has_a_space_for_each_control():
    assert one_line("a\r\nb\tc\x1b[2J\x85d\x7fe\u2028f") == "a  b c [2J d e f"


@given(ANY_TEXT)
def test_printable_text_cannot_move_the_cursor_or_turn_the_direction(text: str):
    shown = printable(text)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert not set(shown) & set("\u200b\u200e\u200f\u202a\u202e\u2066\u2069\ufeff")
    assert shown.encode("utf-8").decode("utf-8") == shown


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("gnp\u202eexe", "gnp\\u202eexe"),
        ("\ud800", "\\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("C:\\Users\\Jürgen\u00a0x", "C:\\Users\\Jürgen\u00a0x"),
    ],
)
def test_printable_text_shows_what_cannot_be_seen(found: str, shown: str):
    assert printable(found) == shown


@given(ANY_TEXT)
def test_visible_json_is_the_same_json(text: str):
    line = json.dumps({"a": text}, ensure_ascii=False)
    assert json.loads(json_visible(line)) == {"a": text}
    assert printable(json_visible(line)) == json_visible(line)

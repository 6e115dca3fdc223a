"""Answers kept for texts."""

from exporter.formats.known import Known


def test_an_answer_is_made_once() -> None:
    asked: list[str] = []
    known = Known(lambda text: asked.append(text) or len(text), 2)
    assert [known["ab"], known["ab"], known["c"]] == [2, 2, 1]
    assert asked == ["ab", "c"]


def test_no_more_answers_are_kept_than_allowed_and_none_for_long_texts() -> None:
    known = Known(len, 2)
    assert [known[text] for text in ("a", "b", "c", "x" * 261)] == [1, 1, 1, 261]
    assert list(known) == ["c"]

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.text_lines import BLOCK_SIZE, LINE_LIMIT, Chunk, TextLines
from exporter.records import Rejected


class Drops(io.RawIOBase):
    """A stream that gives at most `step` bytes at a time, as a pipe or a decompressor may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._inner, self._step = io.BytesIO(data), step

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, self._step) if size >= 0 else self._step)


def lines_of(data: bytes, step: int = BLOCK_SIZE) -> tuple[list[tuple[int, str]], list[Rejected], TextLines]:
    """Offset and text of each line, losses, and the reader afterwards."""
    lines = TextLines(Drops(data, step))
    found, losses = [], []
    for chunk in lines:
        if isinstance(chunk, Chunk):
            found += [(chunk.offset(index), text) for index, text in enumerate(chunk.texts)]
        else:
            losses.append(chunk)
    return found, losses, lines


@pytest.mark.parametrize(
    ("codec", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-le", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-8", b"")], ids=str
)
@pytest.mark.parametrize("step", [1, 2, 3, 7, 4096, BLOCK_SIZE])
def test_lines_have_the_offset_of_their_first_byte_in_every_encoding_and_for_every_read_size(codec, mark, step):
    texts = ["2024-01-01T00:00:00.000Z plain", "Müller 佐藤 \U0001f600 end", "", "last"]
    data = mark + "\r\n".join([*texts, ""]).encode(codec)
    found, losses, lines = lines_of(data, step)
    assert [text.rstrip("\r") for _, text in found] == texts
    assert [offset for offset, _ in found] == [
        len(mark) + len("\r\n".join([*texts[:index], ""]).encode(codec)) for index in range(len(texts))
    ]
    assert (losses, lines.seen, lines.size) == ([], 4, len(data))


def test_only_line_feeds_end_a_line_and_a_code_unit_that_holds_the_byte_of_one_does_not():
    text = "a\u000bb\u0085c\u2028d\u0a0ae\r\n\u0d0af"
    found, _, lines = lines_of(b"\xff\xfe" + text.encode("utf-16-le"))
    assert [line for _, line in found] == ["a\u000bb\u0085c\u2028d\u0a0ae\r", "\u0d0af"]
    assert lines.seen == 2


def test_the_rest_after_the_last_line_end_is_a_line_and_marked():
    chunks = list(TextLines(io.BytesIO(b"one\ntwo")))
    assert [(chunk.texts, chunk.complete) for chunk in chunks if isinstance(chunk, Chunk)] == [(["one"], True), (["two"], False)]


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\xef\xbb\xbf"], ids=["empty", "utf-16 mark", "utf-8 mark"])
def test_a_file_without_text_has_no_lines(data):
    found, losses, lines = lines_of(data)
    assert (found, losses, lines.seen, lines.size) == ([], [], 0, len(data))


def test_half_a_code_unit_at_the_end_is_a_loss_of_its_own():
    found, losses, _ = lines_of(b"\xff\xfe" + "ab\r\nc".encode("utf-16-le") + b"\x41")
    assert found == [(2, "ab\r"), (10, "c")]
    assert [(loss.offset, loss.units) for loss in losses] == [(12, 0)]


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("ended", [True, False], ids=["with a line end", "at the end of the file"])
@pytest.mark.parametrize("extra", [1, LINE_LIMIT // 2, 3 * LINE_LIMIT])
def test_a_line_above_the_limit_is_lost_alone(codec, ended, extra):
    data = ("before\n" + "x" * (LINE_LIMIT + extra) + ("\nafter" if ended else "")).encode(codec)
    found, losses, lines = lines_of(data)
    width = len("x".encode(codec))
    after = [((7 + LINE_LIMIT + extra + 1) * width, "after")] if ended else []
    assert found == [(0, "before"), *after]
    assert [(loss.offset, loss.units, loss.excerpt) for loss in losses] == [(7 * width, 1, "x" * 80)]
    assert lines.seen == 2 + ended


def test_a_line_of_exactly_the_limit_is_read():
    found, losses, _ = lines_of(b"x" * LINE_LIMIT + b"\n")
    assert (len(found), losses) == (1, [])


def test_a_surrogate_left_over_at_the_end_counts_for_the_limit():
    found, losses, _ = lines_of(b"\xff\xfe" + ("x" * LINE_LIMIT + "\ud800").encode("utf-16-le", "surrogatepass"))
    assert (found, [(loss.offset, loss.units) for loss in losses]) == ([], [(2, 1)])


def test_a_line_without_end_takes_no_memory_beyond_the_limit():
    class Endless(io.RawIOBase):
        left = 40

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * BLOCK_SIZE if self.left >= 0 else b""

    tracemalloc.start()
    try:
        assert [item.units for item in TextLines(Endless()) if isinstance(item, Rejected)] == [1]
        assert tracemalloc.get_traced_memory()[1] < 16 * BLOCK_SIZE
    finally:
        tracemalloc.stop()


def test_a_file_of_zeros_is_not_taken_for_utf_16():
    assert lines_of(bytes(5000))[2].codec == "utf-8"


@given(st.binary(max_size=300), st.integers(1, 60), st.sampled_from([b"\xff\xfe", b"", b"\xef\xbb\xbf"]))
def test_any_bytes_can_be_had_back_whatever_the_read_size(body, step, mark):
    data = mark + body
    found, losses, lines = lines_of(data, step)
    assert found == lines_of(data)[0]
    assert lines.seen == len(found)
    if found:
        text = lines.encode("\n".join(line for _, line in found))
        half = data[len(data) - len(losses) :]
        assert data in (data[: found[0][0]] + text + end + half for end in (b"", lines.encode("\n")))

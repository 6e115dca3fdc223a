"""Answers kept for texts that come again and again: a subscript costs half of what a call through `lru_cache` costs."""

from collections.abc import Callable
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")
_LONGEST = 260


class Known(dict[str, _Answer], Generic[_Answer]):
    """`known[text]` is `make(text)`, kept for the next time; at most `most` answers, and none for long texts."""

    def __init__(self, make: Callable[[str], _Answer], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, text: str) -> _Answer:
        answer = self._make(text)
        if len(text) <= _LONGEST:
            if len(self) >= self._most:
                self.clear()
            self[text] = answer
        return answer

"""A small evaluator for the Lucene queries that Sigma's converters write: AND, OR, NOT, groups, fields, phrases, and `*`.

A field is asked as its index would: `Keyword` compares whole values, `Text` words. Grammar and escapes: Elasticsearch's `query_string`.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

_TOKEN = re.compile(
    r'\s*(?:(?P<open>\()|(?P<close>\))|(?P<phrase>"(?:\\.|[^"\\])*")|(?P<field>[\w.]+):|(?P<term>(?:\\.|[^\s()"\\])+))', re.DOTALL
)
_WORD = re.compile(r"\w+(?:[.:']\w+)*")
"""Nearly what the standard analyzer takes for a word: dots and colons within words stay."""


class Asked(Protocol):
    """A field of one document."""

    def phrase(self, text: str) -> bool: ...
    def term(self, pattern: Sequence[str]) -> bool:
        """`pattern` are the literal pieces between the stars."""
        ...


class Keyword(NamedTuple):
    """Whole values; `caseless` where the index has a normalizer to lower case."""

    values: Sequence[str]
    caseless: bool = False

    def phrase(self, text: str) -> bool:
        return self.term([text])

    def term(self, pattern: Sequence[str]) -> bool:
        flags = re.DOTALL | (re.IGNORECASE if self.caseless else 0)
        return any(re.fullmatch(".*".join(map(re.escape, pattern)), value, flags) for value in self.values)


class Text(NamedTuple):
    """Words in lower case, one after the other in a phrase; a word with stars is one word."""

    values: Sequence[str]

    def phrase(self, text: str) -> bool:
        wanted = _words(text)
        return any(_within(wanted, _words(value)) for value in self.values)

    def term(self, pattern: Sequence[str]) -> bool:
        if len(pattern) == 1:
            return self.phrase(pattern[0])
        expression = ".*".join(re.escape(piece.lower()) for piece in pattern)
        return any(re.fullmatch(expression, word) for value in self.values for word in _words(value))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _within(wanted: list[str], words: list[str]) -> bool:
    places = range(len(words) - len(wanted) + 1) if wanted else ()
    return any(words[place : place + len(wanted)] == wanted for place in places)


Ask = Callable[[str], Asked]


def matches(query: str, ask: Ask) -> bool:
    """Whether the document whose fields `ask` gives matches; raises ValueError for what is beyond this grammar."""
    return _Query(query, ask).whole()


class _Query:
    def __init__(self, text: str, ask: Ask) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0
        self._ask = ask

    def whole(self) -> bool:
        found = self._either(None)
        if self._place != len(self._tokens):
            raise ValueError(f"left over: {self._tokens[self._place :]}")
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._place += 1
        return token

    def _word(self, word: str) -> bool:
        if self._peek() == ("term", word):
            self._place += 1
            return True
        return False

    def _either(self, field: Asked | None) -> bool:
        found = self._both(field)
        while self._word("OR"):
            found = self._both(field) or found
        return found

    def _both(self, field: Asked | None) -> bool:
        found = self._one(field)
        while self._word("AND"):
            found = self._one(field) and found
        return found

    def _one(self, field: Asked | None) -> bool:
        if self._word("NOT"):
            return not self._one(field)
        kind, text = self._take()
        if kind == "open":
            found = self._either(field)
            if self._take()[0] != "close":
                raise ValueError("a group without its end")
            return found
        if kind == "field" and field is None:
            return self._one(self._ask(text))
        if field is None or kind not in ("phrase", "term"):
            raise ValueError(f"{kind} `{text}` where none can stand")
        return field.phrase(_plain(text[1:-1])) if kind == "phrase" else field.term(_pieces(text))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise ValueError(f"no query from {place} on: {text[place : place + 40]}")
        found.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return found


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _pieces(text: str) -> list[str]:
    pieces = [""]
    for part in re.findall(r"\\.|[*]|[^\\*]+", text, re.DOTALL):
        if part == "*":
            pieces.append("")
        else:
            pieces[-1] += _plain(part)
    return pieces

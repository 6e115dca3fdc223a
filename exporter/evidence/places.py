"""Where an artifact's files lie: path tails, and names as the evidence's collector escaped them.

A tail is a lower-case pattern such as `quarantine/entries/*` that is compared, ignoring case, with the end of a path. `*` stands for any
characters of one component, `?` for one character, `#` for one digit.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_SEPARATORS = re.compile(r"[\\/]")
_ESCAPED_ANYWHERE = frozenset(b'?":*|<>%\\')
_ESCAPED_AT_THE_ENDS = frozenset(b". ")


def unescape(component: str) -> str:
    """A name as it was on the host, of one that Velociraptor wrote: percent and two hex digits.

    Only what Velociraptor escapes is undone (formats-logs 4.1), so a name that really holds `%4Operational` or `my%20file` stays. What
    would change the path's shape stays escaped: `%2F` always, and the whole component when it would become or climb through `..`.
    """
    if "%" not in component:
        return component
    text = _ESCAPES.sub(_unescape_run, component)
    return component if text == "." or ".." in _SEPARATORS.split(text) else text


def _unescape_run(match: re.Match[str]) -> str:
    run = bytes.fromhex(match[0].replace("%", ""))
    first = 0 if match.start() == 0 else -1
    last = len(run) - 1 if match.end() == len(match.string) else -1
    raw = bytearray()
    for index, value in enumerate(run):
        at_an_end = index in (first, last) and value in _ESCAPED_AT_THE_ENDS
        if at_an_end or value >= 0x80 or value in _ESCAPED_ANYWHERE:
            raw.append(value)
        else:
            raw += match[0][3 * index : 3 * index + 3].encode()
    return raw.decode("utf-8", "surrogateescape")


def components(path: str) -> tuple[str, ...]:
    """A path of an archive or a link as unescaped components; slashes and backslashes part it (CyLR writes backslashes).

    A leading separator and `.` go, `..` is shown as `%2E%2E`: the result never climbs.
    """
    return tuple("%2E%2E" if part == ".." else unescape(part) for part in _SEPARATORS.split(path) if part not in ("", "."))


class Hit(NamedTuple):
    """Tails that a path ends in, and how many of its components lie before the longest of them."""

    tails: tuple[str, ...]
    before: int


class _Part(NamedTuple):
    """One component of a tail. `named`: it says something, which `*` does not."""

    matches: Callable[[str], bool]
    named: bool
    pattern: str


class _Tail(NamedTuple):
    text: str
    parts: tuple[_Part, ...]


@lru_cache(1024)
def _tail(text: str) -> _Tail:
    """Compiled once for all trees: a batch has very many."""
    return _Tail(text, tuple(map(_part, text.casefold().split("/"))))


def _part(text: str) -> _Part:
    pattern = "".join({"*": ".*", "?": ".", "#": "[0-9]"}.get(character, re.escape(character)) for character in text)
    named = any(character.isalnum() for character in text)
    if not any(wild in text for wild in "*?#"):
        return _Part(text.__eq__, named, pattern)
    compiled = re.compile(pattern, re.DOTALL).fullmatch
    return _Part(lambda name: compiled(name) is not None, named, pattern)


class Names:
    """What files of one folder may match: made once per folder, asked once per file."""

    def __init__(self, tails: tuple[_Tail, ...], depth: int) -> None:
        self._tails = tails
        self._depth = depth
        self._any = re.compile("|".join(f"(?:{tail.parts[-1].pattern})" for tail in tails) or r"(?!)", re.DOTALL).fullmatch

    def match(self, name: str) -> Hit | None:
        """The tails that a file of this (unescaped) name ends in, in the order they were given."""
        folded = name.casefold()
        if self._any(folded) is None:
            return None
        tails = [tail for tail in self._tails if tail.parts[-1].matches(folded)]
        longest = max(len(tail.parts) for tail in tails)
        return Hit(tuple(tail.text for tail in tails), max(0, self._depth + 1 - longest))


class Matcher:
    """Many tails, compiled.

    `outside` are the folders that the tree lies in: a folder `Entries` given by itself still matches `quarantine/entries/*`. A path that
    begins inside a tail matches when at least one component that says something (not `*`) does.
    """

    def __init__(self, tails: Sequence[str], outside: Sequence[str] = ()) -> None:
        parsed = tuple(map(_tail, dict.fromkeys(tails)))
        self._heads: dict[str, list[_Tail]] = {}
        for tail in parsed:
            self._heads.setdefault(tail.text.casefold().rpartition("/")[0], []).append(tail)
        self._order = {tail.text: index for index, tail in enumerate(parsed)}
        self._outside = tuple(name.casefold() for name in outside)
        self._longest = max((len(tail.parts) for tail in parsed), default=0)
        self._names = lru_cache(maxsize=1024)(Names)
        self._known = lru_cache(maxsize=1024)(self._directory)

    def directory(self, inside: tuple[str, ...]) -> Names:
        """What files directly in the folder of these (unescaped) components may match."""
        return self._known(inside[-self._longest :], len(inside))

    def _directory(self, inside: tuple[str, ...], depth: int) -> Names:
        folded = [name.casefold() for name in inside]
        fitting: list[_Tail] = []
        for tails in self._heads.values():
            fit = self._fit(tails[0].parts[:-1], folded)
            if fit is not None:
                fitting += tails if fit else [tail for tail in tails if tail.parts[-1].named]
        return self._names(tuple(sorted(fitting, key=lambda tail: self._order[tail.text])), depth)

    def _fit(self, head: Sequence[_Part], inside: Sequence[str]) -> bool | None:
        """None: no. False: only if the file's own name says something. True: yes."""
        named = False
        for back, part in enumerate(reversed(head)):
            if back < len(inside):
                if not part.matches(inside[-1 - back]):
                    return None
            else:
                above = back - len(inside)
                if above >= len(self._outside) or not part.matches(self._outside[-1 - above]):
                    return named
            named = named or part.named
        return True

    def find(self, path: Sequence[str]) -> Hit | None:
        """The tails that a path, given as unescaped components, ends in."""
        return self.directory(tuple(path[:-1])).match(path[-1]) if path else None

    def leads_on(self, inside: Sequence[str]) -> bool:
        """Whether this folder's path ends in the middle of a tail, so that files below it may match because of its name."""
        folded = [name.casefold() for name in inside]
        parts = [tails[0].parts[:-1] for tails in self._heads.values()]
        return any(self._fit(head[:end], folded) for head in parts for end in range(1, len(head) + 1))

"""Tails match the end of a path; names are unescaped without harm."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.evidence.places import Matcher, components, unescape

VELOCIRAPTOR_ESCAPES = '?":*|<>%/\\'


def velociraptor(name: str) -> str:
    """A component as Velociraptor writes it into a zip (formats-logs 4.1)."""
    last = len(name) - 1
    escaped = (
        "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
        if character in VELOCIRAPTOR_ESCAPES or (character in ". " and index in (0, last)) or 0xDC80 <= ord(character) <= 0xDCFF
        else character
        for index, character in enumerate(name)
    )
    return "".join(escaped)


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [
        ("C%3A", "C:"),
        ("%5C%5C.%5CC%3A", "\\\\.\\C:"),
        ("Microsoft-Windows-Windows Defender%254Operational.evtx", "Microsoft-Windows-Windows Defender%4Operational.evtx"),
        ("Microsoft-Windows-Windows Defender%4Operational.evtx", "Microsoft-Windows-Windows Defender%4Operational.evtx"),
        ("%2Ehidden%20", ".hidden "),
        ("my%20file%2Elog", "my%20file%2Elog"),
        ("%e2%82%ac", "€"),
        ("%FF", "\udcff"),
        ("%", "%"),
        ("100%", "100%"),
        ("%0A%00", "%0A%00"),
        ("a%2Fb", "a%2Fb"),
        ("%2E%2E", "%2E%2E"),
        ("%2E", "%2E"),
        ("..%2F..%2Fetc", "..%2F..%2Fetc"),
        ("..%5C..%5Cetc%3A", "..%5C..%5Cetc%3A"),
    ],
)
def test_a_component_is_shown_as_it_was_on_the_host(escaped: str, plain: str) -> None:
    assert unescape(escaped) == plain


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1))
def test_what_velociraptor_escapes_comes_back(name: str) -> None:
    if name != "." and ".." not in name.split("\\"):
        assert unescape(velociraptor(name)) == name


@given(st.text())
def test_unescaped_components_never_climb_nor_part(path: str) -> None:
    for part in components(path):
        assert "/" not in part
        assert part not in ("", ".", "..")
        assert ".." not in part.split("\\")


@given(st.lists(st.sampled_from(["%2e", "%2E", ".", "%2F", "%5c", "\\", "/", "C%3A", "%25", "a", "%"]), max_size=12).map("".join))
def test_no_mixture_of_escapes_makes_a_path_climb(path: str) -> None:
    assert all(part != ".." and "/" not in part and ".." not in part.split("\\") for part in components(path))


def test_backslashes_part_a_path_and_its_root_goes() -> None:
    assert components("C\\ProgramData\\x.log") == ("C", "ProgramData", "x.log")
    assert components("/../C:/./x") == ("%2E%2E", "C:", "x")


@pytest.mark.parametrize(
    ("path", "tails", "before"),
    [
        ("C/ProgramData/Microsoft/Windows Defender/QUARANTINE/Entries/{A}", ("quarantine/entries/*",), 4),
        ("x/Quarantine/Entries/sub/{A}", (), 0),
        ("x/quarantine entries/{A}", (), 0),
        ("x/Windows Defender/Support/MPLog-1.LOG", ("windows defender/support/mplog-*.log", "mplog-*.log"), 1),
        ("x/y/MPLog-1.log", ("mplog-*.log",), 2),
        ("x/MPLog-1.log.bak", (), 0),
        ("a/b.evtx", ("*.evtx",), 1),
        ("a/evtx", (), 0),
        ("a/12345678-ABCD", ("????????-????",), 1),
        ("a/123456789-ABCD", (), 0),
        ("xquarantine/entries/{A}", (), 0),
    ],
)
def test_tails_match_whole_components_at_the_end_ignoring_case(path: str, tails: tuple[str, ...], before: int) -> None:
    every = ("quarantine/entries/*", "windows defender/support/mplog-*.log", "mplog-*.log", "*.evtx", "????????-????")
    hit = Matcher(every).find(tuple(path.split("/")))
    assert (hit.tails if hit else ()) == tails
    assert (hit.before if hit else 0) == before


@pytest.mark.parametrize(
    ("path", "outside", "matches"),
    [
        ("Entries/{A}", (), True),
        ("{A}", ("case", "Quarantine", "Entries"), True),
        ("{A}", ("case", "Entries"), True),
        ("{A}", ("case",), False),
        ("{A}", (), False),
        ("sub/{A}", ("Quarantine", "Entries"), False),
        ("sub/Entries/{A}", (), False),
        ("MPLog-1.log", (), True),
        ("sub/MPLog-1.log", (), False),
    ],
)
def test_a_tree_may_begin_in_the_middle_of_a_tail_if_something_telling_matches(path: str, outside: tuple[str, ...], matches: bool) -> None:
    matcher = Matcher(("quarantine/entries/*", "windows defender/support/mplog-*.log"), outside)
    hit = matcher.find(tuple(path.split("/")))
    assert (hit is not None) is matches
    assert hit is None or hit.before == 0


def test_a_folder_in_the_middle_of_a_tail_leads_on() -> None:
    matcher = Matcher(("windows defender/support/mplog-*.log", "*.evtx"))
    assert matcher.leads_on(("x", "Windows Defender"))
    assert matcher.leads_on(("x", "windows defender", "SUPPORT"))
    assert matcher.leads_on(("Support",))
    assert not matcher.leads_on(("x", "Support"))
    assert not matcher.leads_on(("x",))


patterns = st.lists(st.text("ab.*?", min_size=1, max_size=6), min_size=1, max_size=3).map("/".join)
names = st.text("abAB.*?", min_size=1, max_size=6)


@given(st.lists(patterns, min_size=1, max_size=4, unique=True), st.lists(names, min_size=1, max_size=5))
def test_the_matcher_agrees_with_one_regular_expression_per_tail(tails: list[str], path: list[str]) -> None:
    whole = ("-", "-", "-", *path)  # so long a prefix that no tail can begin outside the tree

    def matches(tail: str) -> bool:
        pattern = "".join({"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character)) for character in tail)
        return re.search(f"(?:^|/){pattern}\\Z", "/".join(whole).casefold()) is not None

    hit = Matcher(tails).find(whole)
    assert list(hit.tails if hit else ()) == list(filter(matches, tails))

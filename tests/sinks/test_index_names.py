"""Names of indices."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.errors import ConfigurationError
from exporter.sinks.index_names import checked, slug, write_alias

CASES = st.text(st.characters(exclude_categories=()), max_size=300)


@given(CASES)
@example("a" * 5000)
@example("")
@example("../_all")
@example("İ")
def test_any_case_makes_a_name_that_every_server_takes(case: str):
    name = write_alias(case)
    assert re.fullmatch(r"dfir-defender-[a-z0-9]+(-[a-z0-9]+)*", name)
    assert len(name) <= 80
    assert checked(name) == name


@given(CASES, CASES)
@example("a b", "a-b")
@example("a/b", "a b")
@example("ä", "ö")
@example("a-000001", "a")
def test_two_cases_share_a_name_only_when_they_differ_in_nothing_but_case(one: str, other: str):
    if slug(one) == slug(other):
        assert one.lower() == other.lower()


@pytest.mark.parametrize(("case", "expected"), [("c1", "c1"), ("C1", "c1"), ("2026-04-ACME", "2026-04-acme"), ("a" * 60, "a" * 60)])
def test_a_plain_case_is_its_own_slug(case: str, expected: str):
    assert slug(case) == expected


@pytest.mark.parametrize("case", ["Case 7/2026", "a_b", "fall-ä", "-a", "a--b", "a-", "x-000001", "a" * 61])
def test_any_other_case_carries_a_hash(case: str):
    assert re.fullmatch(r"([a-z0-9-]+-)?x[0-9a-f]{10}", slug(case))


def test_an_alias_is_never_the_name_of_an_index_behind_another():
    assert write_alias("a-000001") != f"{write_alias('a')}-000001"


@pytest.mark.parametrize("name", ["", "A", "a,b", "*", "_all", "-a", "a/b", "a b", "a?x", "..", "a" * 201, "é", "a\n"])
def test_a_name_that_could_be_read_as_something_else_is_refused(name: str):
    with pytest.raises(ConfigurationError, match="no name of an index"):
        checked(name)

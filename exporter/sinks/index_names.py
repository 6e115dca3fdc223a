"""Names of indices: one alias per case (sink-contracts E13), made of nothing that a server would read as syntax."""

import hashlib
import re

from exporter.errors import ConfigurationError

PREFIX = "dfir-defender-"
_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_GENERATION = re.compile(r"-[0-9]{6}$")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_LONGEST = 60


def slug(case: str) -> str:
    """The case in letters, digits and hyphens: as it is, in lower case, or else with a piece of its SHA-256.

    So two cases share a slug only when they differ in nothing but upper and lower case. A slug never ends as the name of an index behind
    an alias does (`-000001`).
    """
    lower = case.lower()
    if case.isascii() and len(case) <= _LONGEST and _PLAIN.fullmatch(lower) and not _GENERATION.search(lower):
        return lower
    digest = hashlib.sha256(case.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    readable = re.sub(r"[^a-z0-9]+", "-", lower)[: _LONGEST - 11].strip("-")
    return f"{readable}-x{digest}" if readable else f"x{digest}"


def write_alias(case: str) -> str:
    """The name to write to: `dfir-defender-<slug>`."""
    return PREFIX + slug(case)


def is_alias_of_ours(name: str) -> bool:
    """True for what can be the write alias of a case: neither a name of others nor one of an index behind an alias."""
    return name.startswith(PREFIX) and not _GENERATION.search(name)


def checked(name: str) -> str:
    """A name that a user chose; raises ConfigurationError for what could be read as anything but one name."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"`{name}` is no name of an index: lower-case letters, digits, `-`, `_` and `.`, a letter or digit first")
    return name

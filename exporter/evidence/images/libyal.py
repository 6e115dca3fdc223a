"""The libyal libraries: imported when first used, their exceptions made ours."""

import contextlib
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from exporter.errors import EvidenceError

_RAISED = (OSError, RuntimeError, ValueError, TypeError, MemoryError, OverflowError, SystemError, AttributeError)
"""What their bindings raise on damaged data; TypeError and SystemError come from C code that returns nothing without an error set."""
_LONGEST = 200
_below = threading.local()
"""The last failure of a stream that a library reads from: on its way through the library it becomes a sentence that says nothing."""


def library(name: str) -> Any:
    """A module such as `pyewf`; raises EvidenceError that names the extra when it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise EvidenceError(f"disk images need more libraries ({name}): pip install 'defender-exporter[images]'") from error


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Makes every failure of a library an EvidenceError `what: cause`; one that a stream below it met stays as it is."""
    _below.error = None
    try:
        yield
    except EvidenceError:
        raise
    except _RAISED as error:
        raise _below.error or EvidenceError(f"{what}: {cause(error)}") from error


def remember(error: EvidenceError) -> None:
    """A stream that a library reads from tells why it fails."""
    _below.error = error


def cause(error: BaseException) -> str:
    """The innermost of the sentences that a libyal error is made of: the call, then causes from the inside out."""
    sentences = str(error).split(". ")
    text = sentences[min(1, len(sentences) - 1)].rstrip(".")
    function, _, words = text.partition(": ")
    return (words if function.startswith(("lib", "py")) and words else text)[:_LONGEST] or type(error).__name__

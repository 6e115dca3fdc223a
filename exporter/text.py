"""Texts from evidence made fit for where they go: a serializer, a single line, a terminal.

Cleaning for serializers happens once, in the mapping (`clean`); the other two are for the last step before a line or a screen.
"""

import re
from typing import Any

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
_LONGEST_NAME = 255
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """`text` as every serializer takes it (C7): surrogates that pair are joined, others become U+FFFD, NUL becomes U+2400."""
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def host_name(text: str) -> str | None:
    """What a host is called by this text: names go to states, manifests and file systems too, so they are clean from the start."""
    return clean(text).strip()[:_LONGEST_NAME] or None


def cleaned(value: Any) -> Any:
    """Texts by C7, integers outside 64 bits as text (C8), all the way down."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    if isinstance(value, int) and not LONG_MIN <= value <= LONG_MAX:
        return str(value)
    return value


def one_line(text: str) -> str:
    """`text` with a space for each C0 or C1 control and for each Unicode line or paragraph separator."""
    return text if text.isprintable() else _CONTROL.sub(" ", text)


def printable(text: str) -> str:
    r"""`text` fit for a terminal or a log: controls, bidi marks, zero-width characters and surrogates as `\x1b`, `\u202e`.

    A backslash of the text itself stays single: Windows paths are to be read, and the escapes are for eyes, not for reading back.
    """
    return text if text.isprintable() else _INVISIBLE.sub(_escaped, text)


def json_visible(line: str) -> str:
    r"""JSON text with the same characters escaped as `\u202e`: equal to any JSON reader, and inert in a terminal."""
    return line if line.isprintable() else _INVISIBLE.sub(_json_escaped, line)


def _json_escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

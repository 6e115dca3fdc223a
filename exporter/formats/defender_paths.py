"""`Path` of a threat event: resources of several types in one text."""

import re

from exporter.formats.resources import Resource

_SCHEMES = (
    "file|containerfile|process|behavior|internalbehavior|webfile|webscript|regkey|regkeyvalue|runkey|service|driver|startup|folder"
    "|taskscheduler|amsi|amsiuac|wmi|cmdline|internalcmdline|queryfile|queryfilertsig|bho|clsid|typelib|uninstall|firewallbypass"
    "|shellopencmd|ieaddon|iemenuext|iesearchurl|rootcert|hostsfile|lsp|winlogon|appinitdll|boot|mbr|uefi"
)
"""Resource types of the EVTX, MPLog and DetectionHistory samples, and others that public resource lists name."""
_KNOWN = frozenset(_SCHEMES.split("|"))
_SCHEME = re.compile(rf"({_SCHEMES}):(_?)", re.IGNORECASE)
_NEXT = re.compile(rf"; ?(?=(?:{_SCHEMES}):_)", re.IGNORECASE)
_NEXT_BARE = re.compile(rf"; ?(?=(?:{_SCHEMES}):)", re.IGNORECASE)


def split_path(path: str | None) -> tuple[Resource, ...]:
    """The resources of a `Path`: `<scheme>:_<value>`, joined by `; `. A value may hold `; ` itself, so only a known scheme begins the next.

    A text without a scheme is one resource with an empty scheme. Platforms before 4.x write `<scheme>:<value>;`.
    """
    if not path:
        return ()
    scheme, mark, value = path.partition(":_")
    if mark and ";" not in value and scheme.lower() in _KNOWN:
        return (Resource(scheme, value),)
    first = _SCHEME.match(path)
    if first is None:
        return (Resource("", path),)
    bare = not first[2]
    parts = (_NEXT_BARE if bare else _NEXT).split(path)
    return tuple(_resource(part.removesuffix(";") if bare else part) for part in parts)


def _resource(text: str) -> Resource:
    scheme = _SCHEME.match(text)
    assert scheme is not None
    return Resource(scheme[1], text[scheme.end() :])

"""Runs inside plaso's environment: renders messages as plaso does, one JSON object per line in, one out.

In: `{"definitions": <YAML stream>, "attributes": {...}}`. Out: `{"message", "short_message", "used", "data_type", "sources"}` for the first
definition, or `{"error": <name of the exception>}`.
"""

import io
import json
import sys

from plaso.formatters import yaml_formatters_file

KNOWN = {}


def formatter_of(text):
    """The formatter of a definition stream; the last one is kept, since most lines repeat it."""
    if text not in KNOWN:
        KNOWN.clear()
        KNOWN[text] = next(yaml_formatters_file.YAMLFormattersFile()._ReadFromFileObject(io.StringIO(text)))
    return KNOWN[text]


def render(request):
    """What psort does with an event's attributes, see `_FormatMessage` of its field formatting helper."""
    formatter = formatter_of(request["definitions"])
    texts = []
    for render in (formatter.GetMessage, formatter.GetMessageShort):
        attributes = dict(request["attributes"])
        formatter.FormatEventValues(None, attributes)
        texts.append(render(attributes))
    return {
        "message": texts[0],
        "short_message": texts[1],
        "used": sorted(formatter.GetFormatStringAttributeNames()),
        "data_type": formatter.data_type,
        "sources": formatter.source_mapping,
    }


for line in sys.stdin:
    try:
        answer = render(json.loads(line))
    except Exception as error:  # noqa: BLE001 (its name is the answer)
        answer = {"error": type(error).__name__}
    print(json.dumps(answer), flush=True)

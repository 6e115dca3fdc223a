"""Kibana's saved objects: sent to its import API as a file in a form, which is how Kibana takes them."""

import hashlib
from collections import Counter
from typing import Any, NamedTuple

from exporter.data import folder
from exporter.errors import SinkRefused
from exporter.mapping.kibana import OBJECTS_FILE
from exporter.setup import answer, refusal
from exporter.sinks.server import Server

_PATH = "/api/saved_objects/_import"
_HEADERS = {"kbn-xsrf": "true"}
"""Kibana refuses a request without it; the value does not matter."""


class Form(NamedTuple):
    """A multipart body and its media type."""

    media: str
    body: bytes


def saved_objects() -> bytes:
    """The NDJSON file."""
    return (folder("mappings") / OBJECTS_FILE).read_bytes()


def path(*, replace: bool) -> str:
    """Where the file goes."""
    return f"{_PATH}?overwrite=true" if replace else _PATH


def form(content: bytes) -> Form:
    """The one field `file`; the boundary is made of the content, so that it does not occur in it."""
    boundary = f"defender-exporter-{hashlib.sha256(content).hexdigest()}"
    lines = (
        f"--{boundary}",
        'Content-Disposition: form-data; name="file"; filename="dfir-defender.ndjson"',
        "Content-Type: application/ndjson",
    )
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return Form(f"multipart/form-data; boundary={boundary}", head.encode() + content + f"\r\n--{boundary}--\r\n".encode())


def install(kibana: Server, *, replace: bool) -> str:
    """Import the objects and tell what became of them; those that are there stay unless `replace`.

    Raises SinkRefused and SinkUnavailable; objects that Kibana refuses are named.
    """
    where = path(replace=replace)
    media, body = form(saved_objects())
    reply = kibana.request("POST", where, body, media=media, further=_HEADERS)
    if reply.status != 200:
        raise refusal(kibana, reply, f"Kibana refused POST {where}")
    told = answer(kibana, reply)
    if not isinstance(told, dict) or "success" not in told:
        raise SinkRefused(f"{kibana.address} answers, but not as Kibana does")
    return _summary(kibana, told)


def _summary(kibana: Server, told: dict[str, Any]) -> str:
    errors = told.get("errors") or []
    kinds = Counter(error.get("error", {}).get("type", "unknown") for error in errors)
    there = kinds.pop("conflict", 0)
    if kinds:
        named = ", ".join(f"{error.get('type')} {error.get('id')}: {error.get('error', {}).get('type')}" for error in errors)
        raise SinkRefused(kibana.redact(f"Kibana refused objects: {named}"))
    kept = f", {there} there already and left as they are (--replace takes ours)" if there else ""
    return f"Kibana: {told.get('successCount', 0)} saved objects imported{kept}"

"""The index of a case where `setup` has made none: else the first document would, with a mapping that the server guesses (E13, E15)."""

import msgspec
import orjson

from exporter.data import folder, template_file
from exporter.errors import SinkRefused, SinkUnavailable
from exporter.sinks.index_names import is_alias_of_ours
from exporter.sinks.server import ELASTICSEARCH, OPENSEARCH, Server

FIRST = "-000001"


def make_first_index(server: Server, name: str, product: str) -> None:
    """Make `<name>-000001` with the alias `name`, if nothing has that name and it is one of ours. It has the mapping of our template.

    Whoever may only write is left to the server's ways: a status that says no is none of our business here. Raises SinkUnavailable for
    later is better, and SinkRefused where the alias of an index that is there is gone.
    """
    if not is_alias_of_ours(name) or _status(server, "GET", f"/{name}") != 404:
        return
    first = f"/{name}{FIRST}"
    if _status(server, "PUT", first, orjson.dumps(_body(server, name, product))) != 400:
        return
    if _status(server, "GET", first) == 200 and _status(server, "GET", f"/{name}") == 404:
        raise SinkRefused(f"{server.address}: the index `{name}{FIRST}` is there, but not under its alias `{name}`: give that back to it")


def _body(server: Server, name: str, product: str) -> dict[str, object]:
    """With the settings and mappings of the template, where `setup` has not installed it."""
    path = folder("mappings") / template_file(product if product == ELASTICSEARCH else OPENSEARCH)
    template = msgspec.json.decode(path.read_bytes())
    aliases: dict[str, object] = {"aliases": {name: {"is_write_index": True}}}
    there = _status(server, "GET", f"/_index_template/{template['_meta']['name']}") == 200
    return aliases if there else {**template["template"], **aliases}


def _status(server: Server, method: str, path: str, body: bytes = b"") -> int:
    reply = server.request(method, path, body)
    if reply.status in (429, 502, 503, 504):
        raise SinkUnavailable(server.described(reply))
    return reply.status

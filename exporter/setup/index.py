"""The index template, and the index (or data stream) of a case (sink-contracts E13-E16).

Everything may be done again at any time: what is there and not older than ours stays as it is.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from exporter.data import folder, template_file
from exporter.errors import ConfigurationError, SinkRefused
from exporter.setup import Request, refusal, send
from exporter.sinks.first_index import FIRST
from exporter.sinks.index_names import PREFIX
from exporter.sinks.server import Server

_ABOVE_OURS = 1
"""A data stream's own template must win over the general one, whose pattern matches its name too."""
ROLL_OVER_WARNING = (
    "a data stream looks for an `_id` only in its newest backing index: after a roll-over, running an export again writes every document"
    " again. Keep lifecycle policies that roll over away from it, or use the index that `setup` makes without --data-stream"
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to set up. `product` is `elasticsearch` or `opensearch`; `name` is what documents are written to, without it there is only the
    template; `timestamp_type` is that of `@timestamp`. Raises ConfigurationError for what does not go together.
    """

    product: str
    name: str | None = None
    data_stream: bool = False
    timestamp_type: str = "date_nanos"

    def __post_init__(self) -> None:
        if self.data_stream and self.name is None:
            raise ConfigurationError("a data stream is made for a case: --data-stream needs --case")
        if self.name is not None and not self.name.startswith(PREFIX):
            raise ConfigurationError(f"the index template serves names that begin with `{PREFIX}`, not `{self.name}`")


def requests(wanted: Wanted) -> list[Request]:
    """What a server is sent that has nothing of ours yet."""
    template = template_request(wanted)
    return [template] if wanted.name is None else [template, _creation(wanted.name, wanted)]


def install(server: Server, wanted: Wanted) -> Iterator[str]:
    """Set up, and tell what was done or found in one line each. Raises SinkRefused and SinkUnavailable."""
    template = template_request(wanted)
    found = _look(server, wanted)
    yield _install_template(server, template)
    if wanted.name is not None:
        yield _install_case(server, wanted.name, wanted, found)
        mappings = template.body["template"]["mappings"]
        for index, state in sorted(found.items()):
            if _version(state.get("mappings", {})) < _version(mappings):
                yield _add_fields(server, index, state, mappings)


def template_request(wanted: Wanted) -> Request:
    """The index template: one for all cases, or one for the data stream of this case."""
    body: dict[str, Any] = orjson.loads((folder("mappings") / template_file(wanted.product)).read_bytes())
    body["template"]["mappings"]["properties"]["@timestamp"]["type"] = wanted.timestamp_type
    body["_meta"]["timestamp_type"] = wanted.timestamp_type
    name = body["_meta"]["name"]
    if wanted.data_stream and wanted.name is not None:
        name = wanted.name
        body |= {"index_patterns": [name], "priority": body["priority"] + _ABOVE_OURS, "data_stream": {}}
        body["_meta"]["name"] = name
    return Request("PUT", f"/_index_template/{name}", body)


def _creation(name: str, wanted: Wanted) -> Request:
    if wanted.data_stream:
        return Request("PUT", f"/_data_stream/{name}")
    return Request("PUT", f"/{name}{FIRST}", {"aliases": {name: {"is_write_index": True}}})


def _install_template(server: Server, wanted: Request) -> str:
    name = wanted.body["_meta"]["name"]
    ours = wanted.body["_meta"]
    reply, told = send(server, Request("GET", wanted.path), expected=(404,))
    found = {} if reply.status == 404 else told["index_templates"][0]["index_template"].get("_meta") or {}
    if reply.status != 404 and found.get("product") != ours["product"]:
        raise SinkRefused(f"there is an index template `{name}` that is not ours: rename or remove it")
    if found == ours:
        return f"index template {name}: version {ours['version']} is there"
    if found.get("version", 0) > ours["version"]:
        return f"index template {name}: version {found['version']} is newer than ours ({ours['version']}) and stays"
    send(server, wanted)
    return f"index template {name}: version {ours['version']} {'replaces ' + str(found['version']) if found else 'installed'}"


def _look(server: Server, wanted: Wanted) -> dict[str, Any]:
    """The indices that have the case's name, by their own; refuses what is something else than was asked for."""
    name = wanted.name
    if name is None:
        return {}
    reply, found = send(server, Request("GET", f"/{name}"), expected=(404,))
    if reply.status == 404:
        return {}
    if name in found:
        raise SinkRefused(f"`{name}` is an index, made by writing before `setup`: remove it, or give its documents another name first")
    is_stream = all("data_stream" in state or name not in state.get("aliases", {}) for state in found.values())
    if is_stream != wanted.data_stream:
        there, asked = ("a data stream", "an index") if is_stream else ("an index", "a data stream")
        raise SinkRefused(f"`{name}` is {there} and cannot become {asked}: use it as it is, or another case")
    return dict(found)


def _install_case(server: Server, name: str, wanted: Wanted, found: Mapping[str, Any]) -> str:
    kind = "data stream" if wanted.data_stream else "index"
    if found:
        return f"{kind} {', '.join(sorted(found))}: there; write to {name}"
    creation = _creation(name, wanted)
    reply, told = send(server, creation, expected=(400,))
    if reply.status == 400 and not ("already_exists" in str(told) and _look(server, wanted)):
        raise refusal(server, reply, f"{creation.method} {creation.path}")
    return f"{kind} {creation.path.rpartition('/')[2]}: {'there' if reply.status == 400 else 'made'}; write to {name}"


def _version(mappings: Mapping[str, Any]) -> int:
    return int(mappings.get("_meta", {}).get("version", 0))


def _add_fields(server: Server, index: str, state: Mapping[str, Any], mappings: Mapping[str, Any]) -> str:
    """Fields that a newer template brings; the type of the time stays."""
    update = copy.deepcopy(dict(mappings))
    there = state.get("mappings", {}).get("properties", {}).get("@timestamp")
    if there:
        update["properties"]["@timestamp"] = there
    reply, _ = send(server, Request("PUT", f"/{index}/_mapping", update), expected=(400,))
    if reply.status == 400:
        return f"index {index}: keeps the fields it has ({server.described(reply)})"
    return f"index {index}: fields of version {_version(mappings)} added"

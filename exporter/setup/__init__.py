"""What `setup` puts on a server before the first export: index template, index of a case, Kibana's saved objects."""

from typing import Any, NamedTuple

import msgspec
import orjson

from exporter.errors import SinkError, SinkRefused, SinkUnavailable
from exporter.mapping.template import render
from exporter.sinks.server import Reply, Server


class Request(NamedTuple):
    """One HTTP request with a JSON body."""

    method: str
    path: str
    body: Any = None

    def __str__(self) -> str:
        """As Kibana's console takes it."""
        body = "" if self.body is None else render(self.body) + "\n"
        return f"{self.method} {self.path}\n{body}"


def send(server: Server, request: Request, *, expected: tuple[int, ...] = ()) -> tuple[Reply, Any]:
    """The reply and what it says; raises SinkRefused or SinkUnavailable for a status that is neither 2xx nor `expected`."""
    body = b"" if request.body is None else orjson.dumps(request.body)
    reply = server.request(request.method, request.path, body)
    if not 200 <= reply.status < 300 and reply.status not in expected:
        raise refusal(server, reply, f"{request.method} {request.path}")
    return reply, answer(server, reply)


def answer(server: Server, reply: Reply) -> Any:
    """The JSON of a reply; raises SinkRefused when it is none."""
    try:
        return msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        raise SinkRefused(f"{server.address} does not answer in JSON ({server.described(reply)})") from None


def refusal(server: Server, reply: Reply, what: str) -> SinkError:
    """The error of a reply: later is better for 429 and 5xx, anything else needs a person."""
    kind = SinkUnavailable if reply.status == 429 or reply.status >= 500 else SinkRefused
    return kind(f"{what}: {server.described(reply)}")

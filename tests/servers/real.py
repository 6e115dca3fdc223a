"""Real servers for tests: the kit among the shared tools starts them, or a user's own are named in the environment.

`DEFENDER_EXPORTER_SERVER_OPENSEARCH3=http://127.0.0.1:9200` and its like name a running server without security, which is written to.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exporter.sinks.server import NDJSON, Server
from exporter.sinks.targets import SinkTarget

FULL = os.environ.get("DEFENDER_EXPORTER_FULL") == "1"
"""`make servers-test`: the whole amounts."""
_START_SECONDS = 300
_BULK_BYTES = 5 << 20
_ATTEMPTS = 20


class CannotStart(Exception):
    """The server is not there; the text says why."""


class Real(NamedTuple):
    """A running server: the name of its product for `--to`, and its address."""

    product: str
    url: str

    @property
    def target(self) -> str:
        """What stands after `--to`."""
        return f"{self.product}:{self.url}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer of a request that must succeed."""
        reply = self._server().request(method, path, b"" if body is None else json.dumps(body).encode())
        assert reply.status < 300, (method, path, reply.status, reply.body[:2000])
        return json.loads(reply.body)

    def create(self, index: str, documents: Iterable[tuple[str, bytes]]) -> list[dict[str, Any]]:
        """`create` documents by id in bulk; what was refused, with the server's reason. A refresh follows."""
        server = self._server()
        refused: list[dict[str, Any]] = []
        batch: list[bytes] = []
        size = 0
        for identity, document in documents:
            if batch and (size + len(document) > _BULK_BYTES or len(batch) >= 2000):
                refused += _send(server, index, batch)
                batch, size = [], 0
            batch += [b'{"create":{"_id":"%b"}}' % identity.encode(), document]
            size += len(document)
        refused += _send(server, index, batch) if batch else []
        server.close()
        self.ask("POST", f"/{index}/_refresh")
        return refused

    def count(self, index: str, query: str) -> int:
        """How many documents a query_string query finds; the empty one finds all."""
        body = {"query": {"query_string": {"query": query or "*", "analyze_wildcard": True}}}
        return int(self.ask("POST", f"/{index}/_count", body)["count"])

    def forget(self, *paths: str) -> None:
        """Delete what may be there."""
        for path in paths:
            self._server().request("DELETE", path)

    def _server(self) -> Server:
        return Server(SinkTarget(self.product, self.url))


@contextmanager
def running(kit: Path, name: str, folder: Path) -> Iterator[Real]:
    """A server of the kit, or the user's. Raises CannotStart."""
    product = name.rstrip("0123456789")
    if url := os.environ.get(f"DEFENDER_EXPORTER_SERVER_{name.upper()}"):
        yield Real(product, url)
        return
    serve = kit / "servers" / "serve"
    if not serve.exists():
        raise CannotStart(f"{serve} is missing")
    command = [sys.executable, str(serve), name]
    started = subprocess.run(
        [*command, "start", "--data", str(folder)], capture_output=True, text=True, timeout=_START_SECONDS, check=False
    )
    if started.returncode:
        raise CannotStart(f"{name} does not start: {started.stderr.strip()[-500:]}")
    try:
        yield Real(product, started.stdout.split()[0])
    finally:
        subprocess.run([*command, "stop", "--data", str(folder)], capture_output=True, timeout=60, check=False)


def _send(server: Server, index: str, batch: list[bytes]) -> list[dict[str, Any]]:
    """The items that were refused; what the server has no room for now (its heap is small) is sent again."""
    refused: list[dict[str, Any]] = []
    for _ in range(_ATTEMPTS):
        reply = server.request("POST", f"/{index}/_bulk", b"\n".join(batch) + b"\n", media=NDJSON)
        assert reply.status in (200, 429), (reply.status, reply.body[:2000])
        if reply.status == 200:
            items = [item["create"] for item in json.loads(reply.body)["items"]]
            assert len(items) == len(batch) // 2
            refused += [item for item in items if item["status"] not in (201, 429)]
            batch = [line for place, item in enumerate(items) if item["status"] == 429 for line in batch[2 * place : 2 * place + 2]]
        if not batch:
            return refused
        time.sleep(0.5)
    raise AssertionError(f"{len(batch) // 2} documents found no room in {_ATTEMPTS} attempts")

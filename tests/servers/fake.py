"""A small Elasticsearch that fails as it is told to. `python -m tests.servers.fake` runs one that only answers, for the benchmark.

It keeps documents by id as a server does: `create` of a known id is a 409. Faults come from two functions: `whole(request)` for a bulk
request, `item(id, times)` for a document; what they return is below.
"""

import contextlib
import gzip
import json
import socket
import ssl
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.servers.local import Handler, LocalServer

RESET_BEFORE, RESET_IN, RESET_AFTER = "reset before", "reset in", "reset after"
"""The connection breaks before anything is processed, with half of it processed, or instead of the reply."""
SHORT, CUT, GARBAGE = "short", "cut", "garbage"
"""The reply has an item too few, ends in the middle, or is no JSON; everything is processed."""
ELASTICSEARCH = {"version": {"number": "9.5.3"}, "tagline": "You Know, for Search"}
OPENSEARCH = {"version": {"number": "3.8.0", "distribution": "opensearch"}}


class Request(NamedTuple):
    """A bulk request: its number from 1, and its documents by id in order."""

    number: int
    documents: list[tuple[str, bytes]]
    size: int


class FakeServer(LocalServer):
    """Use as a context manager. `context` makes it a TLS server. `headers` are those of the last request, `sizes` those of bulk requests.

    `there` is what was made, by its path, and the names that it has; `looking` and `making` are the statuses of who may not.
    """

    def __init__(self, *, context: ssl.SSLContext | None = None, keep: bool = True) -> None:
        self.documents: dict[str, bytes] = {}
        self.times: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []
        self.root: dict[str, Any] = ELASTICSEARCH
        self.root_status = 200
        self.root_headers = {"X-elastic-product": "Elasticsearch"}
        self.privileged = True
        self.refreshed: list[str] = []
        self.there: dict[str, bytes] = {}
        self.looking: int | None = None
        self.making: int | None = None
        self.credentials: str | None = None
        self.whole: Callable[[Request], int | str | None] = lambda request: None
        self.item: Callable[[str, int], int | None] = lambda identity, times: None
        self.keep = keep
        super().__init__(context)
        self.lock = threading.Lock()

    @property
    def bulks(self) -> int:
        """How many bulk requests came."""
        return len(self.sizes)


class _Handler(Handler):
    fake: FakeServer

    def do_GET(self) -> None:  # noqa: N802 (theirs)
        fake, path = self.fake, self.path.partition("?")[0]
        if self._refused():
            return
        if path == "/":
            self._answer(fake.root_status, json.dumps(fake.root).encode(), fake.root_headers)
        else:
            self._answer(fake.looking or (200 if path in fake.there else 404), b"{}")

    def do_PUT(self) -> None:  # noqa: N802 (theirs)
        if "_bulk" in self.path:
            self._bulk()
        else:
            self._make()

    def _make(self) -> None:
        body, path = self._body(), self.path
        if self._refused():
            return
        made = not self.fake.making and path not in self.fake.there
        if made:
            self.fake.there |= {path: body, **{f"/{name}": b"" for name in json.loads(body)["aliases"]}}
        self._answer(200 if made else self.fake.making or 400, b"{}")

    def do_POST(self) -> None:  # noqa: N802 (theirs)
        if "_bulk" in self.path:
            self._bulk()
        elif self.path.endswith("/_refresh"):
            self.fake.refreshed.append(self.path)
            self._answer(self.fake.making or 200, b"{}")
        elif not self._refused(self._body()):
            self._answer(200, json.dumps({"has_all_requested": self.fake.privileged}, separators=(",", ":")).encode())

    def _refused(self, _body: bytes = b"") -> bool:
        fake = self.fake
        fake.headers = {name.lower(): value for name, value in self.headers.items()}
        fake.paths.append(self.path)
        if fake.credentials is not None and fake.headers.get("authorization") != fake.credentials:
            self._error(401, "security_exception", f"cannot authenticate {fake.headers.get('authorization')}")
            return True
        return False

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(data) if self.headers.get("content-encoding") == "gzip" else data

    def _bulk(self) -> None:
        fake = self.fake
        body = self._body()
        if not fake.keep:
            self._count_only(body)
            return
        documents = list(_documents(body))
        with fake.lock:
            fake.sizes.append(len(body))
            fault = fake.whole(Request(fake.bulks, documents, len(body)))
        if self._refused():
            return
        if self.headers["content-type"] != "application/x-ndjson":
            self._error(406, "media_type_header_exception", "not supported")
        elif isinstance(fault, int):
            self._error(fault, "fault", "as told")
        elif fault == RESET_BEFORE:
            self._reset()
        elif fault == RESET_IN:
            self._items(documents[: len(documents) // 2])
            self._reset()
        else:
            self._reply(fault, self._items(documents))

    def _items(self, documents: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
        fake = self.fake
        items = []
        with fake.lock:
            for identity, document in documents:
                fake.times[identity] += 1
                status = fake.item(identity, fake.times[identity]) or (409 if identity in fake.documents else 201)
                if status == 201:
                    fake.documents[identity] = document
                error = {"type": f"type_{status}", "reason": f"reason {status}", "caused_by": {"reason": "the cause"}}
                items.append({"create": {"status": status} if status == 201 else {"status": status, "error": error}})
        return items

    def _reply(self, fault: str | None, items: list[dict[str, Any]]) -> None:
        if fault == RESET_AFTER:
            self._reset()
            return
        if fault == SHORT:
            items = items[:-1]
        errors = any("error" in item["create"] for item in items)
        body = json.dumps({"errors": errors, "items": items}, separators=(",", ":")).encode()
        if fault == CUT:
            self._answer(200, body, cut=len(body) // 2)
        else:
            self._answer(200, b"<html>" if fault == GARBAGE else body)

    def _count_only(self, body: bytes) -> None:
        """For the benchmark: as little work as possible, the reply of a real server to the question that was asked."""
        count = body.count(b"\n") // 2
        if "filter_path" in self.path:
            items = b",".join([b'{"create":{"status":201}}'] * count)
            self._answer(200, b'{"errors":false,"items":[%b]}' % items)
            return
        one = (
            b'{"create":{"_index":"dfir-defender-x-000001","_id":"0123456789012345678901234567890123456789","_version":1,"result":"created",'
            b'"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":12345,"_primary_term":1,"status":201}}'
        )
        self._answer(200, b'{"errors":false,"took":30,"items":[%b]}' % b",".join([one] * count))

    def _error(self, status: int, kind: str, reason: str) -> None:
        self._answer(status, json.dumps({"error": {"type": kind, "reason": reason}, "status": status}).encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        """Header and body in one write: two small ones wait for each other (delayed acknowledgement)."""
        fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or self.fake.root_headers)}
        head = f"HTTP/1.1 {status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        self.wfile.write(head.encode() + (body if cut is None else body[:cut]))
        self.close_connection = cut is not None

    def _reset(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def _documents(body: bytes) -> Iterator[tuple[str, bytes]]:
    lines = body.split(b"\n")
    assert lines.pop() == b""
    for action, document in zip(lines[::2], lines[1::2], strict=True):
        ((verb, what),) = json.loads(action).items()
        assert verb == "create"
        yield what["_id"], document


FakeServer.handler = _Handler

if __name__ == "__main__":
    with FakeServer(keep=False) as server:
        print(server.address, flush=True)
        sys.stdin.read()

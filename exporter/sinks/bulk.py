"""The bulk loop: documents go to `_bulk` as `create` with their ids until each is written, known, or refused for good (E17 to E23).

The reply is asked for without what we know: an item is `{"create":{"status":201}}`, with `error` where there is one. So a batch is judged
by one request, and the number of items is still checked against the number of documents. When all went well the reply is known to the
byte, and is compared instead of parsed.
"""

from typing import Any
from urllib.parse import quote

import msgspec
import orjson

from exporter.errors import SinkRefused, SinkUnavailable
from exporter.sinks import Outcome, Result
from exporter.sinks.ingested import END
from exporter.sinks.retry import Retry
from exporter.sinks.server import NDJSON, Reply, Server

_QUERY = "filter_path=errors,items.*.status,items.*.error"
_UNAUTHORIZED = (401, 403)
_NO_INDEX = "index_not_found_exception"


class Document(msgspec.Struct, frozen=True, gc=False):
    """One document to send; `lines` are its action and its JSON, without the `}}` at the end of it."""

    position: int
    id: str
    lines: bytes


def lines(identity: str, document: bytes) -> bytes:
    """The `lines` of a Document. They are made when the document is, because then it is still in the processor's cache."""
    return b'{"create":{"_id":%b}}\n%b' % (orjson.dumps(identity), document[: -len(END)])


class _Item(msgspec.Struct, gc=False):
    status: int
    error: Any = None


class _Answer(msgspec.Struct):
    items: list[dict[str, _Item]] = []


_DECODER = msgspec.json.Decoder(_Answer)
_WRITTEN = b'{"create":{"status":201}}'


class Bulk:
    """Sends to one index. `too_large` is the size in bytes of the smallest request that got a 413; None before that."""

    def __init__(self, server: Server, index: str, retry: Retry, *, compress: bool) -> None:
        self._server = server
        self._index = index
        self._path = f"/{quote(index, safe='')}/_bulk?{_QUERY}"
        self._retry = retry
        self._compress = compress
        self._settled: list[Result] = []
        self._in_order = True
        self._end = END
        self.too_large: int | None = None

    def deliver(self, documents: list[Document], end: bytes = END) -> None:
        """Send until each document has a result; `end` takes the place of their last two bytes.

        Raises SinkUnavailable or SinkRefused; what got its result before is still there to `take`.
        """
        self._end = end
        waiting = [documents]
        while waiting:
            again, reason = self._attempt(waiting.pop())
            self._in_order = self._in_order and not again
            waiting.extend(reversed(again))
            if reason:
                self._retry.wait(reason)

    def take(self) -> list[Result]:
        """The results since the last call, in order of position."""
        results, self._settled = self._settled, []
        if not self._in_order:
            results.sort(key=_position)
            self._in_order = True
        return results

    def _attempt(self, batch: list[Document]) -> tuple[list[list[Document]], str]:
        """The batches to send (again), and why to wait before: `` for no reason."""
        body = (self._end + b"\n").join([*[one.lines for one in batch], b""])
        if self.too_large is not None and len(body) >= self.too_large and len(batch) > 1:
            return _halved(batch), ""
        try:
            reply = self._server.request("POST", self._path, body, media=NDJSON, compress=self._compress)
        except SinkUnavailable as error:
            return [batch], str(error)
        if reply.status == 413:
            return self._smaller(batch, len(body), reply), ""
        if reply.status in (408, 429) or reply.status >= 500:
            return [batch], self._server.described(reply)
        if reply.status != 200:
            raise SinkRefused(self._server.described(reply))
        return self._judged(batch, reply)

    def _judged(self, batch: list[Document], reply: Reply) -> tuple[list[list[Document]], str]:
        if reply.body == b'{"errors":false,"items":[%b]}' % b",".join([_WRITTEN] * len(batch)):
            self._settled += [Result(document.position, document.id, Outcome.WRITTEN) for document in batch]
            self._retry.progress()
            return [], ""
        try:
            items = [item for entry in _DECODER.decode(reply.body).items for item in entry.values()]
        except (msgspec.DecodeError, ValueError):
            return [batch], f"{self._server.address}: the reply cannot be read"
        if len(items) != len(batch):
            return [batch], f"{self._server.address}: {len(items)} results for {len(batch)} documents"
        again, reason = self._settle(batch, items)
        return ([again] if again else []), reason

    def _settle(self, batch: list[Document], items: list[_Item]) -> tuple[list[Document], str]:
        """Give a result to each document that has one; the others come back, with the reason of the first."""
        again: list[Document] = []
        reason = refused = ""
        settled = self._settled
        before = len(settled)
        for document, item in zip(batch, items, strict=True):
            status = item.status
            if 200 <= status < 300:
                settled.append(Result(document.position, document.id, Outcome.WRITTEN))
            elif status == 409:
                settled.append(Result(document.position, document.id, Outcome.DUPLICATE))
            elif status == 429 or status >= 500:
                again.append(document)
                reason = reason or self._worded(item)
            elif status in _UNAUTHORIZED or _type(item) == _NO_INDEX:
                refused = refused or self._worded(item)
            else:
                settled.append(self._dead(document, status, _type(item), self._server.redact(_explained(item))))
        if len(settled) > before:
            self._retry.progress()
        if refused:
            raise SinkRefused(refused)
        return again, reason

    def _smaller(self, batch: list[Document], size: int, reply: Reply) -> list[list[Document]]:
        """Two smaller batches; a document that is too large alone is dead."""
        self._retry.progress()
        if len(batch) == 1:
            self._settled.append(self._dead(batch[0], reply.status, "request_too_large", self._server.described(reply)))
            return []
        self.too_large = min(size, self.too_large or size)
        return _halved(batch)

    def _dead(self, document: Document, status: int, error_type: str, reason: str) -> Result:
        sent = document.lines.partition(b"\n")[2] + self._end
        return Result(document.position, document.id, Outcome.DEAD, reason, 0, sent, status, error_type, self._index)

    def _worded(self, item: _Item) -> str:
        where = f"{self._server.address}: index `{self._index}`"
        return self._server.redact(f"{where}: status {item.status}: {_type(item)}: {_explained(item)}")


def _halved(batch: list[Document]) -> list[list[Document]]:
    half = len(batch) // 2
    return [batch[:half], batch[half:]]


def _position(result: Result) -> int:
    return result.position


def _type(item: _Item) -> str:
    return str(item.error.get("type", "")) if isinstance(item.error, dict) else ""


def _explained(item: _Item) -> str:
    """The server's reason, and the reason of that."""
    if not isinstance(item.error, dict):
        return str(item.error or "no reason given")
    cause = item.error.get("caused_by")
    reasons = (item.error.get("reason"), cause.get("reason") if isinstance(cause, dict) else None)
    return "; ".join(str(reason) for reason in reasons if reason) or "no reason given"

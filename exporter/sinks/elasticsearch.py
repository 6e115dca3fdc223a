"""ECS documents into an index of Elasticsearch 7.14 or newer, or OpenSearch (sink-contracts E13, E17 to E25)."""

import contextlib
from collections.abc import Iterable
from typing import ClassVar

import orjson

from exporter.errors import SinkError, SinkRefused, SinkUnavailable
from exporter.records import Mapped
from exporter.sinks import Outcome, Result, server, server_auth
from exporter.sinks.bulk import Bulk, Document, lines
from exporter.sinks.first_index import make_first_index
from exporter.sinks.index_names import checked, write_alias
from exporter.sinks.ingested import END, ending
from exporter.sinks.retry import PATIENCE_SECONDS, Retry
from exporter.sinks.server import ELASTICSEARCH, Product, Server
from exporter.sinks.targets import SinkSettings, SinkTarget, yes_or_no

BATCH_DOCUMENTS = 1000
BATCH_BYTES = 5 << 20
LARGEST_BATCH_BYTES = 50 << 20
_MOST_DOCUMENTS = 100_000
_FIRST_CONTACT_SECONDS = 15
_END_BYTES = 48
"""`ingested` and the line end, which are added to a document's lines."""
_LARGEST_HINT_BYTES = 32 << 20
"""Freeing a piece as large as this tells glibc to keep memory between batches: a third of the sink's CPU is page faults otherwise."""
_OPTIONS = ("index", "batch_documents", "batch_bytes", "gzip", "patience", *server.OPTIONS, *server_auth.OPTIONS)


class ElasticsearchSink:
    """`elasticsearch:https://host:9200`, with options for the index, batches, credentials and TLS.

    `index` is where documents go, by default the write alias of the case. `batch_documents` and `batch_bytes` bound a request, `gzip`
    (`yes`) compresses it, `timeout` is in seconds. After `patience` seconds in which nothing was delivered the sink gives up
    (SinkUnavailable); the first contact may take 15 s.
    """

    name: ClassVar[str] = "elasticsearch"

    def __init__(self, target: SinkTarget, settings: SinkSettings) -> None:
        target.allow(_OPTIONS)
        self.target = target.target
        self.index = checked(target.options.get("index") or write_alias(settings.case))
        self._settings = settings
        self._documents = target.number("batch_documents", BATCH_DOCUMENTS, _MOST_DOCUMENTS)
        self._bytes = target.number("batch_bytes", BATCH_BYTES, LARGEST_BATCH_BYTES)
        self._patience = target.number("patience", PATIENCE_SECONDS)
        self._server = Server(target)
        retry = Retry(settings, self._patience)
        self._bulk = Bulk(self._server, self.index, retry, compress=yes_or_no(target, "gzip", default=True))
        self._batch: list[Document] = []
        self._size = 0
        self._position = 0
        self._acknowledged = 0
        self._failure: SinkError | None = None
        self.product: Product | None = None

    def check(self) -> None:
        """Read product and version, ask whether we may write to the index, and make it where it is missing."""
        bytes(min(4 * self._bytes, _LARGEST_HINT_BYTES))
        retry = Retry(self._settings, min(self._patience, _FIRST_CONTACT_SECONDS))
        while self.product is None:
            try:
                product = self._server.product()
                if product.name == ELASTICSEARCH and self._server.has_credentials:
                    self._check_privilege()
                make_first_index(self._server, self.index, product.name)
                self.product = product
            except SinkUnavailable as error:
                retry.wait(str(error))

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take one document; the results are those of the batches that were sent now."""
        document = event.document()
        if self._failure:
            raise self._failure
        if not document.endswith(END):
            self._position = position
            return (Result(position, event.id, Outcome.DEAD, "the document does not end with its `event` object", 0, document),)
        sent = lines(event.id, document)
        size = len(sent) + _END_BYTES
        results = self._send() if self._batch and self._size + size > self._bytes else ()
        self._batch.append(Document(position, event.id, sent))
        self._size += size
        self._position = position
        if len(self._batch) < self._documents or self._failure:
            return results
        return [*results, *self._send()]

    def flush(self) -> Iterable[Result]:
        """Send what is buffered."""
        self._fail()
        return self._send()

    @property
    def acknowledged(self) -> int:
        """Up to here the server has said what became of every document."""
        return self._acknowledged

    def close(self) -> list[str]:
        """No files; raises what the last `flush` did not deliver. What was written can be searched now, not half a minute later."""
        self._fail()
        if self._acknowledged:
            with contextlib.suppress(SinkError):  # a comfort, and not everybody may
                self._server.request("POST", f"/{self.index}/_refresh")
        self._server.close()
        return []

    def abort(self) -> None:
        """Send nothing more. What is written stays: the next run knows it by its ids."""
        self._batch.clear()
        self._server.close()

    def _send(self) -> list[Result]:
        """Deliver the batch. When the server has taken a part and no more, its results come first and the failure with the next call."""
        batch, self._batch, self._size = self._batch, [], 0
        try:
            if batch:
                self._bulk.deliver(batch, ending(None if self._settings.reproducible else self._settings.clock()))
        except SinkError as error:
            self._failure = error
        results = self._bulk.take()
        self._advance(batch, results)
        if self._bulk.too_large is not None:
            self._bytes = min(self._bytes, max(self._bulk.too_large // 2, 1))
        if self._failure and not results:
            raise self._failure
        return results

    def _advance(self, batch: list[Document], results: list[Result]) -> None:
        if len(results) == len(batch):
            self._acknowledged = self._position
            return
        settled = {result.position for result in results}
        self._acknowledged = next(document.position for document in batch if document.position not in settled) - 1

    def _fail(self) -> None:
        if self._failure:
            raise self._failure

    def _check_privilege(self) -> None:
        """What security says about writing; where there is none it has nothing to say."""
        wanted = {"index": [{"names": [self.index], "privileges": ["create_doc"]}]}
        reply = self._server.request("POST", "/_security/user/_has_privileges", orjson.dumps(wanted))
        if reply.status in (401, 403):
            raise SinkRefused(self._server.described(reply))
        if reply.status == 200 and b'"has_all_requested":false' in reply.body:
            raise SinkRefused(f"{self._server.address}: the privilege `create_doc` on the index `{self.index}` is missing")


class OpensearchSink(ElasticsearchSink):
    """`opensearch:https://host:9200`: the same, and takes a server that does not say what it is."""

    name: ClassVar[str] = "opensearch"

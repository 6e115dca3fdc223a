"""A connection to Elasticsearch or OpenSearch: plain requests over the client package's transport (sink-contracts E24).

Bytes go in and come out as they are: the transport's own serializers, retries, media types and product check are not used. Errors are
sorted here into those that may pass (SinkUnavailable) and those that will not (SinkRefused).
"""

import logging
import ssl
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import urllib3
from elastic_transport import ApiError, NodeConfig, TlsError, Transport, TransportError, Urllib3HttpNode
from elastic_transport.client_utils import parse_cloud_id

from exporter import __version__
from exporter.errors import ConfigurationError, SinkRefused, SinkUnavailable
from exporter.sinks.server_auth import Credentials, Tls, credentials
from exporter.sinks.targets import SinkTarget
from exporter.text import printable

JSON = "application/json"
NDJSON = "application/x-ndjson"
OPTIONS = ("cloud_id", "timeout")
TIMEOUT_SECONDS = 60
ELASTICSEARCH = "elasticsearch"
OPENSEARCH = "opensearch"
_GZIP_LEVEL = 1
_GZIP_WINDOW = 31  # zlib's word for a gzip header and trailer
_PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ConnectionError, TimeoutError)
_LONGEST_REASON = 500
_NONE: Mapping[str, str] = {}

logging.getLogger("elastic_transport").addHandler(logging.NullHandler())  # else its warnings about nodes go to standard error
logging.getLogger("elastic_transport.node").disabled = True  # it would show whole requests and replies


class Reply(NamedTuple):
    """What the server answered; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Product(NamedTuple):
    """Who answers: `elasticsearch`, `opensearch` or `unknown`, and its version, `` where it may not be read."""

    name: str
    version: str


class _Plain:
    """In place of the transport's serializers."""

    def dumps(self, data: bytes, mimetype: str | None = None) -> bytes:
        return data

    def loads(self, data: bytes, mimetype: str | None = None) -> bytes:
        return data


class _Node(Urllib3HttpNode):
    """Trusts what its TLS context trusts and nothing else, and pins the server's own certificate.

    The class above adds the CA bundle of `certifi` to any context, and takes a fingerprint that any certificate of the chain has.
    """

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        if config.ssl_context is not None:
            self.pool = urllib3.HTTPSConnectionPool(
                config.host,
                port=config.port,
                timeout=urllib3.Timeout(total=config.request_timeout),
                maxsize=1,
                block=True,
                ssl_context=config.ssl_context,
                assert_fingerprint=config.ssl_assert_fingerprint,
            )


class Server:
    """One server. Nothing is sent before the first `request`; raises ConfigurationError for an address or options that are none."""

    def __init__(self, target: SinkTarget) -> None:
        self._name = target.name
        scheme, host, port, prefix = _address(target)
        self._credentials: Credentials = credentials(target)
        self._tls = Tls(target)
        if scheme == "http" and self._tls.wanted:
            raise ConfigurationError(f"TLS options are given, but the address of `{target.name}` begins with `http:`")
        self._config: dict[str, Any] = {"scheme": scheme, "host": host, "port": port, "path_prefix": prefix}
        self._timeout = target.number("timeout", TIMEOUT_SECONDS)
        self._transport: Transport | None = None
        self.address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{prefix}"

    def __repr__(self) -> str:
        return f"Server({self.address}, {self._credentials})"

    @property
    def has_credentials(self) -> bool:
        """True when we say who we are."""
        return bool(self._credentials.kind)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        media: str = JSON,
        compress: bool = False,
        further: Mapping[str, str] = _NONE,
    ) -> Reply:
        """The reply, whatever its status; `further` are headers. Raises SinkUnavailable when none came, SinkRefused when TLS fails."""
        headers = {"accept": JSON, **further}
        if body:
            headers["content-type"] = media
        if body and compress:
            headers["content-encoding"] = "gzip"
            body = zlib.compress(body, _GZIP_LEVEL, _GZIP_WINDOW)
        try:
            meta, content = self._open().perform_request(method, path, body=body or None, headers=headers)
        except TlsError as error:
            raise self._tls_error(error) from None
        except (TransportError, ApiError) as error:
            raise SinkUnavailable(self._said(f"{error.message}")) from None
        except ValueError as error:
            raise SinkRefused(self._said(f"the address cannot be used: {error}")) from None
        return Reply(meta.status, {name.lower(): value for name, value in meta.headers.items()}, content or b"")

    def product(self) -> Product:
        """Who answers (E24). Raises SinkUnavailable, and SinkRefused for wrong credentials and for a product that we do not know."""
        reply = self.request("GET", "/")
        if reply.status == 429 or reply.status >= 500:
            raise SinkUnavailable(self.described(reply))
        if reply.status not in (200, 403):
            raise SinkRefused(self.described(reply))
        product = _product(reply)
        if product.name == "unknown" and self._name != OPENSEARCH:
            raise SinkRefused(self._said("this is neither Elasticsearch nor OpenSearch; where you know better, name it `opensearch:`"))
        return product

    def described(self, reply: Reply) -> str:
        """A reply that is not a success, for a person: status and the server's reason, without secrets."""
        return self._said(f"status {reply.status}{_reason(reply)}")

    def redact(self, text: str) -> str:
        """A text of the server without our secrets, inert and of bounded length."""
        return printable(self._credentials.redact(text))[:_LONGEST_REASON]

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _open(self) -> Transport:
        if self._transport is None:
            headers = {"user-agent": f"defender-exporter/{__version__}", **self._credentials.headers()}
            config = NodeConfig(**self._config, headers=headers, connections_per_node=1, request_timeout=self._timeout)
            if config.scheme == "https":
                config = config.replace(ssl_context=self._tls.context(), ssl_assert_fingerprint=self._tls.fingerprint)
            self._transport = Transport([config], node_class=_Node, max_retries=0, retry_on_status=(), meta_header=False)
            self._transport.serializers = _Plain()  # type: ignore[assignment]
        return self._transport

    def _tls_error(self, error: TlsError) -> SinkUnavailable | SinkRefused:
        """A connection that broke during the handshake may come back; a certificate that is wrong stays so."""
        causes = list(_causes(error))
        if any(isinstance(cause, _PASSING) and not isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return SinkUnavailable(self._said("the connection broke during the TLS handshake (does the server want a client certificate?)"))
        return SinkRefused(self._said(f"TLS failed: {error.message}"))

    def _said(self, text: str) -> str:
        return self.redact(f"{self.address}: {text}")


def _address(target: SinkTarget) -> tuple[str, str, int, str]:
    """Scheme, host, port, path prefix; raises ConfigurationError."""
    cloud = target.options.get("cloud_id", "").replace(" ", "+")  # what a `+` of an option became
    if cloud:
        if target.target != "cloud":
            raise ConfigurationError(f"with `cloud_id`, write `{target.name}:cloud?cloud_id=...` and no address")
        try:
            host, port = parse_cloud_id(cloud).es_address or ("", 0)
        except ValueError:
            raise ConfigurationError("`cloud_id` is not of the form `name:base64`") from None
        return "https", host, port, ""
    try:
        url = urlsplit(target.target)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    except ValueError:
        raise ConfigurationError(f"the address of `{target.name}` has no valid host or port") from None
    if not port or not url.hostname or url.query or url.fragment:
        raise ConfigurationError(f"`{target.name}` takes an address such as `https://host:9200`, not `{target.target}`")
    return url.scheme, url.hostname, port, url.path.rstrip("/")


def _product(reply: Reply) -> Product:
    header = reply.headers.get("x-elastic-product", "").lower()
    try:
        version = msgspec.json.decode(reply.body, type=_Root).version
    except msgspec.DecodeError:
        version = _Version()
    if version.distribution == OPENSEARCH or reply.headers.get("x-opensearch-version", "").lower().startswith("opensearch/"):
        return Product(OPENSEARCH, version.number)
    return Product(ELASTICSEARCH if header == ELASTICSEARCH else "unknown", version.number)


class _Version(msgspec.Struct):
    number: str = ""
    distribution: str = ""


class _Root(msgspec.Struct):
    version: _Version = msgspec.field(default_factory=_Version)


def _reason(reply: Reply) -> str:
    """`: type: reason` as both products word an error; the beginning of any other text."""
    try:
        error = msgspec.json.decode(reply.body)["error"]
        return f": {error['type']}: {error['reason']}" if isinstance(error, dict) else f": {error}"
    except (msgspec.DecodeError, LookupError, TypeError):
        text = reply.body[:200].decode("utf-8", "replace").strip()
        return f": {text}" if text else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors that an error was made of, whichever way it tells them."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            told = (*getattr(one, "errors", ()), *one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
            waiting.extend(cause for cause in told if isinstance(cause, BaseException))

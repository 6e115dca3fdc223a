"""A server in a thread of ours, for the fakes: it answers on the loopback interface while it is used as a context manager."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or does not like our certificate, is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; `fake` is the server that is acted."""

    fake: Any
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (theirs)
        pass


class LocalServer:
    """`context` makes it a TLS server."""

    handler: ClassVar[type[Handler]]

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context

    def __enter__(self) -> Self:
        self._server = _Quiet(("127.0.0.1", 0), type("OfThisServer", (self.handler,), {"fake": self}))
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.address = f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

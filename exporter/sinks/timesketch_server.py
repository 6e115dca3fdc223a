"""A connection to a Timesketch server: its login and the few requests that an upload needs.

Plain requests, because Timesketch's import client sends a part again after every 5xx and every broken connection, whether or not the server
has taken it, reads our lines and writes its own, and cannot be given a CA file. Facts about the interface: Timesketch 20261014, `api/v1`.
"""

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson
import urllib3
from urllib3 import exceptions as broken

from exporter import __version__
from exporter.errors import ConfigurationError, SinkRefused, SinkUnavailable
from exporter.sinks.server_auth import Tls
from exporter.sinks.targets import SinkTarget
from exporter.text import printable

OPTIONS = ("user", "password_file", "token_file", "ca", "fingerprint", "client_cert", "client_key", "timeout")
TIMEOUT_SECONDS = 120
_CSRF = re.compile(r'name="csrf[-_]token"[^>]*? (?:content|value)="([^"]+)"')
_OBJECT = re.compile(r"^\w+\(.*?\): ")
_LOGIN = "/login/?local_auth=1"
_UNSENT = (broken.NewConnectionError, broken.ConnectTimeoutError, broken.NameResolutionError)
_PAGE = 100
_MOST_PAGES = 1000
_LONGEST_REASON = 500


class AnswerLost(SinkUnavailable):
    """The request may have arrived: what became of it is not known."""


class NotFound(SinkRefused):
    """The server has no such thing, or not for us."""


class _Secrets:
    """User and password for Timesketch's own login, or a token for whatever stands before it."""

    def __init__(self, target: SinkTarget, environment: Mapping[str, str]) -> None:
        self.user = target.options.get("user") or environment.get("DEFENDER_EXPORTER_TIMESKETCH_USER", "")
        self.password = _secret(target, environment, "password")
        self.token = _secret(target, environment, "token")
        if bool(self.password) == bool(self.token):
            raise ConfigurationError(
                "`timesketch` needs a password or a token, one of them: `password_file=`, `token_file=`, "
                "DEFENDER_EXPORTER_TIMESKETCH_PASSWORD or DEFENDER_EXPORTER_TIMESKETCH_TOKEN"
            )
        if self.password and not self.user:
            raise ConfigurationError("a password needs a user: give `user=`, or DEFENDER_EXPORTER_TIMESKETCH_USER")

    def __repr__(self) -> str:
        return "_Secrets()"

    def redact(self, text: str) -> str:
        for secret in filter(None, (self.password, quote_plus(self.password), self.token)):
            text = text.replace(secret, "[secret]")
        return text


def _secret(target: SinkTarget, environment: Mapping[str, str], kind: str) -> str:
    path = target.options.get(f"{kind}_file")
    if path is None:
        return environment.get(f"DEFENDER_EXPORTER_TIMESKETCH_{kind.upper()}", "").strip()
    try:
        secret = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"`{kind}_file`: `{path}` cannot be read: {getattr(error, 'strerror', 'it is not text')}") from None
    if not secret or not secret.isprintable():
        raise ConfigurationError(f"`{kind}_file`: `{path}` is empty, or not one line of text")
    return secret


class TimesketchServer:
    """One server. Nothing is sent before `login`. Every request raises SinkUnavailable or SinkRefused; none is repeated here."""

    def __init__(self, target: SinkTarget, environment: Mapping[str, str] | None = None) -> None:
        self._scheme, self._host, self._port, self._prefix = _address(target)
        self._secrets = _Secrets(target, os.environ if environment is None else environment)
        self._tls = Tls(target)
        if self._scheme == "http" and self._tls.wanted:
            raise ConfigurationError("TLS options are given, but the address of `timesketch` begins with `http:`")
        self._timeout = target.number("timeout", TIMEOUT_SECONDS)
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._cookies: dict[str, str] = {}
        self._csrf = ""
        self.address = f"{self._scheme}://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}{self._prefix}"

    def __repr__(self) -> str:
        return f"TimesketchServer({self.address})"

    def login(self) -> None:
        """Open a session: with the password, or as whoever the token says. Raises SinkRefused when that is nobody."""
        self._cookies.clear()
        page = self._send("GET", _LOGIN)
        match = _CSRF.search(page.data.decode("utf-8", "replace"))
        self._csrf = match[1] if match else ""
        if self._secrets.password:
            form = {"username": self._secrets.user, "password": self._secrets.password, "csrf_token": self._csrf}
            reply = self._send("POST", _LOGIN, urlencode(form).encode(), "application/x-www-form-urlencoded")
            if reply.status != 302 or "/login" in reply.headers.get("location", ""):  # 200 is the login page again
                raise SinkRefused(self._said(f"the login as `{self._secrets.user}` was refused (status {reply.status})"))
        self.ask("GET", "/version/")

    def sketches(self, name: str) -> list[int]:
        """The ids of the sketches of that name that we may see."""
        found: set[int] = set()
        for scope in ("user", "shared"):
            for page in range(1, _MOST_PAGES):
                reply = self.ask("GET", f"/sketches/?scope={scope}&per_page={_PAGE}&page={page}")
                found |= {sketch["id"] for sketch in reply["objects"] if sketch["name"] == name}
                if not reply["meta"].get("has_next"):
                    break
        return sorted(found)

    def create_sketch(self, name: str) -> int:
        """A new sketch; returns its id."""
        made: int = self.ask("POST", "/sketches/", {"name": name, "description": "Made by defender-exporter"})["objects"][0]["id"]
        return made

    def timelines(self, sketch: int) -> list[dict[str, Any]]:
        """The timelines of a sketch, each with `id`, `name` and `datasources`. Raises NotFound; SinkRefused where we may not write."""
        (found,) = self.ask("GET", f"/sketches/{sketch}/")["objects"]
        if "write" not in found.get("my_permissions", "write"):
            raise SinkRefused(self._said(f"we may read the sketch {sketch}, but not write to it"))
        timelines: list[dict[str, Any]] = found["timelines"]
        return timelines

    def count(self, sketch: int, timeline: int) -> int:
        """How many rows a search finds in a timeline: as many as are indexed and refreshed."""
        query = {"query": "*", "filter": {"indices": [timeline]}, "count": True}
        found: int = self.ask("POST", f"/sketches/{sketch}/explore/", query)["meta"]["total_count"]
        return found

    def remove_timeline(self, sketch: int, timeline: int) -> None:
        """Take a timeline out of its sketch, for good; no search finds its rows any more. One that is gone already is as good."""
        reply = self._send("DELETE", f"/api/v1/sketches/{sketch}/timelines/{timeline}/")
        if reply.status not in (200, 404):
            self._json(reply)

    def upload(self, fields: Mapping[str, str], name: str, piece: bytes) -> dict[str, Any]:
        """One piece of a file; raises AnswerLost when the server may have taken it."""
        body, media = urllib3.encode_multipart_formdata({**fields, "file": (name, piece, "application/octet-stream")})
        return self._json(self._send("POST", "/api/v1/upload/", body, media))

    def ask(self, method: str, path: str, content: object = None) -> dict[str, Any]:
        """A request with a JSON reply."""
        body = b"" if content is None else orjson.dumps(content)
        return self._json(self._send(method, f"/api/v1{path}", body, "application/json"))

    def close(self) -> None:
        """Close the connection."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _send(self, method: str, path: str, body: bytes = b"", media: str = "") -> urllib3.BaseHTTPResponse:
        headers = {"user-agent": f"defender-exporter/{__version__}", "accept": "application/json, text/html", "referer": self.address}
        if body:
            headers["content-type"] = media
        if self._csrf:
            headers["x-csrftoken"] = self._csrf
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if self._secrets.token:
            headers["authorization"] = f"Bearer {self._secrets.token}"
        try:
            url = f"{self._prefix}{path}"
            reply = self._open().urlopen(method, url, body=body or None, headers=headers, retries=False, redirect=False)
        except _UNSENT as error:
            raise SinkUnavailable(self._said(_without_pool(error))) from None
        except broken.SSLError as error:
            raise self._tls_error(error) from None
        except (broken.HTTPError, OSError) as error:
            raise AnswerLost(self._said(_without_pool(error))) from None
        self._keep_cookies(reply)
        return reply

    def _open(self) -> urllib3.HTTPConnectionPool:
        if self._pool is None:
            timeout = urllib3.Timeout(total=self._timeout)
            if self._scheme == "https":
                self._pool = urllib3.HTTPSConnectionPool(
                    self._host,
                    self._port,
                    timeout=timeout,
                    maxsize=1,
                    ssl_context=self._tls.context(),
                    assert_fingerprint=self._tls.fingerprint,
                )
            else:
                self._pool = urllib3.HTTPConnectionPool(self._host, self._port, timeout=timeout, maxsize=1)
        return self._pool

    def _keep_cookies(self, reply: urllib3.BaseHTTPResponse) -> None:
        for header in reply.headers.getlist("set-cookie"):
            try:
                self._cookies.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
            except CookieError:
                continue

    def _json(self, reply: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        reason = self._said(f"status {reply.status}{_message(reply)}")
        if reply.status in (408, 429) or reply.status >= 500:
            raise AnswerLost(reason)
        if reply.status == 404:
            raise NotFound(reason)
        if not 200 <= reply.status < 300:
            raise SinkRefused(self._said("nobody is logged in") if reply.status == 302 else reason)
        try:
            content = orjson.loads(reply.data)
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
            raise AnswerLost(self._said("this is not an answer of Timesketch"))
        return content

    def _tls_error(self, error: broken.SSLError) -> SinkUnavailable | SinkRefused:
        """A connection that broke may come back; a certificate that is wrong stays so."""
        causes = [cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)]
        if any(isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) for cause in causes):
            return AnswerLost(self._said("the connection broke"))
        return SinkRefused(self._said(f"TLS failed: {error}"))

    def _said(self, text: str) -> str:
        return printable(self._secrets.redact(f"{self.address}: {text}"))[:_LONGEST_REASON]


def _address(target: SinkTarget) -> tuple[str, str, int, str]:
    """Scheme, host, port, path prefix; raises ConfigurationError."""
    try:
        url = urlsplit(target.target)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    except ValueError:
        raise ConfigurationError("the address of `timesketch` has no valid host or port") from None
    if not port or not url.hostname or url.fragment:
        raise ConfigurationError(f"`timesketch` takes an address such as `https://host`, not `{target.target}`")
    return url.scheme, url.hostname, port, url.path.rstrip("/")


def _message(reply: urllib3.BaseHTTPResponse) -> str:
    try:
        return f": {orjson.loads(reply.data)['message']}"
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ""


def _without_pool(error: Exception) -> str:
    """The error without urllib3's words about its own objects."""
    return _OBJECT.sub("", str(error)) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors that an error was made of."""
    waiting = [error]
    for one in waiting:
        yield one
        found = (one.__cause__, one.__context__, *one.args)
        waiting += [cause for cause in found if isinstance(cause, BaseException) and not any(cause is known for known in waiting)]

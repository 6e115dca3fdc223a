"""Who we are to a server, and how we know the server: credentials and TLS (sink-contracts E25).

Secrets come from files or the environment, never from an option's text: that stands in the list of processes, in the shell's history and
in our manifest. Nothing here shows one: no repr, no error.
"""

import base64
import os
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.errors import ConfigurationError, SinkRefused
from exporter.sinks.targets import SinkTarget

OPTIONS = ("api_key_file", "user", "password_file", "bearer_file", "ca", "fingerprint", "client_cert", "client_key")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_UNFIT = re.compile(r"[\0-\x1f\x7f]")


class Credentials:
    """An `Authorization` header, or none. `redact` takes the secret out of a text that a server or a library made."""

    __slots__ = ("_header", "_secrets", "kind")

    def __init__(self, kind: str = "", header: str = "", secrets: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._header = header
        self._secrets = tuple(filter(None, (*secrets, header.rpartition(" ")[2])))

    def __repr__(self) -> str:
        return f"Credentials({self.kind or 'none'})"

    def headers(self) -> dict[str, str]:
        """What goes into each request."""
        return {"authorization": self._header} if self._header else {}

    def redact(self, text: str) -> str:
        """`text` without our secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


def credentials(target: SinkTarget, environment: Mapping[str, str] | None = None) -> Credentials:
    """API key, password or bearer token: files named by options, else the environment.

    The variables are `DEFENDER_EXPORTER_<SINK>_API_KEY`, `_PASSWORD` (with `_USER` or the option `user`) and `_BEARER`, each sink its own.
    Raises ConfigurationError when a file cannot be read and when it is not clear which one is meant.
    """
    found = _from_files(target) or _from_environment(target, os.environ if environment is None else environment)
    if len(found) > 1:
        raise ConfigurationError(f"`{target.name}` has several credentials ({', '.join(sorted(found))}): give one")
    for kind, (secret, origin) in found.items():
        if not secret or _UNFIT.search(secret) or not (secret.isascii() or kind == "password"):
            raise ConfigurationError(f"{origin} is empty, or not one line of ASCII text")
        return _MAKERS[kind](secret, _user(target, environment))
    if target.options.get("user"):
        raise ConfigurationError(f"`{target.name}` has a user and no password: give `password_file`, or {_variable(target, 'PASSWORD')}")
    return Credentials()


def _from_files(target: SinkTarget) -> dict[str, tuple[str, str]]:
    """Kind to secret and where it came from."""
    given = {kind: target.options[f"{kind}_file"] for kind in _MAKERS if f"{kind}_file" in target.options}
    return {kind: (_read(f"{kind}_file", path), f"`{kind}_file`") for kind, path in given.items()}


def _from_environment(target: SinkTarget, environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names = {kind: _variable(target, kind.upper()) for kind in _MAKERS}
    return {kind: (environment[name].strip(), name) for kind, name in names.items() if environment.get(name)}


def _variable(target: SinkTarget, what: str) -> str:
    return f"DEFENDER_EXPORTER_{target.name.upper()}_{what}"


def _user(target: SinkTarget, environment: Mapping[str, str] | None) -> str:
    return target.options.get("user") or (os.environ if environment is None else environment).get(_variable(target, "USER"), "")


def _read(option: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"`{option}`: `{path}` cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"`{option}`: `{path}` is not text") from None


def _encoded(*parts: str) -> str:
    return base64.b64encode(":".join(parts).encode()).decode()


def _api_key(secret: str, _: str) -> Credentials:
    """As the server gives it (`encoded`), or `id:api_key`."""
    return Credentials("api key", f"ApiKey {_encoded(secret) if ':' in secret else secret}", (secret, secret.rpartition(":")[2]))


def _password(secret: str, user: str) -> Credentials:
    if not user:
        raise ConfigurationError("a password needs a user: give the option `user`")
    return Credentials("password", f"Basic {_encoded(user, secret)}", (secret,))


def _bearer(secret: str, _: str) -> Credentials:
    return Credentials("bearer token", f"Bearer {secret}", (secret,))


_MAKERS: dict[str, Callable[[str, str], Credentials]] = {"api_key": _api_key, "password": _password, "bearer": _bearer}


class Tls:
    """How the server is known: by a CA (`ca`, else those of the system), or by the SHA-256 of its own certificate, `fingerprint`."""

    def __init__(self, target: SinkTarget) -> None:
        options = target.options
        self._ca = options.get("ca")
        self._certificate = options.get("client_cert")
        self._key = options.get("client_key")
        self.fingerprint = options["fingerprint"].replace(":", "").lower() if "fingerprint" in options else None
        self.wanted = bool(self._ca or self._certificate or self._key or self.fingerprint)
        if self.fingerprint is not None and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise ConfigurationError("a fingerprint is the SHA-256 of the server's certificate: 64 hexadecimal digits")
        if self.fingerprint and self._ca:
            raise ConfigurationError("give `ca` or `fingerprint`, not both: a fingerprint alone says which certificate is right")
        if self._key and not self._certificate:
            raise ConfigurationError("`client_key` needs `client_cert`")

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer; certificate and name are verified, or the fingerprint is (by the connection). Raises SinkRefused."""
        try:
            context = ssl.create_default_context(cafile=self._ca)
            if self._certificate:
                context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise SinkRefused(f"`ca`, `client_cert` or `client_key` cannot be used: {reason}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.fingerprint:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _no_passphrase() -> str:
    """Instead of OpenSSL's question on the terminal, which nobody answers at night."""
    raise ValueError("the client key is encrypted: give one without a passphrase, readable by this user only")

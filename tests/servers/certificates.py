"""Certificates for a test, made by the openssl program."""

import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path

from tests.conftest import missing


class Authority:
    """A certificate authority in a folder; each method returns the path of a PEM file with certificate and key."""

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            missing("the program openssl", "tls")
        self._folder = folder
        self.path = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        _openssl("req", "-x509", *_key(self._key), "-out", self.path, "-days", "2", "-subj", f"/CN={name}", *usage)

    def issue(self, name: str, *, alternative: str = "IP:127.0.0.1", days: int = 2) -> Path:
        """A certificate; negative `days` make one that has expired."""
        path, key, request, extension = (self._folder / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        _openssl("req", *_key(key), "-out", request, "-subj", f"/CN={name}")
        extension.write_text(f"subjectAltName={alternative}\nauthorityKeyIdentifier=keyid\n")
        signed = ("-CA", self.path, "-CAkey", self._key, "-CAcreateserial", "-extfile", extension)
        _openssl("x509", "-req", "-in", request, *signed, "-days", days, "-out", path)
        path.write_bytes(path.read_bytes() + key.read_bytes())
        return path


def server_context(certificate: Path, clients: Path | None = None) -> ssl.SSLContext:
    """A server's side; `clients` is the authority of clients that must show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate of a PEM file."""
    text = certificate.read_text()
    end = "-----END CERTIFICATE-----\n"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)])).hexdigest()


def _key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

"""Whom we talk to over TLS, and whom not: against a local server with certificates made here."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.errors import ConfigurationError, SinkRefused, SinkUnavailable
from tests.servers.certificates import Authority, fingerprint, server_context
from tests.servers.delivery import Delivered, deliver
from tests.servers.fake import FakeServer
from tests.sinks.fakes import events


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "authority")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.issue("server")


@contextmanager
def tls_server(certificate: Path, clients: Path | None = None) -> Iterator[FakeServer]:
    with FakeServer(context=server_context(certificate, clients)) as server:
        yield server


def send(server: FakeServer, options: str) -> Delivered:
    return deliver(f"elasticsearch:{server.address}{options}", events(10))


def assert_refused(server: FakeServer, done: Delivered, reason: str) -> None:
    assert isinstance(done.error, SinkRefused)
    assert reason in str(done.error)
    assert (done.clock.waits, server.paths, server.bulks) == ([], [], 0), "nothing is sent, nothing is tried again"


def test_the_right_authority_and_the_right_name_are_trusted(authority: Authority, certificate: Path):
    with tls_server(certificate) as server:
        assert send(server, f"?ca={authority.path}").counts.written == 10


def test_the_name_of_a_host_is_checked_too(authority: Authority):
    with tls_server(authority.issue("named", alternative="DNS:localhost")) as server:
        server.address = server.address.replace("127.0.0.1", "localhost")
        assert send(server, f"?ca={authority.path}").counts.written == 10


def test_a_wrong_authority_is_refused_at_once(folder: Path, certificate: Path):
    other = Authority(folder, "other")
    with tls_server(certificate) as server:
        assert_refused(server, send(server, f"?ca={other.path}"), "certificate verify failed")


def test_an_authority_that_was_named_is_the_only_one(
    authority: Authority, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The client package trusts a bundle of public authorities besides."""
    monkeypatch.setattr("elastic_transport._node._http_urllib3.DEFAULT_CA_CERTS", str(authority.path))
    other = Authority(tmp_path, "only")
    with tls_server(certificate) as server:
        assert_refused(server, send(server, f"?ca={other.path}"), "certificate verify failed")


def test_an_unknown_authority_is_refused_at_once(certificate: Path):
    with tls_server(certificate) as server:
        assert_refused(server, send(server, ""), "certificate verify failed")


def test_an_expired_certificate_is_refused_at_once(authority: Authority):
    with tls_server(authority.issue("expired", days=-1)) as server:
        assert_refused(server, send(server, f"?ca={authority.path}"), "expired")


def test_a_certificate_of_another_name_is_refused_at_once(authority: Authority):
    with tls_server(authority.issue("elsewhere", alternative="IP:127.0.0.2,DNS:localhost")) as server:
        assert_refused(server, send(server, f"?ca={authority.path}"), "127.0.0.1")


def test_the_right_fingerprint_is_enough(certificate: Path):
    colons = fingerprint(certificate).upper()
    colons = ":".join(colons[at : at + 2] for at in range(0, 64, 2))
    with tls_server(certificate) as server:
        assert send(server, f"?fingerprint={colons}").counts.written == 10


def test_a_wrong_fingerprint_is_refused_at_once(authority: Authority, certificate: Path):
    with tls_server(certificate) as server:
        assert_refused(server, send(server, f"?fingerprint={fingerprint(authority.path)}"), "ingerprint")


def test_a_fingerprint_of_the_chain_is_not_that_of_the_server(authority: Authority, tmp_path: Path):
    """Anybody can show the certificate of an authority behind one that it did not issue, and name it as the issuer."""
    forged = Authority(tmp_path, "authority").issue("forged")
    forged.write_bytes(forged.read_bytes() + authority.path.read_bytes())
    with tls_server(forged) as server:
        assert_refused(server, send(server, f"?fingerprint={fingerprint(authority.path)}"), "ingerprint")


def test_a_client_certificate_is_shown(authority: Authority, certificate: Path):
    client = authority.issue("client")
    with tls_server(certificate, clients=authority.path) as server:
        assert send(server, f"?ca={authority.path}&client_cert={client}").counts.written == 10


def test_a_client_certificate_with_its_key_in_a_file_of_its_own_is_shown(authority: Authority, certificate: Path):
    client = authority.issue("client2")
    with tls_server(certificate, clients=authority.path) as server:
        options = f"?ca={authority.path}&client_cert={client}&client_key={client.with_suffix('.key')}"
        assert send(server, options).counts.written == 10


def test_without_the_client_certificate_that_the_server_wants_nothing_is_written(authority: Authority, certificate: Path):
    with tls_server(certificate, clients=authority.path) as server:
        done = send(server, f"?ca={authority.path}")
        assert isinstance(done.error, (SinkRefused, SinkUnavailable)), "the alert, or the broken connection: what comes first"
        assert server.bulks == 0


def test_a_server_that_speaks_no_tls_is_refused():
    with FakeServer() as server:
        done = deliver(f"elasticsearch:{server.address.replace('http:', 'https:')}", events(1))
        assert isinstance(done.error, SinkRefused)


def test_files_that_hold_no_certificate_are_named_as_the_reason(tmp_path: Path, authority: Authority):
    (tmp_path / "nothing.pem").write_text("nothing")
    for option in (f"ca={tmp_path / 'nothing.pem'}", f"client_cert={tmp_path / 'nothing.pem'}", f"ca={tmp_path / 'absent'}"):
        done = deliver(f"elasticsearch:https://127.0.0.1:9?{option}", [])
        assert isinstance(done.error, SinkRefused)
        assert "cannot be used" in str(done.error)


def test_an_encrypted_client_key_is_refused_and_not_asked_for(authority: Authority, tmp_path: Path):
    client, encrypted = authority.issue("client3"), tmp_path / "encrypted.key"
    command = ["openssl", "ec", "-in", client.with_suffix(".key"), "-aes128", "-passout", "pass:hidden", "-out", encrypted]
    subprocess.run(command, check=True, capture_output=True)
    done = deliver(f"elasticsearch:https://127.0.0.1:9?client_cert={client}&client_key={encrypted}", [])
    assert "is encrypted" in str(done.error)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("?fingerprint=abc", "64 hexadecimal digits"),
        (f"?fingerprint={'a' * 64}&ca=x", "not both"),
        ("?client_key=x", "needs `client_cert`"),
    ],
)
def test_tls_options_that_make_no_sense_are_refused(options: str, reason: str):
    with pytest.raises(ConfigurationError, match=reason):
        deliver(f"elasticsearch:https://127.0.0.1:9{options}", [])


def test_tls_options_without_tls_are_refused():
    with pytest.raises(ConfigurationError, match="begins with `http:`"):
        deliver("elasticsearch:http://127.0.0.1:9?ca=x", [])

"""How we say who we are, and that nobody else learns it."""

import base64
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.errors import ConfigurationError
from exporter.sinks.server import Server
from exporter.sinks.targets import open_sink, parse_target
from tests.servers.delivery import Clock, deliver, settings
from tests.servers.fake import FakeServer
from tests.sinks.fakes import events

SECRET = "s3cr3t-VaLuE"
ENVIRONMENT = "DEFENDER_EXPORTER_ELASTICSEARCH_"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("options", "content", "expected"),
    [
        ("api_key_file={file}", SECRET, f"ApiKey {SECRET}"),
        ("api_key_file={file}", f"id:{SECRET}\n", f"ApiKey {encoded(f'id:{SECRET}')}"),
        ("user=elastic&password_file={file}", f"{SECRET}\n", f"Basic {encoded(f'elastic:{SECRET}')}"),
        ("user=elastic&password_file={file}", "pässwörd:x", f"Basic {encoded('elastic:pässwörd:x')}"),
        ("bearer_file={file}", SECRET, f"Bearer {SECRET}"),
    ],
)
def test_credentials_come_from_files(server: FakeServer, tmp_path: Path, options: str, content: str, expected: str):
    (tmp_path / "secret").write_text(content, "utf-8")
    server.credentials = expected
    done = deliver(f"elasticsearch:{server.address}?{options.format(file=tmp_path / 'secret')}", events(3))
    assert done.counts.written == 3, done.error


@pytest.mark.parametrize(
    ("variables", "options", "expected"),
    [
        ({"API_KEY": SECRET}, "", f"ApiKey {SECRET}"),
        ({"PASSWORD": SECRET, "USER": "u"}, "", f"Basic {encoded(f'u:{SECRET}')}"),
        ({"PASSWORD": SECRET}, "?user=v", f"Basic {encoded(f'v:{SECRET}')}"),
        ({"BEARER": SECRET}, "", f"Bearer {SECRET}"),
    ],
)
def test_credentials_come_from_the_environment(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: str, expected: str
):
    for name, value in variables.items():
        monkeypatch.setenv(ENVIRONMENT + name, value)
    server.credentials = expected
    assert deliver(f"elasticsearch:{server.address}{options}", events(3)).counts.written == 3


def test_a_file_wins_over_the_environment(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"{ENVIRONMENT}BEARER", "other")
    (tmp_path / "key").write_text(SECRET)
    server.credentials = f"ApiKey {SECRET}"
    assert deliver(f"elasticsearch:{server.address}?api_key_file={tmp_path / 'key'}", events(1)).counts.written == 1


def test_the_secret_of_one_server_is_not_sent_to_another(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"{ENVIRONMENT}API_KEY", SECRET)
    deliver(f"opensearch:{server.address}", events(1))
    assert "authorization" not in server.headers


@pytest.mark.parametrize(
    ("options", "variables", "reason"),
    [
        ("api_key_file={file}&bearer_file={file}", {}, "several credentials"),
        ("", {"API_KEY": SECRET, "BEARER": SECRET}, "several credentials"),
        ("password_file={file}", {}, "needs a user"),
        ("user=u", {}, "no password"),
        ("api_key_file=/nowhere", {}, "`/nowhere` cannot be read"),
        ("api_key_file={empty}", {}, "is empty"),
        ("bearer_file={lines}", {}, "not one line"),
    ],
)
def test_unclear_credentials_are_refused_without_showing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, variables: dict[str, str], reason: str
):
    for name, text in (("file", SECRET), ("empty", ""), ("lines", f"{SECRET}\n{SECRET}")):
        (tmp_path / name).write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(ENVIRONMENT + name, value)
    files = {name: tmp_path / name for name in ("file", "empty", "lines")}
    with pytest.raises(ConfigurationError, match=reason) as raised:
        Server(parse_target(f"elasticsearch:http://127.0.0.1:9?{options.format(**files)}"))
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "target",
    [
        f"elasticsearch:https://elastic:{SECRET}@host:9200",
        f"elasticsearhc:https://elastic:{SECRET}@host:9200",
        f"https://elastic:{SECRET}@host:9200",
        f"opensearch:https://elastic:{SECRET}/x@host:9200?index=a",
        f"elasticsearch:https://elastic:{SECRET}?x@host:9200",
        f"elasticsearch:https://host:9200?api_key={SECRET}",
        f"elasticsearch:https://host:9200?PASSWORD={SECRET}",
        f"elasticsearch:https://host:9200?token={SECRET}&index=x",
        f"elasticsearch:https://host:9200?{SECRET}",
        f"elasticsearch:https://host:9200?apikey{SECRET}=x&{SECRET}",
    ],
)
def test_a_secret_in_a_target_is_refused_and_not_repeated(target: str):
    with pytest.raises(ConfigurationError) as raised:
        open_sink(parse_target(target), settings(Clock()))
    assert SECRET not in "".join(traceback.format_exception(raised.value)).replace(target, "")
    assert SECRET not in str(raised.value)


def test_a_secret_is_in_no_log_no_error_and_no_repr(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(f"{ENVIRONMENT}API_KEY", SECRET)
    server.credentials = "something else"
    caplog.set_level(logging.DEBUG)
    for name in ("elastic_transport", "elastic_transport.node", "elastic_transport.transport", "urllib3"):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "propagate", True)
        logger.setLevel(logging.DEBUG)
    done = deliver(f"elasticsearch:{server.address}", events(1))
    assert "status 401" in str(done.error)
    assert "[secret]" in str(done.error), "the server repeated what it got"
    seen = "".join(traceback.format_exception(done.error)) + caplog.text + "".join(capfd.readouterr())
    assert "GET http" in caplog.text
    assert SECRET not in seen
    sink = done.sink
    shown = [sink, sink._server, sink._server._credentials, sink._server._credentials.headers]  # type: ignore[attr-defined]
    sink._server._open()  # type: ignore[attr-defined]
    shown += [sink._server._transport, *sink._server._transport.node_pool.all(), sink._server._transport.node_pool.all()[0].config]  # type: ignore[attr-defined]
    assert SECRET not in repr(shown)


def test_a_run_shows_its_secret_nowhere(server: FakeServer, case_folder: Path, tmp_path: Path):
    """Not on standard output or error, not in the manifest, not in the dead letters; whether it ends well or not."""
    key = tmp_path / "key"
    key.write_text(SECRET)
    options = ["--case", "c1", "--manifest", "run.json", "--dead-letters", "dead.ndjson", "--force"]
    command = [sys.executable, "-m", "exporter.cli", "export", str(case_folder), *options, "--to"]
    target = f"elasticsearch:{server.address}"
    out = tmp_path / "out"
    out.mkdir()
    texts, codes = [], []
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    for credentials, extra in ((f"ApiKey {SECRET}", f"?api_key_file={key}"), ("x", f"?api_key_file={key}"), ("x", "")):
        server.credentials = credentials
        server.item = lambda identity, times: 400 if identity < "1" else None
        environment = {**os.environ, **path, f"{ENVIRONMENT}API_KEY": SECRET, "DEFENDER_EXPORTER_EXPORT_CASE": "c1"}
        done = subprocess.run([*command, target + extra], cwd=out, env=environment, capture_output=True, text=True, check=False)
        codes.append(done.returncode)
        texts += [done.stdout, done.stderr, *(file.read_text() for file in out.iterdir())]
    assert codes == [4, 3, 3], texts
    assert any('"sink":"elasticsearch"' in text for text in texts)
    assert not [text for text in texts if SECRET in text or encoded(SECRET) in text]
    assert json.loads((out / "run.json").read_text())["sinks"][0]["target"] == server.address

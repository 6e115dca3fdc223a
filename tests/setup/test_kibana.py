"""`setup --kibana` against a Kibana that keeps what it gets and answers as told; and what `setup --dry-run` prints."""

import base64
import email
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from exporter.cli import cli
from exporter.data import folder
from exporter.errors import SinkRefused, SinkUnavailable
from exporter.mapping.kibana import OBJECTS_FILE
from exporter.setup import run
from exporter.setup.kibana import form

NDJSON = (folder("mappings") / OBJECTS_FILE).read_bytes()
SUCCESS = {"success": True, "successCount": 13}


class Fake(ThreadingHTTPServer):
    """A server and a Kibana at once: both take anything, and the import is answered with `answer`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        self.answer: Any = SUCCESS

    @property
    def imports(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        """The requests to Kibana's import."""
        return [request for request in self.seen if "saved_objects" in request[1]]


class _Handler(BaseHTTPRequestHandler):
    server: Fake
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        status, answer = 200, {"version": {"number": "9.5.3"}}
        if "saved_objects" in self.path:
            status, answer = self.server.status, self.server.answer
        elif self.command == "GET" and self.path != "/":
            status, answer = 404, {}
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = _serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def setup(fake: Fake, *, options: str = "", kibana: str = "", replace: bool = False) -> list[str]:
    """The lines of a setup with Kibana."""
    plan = run.plan(
        f"elasticsearch:{fake.address}{options}", "C1", kibana or fake.address + "/s/dfir", data_stream=False, timestamp_type="date_nanos"
    )
    return list(run.install(plan, replace=replace))


def parts(headers: dict[str, str], body: bytes) -> list[Any]:
    """The parts of a multipart body, read by the standard library."""
    message = email.message_from_bytes(b"content-type: " + headers["content-type"].encode() + b"\r\n\r\n" + body)
    assert message.is_multipart()
    return message.get_payload()


def test_kibana_receives_the_file_as_a_form(fake: Fake) -> None:
    assert setup(fake)[-1] == "Kibana: 13 saved objects imported"
    ((method, path, headers, body),) = fake.imports
    assert (method, path) == ("POST", "/s/dfir/api/saved_objects/_import")
    assert headers["kbn-xsrf"]
    (part,) = parts(headers, body)
    assert part.get_param("name", header="content-disposition") == "file"
    assert part.get_filename().endswith(".ndjson")
    assert part.get_payload(decode=True).strip() == NDJSON.strip()


def test_the_boundary_does_not_occur_in_the_content() -> None:
    media, body = form(NDJSON)
    boundary = media.partition("boundary=")[2].encode()
    assert len(boundary) <= 100
    assert boundary not in NDJSON
    assert body.count(boundary) == 2
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")


def test_objects_that_are_there_stay_unless_they_are_to_be_replaced(fake: Fake) -> None:
    conflict = {"id": "dfir-defender", "type": "index-pattern", "error": {"type": "conflict"}}
    fake.answer = {"success": False, "successCount": 12, "errors": [conflict]}
    assert setup(fake)[-1] == "Kibana: 12 saved objects imported, 1 there already and left as they are (--replace takes ours)"
    setup(fake, replace=True)
    assert [path.partition("?")[2] for _, path, _, _ in fake.imports] == ["", "overwrite=true"]


def test_an_object_that_kibana_refuses_is_named(fake: Fake) -> None:
    error = {"id": "dfir-defender-threats", "type": "visualization", "error": {"type": "missing_references"}}
    fake.answer = {"success": False, "successCount": 0, "errors": [error]}
    with pytest.raises(SinkRefused, match="visualization dfir-defender-threats: missing_references"):
        setup(fake)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (401, {"message": "who?"}, SinkRefused),
        (404, b"not here", SinkRefused),
        (503, {"message": "Kibana server is not ready yet"}, SinkUnavailable),
        (200, b"<html>log in</html>", SinkRefused),
        (200, {"hello": 1}, SinkRefused),
    ],
)
def test_what_is_no_import_is_told(fake: Fake, status: int, answer: Any, error: type[Exception]) -> None:
    fake.status, fake.answer = status, answer
    with pytest.raises(error):
        setup(fake)


def test_kibana_gets_the_credentials_of_the_server_or_its_own(fake: Fake, tmp_path) -> None:
    def told(user: str, password: str) -> str:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    for name in ("one", "two"):
        (tmp_path / name).write_text(f"secret-{name}", "utf-8")
    setup(fake, options=f"?user=a&password_file={tmp_path / 'one'}")
    setup(fake, options=f"?user=a&password_file={tmp_path / 'one'}", kibana=f"{fake.address}?user=b&password_file={tmp_path / 'two'}")
    assert [headers["authorization"] for _, _, headers, _ in fake.imports] == [told("a", "secret-one"), told("b", "secret-two")]


def test_a_dry_run_prints_every_request_and_sends_nothing(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["setup", "--to", f"elasticsearch:{fake.address}", "--case", "C1", "--kibana", fake.address, "--dry-run"]
    cli.main(arguments, standalone_mode=False)
    text = capsys.readouterr().out
    assert re.findall(r"^(?:PUT|POST) .*$", text, re.MULTILINE) == [
        "PUT /_index_template/dfir-defender",
        "PUT /dfir-defender-c1-000001",
        "POST /api/saved_objects/_import",
    ]
    template = text.partition("PUT /_index_template/dfir-defender\n")[2].partition("\nPUT ")[0]
    assert json.loads(template)["index_patterns"] == ["dfir-defender-*"]
    assert NDJSON.decode() in text
    assert fake.seen == []


def test_a_data_stream_comes_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["setup", "--to", "opensearch:http://127.0.0.1:1", "--case", "C1", "--data-stream", "--dry-run"], standalone_mode=False)
    shown = capsys.readouterr()
    assert "roll-over" in shown.err
    assert "PUT /_data_stream/dfir-defender-c1" in shown.out
    assert '"type":"flat_object"' in shown.out


def test_the_command_line_sets_up_what_the_options_say(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["setup", "--to", f"elasticsearch:{fake.address}", "--case", "C1", "--timestamp-type", "date"], standalone_mode=False)
    sent = {path: json.loads(body) for method, path, _, body in fake.seen if method == "PUT"}
    assert sent["/_index_template/dfir-defender"]["template"]["mappings"]["properties"]["@timestamp"] == {"type": "date"}
    assert sent["/dfir-defender-c1-000001"] == {"aliases": {"dfir-defender-c1": {"is_write_index": True}}}
    assert capsys.readouterr().out.splitlines()[0] == f"{fake.address}: elasticsearch 9.5.3"

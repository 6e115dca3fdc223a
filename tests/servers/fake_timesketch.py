"""A small Timesketch that fails as it is told to, with the answers of the real one (20261014).

It puts pieces together, makes a data source of each file, and counts rows. `fault(request)` is asked at every upload request.
"""

import json
import re
import ssl
from collections.abc import Callable
from email import message_from_bytes
from email.policy import HTTP
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.servers.fake import RESET_AFTER, RESET_BEFORE
from tests.servers.local import Handler, LocalServer

USER, PASSWORD, TOKEN = "dev", "p&ss wörd", "t0ken"
_PAGE = '<meta name="csrf-token" content="csrf1"/><input id="csrf_token" name="csrf_token" type="hidden" value="csrf1">'


class Request(NamedTuple):
    """An upload request: its number from 1, its fields, and its piece of a file."""

    number: int
    fields: dict[str, str]
    piece: bytes

    @property
    def last(self) -> bool:
        return int(self.fields["chunk_index"]) + 1 == int(self.fields["chunk_total_chunks"])


class FakeTimesketch(LocalServer):
    """Use as a context manager. `timelines` is sketch id to timelines as the server tells them; `rows` is timeline id to its lines."""

    refuses_to_remove = False

    def __init__(self, *, context: ssl.SSLContext | None = None) -> None:
        self.sketches: dict[int, str] = {}
        self.timelines: dict[int, list[dict[str, Any]]] = {}
        self.rows: dict[int, list[bytes]] = {}
        self.files: dict[str, bytearray] = {}
        self.removed: list[int] = []
        self.requests: list[Request] = []
        self.headers: list[dict[str, str]] = []
        self.permissions = '["read", "write"]'
        self.fault: Callable[[Request], int | str | None] = lambda request: None
        self.state: Callable[[int], tuple[str, str]] = lambda number: ("ready", "")
        self.late_counts = 0
        self.lost_rows = 0
        self.renames = False
        super().__init__(context)

    def add_sketch(self, name: str) -> int:
        """A sketch by hand."""
        number = len(self.sketches) + 1
        self.sketches[number] = name
        self.timelines[number] = []
        return number

    def timeline(self, sketch: int, name: str) -> dict[str, Any]:
        """The timeline of that name, made if need be."""
        for found in self.timelines[sketch]:
            if found["name"] == name:
                return found
        made: dict[str, Any] = {"id": len(self.rows) + len(self.removed) + 1, "name": name, "datasources": []}
        self.rows[made["id"]] = []
        self.timelines[sketch].append(made)
        return made

    def remove(self, sketch: int, timeline: int) -> None:
        """Take a timeline and its rows away."""
        self.timelines[sketch] = [found for found in self.timelines[sketch] if found["id"] != timeline]
        del self.rows[timeline]
        self.removed.append(timeline)

    @property
    def sources(self) -> list[dict[str, Any]]:
        """All data sources of all timelines."""
        return [source for timelines in self.timelines.values() for timeline in timelines for source in timeline["datasources"]]

    @property
    def all_rows(self) -> list[bytes]:
        return [row for rows in self.rows.values() for row in rows]

    def take(self, request: Request) -> dict[str, Any]:
        """What the server does with a piece; the answer."""
        fields = request.fields
        if "events" in fields:  # as the import client sends lines
            return self._index(fields, fields["events"].encode())
        file = self.files.setdefault(fields["chunk_index_name"], bytearray())
        offset = int(fields["chunk_byte_offset"])
        file[offset : offset + len(request.piece)] = request.piece
        if not request.last:
            return {"meta": {}, "objects": []}
        assert len(file) == int(fields["total_file_size"])
        return self._index(fields, bytes(file))

    def _index(self, fields: dict[str, str], lines: bytes) -> dict[str, Any]:
        timeline = self.timeline(int(fields["sketch_id"]), fields["name"] + ("_1a2b3" if self.renames else ""))
        status, error = self.state(len(self.sources) + 1)
        source = {
            "context": fields.get("context", ""),
            "provider": fields["provider"],
            "status": [{"status": status}],
            "error_message": error,
        }
        timeline["datasources"].append(source)
        self.rows[timeline["id"]] += lines.splitlines()
        return {"meta": {}, "objects": [timeline]}


class _Handler(Handler):
    fake: FakeTimesketch

    def do_GET(self) -> None:  # noqa: N802 (theirs)
        self._route(b"")

    def do_DELETE(self) -> None:  # noqa: N802 (theirs)
        self._route(b"")

    def do_POST(self) -> None:  # noqa: N802 (theirs)
        self._route(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def _route(self, body: bytes) -> None:
        fake = self.fake
        path = urlsplit(self.path).path
        fake.headers.append({name.lower(): value for name, value in self.headers.items()})
        if path == "/login/":
            self._login(body)
        elif "session=open" not in self.headers.get("cookie", "") and self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._answer(302, b"", {"location": "/login/?next=x"})
        elif self.command != "GET" and self.headers.get("x-csrftoken") != "csrf1":
            self._tell(400, {"message": "The CSRF token is missing."})
        elif path == "/api/v1/upload/":
            self._upload(body)
        else:
            self._api(path.removeprefix("/api/v1"), body)

    def _login(self, body: bytes) -> None:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form == {"username": USER, "password": PASSWORD, "csrf_token": "csrf1"}:
            self._answer(302, b"", {"location": "/", "set-cookie": "session=open; HttpOnly; Path=/"})
        else:
            self._answer(200, _PAGE.encode(), {"content-type": "text/html"})

    def _api(self, path: str, body: bytes) -> None:
        fake = self.fake
        if path == "/version/":
            self._tell(200, {"meta": {"version": "20261014"}, "objects": []})
        elif path == "/sketches/" and body:
            number = fake.add_sketch(json.loads(body)["name"])
            self._tell(201, {"meta": {}, "objects": [{"id": number}]})
        elif path == "/sketches/":
            found = [{"id": number, "name": name} for number, name in fake.sketches.items()]
            self._tell(200, {"meta": {"has_next": False}, "objects": found})
        elif (match := re.fullmatch(r"/sketches/(\d+)/", path)) and int(match[1]) in fake.sketches:
            sketch = {"timelines": fake.timelines[int(match[1])], "my_permissions": fake.permissions}
            self._tell(200, {"meta": {}, "objects": [sketch]})
        elif path.endswith("/explore/"):
            rows = len(fake.rows[json.loads(body)["filter"]["indices"][0]]) - fake.lost_rows
            fake.late_counts -= 1
            self._tell(200, {"meta": {"total_count": rows if fake.late_counts < 0 else 0}, "objects": []})
        elif self.command == "DELETE" and (match := re.fullmatch(r"/sketches/(\d+)/timelines/(\d+)/", path)):
            if fake.refuses_to_remove:
                self._tell(403, {"message": "Timelines with label [x] cannot be deleted."})
                return
            fake.remove(int(match[1]), int(match[2]))
            self._answer(200, b"200\n", {"content-type": "application/json"})
        else:
            self._tell(404, {"message": "The requested URL was not found on the server."})

    def _upload(self, body: bytes) -> None:
        fake = self.fake
        request = Request(len(fake.requests) + 1, *_form(self.headers["content-type"], body))
        fake.requests.append(request)
        fault = fake.fault(request)
        if fault == RESET_BEFORE or isinstance(fault, int):
            self._tell(fault, {"message": "as told"}) if isinstance(fault, int) else self._reset()
            return
        answer = fake.take(request)
        if fault == RESET_AFTER:
            self._reset()
        else:
            self._tell(201, answer)

    def _tell(self, status: int, content: dict[str, Any]) -> None:
        self._answer(status, json.dumps(content).encode(), {"content-type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.close()
        self.close_connection = True


def _form(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of a multipart form, and its file."""
    boundary = content_type.partition("boundary=")[2].encode()
    fields: dict[str, str] = {}
    piece = b""
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part[2:-2].partition(b"\r\n\r\n")
        name = message_from_bytes(head + b"\r\n\r\n", policy=HTTP)["content-disposition"].params["name"]
        if name == "file":
            piece = content
        else:
            fields[name] = content.decode()
    return fields, piece


FakeTimesketch.handler = _Handler

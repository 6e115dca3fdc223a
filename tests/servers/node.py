"""A real server of the kit among the shared tools, which can be killed and started again on the same data."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from exporter.errors import SinkUnavailable
from exporter.sinks.server import Reply, Server
from exporter.sinks.targets import parse_target
from tests.conftest import missing

PASSWORD = "test-password"
_START_SECONDS = 300


class Node:
    """`name` as the kit knows it. `folder` holds data and the password of the server that wants one."""

    def __init__(self, kit: Path, name: str, folder: Path) -> None:
        self.secure = name.endswith("-security")
        self.product = "opensearch" if name.startswith("opensearch") else "elasticsearch"
        self._serve = [sys.executable, str(kit / "servers" / "serve"), name]
        self._data = ["--data", str(folder / "data")]
        self._password = folder / "password"
        self._password.write_text(PASSWORD)
        self._port = "0"
        self.starts = 0
        if not (kit / "servers" / "serve").exists():
            missing(f"the kit of servers below {kit}", "servers")

    def start(self) -> None:
        """Start it, again on the same port; the test is skipped where that is not possible at all."""
        command = [*self._serve, "start", *self._data, "--port", self._port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
        if done.returncode:
            missing(f"{self._serve[-1]} (it does not start: {done.stderr.strip()[-500:]})", "servers")
        self.url = done.stdout.split()[0]
        self._port = self.url.rpartition(":")[2]
        self.starts += 1

    def stop(self, *, kill: bool = False) -> None:
        """Stop it, or end it as a crash would."""
        command = [*self._serve, "stop", *self._data, *(["--kill"] if kill else [])]
        subprocess.run(command, capture_output=True, timeout=60, check=False)

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return self.request("GET", "/").status == 200
        except SinkUnavailable:
            return False

    def target(self, **options: object) -> str:
        """What stands after `--to`."""
        known = {"user": "test", "password_file": self._password} if self.secure else {}
        query = "&".join(f"{name}={value}" for name, value in {**known, **options}.items())
        return f"{self.product}:{self.url}" + (f"?{query}" if query else "")

    def request(self, method: str, path: str, body: Any = None) -> Reply:
        """Any reply."""
        server = Server(parse_target(self.target()))
        try:
            return server.request(method, path, b"" if body is None else json.dumps(body).encode())
        finally:
            server.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded reply of a request that must succeed."""
        reply = self.request(method, path, body)
        assert reply.status < 300, (method, path, reply.status, reply.body[:2000])
        return json.loads(reply.body)

    def ids(self, index: str) -> list[str]:
        """The ids of all documents (at most 10,000), sorted."""
        self.ask("POST", f"/{index}/_refresh")
        found = self.ask("POST", f"/{index}/_search", {"size": 10_000, "_source": False, "track_total_hits": True})
        assert found["hits"]["total"]["value"] == len(found["hits"]["hits"])
        return sorted(hit["_id"] for hit in found["hits"]["hits"])

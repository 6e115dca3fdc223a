"""A server in memory that knows templates, indices, aliases and data streams, as far as `setup` asks."""

import json
from typing import Any

from exporter.sinks.server import Reply


class Cluster:
    """Answers as Elasticsearch does. `requests` are (method, path); `refuse` maps a path to the status that it is answered with."""

    address = "http://cluster.example:9200"

    def __init__(self) -> None:
        self.templates: dict[str, Any] = {}
        self.indices: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuse: dict[str, int] = {}

    def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        self.requests.append((method, path))
        if path in self.refuse:
            return self._reply(self.refuse[path], {"error": {"type": "refused", "reason": "told to"}})
        head, _, name = path.strip("/").partition("/")
        sent = json.loads(body) if body else None
        if head == "_index_template":
            return self._template(method, name, sent)
        if head == "_data_stream":
            return self._create(f".ds-{name}-000001", name, {"aliases": {}, "data_stream": name}, self.templates[name])
        if name == "_mapping":
            self.indices[head]["mappings"] = sent
            return self._reply(200, {})
        return self._look(head) if method == "GET" else self._create(head, head, sent, self.templates["dfir-defender"])

    def described(self, reply: Reply) -> str:
        return f"status {reply.status}: {reply.body.decode()}"

    @property
    def changes(self) -> list[str]:
        """The paths of the requests that changed something, or tried."""
        return [path for method, path in self.requests if method != "GET"]

    def _template(self, method: str, name: str, sent: Any) -> Reply:
        if method == "PUT":
            self.templates[name] = sent
            return self._reply(200, {"acknowledged": True})
        if name not in self.templates:
            return self._reply(404, {"error": {"reason": "missing"}})
        return self._reply(200, {"index_templates": [{"name": name, "index_template": self.templates[name]}]})

    def _look(self, name: str) -> Reply:
        found = {index: state for index, state in self.indices.items() if name in (index, state.get("data_stream"), *state["aliases"])}
        return self._reply(200 if found else 404, found)

    def _create(self, index: str, name: str, sent: dict[str, Any], template: dict[str, Any]) -> Reply:
        if index in self.indices:
            return self._reply(400, {"error": {"type": "resource_already_exists_exception", "reason": f"index [{name}] already exists"}})
        self.indices[index] = {**sent, "mappings": template["template"]["mappings"]}
        return self._reply(200, {"acknowledged": True})

    def _reply(self, status: int, content: Any) -> Reply:
        return Reply(status, {}, json.dumps(content).encode())

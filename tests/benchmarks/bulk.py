"""Client CPU of bulk indexing: our sink against `helpers.streaming_bulk` of the client package, with its defaults.

The server is a process of its own that only counts lines and answers. `python -m tests.benchmarks.bulk WAY URL COUNT` is one client.
"""

import atexit
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import orjson

OURS, THEIRS = 1_000_000, 200_000
"""Documents of one run: enough that starting weighs little, and more on us."""
_KINDS = 500


def start_server() -> str:
    """The address of a server that ends with this process."""
    server = subprocess.Popen([sys.executable, "-m", "tests.servers.fake"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    assert server.stdout is not None
    return server.stdout.readline().strip()


def command(way: str, url: str, count: int) -> tuple[str, ...]:
    """The client as a process: `ours`, `ours-gzip`, `streaming_bulk` or `streaming_bulk-gzip`."""
    return (sys.executable, "-m", "tests.benchmarks.bulk", way, url, str(count))


def documents() -> list[dict[str, Any]]:
    """ECS documents of about 1.7 KB: a detection of the event log, each a little different."""
    path = "C:\\Users\\analyst\\AppData\\Local\\Temp\\Rar$EXa{0}.{1}\\invoice-2026-{1:05}.exe"
    return [_document(number, path.format(number % 97, number * 7919)) for number in range(_KINDS)]


def _document(number: int, path: str) -> dict[str, Any]:
    threat = {"id": 2147735503 + number, "name": "Trojan:Win32/Wacatac.B!ml", "severity": "Severe", "severity_id": 5, "category": "Trojan"}
    data = {f"Field_Name_{at}": f"value {at} of event {number}" for at in range(16)}
    return {
        "@timestamp": "2026-04-02T08:00:26.0770946Z",
        "ecs": {"version": "9.4.0"},
        "message": f"Malware detected: {threat['name']} in {path} of user CORP\\analyst on WS-0142",
        "host": {"name": "WS-0142"},
        "labels": {"case_id": "bench"},
        "agent": {"type": "defender-exporter", "version": "0.1.0"},
        "file": {"path": path, "name": path.rpartition("\\")[2], "extension": "exe", "hash": {"sha256": f"{number:064x}"}},
        "rule": {"id": str(threat["id"]), "name": threat["name"], "ruleset": "Microsoft Defender Antivirus"},
        "related": {"hosts": ["WS-0142"], "user": ["analyst"], "hash": [f"{number:064x}"]},
        "defender": {
            "threat": threat,
            "time": {"basis": "record"},
            "source": {"kind": "evtx", "path": "C/Windows/x.evtx", "offset": number},
        },
        "winlog": {"channel": "Microsoft-Windows-Windows Defender/Operational", "record_id": str(number), "event_data": data},
        "event": {"kind": "event", "category": ["malware"], "type": ["info"], "action": "malware-detected", "id": f"{number:040x}"},
    }


def main() -> None:
    """Send, and fail unless everything was taken."""
    way, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    send = _ours if way.startswith("ours") else _theirs
    taken = send(url, count, way.endswith("gzip"))
    assert taken == count, (taken, count)


class _Mapped:
    """What our sink sees; serializing is part of the work, as it is theirs."""

    def __init__(self, identity: str, content: dict[str, Any]) -> None:
        self.id = identity
        self.content = content

    def document(self) -> bytes:
        return orjson.dumps(self.content)


def _made(count: int) -> Iterator[_Mapped]:
    """The same few documents again and again: what it costs to make them is no part of the comparison."""
    kinds = [_Mapped(hashlib.sha256(b"%d" % number).hexdigest()[:40], content) for number, content in enumerate(documents())]
    return islice(cycle(kinds), count)


def _ours(url: str, count: int, gzip: bool) -> int:
    from exporter.sinks import Outcome
    from exporter.sinks.targets import SinkSettings, open_sink, parse_target

    sink = open_sink(parse_target(f"elasticsearch:{url}?gzip={'yes' if gzip else 'no'}"), SinkSettings(case="bench"))
    sink.check()
    taken = 0
    for position, mapped in enumerate(_made(count), 1):
        if new := sink.write(mapped, position):  # type: ignore[arg-type]
            taken += sum(result.outcome is Outcome.WRITTEN for result in new)
    taken += sum(result.outcome is Outcome.WRITTEN for result in sink.flush())
    sink.close()
    return taken


def _theirs(url: str, count: int, gzip: bool) -> int:
    from elasticsearch import Elasticsearch
    from elasticsearch.helpers import streaming_bulk

    client = Elasticsearch(url, http_compress=gzip)
    actions = ({"_op_type": "create", "_index": "dfir-defender-bench", "_id": one.id, "_source": one.content} for one in _made(count))
    return sum(ok for ok, _ in streaming_bulk(client, actions))


if __name__ == "__main__":
    main()

"""T12: Timesketch's own reader yields exactly our objects."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from exporter.sinks.targets import SinkSettings, open_sink, parse_target
from tests.sinks.fakes import FakeMapped, events, row

pytestmark = pytest.mark.peers
PROGRAM = """
import json, sys
from timesketch.lib.utils import read_and_validate_jsonl
with open(sys.argv[1], encoding="utf-8") as lines, open(sys.argv[2], "w", encoding="utf-8") as out:
    for entry in read_and_validate_jsonl(lines):
        out.write(json.dumps(entry) + "\\n")
"""
TEXTS = ["-", "[1", "[]", "a,b", "a\u2028b\x85c", "\u2400", "\ufffd", '"', "\\", "null", "\u202e", "😀", "x" * 40_000]


def test_timesketch_yields_exactly_our_objects(peer, tmp_path: Path):
    records = [*events(500), *hostile()]
    random.Random(3).shuffle(records)
    sink = open_sink(parse_target(f"timesketch:{tmp_path / 'case.jsonl'}"), SinkSettings())
    sink.check()
    for position, record in enumerate(records, 1):
        list(sink.write(record, position))
    sink.close()
    subprocess.run([peer("timesketch"), "-W", "ignore", "-c", PROGRAM, tmp_path / "case.jsonl", tmp_path / "read"], check=True)
    ours = [json.loads(line) for line in (tmp_path / "case.jsonl").read_bytes().split(b"\n")[:-1]]
    read = [json.loads(line) for line in (tmp_path / "read").read_bytes().split(b"\n")[:-1]]
    assert len(ours) == sum(len(record.rows()) for record in records)
    assert read == ours


def hostile() -> list[FakeMapped]:
    """Texts on which a reader might stumble, as tags too: Timesketch takes tags apart."""
    return [
        FakeMapped(str(number), [row(message=text, tags=(text,), hostname=text, attributes={"threat_name": text, "strings": [text]})])
        for number, text in enumerate(TEXTS)
    ]

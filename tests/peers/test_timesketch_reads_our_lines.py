"""T12: Timesketch's own reader yields exactly our objects."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from exporter.sinks.targets import SinkSettings, open_sink, parse_target
from tests.line import FILES, export, objects
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
    ours = objects(tmp_path / "case.jsonl")
    assert len(ours) == sum(len(record.rows()) for record in records)
    assert read_by_timesketch(peer, tmp_path / "case.jsonl") == ours


def read_by_timesketch(peer, path: Path) -> list[dict]:
    """What Timesketch's reader yields for a file."""
    result = path.with_name("read.jsonl")
    subprocess.run([peer("timesketch"), "-W", "ignore", "-c", PROGRAM, path, result], check=True)
    return objects(result)


def test_timesketch_yields_exactly_what_we_export_of_the_synthetic_case(peer, demo, tmp_path):
    path = Path(shutil.copy(demo.folder / FILES["timesketch"], tmp_path))
    assert read_by_timesketch(peer, path) == demo.lines


@pytest.mark.real_data
def test_timesketch_yields_exactly_what_we_export_of_the_real_samples(peer, shared_data, tmp_path):
    evidence = [shared_data / name for name in ("evtx", "mplog", "quarantine", "detection_history")]
    run = export(evidence, tmp_path, sinks=["timesketch"])
    assert len(run.lines) > 200
    assert read_by_timesketch(peer, tmp_path / FILES["timesketch"]) == run.lines


def hostile() -> list[FakeMapped]:
    """Texts on which a reader might stumble, as tags too: Timesketch takes tags apart."""
    return [
        FakeMapped(str(number), [row(message=text, tags=(text,), hostname=text, attributes={"threat_name": text, "strings": [text]})])
        for number, text in enumerate(TEXTS)
    ]

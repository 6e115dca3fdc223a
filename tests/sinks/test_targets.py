"""What stands after `--to`."""

import subprocess
import sys

import pytest

from exporter.errors import ConfigurationError
from exporter.sinks.targets import SinkTarget, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ecs:case.ndjson", SinkTarget("ecs", "case.ndjson")),
        ("ecs:C:\\cases\\x.ndjson", SinkTarget("ecs", "C:\\cases\\x.ndjson")),
        ("ecs:-", SinkTarget("ecs", "-")),
        (
            "l2tcsv:c.csv?dialect=psort&timezone=Europe%2FBerlin",
            SinkTarget("l2tcsv", "c.csv", {"dialect": "psort", "timezone": "Europe/Berlin"}),
        ),
        ("timesketch:/tmp/a b.jsonl?part_lines=10", SinkTarget("timesketch", "/tmp/a b.jsonl", {"part_lines": "10"})),
    ],
)
def test_a_target_is_a_name_a_place_and_options(text: str, target: SinkTarget):
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["C:\\x.ndjson", "case.ndjson", "splunk:x", "", ":x"])
def test_an_unknown_sink_is_refused_and_the_known_are_named(text: str):
    with pytest.raises(ConfigurationError, match="`ecs`, `timesketch`, `l2tcsv`"):
        parse_target(text)


@pytest.mark.parametrize("text", ["ecs:", "ecs", "ecs:?a=b"])
def test_a_sink_without_a_target_is_refused(text: str):
    with pytest.raises(ConfigurationError, match="names no target"):
        parse_target(text)


@pytest.mark.parametrize("text", ["ecs:x?a", "ecs:x?a=b&"])
def test_options_that_are_none_are_refused(text: str):
    with pytest.raises(ConfigurationError, match="not of the form"):
        parse_target(text)


def test_the_table_of_sinks_imports_none_of_them():
    program = "import sys, exporter.sinks.targets; print([name for name in sys.modules if name.startswith(('exporter.sinks.', 'orjson'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['exporter.sinks.targets']"
